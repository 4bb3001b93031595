//! Signing on ring, in jsonwebtoken's words.
//!
//! Since version 10 jsonwebtoken no longer runs on ring, and its functions panic where no provider
//! was installed for the whole process. [`provider`] gives it ring back, as a value that is
//! installed nowhere; [`sign`] needs no installation.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};

use super::UnknownAlgorithm;
use super::provider::new_signer;

pub use super::pem::encoding_key_from_pem;
pub use super::provider::provider;

/// Signs `claims` as a compact JWS; algorithm, `typ` and `kid` are those of `header`.
///
/// ```
/// use jsonwebtoken::{EncodingKey, Header};
/// use steadfast::jose::{AlgorithmSet, Algorithm, KeySet, VerifyingKey, sign};
///
/// let secret = [7; 32];
/// let claims = serde_json::json!({"sub": "orders-client"});
/// let token = sign::sign(&Header::default(), &claims, &EncodingKey::from_secret(&secret))?;
///
/// let keys = KeySet::from_keys([VerifyingKey::hmac(&secret, Algorithm::HS256)?]);
/// let jws = keys.verify_jws(&token, AlgorithmSet::SYMMETRIC)?;
/// assert_eq!(jws.payload, br#"{"sub":"orders-client"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sign(
    header: &jsonwebtoken::Header,
    claims: &impl serde::Serialize,
    key: &EncodingKey,
) -> Result<String, SignError> {
    if key.family() != header.alg.family() {
        return Err(SignError::AlgorithmMismatch);
    }
    let signer = new_signer(&header.alg, key).map_err(|_| SignError::UnusableKey)?;
    let mut token = String::new();
    push_json(header, &mut token)?;
    token.push('.');
    push_json(claims, &mut token)?;
    let signature = signer
        .try_sign(token.as_bytes())
        .map_err(|_| SignError::Failed)?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// What `key` signs with where nothing else is asked for: RS256, ES256, ES384, EdDSA or HS256.
#[cfg(feature = "http")]
pub(crate) fn default_algorithm(key: &EncodingKey) -> super::Algorithm {
    use jsonwebtoken::AlgorithmFamily;

    match key.family() {
        AlgorithmFamily::Rsa => super::Algorithm::RS256,
        AlgorithmFamily::Ed => super::Algorithm::EdDSA,
        AlgorithmFamily::Hmac => super::Algorithm::HS256,
        AlgorithmFamily::Ec if new_signer(&Algorithm::ES256, key).is_ok() => {
            super::Algorithm::ES256
        }
        AlgorithmFamily::Ec => super::Algorithm::ES384,
    }
}

fn push_json(value: &impl serde::Serialize, token: &mut String) -> Result<(), SignError> {
    let json = serde_json::to_vec(value).map_err(|_| SignError::NotJson)?;
    BASE64_URL_SAFE_NO_PAD.encode_string(json, token);
    Ok(())
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// There is no private key in the PEM text; an encrypted one or a public one is none.
    NoKey,
    /// The private key is broken, too small, inconsistent, or of a kind that is not supported.
    UnusableKey,
    /// The key is not for the header's algorithm.
    AlgorithmMismatch,
    /// Header or claims cannot be written as JSON.
    NotJson,
    /// The system's random numbers failed.
    Failed,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "there is no private key in the PEM text",
            Self::UnusableKey => "the private key cannot be used",
            Self::AlgorithmMismatch => "the key is not for the header's algorithm",
            Self::NotJson => "the header or the claims cannot be written as JSON",
            Self::Failed => "signing failed",
        })
    }
}

impl std::error::Error for SignError {}

impl TryFrom<Algorithm> for super::Algorithm {
    type Error = UnknownAlgorithm;

    /// Fails for what is not supported here.
    fn try_from(algorithm: Algorithm) -> Result<Self, Self::Error> {
        Ok(match algorithm {
            Algorithm::RS256 => Self::RS256,
            Algorithm::RS384 => Self::RS384,
            Algorithm::RS512 => Self::RS512,
            Algorithm::PS256 => Self::PS256,
            Algorithm::PS384 => Self::PS384,
            Algorithm::PS512 => Self::PS512,
            Algorithm::ES256 => Self::ES256,
            Algorithm::ES384 => Self::ES384,
            Algorithm::EdDSA => Self::EdDSA,
            Algorithm::HS256 => Self::HS256,
            Algorithm::HS384 => Self::HS384,
            Algorithm::HS512 => Self::HS512,
            _ => return Err(UnknownAlgorithm),
        })
    }
}

impl TryFrom<super::Algorithm> for Algorithm {
    type Error = UnknownAlgorithm;

    /// Fails for what jsonwebtoken has no name for.
    fn try_from(algorithm: super::Algorithm) -> Result<Self, Self::Error> {
        algorithm.name().parse().map_err(|_| UnknownAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Header;
    use serde_json::json;

    use super::*;
    use crate::jose::test_keys::{P256, RSA, SECRET};

    #[test]
    fn keys_for_other_algorithms() {
        let sign = |algorithm, key: &EncodingKey| {
            sign(&Header::new(algorithm), &json!({}), key).map(|_| ())
        };
        let rsa = encoding_key_from_pem(RSA).unwrap();
        let p256 = encoding_key_from_pem(P256).unwrap();
        assert_eq!(
            sign(Algorithm::ES256, &rsa),
            Err(SignError::AlgorithmMismatch)
        );
        assert_eq!(sign(Algorithm::ES384, &p256), Err(SignError::UnusableKey));
        let short = EncodingKey::from_secret(&[1; 31]);
        assert_eq!(sign(Algorithm::HS256, &short), Err(SignError::UnusableKey));
        let public = EncodingKey::from_rsa_der(&[0x30, 0]);
        assert_eq!(sign(Algorithm::RS256, &public), Err(SignError::UnusableKey));
    }

    #[test]
    fn claims_that_are_no_json() {
        let claims = std::collections::HashMap::from([((1, 2), 3)]);
        let key = EncodingKey::from_secret(&SECRET);
        let refused = sign(&Header::default(), &claims, &key);
        assert_eq!(refused, Err(SignError::NotJson));
    }

    #[test]
    fn texts() {
        for (error, text) in [
            (SignError::NoKey, "there is no private key in the PEM text"),
            (SignError::UnusableKey, "the private key cannot be used"),
            (
                SignError::AlgorithmMismatch,
                "the key is not for the header's algorithm",
            ),
            (
                SignError::NotJson,
                "the header or the claims cannot be written as JSON",
            ),
            (SignError::Failed, "signing failed"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
