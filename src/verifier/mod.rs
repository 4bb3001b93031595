//! The verifier: bearer JWTs are validated in process, against keys that are at hand.
//!
//! [`Verifier::verify`] is synchronous. It takes no lock, does no I/O and never calls the OAuth
//! service: not when keys are old, not when a key id is unknown, not ever. Keys come from a
//! [`KeyCache`], which is fixed, or which a `Refresher` task keeps fresh.
//!
//! ```
//! # fn run(document: &[u8], bearer: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use steadfast::jose::KeySet;
//! use steadfast::verifier::{KeyCache, Trust, Verifier};
//!
//! let keys = KeyCache::fixed(KeySet::from_json(document)?);
//! let trust = Trust::issuer("https://login.example").audience("https://orders.example");
//! let verifier: Verifier = Verifier::new(trust, keys);
//!
//! let token = verifier.verify(bearer)?;
//! if !token.scope().contains("orders:read") { /* 403 */ }
//! # Ok(())
//! # }
//! ```

mod bell;
pub mod challenge;
mod error;
#[cfg(feature = "http")]
mod fetch_error;
#[cfg(feature = "http")]
mod grace;
#[cfg(feature = "http")]
mod handle;
#[cfg(feature = "http")]
mod key_file;
mod keys;
mod payload;
#[cfg(feature = "http")]
mod refresh;
mod rules;
#[cfg(feature = "http")]
mod schedule;
#[cfg(test)]
#[cfg(feature = "http")]
mod scripted;
mod seen;
#[cfg(feature = "http")]
mod source;
mod stripes;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[cfg(feature = "testing")]
mod timeline;
mod trust;
mod verified;
#[cfg(feature = "http")]
mod watched;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::claims::Claims;
use crate::clock::{Clock, SystemClock};
use crate::jose::{
    AlgorithmSet, Decoded, Header, JwsError, KeySet, LONGEST_TOKEN, NoKey, Unverified,
    VerifyingKey, with_scratch,
};
use crate::policy::IssuancePolicy;
use bell::Ring;
use keys::Snapshot;
use payload::Payload;
use rules::{Confirmation, Rules, Window};
use seen::{Entry, KeyIdentity, Seen};
use verified::Facts;

pub use error::{Error, ErrorCode};
#[cfg(feature = "http")]
pub use fetch_error::{FetchError, SourceError};
#[cfg(feature = "http")]
pub use handle::RefresherHandle;
#[cfg(feature = "http")]
pub use key_file::KeyFileError;
pub use keys::{Health, KeyCache, KeysUnavailable};
#[cfg(feature = "http")]
pub use refresh::Refresher;
pub use rules::Profile;
pub use trust::{AnyIssuer, Issuers, NamedIssuers, Trust};
pub use verified::Verified;

/// Verifies bearer JWTs (RFC 7519, RFC 8725, RFC 9068).
///
/// Share it behind an `Arc`. `C` is the type that claims are read as: by default the crate's own
/// [`Claims`], see [`Self::claims`].
pub struct Verifier<C = Claims> {
    trust: Trust,
    rules: Rules,
    keys: KeyCache,
    seen: Option<Seen<C>>,
    read: fn(&Payload<'_>) -> Result<Read<C>, Error>,
    longest: usize,
    clock: Arc<dyn Clock>,
}

impl<C> Verifier<C> {
    /// Verifies `token`, as it came in an `Authorization` header after the scheme.
    ///
    /// # Errors
    ///
    /// If anything about the token is not as it must be, or if there are no keys to tell; see
    /// [`Error::is_unavailable`].
    pub fn verify(&self, token: &str) -> Result<Verified<C>, Error> {
        self.check_length(token)?;
        let now = self.clock.wall();
        let keys = self
            .keys
            .load_usable(now, || self.clock.boot())
            .map_err(Error::KeysUnavailable)?;
        if let Some(seen) = &self.seen
            && let Some(known) = seen.get(token, &keys, now)
        {
            return Ok(known);
        }
        with_scratch(token.len(), |scratch| {
            let unverified = Unverified::parse(token, scratch).map_err(self.jws())?;
            self.rules.check_header(unverified.header())?;
            let jws = unverified.decode().map_err(self.jws())?;
            let payload = Payload::read(jws.payload, &self.trust)?;
            self.trust.check_issuer(&payload)?;
            let candidates = self.candidates(&keys, &jws.header, &payload)?;
            self.rules.refuse_expired(&payload, now)?;
            let key = self.check_signature(candidates, &jws)?;
            let window = self.rules.check(&payload, &self.trust, now)?;
            self.rules.check_confirmation(&payload)?;
            let facts = self.facts(&jws.header, &payload)?;
            Ok(self.remember(token, window, key, &keys, facts))
        })
    }

    fn check_length(&self, token: &str) -> Result<(), Error> {
        if token.len() > self.longest {
            return Err(Error::TooLarge {
                longest: self.longest,
            });
        }
        Ok(())
    }

    /// The keys that may have signed: of the issuer's source, by kid and algorithm. A key that names
    /// an issuer signs for no other.
    fn candidates<'k>(
        &self,
        keys: &'k Snapshot,
        header: &Header<'_>,
        payload: &Payload<'_>,
    ) -> Result<impl Iterator<Item = &'k VerifyingKey>, Error> {
        let kid = header.kid.as_deref();
        let signs = |key: &VerifyingKey| key.issuer().is_none_or(|it| payload.is_from(it));
        keys.keys
            .candidates_among(kid, header.algorithm, signs)
            .map_err(|why| self.no_key(why, kid, keys))
    }

    /// Rings where another fetch may bring the key.
    fn no_key(&self, why: NoKey, kid: Option<&str>, keys: &Snapshot) -> Error {
        match (why, kid) {
            (NoKey::Unknown, Some(kid)) => self.keys.ring(Ring::UnknownKey(kid)),
            (NoKey::Unknown, None) => self.keys.ring(Ring::NoKid),
            (NoKey::OtherAlgorithm, _) => self.keys.ring(Ring::NoKeyForAlgorithm),
            (NoKey::Skipped | NoKey::TooMany, _) => {}
        }
        match self.jws()(JwsError::UnknownKey(why)) {
            Error::UnknownKey { why, .. } => Error::UnknownKey {
                why,
                last_fetch_failed: keys.failing,
            },
            other => other,
        }
    }

    /// The key whose signature it is.
    fn check_signature<'k>(
        &self,
        mut candidates: impl Iterator<Item = &'k VerifyingKey>,
        jws: &Decoded<'_>,
    ) -> Result<&'k VerifyingKey, Error> {
        let algorithm = jws.header.algorithm;
        candidates
            .find(|key| {
                key.verify(algorithm, jws.signing_input, jws.signature)
                    .is_ok()
            })
            .ok_or_else(|| {
                // A key may have been replaced under the same kid.
                self.keys.ring(match jws.header.kid {
                    Some(_) => Ring::BadSignature,
                    None => Ring::NoKid,
                });
                Error::BadSignature
            })
    }

    fn facts(&self, header: &Header<'_>, payload: &Payload<'_>) -> Result<Arc<Facts<C>>, Error> {
        let Read { claims, text } = (self.read)(payload)?;
        Ok(Arc::new(Facts {
            claims,
            text,
            registered: OnceLock::new(),
            algorithm: header.algorithm,
            kid: header.kid.as_deref().map(Into::into),
            exp: *payload.exp.required("exp")?,
        }))
    }

    fn remember(
        &self,
        token: &str,
        window: Window,
        key: &VerifyingKey,
        keys: &Snapshot,
        facts: Arc<Facts<C>>,
    ) -> Verified<C> {
        if let Some(seen) = &self.seen {
            let key = KeyIdentity::of(key, facts.algorithm);
            let facts = Arc::clone(&facts);
            seen.insert(Entry::new(token, window, key, keys.generation, facts));
        }
        Verified::whole(facts)
    }

    /// What the JOSE layer says of a token, in the words of this one.
    fn jws(&self) -> impl Fn(JwsError) -> Error {
        let (allowed, longest) = (self.rules.algorithms, self.longest);
        move |error| Error::from_jws(error, allowed, longest)
    }
}

/// Claims as a verifier hands them out, and the text they came from where they do not hold all of it.
struct Read<C> {
    claims: C,
    text: Option<Box<[u8]>>,
}

impl Verifier {
    /// A verifier that takes keys from `keys`.
    pub fn new(trust: Trust, keys: KeyCache) -> Self {
        Self {
            trust,
            rules: Rules::default(),
            keys,
            seen: Some(Seen::new()),
            read: |payload| {
                let claims = payload.to_claims()?;
                Ok(Read { claims, text: None })
            },
            longest: LONGEST_TOKEN,
            clock: Arc::new(SystemClock),
        }
    }

    /// A verifier with one local key set, for ever; the only one that may trust in any issuer.
    pub fn fixed<I>(trust: Trust<I>, keys: KeySet) -> Self {
        Self::new(trust.into_plain(), KeyCache::fixed(keys))
    }
}

/// Settings.
impl<C> Verifier<C> {
    /// Reads claims as `D`, which may borrow nothing. A token that does not fit it is refused as
    /// `malformed_claim`; its registered claims are checked all the same.
    pub fn claims<D: DeserializeOwned>(self) -> Verifier<D> {
        Verifier {
            trust: self.trust,
            rules: self.rules,
            keys: self.keys,
            seen: self.seen.map(|_| Seen::new()),
            read: |payload| {
                Ok(Read {
                    claims: payload.to_custom()?,
                    text: Some(payload.text().into()),
                })
            },
            longest: self.longest,
            clock: self.clock,
        }
    }

    /// Which algorithms are accepted (RFC 8725 3.1). By default every asymmetric one.
    #[must_use]
    pub fn algorithms(self, algorithms: AlgorithmSet) -> Self {
        self.set(|it| it.rules.algorithms = algorithms)
    }

    /// How far the clocks of issuer and verifier may differ, for every rule about time. By default
    /// 60 s; at most 5 min, more is taken as that.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|it| it.rules.leeway = leeway.min(Rules::MOST_LEEWAY))
    }

    /// Which kind of access token is accepted.
    #[must_use]
    pub fn profile(self, profile: Profile) -> Self {
        self.set(|it| it.rules.profile = profile)
    }

    /// Accepts one more `typ` of the header (RFC 8725 3.11), beside an absent one, `JWT`, `at+jwt`
    /// and `JOSE`; in any case, with or without `application/`. Not with [`Profile::AtJwt`].
    #[must_use]
    pub fn also_type(self, typ: impl Into<String>) -> Self {
        self.set(|it| it.rules.also_type(&typ.into()))
    }

    /// Refuses tokens that live longer, `exp - iat`. A back-dating of 5 min is tolerated.
    #[must_use]
    pub fn max_lifetime(self, longest: Duration) -> Self {
        self.set(|it| it.rules.longest_lifetime = Some(longest))
    }

    /// Refuses tokens that live longer than any that was issued by a policy may: 24 h.
    #[must_use]
    pub fn policy(self, policy: &IssuancePolicy) -> Self {
        self.max_lifetime(Rules::cap(policy))
    }

    /// The longest token that is read, in bytes. By default 16 KiB.
    #[must_use]
    pub fn longest_token(self, longest: usize) -> Self {
        self.set(|it| it.longest = longest)
    }

    /// Accepts ID tokens, and others that say of themselves that they are not for access.
    #[must_use]
    pub fn accept_id_tokens(self) -> Self {
        self.set(|it| it.rules.accept_id_tokens = true)
    }

    /// Accepts tokens that are bound to a key or a certificate (RFC 7800) as plain bearer tokens:
    /// whoever stole one can use it.
    #[must_use]
    pub fn ignore_confirmation(self) -> Self {
        self.set(|it| it.rules.confirmation = Confirmation::Ignored)
    }

    /// Verifies every token anew.
    #[must_use]
    pub fn without_token_cache(self) -> Self {
        self.set(|it| it.seen = None)
    }

    /// Takes time from `clock`.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.set(|it| it.clock = clock)
    }

    /// What was verified under other settings is not known under these.
    fn set(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
        self
    }
}

impl<C> fmt::Debug for Verifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("trust", &self.trust)
            .field("rules", &self.rules)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
