//! Who may sign for whom, and who this verifier is.

use std::marker::PhantomData;
use std::sync::Arc;

use super::error::Error;
use super::payload::{Claim, Payload};

/// Whose tokens are accepted, and for which audience.
///
/// Neither can be left out: what [`Trust::issuer`] returns is no `Trust` until an audience is
/// stated.
///
/// ```
/// use steadfast::verifier::Trust;
///
/// let trust = Trust::issuer("https://login.example")
///     .also_issuer("https://login.example.org")
///     .audience("https://orders.example");
/// ```
///
/// ```compile_fail,E0308
/// # use steadfast::{jose::KeySet, verifier::{KeyCache, Trust, Verifier}};
/// let no_audience = Trust::issuer("https://login.example");
/// let _: Verifier = Verifier::new(no_audience, KeyCache::fixed(KeySet::default()));
/// ```
///
/// A trust in [`AnyIssuer`] builds a verifier with one local key set only, see
/// [`Verifier::fixed`](super::Verifier::fixed).
///
/// ```compile_fail,E0308
/// # use steadfast::{jose::KeySet, verifier::{KeyCache, Trust, Verifier}};
/// let any_issuer = Trust::any_issuer().audience("https://orders.example");
/// let _: Verifier = Verifier::new(any_issuer, KeyCache::fixed(KeySet::default()));
/// ```
#[derive(Clone, Debug)]
pub struct Trust<I = NamedIssuers> {
    issuers: Option<Names>,
    audiences: Option<Names>,
    kind: PhantomData<I>,
}

/// The issuers of a [`Trust`] are named.
#[derive(Clone, Copy, Debug)]
pub enum NamedIssuers {}

/// A [`Trust`] accepts whatever issuer its one local key set signs for.
#[derive(Clone, Copy, Debug)]
pub enum AnyIssuer {}

impl Trust {
    /// Trust in an issuer: `iss` must be equal to the byte (RFC 7519 4.1.1). State the audience
    /// next.
    pub fn issuer(issuer: impl Into<String>) -> Issuers {
        Issuers {
            issuers: Some(Names::one(issuer.into())),
            kind: PhantomData,
        }
    }

    /// Whatever issuer the keys sign for, also none. Only for one local key set.
    pub fn any_issuer() -> Issuers<AnyIssuer> {
        Issuers {
            issuers: None,
            kind: PhantomData,
        }
    }

    /// One more issuer of the same keys.
    #[must_use]
    pub fn also_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers = self.issuers.map(|names| names.and(issuer.into()));
        self
    }
}

impl<I> Trust<I> {
    /// One more audience: a token must be for one of them.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences = Some(match self.audiences {
            Some(names) => names.and(audience.into()),
            None => Names::one(audience.into()),
        });
        self
    }

    /// The same trust, its kind forgotten.
    pub(super) fn into_plain(self) -> Trust {
        Trust {
            issuers: self.issuers,
            audiences: self.audiences,
            kind: PhantomData,
        }
    }

    /// Whether `iss` is an issuer that is trusted (RFC 7519 4.1.1, RFC 8725 3.8).
    pub(super) fn check_issuer(&self, payload: &Payload<'_>) -> Result<(), Error> {
        let Some(expected) = &self.issuers else {
            return Ok(());
        };
        match &payload.iss {
            Claim::Is(iss) if expected.has(iss) => Ok(()),
            Claim::Is(_) => Err(Error::WrongIssuer {
                expected: expected.text.clone(),
            }),
            Claim::WrongType => Err(Error::MalformedClaim("iss")),
            Claim::Absent => Err(Error::MissingClaim("iss")),
        }
    }

    /// Whether `aud` names this verifier (RFC 7519 4.1.3, RFC 8725 3.9).
    pub(super) fn check_audience(&self, payload: &Payload<'_>) -> Result<(), Error> {
        let Some(expected) = &self.audiences else {
            return Ok(());
        };
        match &payload.aud {
            Claim::Is(aud) if aud.ours => Ok(()),
            Claim::Is(_) => Err(Error::WrongAudience {
                expected: expected.text.clone(),
            }),
            Claim::WrongType => Err(Error::MalformedClaim("aud")),
            Claim::Absent => Err(Error::MissingClaim("aud")),
        }
    }

    /// Whether `name` is an audience of this verifier.
    pub(super) fn is_audience(&self, name: &str) -> bool {
        self.audiences.as_ref().is_some_and(|names| names.has(name))
    }
}

/// Issuers without an audience yet.
#[derive(Clone, Debug)]
#[must_use = "state the audience to get a `Trust`"]
pub struct Issuers<I = NamedIssuers> {
    issuers: Option<Names>,
    kind: PhantomData<I>,
}

impl Issuers {
    /// One more issuer of the same keys.
    pub fn also_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers = self.issuers.map(|names| names.and(issuer.into()));
        self
    }
}

impl<I> Issuers<I> {
    /// Who this verifier is: `aud` must name it, to the byte. May be repeated on the [`Trust`].
    pub fn audience(self, audience: impl Into<String>) -> Trust<I> {
        self.any_audience().audience(audience)
    }

    /// Whatever audience, also none; never one of a wrong type.
    ///
    /// A token that was issued for another resource server can then be replayed here (RFC 8725 3.9).
    pub fn any_audience(self) -> Trust<I> {
        Trust {
            issuers: self.issuers,
            audiences: None,
            kind: PhantomData,
        }
    }
}

/// A few names, and all of them as one text for messages.
#[derive(Clone, Debug)]
struct Names {
    names: Vec<String>,
    text: Arc<str>,
}

impl Names {
    fn one(name: String) -> Self {
        Self {
            text: name.as_str().into(),
            names: vec![name],
        }
    }

    fn and(mut self, name: String) -> Self {
        self.text = format!("{} or {name}", self.text).into();
        self.names.push(name);
        self
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|it| it == name)
    }
}
