//! What a verification gives: claims that only the verifier can say were signed.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::error::Error;
use super::payload::Payload;
use crate::claims::{Claims, NumericDate, Scope};
use crate::clock::Timestamp;
use crate::jose::{Algorithm, KnownHeader, UnknownAlgorithm};

/// A token that was found to be good. Only a verifier makes one.
///
/// A cheap handle: it may be cloned, sent to another thread, kept over an `.await` and put into the
/// extensions of a request. It says what was true when the token was verified, and it does not keep
/// the token.
pub struct Verified<C = Claims>(Handle<C>);

enum Handle<C> {
    Whole(Arc<Facts<C>>),
    Striped(Arc<Stripe<C>>),
}

impl<C> Verified<C> {
    pub(super) fn whole(facts: Arc<Facts<C>>) -> Self {
        Self(Handle::Whole(facts))
    }

    pub(super) fn striped(stripe: Arc<Stripe<C>>) -> Self {
        Self(Handle::Striped(stripe))
    }

    /// Whether the token cache had it.
    #[cfg(test)]
    pub(super) fn was_known(&self) -> bool {
        matches!(self.0, Handle::Striped(_))
    }

    fn facts(&self) -> &Facts<C> {
        match &self.0 {
            Handle::Whole(facts) => facts,
            Handle::Striped(stripe) => &stripe.0,
        }
    }

    /// The claims.
    pub fn claims(&self) -> &C {
        &self.facts().claims
    }

    /// The algorithm of the signature.
    pub fn algorithm(&self) -> Algorithm {
        self.facts().header.algorithm
    }

    /// `kid` of the token's header (RFC 7515 4.1.4).
    pub fn key_id(&self) -> Option<&str> {
        self.facts().header.kid.as_deref()
    }

    /// `exp`, without any leeway.
    pub fn expires_at(&self) -> Timestamp {
        self.facts().exp.to_timestamp()
    }
}

impl<C: 'static> Verified<C> {
    /// The registered claims, whatever the claims type is.
    pub fn registered(&self) -> &Claims {
        self.facts().registered()
    }

    /// The scopes of `scope` or, without one, of `scp`; empty if there is neither.
    pub fn scope(&self) -> &Scope {
        const NONE: &Scope = &Scope::EMPTY;
        let claims = self.registered();
        claims
            .scope
            .as_ref()
            .or(claims.scp.as_ref())
            .unwrap_or(NONE)
    }
}

impl<C: Clone> Verified<C> {
    /// What jsonwebtoken's `decode` gives, for code that takes that: the claims, and a header with
    /// `alg`, `kid` and `typ`. Whatever else the token's header said is not kept.
    ///
    /// # Errors
    ///
    /// For an algorithm that jsonwebtoken has no name for: ES512 and ML-DSA.
    pub fn token_data(&self) -> Result<jsonwebtoken::TokenData<C>, UnknownAlgorithm> {
        Ok(jsonwebtoken::TokenData {
            header: (&self.facts().header.header()).try_into()?,
            claims: self.claims().clone(),
        })
    }
}

impl<C> Clone for Verified<C> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Handle::Whole(facts) => Handle::Whole(Arc::clone(facts)),
            Handle::Striped(stripe) => Handle::Striped(Arc::clone(stripe)),
        })
    }
}

/// Claims are personal data: they are shown only where they are asked for.
impl<C> fmt::Debug for Verified<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("algorithm", &self.algorithm())
            .field("key_id", &self.key_id())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// A handle of its own for each of a few threads, on a line of its own: clones of one `Arc` would
/// make all threads that verify the same token fight over one count.
#[repr(align(64))]
pub(super) struct Stripe<C>(pub(super) Arc<Facts<C>>);

/// What is known of a good token.
pub(super) struct Facts<C> {
    pub(super) claims: C,
    /// The payload, where `claims` is a type of the caller.
    pub(super) text: Option<Box<str>>,
    pub(super) registered: OnceLock<Box<Claims>>,
    pub(super) header: Arc<KnownHeader>,
    pub(super) exp: NumericDate,
}

/// How a verifier reads the claims of a payload that is good.
pub(super) type FactsOf<C> = fn(&Payload<'_>, Arc<KnownHeader>) -> Result<Arc<Facts<C>>, Error>;

impl<C> Facts<C> {
    #[inline]
    pub(super) fn new(
        claims: C,
        text: Option<Box<str>>,
        payload: &Payload<'_>,
        header: Arc<KnownHeader>,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            claims,
            text,
            registered: OnceLock::new(),
            header,
            exp: *payload.exp.required("exp")?,
        }))
    }
}

impl<C: 'static> Facts<C> {
    fn registered(&self) -> &Claims {
        match (&self.claims as &dyn Any).downcast_ref() {
            Some(claims) => claims,
            // Few ask, so it is read when the first one does.
            None => self.registered.get_or_init(|| {
                let text = self.text.as_deref().unwrap_or_default();
                Box::new(serde_json::from_str(text).unwrap_or_default())
            }),
        }
    }
}
