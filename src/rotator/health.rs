//! How things stand with a rotator, and the events that tell of changes.

use super::error::{Class, Failing};
use super::store::StoreError;
use crate::clock::Timestamp;
use crate::policy::Finding;

/// How things stand with a [`Rotator`](super::Rotator), without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When the latest token was issued.
    pub issued_at: Option<Timestamp>,
    /// When it is or was due.
    pub rotate_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// A token is handed out, and issuing a newer one fails.
    pub serving_through_outage: bool,
    /// The attempts that failed in a row, if the last one did.
    pub failing: Option<Failing>,
    /// What is odd about the latest token, or about the way to it.
    pub findings: Vec<Finding>,
    /// Why the store is of no use, if it is.
    pub store: Option<StoreError>,
}

impl Health {
    /// Tells through `tracing` what differs from `before`, so that each change is told once.
    pub(super) fn tell_changes(&self, before: &Self) {
        if self.issued_at != before.issued_at
            && let Some(expires_at) = self.expires_at
        {
            tracing::info!(%expires_at, "new access token");
        }
        for finding in &self.findings {
            if !before.findings.contains(finding) {
                tracing::warn!("{finding}");
            }
        }
        if let Some(error) = &self.store
            && self.store != before.store
        {
            tracing::warn!("{error}");
        }
        self.tell_failing(before.failing.as_ref());
    }

    fn tell_failing(&self, before: Option<&Failing>) {
        let serving = self.serving_through_outage;
        match (&self.failing, before) {
            (Some(now), Some(before)) if now.reason == before.reason => {
                tracing::debug!(serving, "no new token {now}");
            }
            (Some(now), _) if now.class == Class::Permanent => {
                tracing::error!(serving, "the service refuses to issue a token {now}");
            }
            (Some(now), _) => tracing::warn!(serving, "no new token {now}"),
            (None, Some(before)) => {
                tracing::info!(since = %before.since, "tokens are issued again");
            }
            (None, None) => {}
        }
    }
}
