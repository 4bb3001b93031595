//! The rules for header and claims, each under its section.

use std::time::Duration;

use super::confirmation::{Binding, Proof};
use super::error::Error;
use super::payload::Payload;
use super::trust::Trust;
use crate::claims::NumericDate;
use crate::clock::Timestamp;
use crate::jose::{AlgorithmSet, Header};
use crate::policy::IssuancePolicy;

/// Which kind of access token is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Any JWT that is meant for access, as far as one can tell.
    #[default]
    Any,
    /// JWT access tokens by RFC 9068: `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`,
    /// `client_id`, `iat` and `jti` are there.
    AtJwt,
}

/// What becomes of tokens that are bound to a key or a certificate (RFC 7800).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// Refused without proof.
    Required,
    /// Taken as plain bearer tokens; the caller answers for it.
    Ignored,
}

/// What a verifier demands of every token.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) algorithms: AlgorithmSet,
    pub(super) types: Vec<String>,
    pub(super) profile: Profile,
    pub(super) leeway: Duration,
    pub(super) longest_lifetime: Option<Duration>,
    pub(super) accept_id_tokens: bool,
    pub(super) confirmation: Confirmation,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            algorithms: AlgorithmSet::ASYMMETRIC,
            types: Vec::new(),
            profile: Profile::Any,
            leeway: Duration::from_secs(60),
            longest_lifetime: None,
            accept_id_tokens: false,
            confirmation: Confirmation::Required,
        }
    }
}

impl Rules {
    /// The most that clocks may differ: 5 min.
    pub(super) const MOST_LEEWAY: Duration = Duration::from_secs(300);

    /// The cap of an issuance policy. Not its wish: what was granted may be longer.
    pub(super) const fn cap(_: &IssuancePolicy) -> Duration {
        IssuancePolicy::LONGEST_VALIDITY
    }

    /// One more `typ` that is accepted.
    pub(super) fn also_type(&mut self, typ: &str) {
        self.types.push(media_type(typ).to_owned());
    }

    /// What the header must say, looked at before the payload is decoded.
    pub(super) fn check_header(&self, header: &Header<'_>) -> Result<(), Error> {
        // RFC 8725 3.1: the algorithm is one that the verifier chose.
        if !self.algorithms.contains(header.algorithm) {
            return Err(Error::UnsupportedAlgorithm {
                allowed: self.algorithms,
            });
        }
        self.check_typ(header.typ.as_deref().map(media_type))
    }

    /// RFC 8725 3.11, RFC 9068 2.1 and 4.
    fn check_typ(&self, typ: Option<&str>) -> Result<(), Error> {
        let is = |name: &str| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
        match self.profile {
            Profile::AtJwt if is("at+jwt") => Ok(()),
            Profile::AtJwt => Err(Error::WrongType("typ must be at+jwt")),
            Profile::Any if typ.is_none() => Ok(()),
            Profile::Any if ["JWT", "at+jwt", "JOSE"].into_iter().any(is) => Ok(()),
            Profile::Any if self.types.iter().any(|it| is(it)) => Ok(()),
            Profile::Any => Err(Error::WrongType("typ must be absent, JWT, at+jwt or JOSE")),
        }
    }

    /// Whether an unverified `exp` already says that the token is over. Never accepts anything.
    pub(super) fn refuse_expired(
        &self,
        payload: &Payload<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match payload.exp.optional("exp") {
            Ok(Some(exp)) => self.check_exp(*exp, now),
            _ => Ok(()),
        }
    }

    /// Every rule for claims, once the signature is known to be good; the result says from when to
    /// when they hold.
    pub(super) fn check(
        &self,
        payload: &Payload<'_>,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<Window, Error> {
        // `iss` was the first: by it the trust was found, and it is the text that was signed.
        check_types(payload)?;
        self.check_purpose(payload)?;
        self.check_profile(payload)?;
        trust.check_audience(payload)?;
        trust.check_required(payload)?;
        let exp = *payload.exp.required("exp")?;
        self.check_exp(exp, now)?;
        self.check_start("nbf", payload.nbf.optional("nbf")?, now)?;
        self.check_start("iat", payload.iat.optional("iat")?, now)?;
        self.check_lifetime(payload, exp)?;
        Ok(self.window(payload, exp))
    }

    /// RFC 8725 3.12: the same client id may stand in tokens for another purpose.
    fn check_purpose(&self, payload: &Payload<'_>) -> Result<(), Error> {
        if payload.not_for_access && !self.accept_id_tokens {
            return Err(Error::WrongType(
                "this is an ID token, or another that is not for access",
            ));
        }
        Ok(())
    }

    /// RFC 9068 2.2 and 4.
    fn check_profile(&self, payload: &Payload<'_>) -> Result<(), Error> {
        if self.profile == Profile::AtJwt {
            payload.iss.required("iss")?;
            payload.exp.required("exp")?;
            payload.aud.required("aud")?;
            payload.sub.required("sub")?;
            payload.client_id.required("client_id")?;
            payload.iat.required("iat")?;
            payload.jti.required("jti")?;
        }
        Ok(())
    }

    /// RFC 7519 4.1.4: valid before `exp`, not at it.
    fn check_exp(&self, exp: NumericDate, now: Timestamp) -> Result<(), Error> {
        if now < Timestamp::from_millis(millis(exp)).plus(self.leeway) {
            Ok(())
        } else {
            Err(Error::Expired {
                exp,
                now,
                leeway: self.leeway,
            })
        }
    }

    /// RFC 7519 4.1.5 and 4.1.6; what was issued in the future comes from a clock that is wrong.
    fn check_start(
        &self,
        claim: &'static str,
        at: Option<&NumericDate>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match at {
            Some(at) if now < Timestamp::from_millis(millis(*at)).minus(self.leeway) => {
                Err(Error::NotYetValid {
                    claim,
                    at: *at,
                    now,
                    leeway: self.leeway,
                })
            }
            _ => Ok(()),
        }
    }

    fn check_lifetime(&self, payload: &Payload<'_>, exp: NumericDate) -> Result<(), Error> {
        let Some(longest) = self.longest_lifetime else {
            return Ok(());
        };
        let lifetime = exp.as_secs_f64() - payload.iat.required("iat")?.as_secs_f64();
        if lifetime > longest.saturating_add(BACK_DATED).as_secs_f64() {
            return Err(Error::LifetimeTooLong {
                // Above zero, and far below 2^64: both dates are within the year 9999.
                lifetime: lifetime as u64,
                longest,
            });
        }
        Ok(())
    }

    /// RFC 8705 3, RFC 9449 7.2: a bound token is no bearer token.
    #[inline]
    pub(super) fn check_confirmation(
        &self,
        binding: Option<Binding>,
        proof: Option<&Proof>,
    ) -> Result<(), Error> {
        match (self.confirmation, binding) {
            (Confirmation::Ignored, _) | (Confirmation::Required, None) => Ok(()),
            (Confirmation::Required, Some(binding)) if binding.is_proven_by(proof) => Ok(()),
            (Confirmation::Required, Some(_)) => Err(Error::Unconfirmed),
        }
    }

    fn window(&self, payload: &Payload<'_>, exp: NumericDate) -> Window {
        let start = |claim: Result<Option<&NumericDate>, Error>| match claim {
            Ok(Some(at)) => Timestamp::from_millis(millis(*at)).minus(self.leeway),
            _ => Timestamp::from_millis(i64::MIN),
        };
        let nbf = start(payload.nbf.optional("nbf"));
        Window {
            from: nbf.max(start(payload.iat.optional("iat"))),
            until: Timestamp::from_millis(millis(exp)).plus(self.leeway),
        }
    }
}

/// From when to when a token's claims hold, leeway included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    #[cfg(test)]
    pub(super) fn until(until: Timestamp) -> Self {
        Self {
            from: Timestamp::from_millis(i64::MIN),
            until,
        }
    }

    #[inline]
    pub(super) fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    #[inline]
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

/// RFC 7519 4.1: the types of registered claims; present with a wrong type is never "absent".
fn check_types(payload: &Payload<'_>) -> Result<(), Error> {
    payload.iss.optional("iss")?;
    payload.sub.optional("sub")?;
    payload.aud.optional("aud")?;
    payload.exp.optional("exp")?;
    payload.nbf.optional("nbf")?;
    payload.iat.optional("iat")?;
    payload.jti.optional("jti")?;
    payload.client_id.optional("client_id")?;
    payload.scope.optional("scope")?;
    payload.scp.optional("scp")?;
    Ok(())
}

/// RFC 7515 4.1.9: `application/` may be left out of a media type.
fn media_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}

/// Whole milliseconds that a reading of the clock can be held against. Rounded up: a whole reading
/// is before a date exactly if it is before the next whole millisecond.
fn millis(date: NumericDate) -> i64 {
    // Within a thousandth of i64's range: not past the year 9999. Not by `f64::ceil`, which is a call
    // of the C library where the processor is not known to have it.
    let millis = date.as_secs_f64() * 1000.0;
    let whole = millis as i64;
    whole + i64::from((whole as f64) < millis)
}

/// Entra dates `iat` back by as much.
const BACK_DATED: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_date_is_rounded_up(
            secs in prop_oneof![
                (0_u64..4_000_000_000).prop_map(|it| it as f64),
                (0_u64..4_000_000_000_000).prop_map(|it| it as f64 / 1000.0),
                0.0..NumericDate::LATEST,
            ],
        ) {
            let date = NumericDate::from_secs_f64(secs).unwrap();
            prop_assert_eq!(millis(date), (secs * 1000.0).ceil() as i64);
        }
    }
}
