//! What a store holds for one client.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::error::{Class, Reason};
use super::store_key::CredentialTag;
use crate::clock::Timestamp;
use crate::token::{AccessToken, LifetimeSource, RefreshToken, Token, TokenFormat};

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
    /// The refresh tokens in force where the service replaced one that the user gave: one for each
    /// that was given, the latest replacement first. The last [`Successor::MOST`] are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub successors: Vec<Successor>,
    /// All of this, sealed; then nothing else is here but `generation` and `requested_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Ciphertext>,
}

impl Record {
    /// When the last thing in it ends that the service or a policy set a time for; `None` if there
    /// is no such thing.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let expiry = |it: &Option<Issued>| it.as_ref().map(|it| it.token.expires_at);
        [
            expiry(&self.token),
            expiry(&self.former),
            self.failed.as_ref().map(|it| it.next_attempt),
            self.gate.map(|it| it.opens_at),
            self.sealed.as_ref().and_then(|it| it.ends_at),
            // Nobody tells how long a refresh token lives.
            self.stamp()
                .filter(|_| !self.successors.is_empty())
                .map(|it| it.plus(LONG_ENOUGH)),
        ]
        .into_iter()
        .flatten()
        .max()
    }

    /// How long it was of use when it was written, by the clock of whoever wrote it: from its latest
    /// stamp to [`Self::ends_at`].
    pub fn life(&self) -> Duration {
        match (self.stamp(), self.ends_at()) {
            (Some(stamp), Some(end)) => end.since(stamp),
            _ => Duration::ZERO,
        }
    }

    /// The latest time in it that is about when it was written.
    pub(super) fn stamp(&self) -> Option<Timestamp> {
        let failed = self.failed.as_ref().map(|it| it.written_at);
        let issued = self.token.as_ref().map(|it| it.token.issued_at);
        [self.requested_at, failed, issued]
            .into_iter()
            .flatten()
            .max()
    }

    /// Whether this was issued while `late` was on its way, by someone who did not wait for the
    /// claim: a slower answer is no newer one.
    pub(super) fn outran(&self, late: &Self) -> bool {
        let rival = || self.has_token() && !self.has_token_of(late);
        self.generation > late.generation || (self.generation == late.generation && rival())
    }

    fn has_token(&self) -> bool {
        self.token.is_some() || self.sealed.as_ref().is_some_and(|it| it.token.is_some())
    }

    fn has_token_of(&self, other: &Self) -> bool {
        let token = |it: &Self| it.token.as_ref().map(|it| it.token.access_token.clone());
        let sealed = |it: &Self| it.sealed.as_ref().and_then(|it| it.token);
        token(self) == token(other) && sealed(self) == sealed(other)
    }
}

const LONG_ENOUGH: Duration = Duration::from_secs(400 * 24 * 3600);

/// The refresh token that is in force once the service has replaced the one that the user gave
/// (RFC 6749 6, "refresh token rotation" in RFC 9700 4.14.2): the last link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// The one to send next.
    #[serde(with = "exposed")]
    pub refresh_token: RefreshToken,
    /// How often the service replaced one so far: of two links the one with more is newer.
    pub number: u32,
    /// When the service replaced the one before.
    pub since: Timestamp,
    /// Tells the refresh token that the user gave, with which the chain began, from any other: who was
    /// given another one goes on with the chain of that.
    pub initial: CredentialTag,
}

impl Successor {
    /// So many chains of one client are kept: a user who consents anew leaves one behind, and processes
    /// that were given the former refresh token may use it for a while.
    pub const MOST: usize = 4;

    /// Of each chain the newest link there is.
    pub(super) fn newest_of(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut newest: Vec<Self> = Vec::new();
        for link in all {
            match newest.iter_mut().find(|it| it.initial == link.initial) {
                Some(older) if older.number < link.number => *older = link,
                Some(_) => {}
                None => newest.push(link),
            }
        }
        newest.sort_by_key(|it| std::cmp::Reverse(it.since));
        newest.truncate(Self::MOST);
        newest
    }
}

/// The one place where a refresh token leaves its redacting type.
mod exposed {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::token::RefreshToken;

    pub(super) fn serialize<S: Serializer>(it: &RefreshToken, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(it.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<RefreshToken, D::Error> {
        let text = String::deserialize(from)?;
        RefreshToken::new(text).ok_or_else(|| D::Error::custom("not a refresh token"))
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

/// A [`Record`] that only the holder of a key can read, with what a store must know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ciphertext {
    /// The nonce, the ciphertext and its tag, in base64url.
    pub text: Box<str>,
    /// Tells one token from another: 64 bits of an HMAC. `None` if no token is in it.
    #[serde(default)]
    pub token: Option<u64>,
    /// [`Record::ends_at`] of what is in it.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
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
