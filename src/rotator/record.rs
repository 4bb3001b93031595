//! What a store holds for one client.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::error::{Class, Reason};
use super::store::CredentialTag;
use crate::clock::Timestamp;
use crate::token::{AccessToken, LifetimeSource, Token, TokenFormat};

/// What a [`Store`](super::store::Store) holds for one client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Counts the tokens issued: of two records the one with more is newer, whatever their times.
    pub generation: u64,
    /// The latest token.
    pub token: Option<Issued>,
    /// The one before, where both are opaque and it may still live.
    pub former: Option<Issued>,
    /// The attempts that failed since.
    pub failed: Option<Failed>,
    /// When a refused token may be the reason for a renewal again.
    pub gate: Option<Gate>,
    /// When the last request was about to be made.
    pub requested_at: Option<Timestamp>,
}

impl Record {
    /// Whether this was issued while `late` was on its way, by someone who did not wait for the
    /// claim: a slower answer is no newer one.
    pub(super) fn outran(&self, late: &Self) -> bool {
        let token = |it: &Self| it.token.as_ref().map(|it| it.token.access_token.clone());
        let rival = || token(self).is_some() && token(self) != token(late);
        self.generation > late.generation || (self.generation == late.generation && rival())
    }
}

/// A token with what decides when it is replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Issued {
    /// The token.
    pub token: Arc<Token>,
    /// Where in the policy's range this one is rotated, 0 to 1; drawn once.
    pub fraction: f64,
    /// A rotation that the service asked for (`refresh_in`), counted from `issued_at`.
    pub rotate_in: Option<Duration>,
    /// The credential that got it.
    pub credential: CredentialTag,
}

/// Attempts that failed in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// When the first one did.
    pub since: Timestamp,
    /// How many did.
    pub attempts: u32,
    /// Why the last one did.
    pub reason: Reason,
    /// Whether time may help.
    pub class: Class,
    /// When the last one did.
    pub written_at: Timestamp,
    /// The end of the pause.
    pub next_attempt: Timestamp,
    /// The credential that they were made with.
    pub credential: CredentialTag,
    /// The service refused the request for a format, so the next one goes without.
    #[serde(default)]
    pub without_format: bool,
}

/// Bounds the renewals that refused tokens cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Closed before.
    pub opens_at: Timestamp,
    /// How long it was closed for, in seconds.
    pub closed_for: u32,
}

/// [`Issued`] as it is written: the one place where a token leaves its redacting type.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    access_token: Exposed,
    format: TokenFormat,
    issued_at: Timestamp,
    expires_at: Timestamp,
    lifetime_source: LifetimeSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Box<str>>,
    fraction: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotate_in_ms: Option<u64>,
    credential: CredentialTag,
}

#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Exposed(AccessToken);

impl Serialize for Exposed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose())
    }
}

impl TryFrom<String> for Exposed {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        AccessToken::new(text)
            .map(Self)
            .ok_or("not an access token")
    }
}

impl From<Stored> for Issued {
    fn from(stored: Stored) -> Self {
        Self {
            token: Arc::new(Token {
                access_token: stored.access_token.0,
                format: stored.format,
                issued_at: stored.issued_at,
                expires_at: stored.expires_at,
                lifetime_source: stored.lifetime_source,
                scope: stored.scope,
            }),
            fraction: stored.fraction,
            rotate_in: stored.rotate_in_ms.map(Duration::from_millis),
            credential: stored.credential,
        }
    }
}

impl From<Issued> for Stored {
    fn from(issued: Issued) -> Self {
        let token = &*issued.token;
        Self {
            access_token: Exposed(token.access_token.clone()),
            format: token.format,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            lifetime_source: token.lifetime_source,
            scope: token.scope.clone(),
            fraction: issued.fraction,
            rotate_in_ms: issued
                .rotate_in
                .map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
            credential: issued.credential,
        }
    }
}
