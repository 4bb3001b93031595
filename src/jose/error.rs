//! Why a token, a key or a key set is refused.

use std::fmt;

use super::{NoKey, SkippedKey};

/// Why a compact JWS is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than allowed.
    TooLarge,
    /// Not a compact JWS; the text says which rule it breaks.
    Malformed(&'static str),
    /// Not a JWS by its shape, see [`super::shape`].
    Opaque,
    /// `alg` is missing, no string, `none`, unknown, not allowed, or not one that the key verifies.
    UnsupportedAlgorithm,
    /// `crit` is there, or `b64` is false (RFC 7515 4.1.11, RFC 7797).
    UnsupportedCritical,
    /// No key for it.
    UnknownKey(NoKey),
    /// The signature is not that of the key.
    BadSignature,
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooLarge => "the token is too long",
            Self::Malformed(rule) => return write!(f, "the token is malformed: {rule}"),
            Self::Opaque => "the token is no JWS",
            Self::UnsupportedAlgorithm => "the token's algorithm is not supported",
            Self::UnsupportedCritical => "the token demands an extension that is not supported",
            Self::UnknownKey(why) => return why.fmt(f),
            Self::BadSignature => "the token's signature is not good",
        };
        f.write_str(text)
    }
}

impl std::error::Error for JwsError {}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no JSON object, or not a strict one; the text says which rule it breaks.
    Json(&'static str),
    /// The entry of the set is no JSON object.
    NotAnObject,
    /// A member is named twice.
    RepeatedMember,
    /// This member is missing.
    Missing(&'static str),
    /// This member has a wrong type.
    WrongType(&'static str),
    /// This member is not base64url.
    NotBase64(&'static str),
    /// `kty` is not one of RSA, EC, OKP and oct, nor AKP where the backend has ML-DSA; or the
    /// algorithm of a public key in DER is none of these.
    UnsupportedType,
    /// `crv` is not one that is supported for this `kty`.
    UnsupportedCurve,
    /// `use` is not `sig`.
    NotForSignatures,
    /// `key_ops` is without `verify`.
    NotForVerifying,
    /// `alg` is no signature algorithm that is supported.
    UnsupportedAlgorithm,
    /// `alg` is not one for a key of this type and curve.
    AlgorithmMismatch,
    /// A symmetric key where only public keys are taken.
    Symmetric,
    /// A symmetric key shorter than the algorithm's hash (RFC 7518 3.2).
    SecretTooShort,
    /// An RSA modulus that is not of 2048 to 8192 bits, or even.
    Modulus,
    /// An RSA exponent that is even, below 3 or above 2^33.
    Exponent,
    /// A coordinate of a wrong length for the curve.
    CoordinateLength,
    /// A public key that is not as long as its algorithm's are.
    KeyLength,
    /// Not a point of the curve.
    NotOnCurve,
    /// A point of small order: signatures under it prove nothing.
    SmallOrder,
    /// There is no PEM block (RFC 7468) in the text.
    NotPem,
    /// A PEM block of another kind than `PUBLIC KEY`, `RSA PUBLIC KEY` and `CERTIFICATE`; a private
    /// key is one, too.
    UnsupportedLabel,
    /// A PEM block that is broken off, or whose content is not base64 or not the DER that its label
    /// says.
    BrokenPem,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Json(rule) => return write!(f, "the key is malformed: {rule}"),
            Self::NotAnObject => "the key is no JSON object",
            Self::RepeatedMember => "a member of the key is named twice",
            Self::Missing(name) => return write!(f, "the key has no `{name}`"),
            Self::WrongType(name) => return write!(f, "the key's `{name}` has a wrong type"),
            Self::NotBase64(name) => return write!(f, "the key's `{name}` is not base64url"),
            Self::UnsupportedType => "the key's type is not supported",
            Self::UnsupportedCurve => "the key's curve is not supported",
            Self::NotForSignatures => "the key is not for signatures",
            Self::NotForVerifying => "the key is not for verifying",
            Self::UnsupportedAlgorithm => "the key's `alg` is no supported signature algorithm",
            Self::AlgorithmMismatch => "the key's `alg` does not fit its type",
            Self::Symmetric => "a symmetric key is not taken from here",
            Self::SecretTooShort => "the symmetric key is shorter than its hash",
            Self::Modulus => "the RSA modulus is not an odd number of 2048 to 8192 bits",
            Self::Exponent => "the RSA exponent is not an odd number from 3 to 2^33",
            Self::CoordinateLength => "a coordinate has a wrong length for the curve",
            Self::NotOnCurve => "the key is no point of its curve",
            Self::KeyLength => "the key has a wrong length for its algorithm",
            Self::SmallOrder => "the key is a point of small order",
            Self::NotPem => "there is no PEM block in the text",
            Self::UnsupportedLabel => "the PEM block is neither a public key nor a certificate",
            Self::BrokenPem => "the PEM block is broken",
        };
        f.write_str(text)
    }
}

impl std::error::Error for KeyError {}

/// Why a whole key set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySetError {
    /// The document is longer than 512 KiB.
    TooLarge,
    /// The document is not a strict JSON object; the text says which rule it breaks.
    Json(&'static str),
    /// There is no array `keys`.
    NotAKeySet,
    /// There is no PEM block in the text.
    NotPem,
    /// More than 128 keys.
    TooManyKeys,
    /// None of the keys can be used, for these reasons.
    NoUsableKey(Vec<SkippedKey>),
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooLarge => "the key set is longer than 512 KiB",
            Self::Json(rule) => return write!(f, "the key set is malformed: {rule}"),
            Self::NotAKeySet => "the document has no array `keys`",
            Self::NotPem => "there is no PEM block in the text",
            Self::TooManyKeys => "the key set has more than 128 keys",
            Self::NoUsableKey(skipped) => return no_usable_key(skipped, f),
        };
        f.write_str(text)
    }
}

fn no_usable_key(skipped: &[SkippedKey], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match skipped {
        [] => f.write_str("the key set is empty"),
        [first, ..] => write!(
            f,
            "none of the {} keys of the set can be used; of the first: {}",
            skipped.len(),
            first.reason
        ),
    }
}

impl std::error::Error for KeySetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(error: impl std::error::Error, text: &str) {
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn jws_texts() {
        says(JwsError::TooLarge, "the token is too long");
        says(
            JwsError::Malformed("not UTF-8"),
            "the token is malformed: not UTF-8",
        );
        says(JwsError::Opaque, "the token is no JWS");
        says(
            JwsError::UnsupportedAlgorithm,
            "the token's algorithm is not supported",
        );
        says(
            JwsError::UnsupportedCritical,
            "the token demands an extension that is not supported",
        );
        says(
            JwsError::UnknownKey(NoKey::Unknown),
            "no key of the set fits the token",
        );
        says(JwsError::BadSignature, "the token's signature is not good");
    }

    #[test]
    fn key_texts() {
        let texts = [
            (
                KeyError::Json("not UTF-8"),
                "the key is malformed: not UTF-8",
            ),
            (KeyError::NotAnObject, "the key is no JSON object"),
            (
                KeyError::RepeatedMember,
                "a member of the key is named twice",
            ),
            (KeyError::Missing("y"), "the key has no `y`"),
            (
                KeyError::WrongType("kid"),
                "the key's `kid` has a wrong type",
            ),
            (KeyError::NotBase64("n"), "the key's `n` is not base64url"),
            (KeyError::UnsupportedType, "the key's type is not supported"),
            (
                KeyError::UnsupportedCurve,
                "the key's curve is not supported",
            ),
            (KeyError::NotForSignatures, "the key is not for signatures"),
            (KeyError::NotForVerifying, "the key is not for verifying"),
            (
                KeyError::UnsupportedAlgorithm,
                "the key's `alg` is no supported signature algorithm",
            ),
            (
                KeyError::AlgorithmMismatch,
                "the key's `alg` does not fit its type",
            ),
            (
                KeyError::Symmetric,
                "a symmetric key is not taken from here",
            ),
            (
                KeyError::SecretTooShort,
                "the symmetric key is shorter than its hash",
            ),
            (
                KeyError::Modulus,
                "the RSA modulus is not an odd number of 2048 to 8192 bits",
            ),
            (
                KeyError::Exponent,
                "the RSA exponent is not an odd number from 3 to 2^33",
            ),
            (
                KeyError::CoordinateLength,
                "a coordinate has a wrong length for the curve",
            ),
            (KeyError::NotOnCurve, "the key is no point of its curve"),
            (
                KeyError::KeyLength,
                "the key has a wrong length for its algorithm",
            ),
            (KeyError::SmallOrder, "the key is a point of small order"),
            (KeyError::NotPem, "there is no PEM block in the text"),
            (
                KeyError::UnsupportedLabel,
                "the PEM block is neither a public key nor a certificate",
            ),
            (KeyError::BrokenPem, "the PEM block is broken"),
        ];
        for (error, text) in texts {
            says(error, text);
        }
    }

    #[test]
    fn set_texts() {
        says(KeySetError::TooLarge, "the key set is longer than 512 KiB");
        says(
            KeySetError::Json("nested too deep"),
            "the key set is malformed: nested too deep",
        );
        says(KeySetError::NotAKeySet, "the document has no array `keys`");
        says(KeySetError::NotPem, "there is no PEM block in the text");
        says(
            KeySetError::TooManyKeys,
            "the key set has more than 128 keys",
        );
        says(KeySetError::NoUsableKey(vec![]), "the key set is empty");
        let skipped = SkippedKey {
            index: 0,
            kid: None,
            reason: KeyError::Symmetric,
        };
        says(
            KeySetError::NoUsableKey(vec![skipped]),
            "none of the 1 keys of the set can be used; of the first: a symmetric key is not taken from here",
        );
    }
}
