//! How things stand with a rotator, and the events that tell of changes.

use std::fmt;

use super::error::{Class, Failing};
use super::store::StoreError;
use crate::clock::Timestamp;
use crate::policy::Finding;

/// How things stand with a [`Rotator`](super::Rotator), without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How things stand, in a word.
    pub status: Status,
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

/// How things stand, in a word: what `Display` gives is that word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// No token is known yet, and none was refused.
    #[default]
    Empty,
    /// A token lives and is not due.
    Fresh,
    /// A token lives, and the next use replaces it.
    Due,
    /// A token lives and is handed out, and no newer one could be issued: the service is down, or
    /// refuses this client, which [`Health::failing`] tells.
    ServingThroughOutage {
        /// When the first attempt of the row failed.
        since: Timestamp,
    },
    /// The last token does not live any more.
    Expired,
    /// No token lives, and the service refuses this client.
    Refused,
}

impl Status {
    /// Whether there is a token to hand out.
    pub fn lives(self) -> bool {
        matches!(
            self,
            Self::Fresh | Self::Due | Self::ServingThroughOutage { .. }
        )
    }

    /// A name for machines: `empty`, `fresh`, `due`, `serving_through_outage`, `expired`, `refused`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Fresh => "fresh",
            Self::Due => "due",
            Self::ServingThroughOutage { .. } => "serving_through_outage",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }

    /// Of a token that lives: whether it is `due`, and since when no newer one could be issued.
    pub(super) fn of_living(due: bool, outage_since: Option<Timestamp>) -> Self {
        match outage_since {
            Some(since) => Self::ServingThroughOutage { since },
            None if due => Self::Due,
            None => Self::Fresh,
        }
    }

    /// Where no token lives: whether one did, and why none was issued since.
    pub(super) fn without_token(expired: bool, failing: Option<Class>) -> Self {
        match failing {
            Some(Class::Permanent) => Self::Refused,
            _ if expired => Self::Expired,
            _ => Self::Empty,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServingThroughOutage { since } => {
                write!(f, "serving through an outage since {since}")
            }
            other => f.write_str(other.name()),
        }
    }
}

impl Health {
    /// Tells through `tracing` what differs from `before`, so that each change is told once.
    pub(super) fn tell_changes(&self, before: &Self) {
        if self.issued_at != before.issued_at
            && let (Some(rotate_at), Some(expires_at)) = (self.rotate_at, self.expires_at)
        {
            tracing::info!(%rotate_at, %expires_at, "new access token");
        }
        for finding in &self.findings {
            if !before.findings.contains(finding) {
                tracing::warn!("{finding}");
            }
        }
        match (&self.store, &before.store) {
            (Some(now), before) if Some(now) != before.as_ref() => tracing::warn!("{now}"),
            (None, Some(_)) => tracing::info!("the store is of use again"),
            _ => {}
        }
        self.tell_failing(before.failing.as_ref());
    }

    /// An attempt that fails for the same reason as the one before is news to nobody.
    fn tell_failing(&self, before: Option<&Failing>) {
        let serving = self.serving_through_outage;
        let Some(now) = &self.failing else {
            if let Some(before) = before {
                tracing::info!(since = %before.since, "tokens are issued again");
            }
            return;
        };
        let Failing {
            since,
            attempts,
            reason,
            next_attempt,
            ..
        } = now;
        macro_rules! tell {
            ($level:ident, $words:literal) => {
                tracing::$level!(%since, attempts, %reason, %next_attempt, serving, $words)
            };
        }
        match (now.class, before) {
            (_, Some(before)) if *reason == before.reason => tell!(debug, "no new token"),
            (Class::Permanent, _) => tell!(error, "the service refuses to issue a token"),
            (Class::Transient, _) if serving => {
                tell!(warn, "no new token, the latest one serves on")
            }
            (Class::Transient, _) => tell!(warn, "no new token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let since = Timestamp::from_secs(1_795_570_010);
        for (status, lives, name, words) in [
            (Status::Empty, false, "empty", "empty"),
            (Status::Fresh, true, "fresh", "fresh"),
            (Status::Due, true, "due", "due"),
            (
                Status::ServingThroughOutage { since },
                true,
                "serving_through_outage",
                "serving through an outage since 2026-11-25T01:26:50Z",
            ),
            (Status::Expired, false, "expired", "expired"),
            (Status::Refused, false, "refused", "refused"),
        ] {
            assert_eq!((status.lives(), status.name()), (lives, name));
            assert_eq!(status.to_string(), words);
        }
    }

    #[test]
    fn an_outage_says_more_than_due() {
        let since = Some(Timestamp::from_secs(1));
        assert_eq!(Status::of_living(false, None), Status::Fresh);
        assert_eq!(Status::of_living(true, None), Status::Due);
        for due in [true, false] {
            let status = Status::of_living(due, since);
            assert!(matches!(status, Status::ServingThroughOutage { .. }));
        }
    }

    #[test]
    fn a_refusal_says_more_than_expired() {
        for (expired, failing, status) in [
            (false, None, Status::Empty),
            (false, Some(Class::Transient), Status::Empty),
            (true, None, Status::Expired),
            (true, Some(Class::Transient), Status::Expired),
            (false, Some(Class::Permanent), Status::Refused),
            (true, Some(Class::Permanent), Status::Refused),
        ] {
            assert_eq!(Status::without_token(expired, failing), status);
        }
    }
}
