//! Sources of keys, each with the trust that is put in it.
//!
//! A token is judged by one of them alone, from the choice on: its issuer picks the source, and no
//! key of another source is ever tried.

use std::sync::Arc;

use arc_swap::Guard;

use super::bell::Ring;
use super::error::Error;
use super::keys::{KeyCache, Snapshot};
use super::payload::Payload;
use super::trust::{Trust, signs_for};
use crate::clock::{Clock, Timestamp};
use crate::jose::{AlgorithmSet, Decoded, Header, NoKey, VerifyingKey};

/// The sources of a verifier.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    sources: Box<[Trusted]>,
    /// All issuers, for messages.
    issuers: Arc<str>,
}

impl Sources {
    pub(super) fn new(sources: impl IntoIterator<Item = (Trust, KeyCache)>) -> Self {
        let sources: Box<[_]> = sources
            .into_iter()
            .enumerate()
            .map(|(index, (trust, keys))| Trusted { index, trust, keys })
            .collect();
        let issuers: Vec<_> = sources.iter().map(|it| it.trust.issuers()).collect();
        Self {
            sources,
            issuers: issuers.join(" or ").into(),
        }
    }

    /// The first source that may sign for the issuer that the payload names. That name is not
    /// verified yet: it picks keys and expectations, and no more.
    pub(super) fn of(&self, payload: &Payload<'_>) -> Result<&Trusted, Error> {
        let mut sources = self.sources.iter();
        if let Some(source) = sources.find(|it| it.trust.covers(payload)) {
            return Ok(source);
        }
        payload.iss.required("iss")?;
        Err(Error::WrongIssuer {
            expected: Arc::clone(&self.issuers),
        })
    }

    #[inline]
    pub(super) fn at(&self, index: usize) -> Option<&Trusted> {
        self.sources.get(index)
    }
}

/// One source: its keys, and for whom they may sign what.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    /// Its place among the sources.
    pub(super) index: usize,
    pub(super) trust: Trust,
    keys: KeyCache,
}

impl Trusted {
    /// One view of its keys, if a verification at `now` may rely on them; else it rings, so that a
    /// service that is back is found within the gate, however long it was down.
    #[inline]
    pub(super) fn load(
        &self,
        now: Timestamp,
        clock: &dyn Clock,
    ) -> Result<Guard<Arc<Snapshot>>, Error> {
        let keys = self.keys.load_usable(now, || clock.boot());
        keys.map_err(|why| {
            self.keys.ring(Ring::NoKeys);
            Error::KeysUnavailable(why)
        })
    }

    /// The keys that may have signed, by kid and algorithm.
    pub(super) fn candidates<'v>(
        &'v self,
        keys: &'v Snapshot,
        header: &'v Header<'_>,
        payload: &'v Payload<'v>,
        allowed: AlgorithmSet,
    ) -> Result<Candidates<'v, impl Iterator<Item = &'v VerifyingKey>>, Error> {
        let choice = Choice {
            source: self,
            keys,
            kid: header.kid.as_deref(),
            payload,
            allowed,
        };
        let signs = move |key: &VerifyingKey| choice.signs(key);
        match (keys.keys).candidates_among(choice.kid, header.algorithm, signs) {
            Ok(found) => Ok(Candidates { choice, found }),
            Err(why) => Err(choice.no_key(why)),
        }
    }
}

/// The keys of one source that may have signed a token.
pub(super) struct Candidates<'v, I> {
    choice: Choice<'v>,
    found: I,
}

impl<'v, I: Iterator<Item = &'v VerifyingKey>> Candidates<'v, I> {
    /// The key whose signature it is.
    pub(super) fn check_signature(mut self, jws: &Decoded<'_>) -> Result<&'v VerifyingKey, Error> {
        let choice = &self.choice;
        let mut has_named = false;
        let signer = self.found.find(|key| {
            has_named |= key.kid() == choice.kid;
            key.verify(jws.header.algorithm, jws.signing_input, jws.signature)
                .is_ok()
        });
        signer.ok_or_else(|| choice.bad_signature(has_named))
    }
}

/// What keys are chosen from, and by.
#[derive(Clone, Copy)]
struct Choice<'v> {
    source: &'v Trusted,
    keys: &'v Snapshot,
    kid: Option<&'v str>,
    payload: &'v Payload<'v>,
    allowed: AlgorithmSet,
}

impl Choice<'_> {
    /// Whether `key` may sign for the payload's issuer: one that names an issuer signs for no other.
    fn signs(&self, key: &VerifyingKey) -> bool {
        key.issuer().is_none_or(|it| signs_for(it, self.payload))
    }

    /// Rings where another fetch may bring the key.
    fn no_key(&self, why: NoKey) -> Error {
        match (why, self.kid) {
            (NoKey::Unknown, Some(kid)) => self.ring(Ring::UnknownKey(kid)),
            (NoKey::Unknown, None) => self.ring(Ring::NoKid),
            (NoKey::OtherAlgorithm, _) => self.ring(Ring::NoKeyForAlgorithm),
            (NoKey::Skipped | NoKey::TooMany, _) => {}
        }
        match why {
            NoKey::OtherAlgorithm => Error::UnsupportedAlgorithm {
                allowed: self.allowed,
            },
            why => Error::UnknownKey {
                why,
                last_fetch_failed: self.keys.failing,
            },
        }
    }

    /// Rings, since a key may have been replaced under the same kid, or under none.
    fn bad_signature(&self, has_named: bool) -> Error {
        match self.kid {
            None => self.ring(Ring::NoKid),
            // Keys without a kid were tried, and the one that the token names is none of them.
            Some(_) if !has_named && self.keys.keys.has_kids() => {
                let why = self.keys.keys.why_none(self.kid, |key| self.signs(key));
                return self.no_key(why);
            }
            Some(_) => self.ring(Ring::BadSignature),
        }
        Error::BadSignature
    }

    fn ring(&self, why: Ring<'_>) {
        self.source.keys.ring(why);
    }
}
