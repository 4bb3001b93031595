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
    pub(super) fn candidates<'k>(
        &self,
        keys: &'k Snapshot,
        header: &Header<'_>,
        payload: &Payload<'_>,
        allowed: AlgorithmSet,
    ) -> Result<impl Iterator<Item = &'k VerifyingKey>, Error> {
        let kid = header.kid.as_deref();
        keys.keys
            .candidates_among(kid, header.algorithm, |key| signs(key, payload))
            .map_err(|why| self.no_key(why, kid, keys, allowed))
    }

    /// Rings where another fetch may bring the key.
    fn no_key(
        &self,
        why: NoKey,
        kid: Option<&str>,
        keys: &Snapshot,
        allowed: AlgorithmSet,
    ) -> Error {
        match (why, kid) {
            (NoKey::Unknown, Some(kid)) => self.keys.ring(Ring::UnknownKey(kid)),
            (NoKey::Unknown, None) => self.keys.ring(Ring::NoKid),
            (NoKey::OtherAlgorithm, _) => self.keys.ring(Ring::NoKeyForAlgorithm),
            (NoKey::Skipped | NoKey::TooMany, _) => {}
        }
        match why {
            NoKey::OtherAlgorithm => Error::UnsupportedAlgorithm { allowed },
            why => Error::UnknownKey {
                why,
                last_fetch_failed: keys.failing,
            },
        }
    }

    /// The key whose signature it is, among the `candidates` of `keys`.
    pub(super) fn check_signature<'k>(
        &self,
        mut candidates: impl Iterator<Item = &'k VerifyingKey>,
        keys: &Snapshot,
        jws: &Decoded<'_>,
        payload: &Payload<'_>,
        allowed: AlgorithmSet,
    ) -> Result<&'k VerifyingKey, Error> {
        let algorithm = jws.header.algorithm;
        let kid = jws.header.kid.as_deref();
        let mut has_named = false;
        candidates
            .find(|key| {
                has_named |= key.kid() == kid;
                key.verify(algorithm, jws.signing_input, jws.signature)
                    .is_ok()
            })
            .ok_or_else(|| match kid {
                None => self.bad_signature(Ring::NoKid),
                // Keys without a kid were tried, and the one that the token names is none of them.
                Some(_) if !has_named && keys.keys.has_kids() => {
                    let why = keys.keys.why_none(kid, |key| signs(key, payload));
                    self.no_key(why, kid, keys, allowed)
                }
                // A key may have been replaced under the same kid, or under none.
                Some(_) => self.bad_signature(Ring::BadSignature),
            })
    }

    fn bad_signature(&self, why: Ring<'_>) -> Error {
        self.keys.ring(why);
        Error::BadSignature
    }
}

/// Whether `key` may sign for the payload's issuer: one that names an issuer signs for no other.
fn signs(key: &VerifyingKey, payload: &Payload<'_>) -> bool {
    key.issuer().is_none_or(|it| signs_for(it, payload))
}
