//! Why a token is refused: facts for the operator, one constant code for everyone else.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::keys::KeysUnavailable;
use crate::claims::NumericDate;
use crate::clock::Timestamp;
use crate::jose::{AlgorithmSet, JwsError, NoKey};

/// Why a token is refused.
///
/// `Display` tells the operator what was expected and the times that were compared. It never holds
/// text of the token. What goes out to a client is the [`code`](Self::code) at most.
///
/// Only [`Self::Denied`] and the rules that are checked after the signature prove that the token was
/// ever genuine; `expired`, above all, does not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Longer than this verifier reads.
    TooLarge {
        /// The longest token that is read, in bytes.
        longest: usize,
    },
    /// No JWT; the text says which rule it breaks (RFC 7515 7.1, RFC 7519 7.2).
    Malformed(&'static str),
    /// Not a JWT by its shape: only the service that issued it can tell what it means.
    Opaque,
    /// `alg` is missing, no string, `none`, unknown, not allowed, or none of the key (RFC 8725 3.1).
    UnsupportedAlgorithm {
        /// What this verifier allows.
        allowed: AlgorithmSet,
    },
    /// `crit` is there, or `b64` is false (RFC 7515 4.1.11, RFC 7797).
    UnsupportedCritical,
    /// A token for another purpose (RFC 8725 3.11 and 3.12).
    WrongType(&'static str),
    /// No key to verify it with.
    UnknownKey {
        /// Why there is none.
        why: NoKey,
        /// Whether the last fetch of keys failed, or none has ended yet and keys are those of a key
        /// file, so that the key may exist all the same.
        last_fetch_failed: bool,
    },
    /// The signature is not that of the key.
    BadSignature,
    /// A claim has a value of a wrong type or out of range.
    MalformedClaim(Cow<'static, str>),
    /// A claim that is required is not there.
    MissingClaim(Cow<'static, str>),
    /// The issuer is none that is trusted.
    WrongIssuer {
        /// Who is trusted.
        expected: Arc<str>,
    },
    /// The token is for someone else.
    WrongAudience {
        /// Who this verifier is.
        expected: Arc<str>,
    },
    /// A claim of which certain values are demanded has another one, see
    /// [`Trust::require`](super::Trust::require).
    WrongClaim {
        /// Which one.
        claim: Cow<'static, str>,
        /// What it must be.
        expected: Arc<str>,
    },
    /// The token is over.
    Expired {
        /// `exp`
        exp: NumericDate,
        /// The time it was held against.
        now: Timestamp,
        /// The leeway given.
        leeway: Duration,
    },
    /// The token is not valid yet, or was issued in the future.
    NotYetValid {
        /// `nbf` or `iat`
        claim: &'static str,
        /// Its value.
        at: NumericDate,
        /// The time it was held against.
        now: Timestamp,
        /// The leeway given.
        leeway: Duration,
    },
    /// The token lives longer than it may.
    LifetimeTooLong {
        /// `exp - iat`, in seconds.
        lifetime: u64,
        /// What is allowed, without the tolerance for back-dated tokens.
        longest: Duration,
    },
    /// The token is bound to a key or a certificate, and came without proof of it, or with another
    /// one (RFC 8705 3, RFC 9449 7.2).
    Unconfirmed,
    /// The token was revoked here, see [`Denylist`](super::Denylist).
    Denied,
    /// The denylist was not loaded yet, so whether the token was revoked cannot be told.
    DenylistUnavailable,
    /// There are no keys, or none that are recent enough: nothing can be said about the token.
    KeysUnavailable(KeysUnavailable),
}

impl Error {
    /// The code that stands for it in answers and logs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Malformed(_) => ErrorCode::Malformed,
            Self::Opaque => ErrorCode::Opaque,
            Self::UnsupportedAlgorithm { .. } => ErrorCode::UnsupportedAlgorithm,
            Self::UnsupportedCritical => ErrorCode::UnsupportedCritical,
            Self::WrongType(_) => ErrorCode::WrongType,
            Self::UnknownKey { .. } => ErrorCode::UnknownKey,
            Self::BadSignature => ErrorCode::BadSignature,
            Self::MalformedClaim(_) => ErrorCode::MalformedClaim,
            Self::MissingClaim(_) => ErrorCode::MissingClaim,
            Self::WrongIssuer { .. } => ErrorCode::WrongIssuer,
            Self::WrongAudience { .. } => ErrorCode::WrongAudience,
            Self::WrongClaim { .. } => ErrorCode::WrongClaim,
            Self::Expired { .. } => ErrorCode::Expired,
            Self::NotYetValid { .. } => ErrorCode::NotYetValid,
            Self::LifetimeTooLong { .. } => ErrorCode::LifetimeTooLong,
            Self::Unconfirmed => ErrorCode::Unconfirmed,
            Self::Denied => ErrorCode::Denied,
            Self::DenylistUnavailable => ErrorCode::DenylistUnavailable,
            Self::KeysUnavailable(_) => ErrorCode::KeysUnavailable,
        }
    }

    /// Whether this says "we cannot know" (503) rather than "this token is bad" (401).
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable(_)
                | Self::DenylistUnavailable
                | Self::UnknownKey {
                    last_fetch_failed: true,
                    ..
                }
        )
    }

    /// What the JOSE layer says of a token, in the words of this one.
    pub fn from_jws(error: JwsError, allowed: AlgorithmSet, longest: usize) -> Self {
        match error {
            JwsError::TooLarge => Self::TooLarge { longest },
            JwsError::Malformed(rule) => Self::Malformed(rule),
            JwsError::Opaque => Self::Opaque,
            JwsError::UnsupportedAlgorithm | JwsError::UnknownKey(NoKey::OtherAlgorithm) => {
                Self::UnsupportedAlgorithm { allowed }
            }
            JwsError::UnsupportedCritical => Self::UnsupportedCritical,
            JwsError::UnknownKey(why) => Self::UnknownKey {
                why,
                last_fetch_failed: false,
            },
            JwsError::BadSignature => Self::BadSignature,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { longest } => write!(f, "the token is longer than {longest} bytes"),
            Self::Malformed(rule) => write!(f, "the token is malformed: {rule}"),
            Self::Opaque => f.write_str("the token is opaque, not a signed JWT"),
            Self::UnsupportedAlgorithm { allowed } => {
                f.write_str("the signature algorithm is missing, unknown or not allowed for this key; allowed are")?;
                list(f, allowed.iter())
            }
            Self::UnsupportedCritical => {
                f.write_str("the header demands an extension, none is understood here")
            }
            Self::WrongType(expected) => write!(f, "the token is of a wrong type: {expected}"),
            Self::UnknownKey {
                why,
                last_fetch_failed,
            } => {
                f.write_str(match why {
                    NoKey::Unknown => "no key of the set fits the token",
                    NoKey::Skipped => "the token's key is in the set but cannot be used",
                    NoKey::OtherAlgorithm => "the token's key is for other algorithms",
                    NoKey::TooMany => "more than four keys of the set fit the token",
                })?;
                f.write_str(if *last_fetch_failed {
                    ", and the last fetch of keys failed"
                } else {
                    ""
                })
            }
            Self::BadSignature => f.write_str("the signature does not verify"),
            Self::MalformedClaim(claim) => {
                write!(f, "the claim {claim} is of a wrong type or out of range")
            }
            Self::MissingClaim(claim) => write!(f, "the claim {claim} is missing"),
            Self::WrongIssuer { expected } => {
                write!(f, "the issuer is not trusted; expected is {expected}")
            }
            Self::WrongAudience { expected } => {
                write!(
                    f,
                    "the token is for another audience; expected is {expected}"
                )
            }
            Self::WrongClaim { claim, expected } => {
                write!(
                    f,
                    "the claim {claim} has another value; expected is {expected}"
                )
            }
            Self::Expired { exp, now, leeway } => write!(
                f,
                "the token expired at {exp}, it is {now}, leeway {} s",
                leeway.as_secs_f64()
            ),
            Self::NotYetValid {
                claim,
                at,
                now,
                leeway,
            } => write!(
                f,
                "the token is not valid yet: {claim} is {at}, it is {now}, leeway {} s",
                leeway.as_secs_f64()
            ),
            Self::LifetimeTooLong { lifetime, longest } => write!(
                f,
                "the token lives {lifetime} s, at most {} s are allowed",
                longest.as_secs()
            ),
            Self::Unconfirmed => f.write_str(
                "the token is bound to a key or a certificate and came without proof of it",
            ),
            Self::Denied => f.write_str("the token was revoked"),
            Self::DenylistUnavailable => f.write_str("the denylist was not loaded yet"),
            Self::KeysUnavailable(why) => fmt::Display::fmt(why, f),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item: fmt::Display>) -> fmt::Result {
    items
        .enumerate()
        .try_for_each(|(at, item)| write!(f, "{} {item}", if at == 0 { "" } else { "," }))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::KeysUnavailable(why) => Some(why),
            _ => None,
        }
    }
}

/// What an [`Error`] is, as one constant word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is a variant of `Error`")]
pub enum ErrorCode {
    TooLarge,
    Malformed,
    Opaque,
    UnsupportedAlgorithm,
    UnsupportedCritical,
    WrongType,
    UnknownKey,
    BadSignature,
    MalformedClaim,
    MissingClaim,
    WrongIssuer,
    WrongAudience,
    WrongClaim,
    Expired,
    NotYetValid,
    LifetimeTooLong,
    Unconfirmed,
    Denied,
    DenylistUnavailable,
    KeysUnavailable,
}

impl ErrorCode {
    /// The word, as in `unknown_key`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Opaque => "opaque",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnsupportedCritical => "unsupported_critical",
            Self::WrongType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::MalformedClaim => "malformed_claim",
            Self::MissingClaim => "missing_claim",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongClaim => "wrong_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::Unconfirmed => "unconfirmed",
            Self::Denied => "denied",
            Self::DenylistUnavailable => "denylist_unavailable",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// What a client may be told: a constant sentence, no facts (RFC 6750 3, `error_description`).
    pub const fn description(self) -> &'static str {
        match self {
            Self::TooLarge => "the access token is too long",
            Self::Malformed => "the access token is malformed",
            Self::Opaque => "the access token is not a JWT",
            Self::UnsupportedAlgorithm => "the signature algorithm is not accepted",
            Self::UnsupportedCritical => "a critical header is not understood",
            Self::WrongType => "the token is no access token",
            Self::UnknownKey => "the signing key is not known",
            Self::BadSignature => "the signature does not verify",
            Self::MalformedClaim => "a claim is malformed",
            Self::MissingClaim => "a claim is missing",
            Self::WrongIssuer => "the issuer is not trusted",
            Self::WrongAudience => "the access token is for another audience",
            Self::WrongClaim => "a claim has another value than it must have",
            Self::Expired => "the access token expired",
            Self::NotYetValid => "the access token is not valid yet",
            Self::LifetimeTooLong => "the access token lives too long",
            Self::Unconfirmed => "the access token needs a proof of possession",
            Self::Denied => "the access token was revoked",
            Self::DenylistUnavailable => "the access token cannot be verified now",
            Self::KeysUnavailable => "the access token cannot be verified now",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let date = |secs| NumericDate::from_secs_f64(secs).unwrap();
        let now = Timestamp::from_secs(1_795_570_010);
        let leeway = Duration::from_secs(60);
        let allowed = [crate::jose::Algorithm::RS256, crate::jose::Algorithm::EdDSA]
            .into_iter()
            .collect();
        for (error, code, text) in [
            (
                Error::TooLarge { longest: 16384 },
                "too_large",
                "the token is longer than 16384 bytes",
            ),
            (
                Error::Malformed("padding in base64url"),
                "malformed",
                "the token is malformed: padding in base64url",
            ),
            (
                Error::UnsupportedAlgorithm { allowed },
                "unsupported_algorithm",
                "the signature algorithm is missing, unknown or not allowed for this key; allowed are RS256, EdDSA",
            ),
            (
                Error::Expired {
                    exp: date(1_795_569_000.0),
                    now,
                    leeway,
                },
                "expired",
                "the token expired at 2026-11-25T01:10:00Z, it is 2026-11-25T01:26:50Z, leeway 60 s",
            ),
            (
                Error::NotYetValid {
                    claim: "nbf",
                    at: date(1_795_580_000.5),
                    now,
                    leeway,
                },
                "not_yet_valid",
                "the token is not valid yet: nbf is 2026-11-25T04:13:20.500Z, it is 2026-11-25T01:26:50Z, leeway 60 s",
            ),
            (
                Error::WrongAudience {
                    expected: "https://orders.example".into(),
                },
                "wrong_audience",
                "the token is for another audience; expected is https://orders.example",
            ),
            (
                Error::WrongClaim {
                    claim: "token_use".into(),
                    expected: "access".into(),
                },
                "wrong_claim",
                "the claim token_use has another value; expected is access",
            ),
            (
                Error::Unconfirmed,
                "unconfirmed",
                "the token is bound to a key or a certificate and came without proof of it",
            ),
            (Error::Denied, "denied", "the token was revoked"),
            (
                Error::DenylistUnavailable,
                "denylist_unavailable",
                "the denylist was not loaded yet",
            ),
            (
                Error::UnknownKey {
                    why: NoKey::Unknown,
                    last_fetch_failed: true,
                },
                "unknown_key",
                "no key of the set fits the token, and the last fetch of keys failed",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.code().as_str(), code);
        }
    }

    #[test]
    fn unavailable_is_not_bad() {
        let unknown = |last_fetch_failed| Error::UnknownKey {
            why: NoKey::Unknown,
            last_fetch_failed,
        };
        assert!(unknown(true).is_unavailable() && !unknown(false).is_unavailable());
        assert!(!Error::BadSignature.is_unavailable());
        assert!(Error::DenylistUnavailable.is_unavailable() && !Error::Denied.is_unavailable());
    }
}
