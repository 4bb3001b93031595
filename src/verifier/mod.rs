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
//!
//! | what there is to say | where |
//! |---|---|
//! | issuers with the same keys, or with a part that varies by tenant | [`Trust::also_issuer`], [`Trust::issuer_template`] |
//! | issuers with keys of their own | [`Verifier::several`] |
//! | the audience is in another claim than `aud` | [`Issuers::audience_in`] |
//! | other claims have fixed values | [`Trust::require`] |
//! | tokens are bound to a client certificate | [`Verifier::verify_with_proof`] |
//! | tokens are revoked before their time | [`Verifier::denylist`] |
//! | a server starts while the service is down | feature `http`: `Refresher::key_file` |
//! | requests are verified by a layer, and refused in the words of RFC 6750 | feature `tower`: `verifier::layer`; `axum`: `verifier::extract`; by hand: [`challenge`] |
//!
//! Tokens to verify are what a client's `rotator` holds; the two halves meet only on the wire.

mod bell;
pub mod challenge;
mod confirmation;
mod denylist;
mod error;
#[cfg(feature = "axum")]
pub mod extract;
#[cfg(feature = "http")]
mod fetch_error;
#[cfg(feature = "http")]
mod fetched;
#[cfg(feature = "http")]
mod grace;
mod grounds;
#[cfg(feature = "http")]
mod handle;
#[cfg(feature = "http")]
mod key_file;
mod keys;
#[cfg(feature = "tower")]
pub mod layer;
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
mod trusted;
mod verified;
#[cfg(feature = "http")]
mod watched;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::claims::Claims;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::jose::{
    AlgorithmSet, JwsError, KeySet, KnownHeaders, LONGEST_TOKEN, Unverified, with_scratch,
};
use crate::policy::IssuancePolicy;
use denylist::Marks;
use grounds::{Clearance, Grounds, SignedBy};
use payload::Payload;
use rules::{Confirmation, Rules};
use seen::{Entry, Seen};
use trusted::Sources;
use verified::{Facts, FactsOf};

pub use confirmation::Proof;
pub use denylist::{Denials, Denylist};
pub use error::{Error, ErrorCode};
#[cfg(feature = "http")]
pub use fetch_error::{FetchError, SourceError};
#[cfg(feature = "http")]
pub use handle::RefresherHandle;
#[cfg(feature = "http")]
pub use key_file::KeyFileError;
pub use keys::{Health, KeyCache, KeysUnavailable};
#[cfg(feature = "tower")]
pub use layer::VerifyLayer;
#[cfg(feature = "http")]
pub use refresh::Refresher;
pub use rules::Profile;
pub use trust::{AnyIssuer, Issuers, NamedIssuers, TemplateError, Trust};
pub use verified::Verified;

/// Verifies bearer JWTs (RFC 7519, RFC 8725, RFC 9068).
///
/// Share it behind an `Arc`. `C` is the type that claims are read as: by default the crate's own
/// [`Claims`], see [`Self::claims`].
pub struct Verifier<C = Claims> {
    sources: Sources,
    rules: Rules,
    denylist: Option<Denylist>,
    seen: Option<Seen<C>>,
    headers: KnownHeaders,
    facts: FactsOf<C>,
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
        self.verify_with(token, None)
    }

    /// The same for a token that may be bound to what its caller holds (RFC 7800): one with `cnf` is
    /// good only with this proof, one without as ever.
    ///
    /// ```
    /// # use steadfast::verifier::{Error, Proof, Verified, Verifier};
    /// # fn run(verifier: &Verifier, bearer: &str, der: &[u8]) -> Result<Verified, Error> {
    /// // The client certificate of the TLS connection that the request came by (RFC 8705).
    /// verifier.verify_with_proof(bearer, &Proof::certificate(der))
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify); [`Unconfirmed`](Error::Unconfirmed) if the token is bound to
    /// something else.
    pub fn verify_with_proof(&self, token: &str, proof: &Proof) -> Result<Verified<C>, Error> {
        self.verify_with(token, Some(proof))
    }

    fn verify_with(&self, token: &str, proof: Option<&Proof>) -> Result<Verified<C>, Error> {
        self.check_length(token)?;
        let now = self.clock.wall();
        if let Some(known) = self.known(token, proof, now)? {
            return Ok(known);
        }
        let headers = self.headers.load();
        with_scratch(token.len(), |scratch| {
            let unverified = Unverified::parse_knowing(token, scratch, &headers);
            let unverified = unverified.map_err(self.jws())?;
            self.rules.check_header(unverified.header())?;
            let jws = unverified.decode().map_err(self.jws())?;
            let mut payload = Payload::default();
            payload.read(jws.payload)?;
            let source = self.sources.of(&payload)?;
            let keys = source.load(now, &*self.clock)?;
            let allowed = self.rules.algorithms;
            let candidates = source.candidates(&keys, &jws.header, &payload, allowed)?;
            self.rules.refuse_expired(&payload, now)?;
            let key = candidates.check_signature(&jws)?;
            let window = self.rules.check(&payload, &source.trust, now)?;
            self.rules.check_confirmation(payload.cnf, proof)?;
            let clearance = self.check_denylist(&payload)?;
            let header = self.headers.learn(&headers, &jws);
            let facts = (self.facts)(&payload, header)?;
            Ok(self.remember(token, facts, || Grounds {
                window,
                binding: payload.cnf,
                signed_by: SignedBy::new(source.index, &keys, key, jws.header.algorithm),
                clearance,
            }))
        })
    }

    /// The token, if it was verified before and all that its verdict rests on still holds.
    fn known(
        &self,
        token: &str,
        proof: Option<&Proof>,
        now: Timestamp,
    ) -> Result<Option<Verified<C>>, Error> {
        let Some(seen) = &self.seen else {
            return Ok(None);
        };
        seen.get(token, now, |grounds| {
            let Some(source) = self.sources.at(grounds.signed_by.source) else {
                return Ok(false);
            };
            if !grounds.hold(self.denylist.as_ref(), now) {
                return Ok(false);
            }
            let keys = source.load(now, &*self.clock)?;
            if !grounds.signed_by.is_in(&keys) {
                return Ok(false);
            }
            self.rules.check_confirmation(grounds.binding, proof)?;
            Ok(true)
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

    fn check_denylist(&self, payload: &Payload<'_>) -> Result<Option<Clearance>, Error> {
        let clear = |list| Clearance::by(list, Marks::of(payload));
        self.denylist.as_ref().map(clear).transpose()
    }

    fn remember(
        &self,
        token: &str,
        facts: Arc<Facts<C>>,
        grounds: impl FnOnce() -> Grounds,
    ) -> Verified<C> {
        if let Some(seen) = &self.seen {
            seen.insert(Entry::new(token, grounds(), Arc::clone(&facts)));
        }
        Verified::whole(facts)
    }

    /// What the JOSE layer says of a token, in the words of this one.
    fn jws(&self) -> impl Fn(JwsError) -> Error {
        let (allowed, longest) = (self.rules.algorithms, self.longest);
        move |error| Error::from_jws(error, allowed, longest)
    }
}

impl Verifier {
    /// A verifier that takes keys from `keys`.
    pub fn new(trust: Trust, keys: KeyCache) -> Self {
        Self::several([(trust, keys)])
    }

    /// A verifier over several sources of keys, each with the issuers that it may sign for and what
    /// is expected of their tokens.
    ///
    /// Keys of one source never verify for the issuers of another. The issuer that a token names
    /// picks the source, the first one that is trusted with it; a stranger's costs nothing. Each
    /// source has its own refresher, and one that fails or has no keys is no matter for the others.
    /// One [`KeyCache`] may stand in several pairs.
    ///
    /// ```no_run
    /// use steadfast::verifier::{KeyCache, Trust, Verifier};
    ///
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let (own, entra, cognito) = (KeyCache::empty(), KeyCache::empty(), KeyCache::empty());
    /// // … a `Refresher` for each …
    /// let verifier: Verifier = Verifier::several([
    ///     (
    ///         Trust::issuer("https://login.example").audience("https://orders.example"),
    ///         own,
    ///     ),
    ///     (
    ///         Trust::issuer_template("https://login.microsoftonline.com/{tid}/v2.0")?
    ///             .audience("api://orders"),
    ///         entra,
    ///     ),
    ///     (
    ///         Trust::issuer("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd")
    ///             .audience_in("client_id", "4f1c2v3b5n6m7k8j9h0g")
    ///             .require("token_use", ["access"]),
    ///         cognito,
    ///     ),
    /// ]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A trust in any issuer cannot be among them:
    ///
    /// ```compile_fail,E0271
    /// # use steadfast::{jose::KeySet, verifier::{KeyCache, Trust, Verifier}};
    /// let any_issuer = Trust::any_issuer().audience("https://orders.example");
    /// let _: Verifier = Verifier::several([(any_issuer, KeyCache::fixed(KeySet::default()))]);
    /// ```
    pub fn several(sources: impl IntoIterator<Item = (Trust, KeyCache)>) -> Self {
        Self {
            sources: Sources::new(sources),
            rules: Rules::default(),
            denylist: None,
            seen: Some(Seen::new()),
            headers: KnownHeaders::default(),
            facts: |payload, header| Facts::new(payload.to_claims(), None, payload, header),
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
            sources: self.sources,
            rules: self.rules,
            denylist: self.denylist,
            seen: self.seen.map(|_| Seen::new()),
            headers: self.headers,
            facts: |payload, header| {
                let text = Some(payload.text().into());
                Facts::new(payload.to_custom()?, text, payload, header)
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

    /// Refuses tokens that live longer, `exp - iat`, or do not say since when. A back-dating of 5 min
    /// is tolerated.
    #[must_use]
    pub fn max_lifetime(self, longest: Duration) -> Self {
        self.set(|it| it.rules.longest_lifetime = Some(longest))
    }

    /// Refuses tokens that live longer than any that was issued by a policy may: 24 h. See
    /// [`max_lifetime`](Self::max_lifetime).
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
    /// whoever stole one can use it. With the proof at hand use
    /// [`verify_with_proof`](Self::verify_with_proof).
    #[must_use]
    pub fn ignore_confirmation(self) -> Self {
        self.set(|it| it.rules.confirmation = Confirmation::Ignored)
    }

    /// Refuses what is on `denylist`, at every verification.
    #[must_use]
    pub fn denylist(self, denylist: Denylist) -> Self {
        self.set(|it| it.denylist = Some(denylist))
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
            .field("sources", &self.sources)
            .field("rules", &self.rules)
            .field("denylist", &self.denylist)
            .finish_non_exhaustive()
    }
}
