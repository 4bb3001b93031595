//! Verification on aws-lc-rs, with keys that are parsed once.

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ML_DSA_44,
    ML_DSA_65, ML_DSA_87, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

use crate::jose::{Algorithm, AlgorithmSet, JwsError, KeyError};

/// A parsed public key for each of its algorithms.
#[derive(Clone)]
pub(in crate::jose) struct PublicKey(Arc<[(Algorithm, ParsedPublicKey)]>);

impl PublicKey {
    /// Of a modulus and an exponent without leading zero octets.
    pub(in crate::jose) fn rsa(
        n: &[u8],
        e: &[u8],
        algorithms: AlgorithmSet,
    ) -> Result<Self, KeyError> {
        let components = RsaPublicKeyComponents { n, e };
        algorithms
            .iter()
            .filter_map(|algorithm| Some((algorithm, rsa_scheme(algorithm)?)))
            .map(|(algorithm, scheme)| Ok((algorithm, components.to_parsed_public_key(scheme)?)))
            .collect::<Result<_, aws_lc_rs::error::KeyRejected>>()
            .map(Self)
            .map_err(|_| KeyError::Modulus)
    }

    /// An uncompressed point of the curve of `algorithm`, an Ed25519 key, or an ML-DSA key.
    pub(in crate::jose) fn encoded(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyError> {
        let scheme = scheme(algorithm).ok_or(KeyError::UnsupportedAlgorithm)?;
        let parsed = ParsedPublicKey::new(scheme, key).map_err(|_| KeyError::NotOnCurve)?;
        Ok(Self([(algorithm, parsed)].into()))
    }

    /// Checks `signature` with one of the algorithms of this key.
    pub(in crate::jose) fn verify(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), JwsError> {
        let (_, key) = self
            .0
            .iter()
            .find(|(it, _)| *it == algorithm)
            .ok_or(JwsError::UnsupportedAlgorithm)?;
        key.verify_sig(input, signature)
            .map_err(|_| JwsError::BadSignature)
    }
}

/// JOSE's signatures are r and s of fixed length, never DER (RFC 7518 3.4); ML-DSA's context is
/// empty (RFC 9964).
fn scheme(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &ED25519,
        Algorithm::MlDsa44 => &ML_DSA_44,
        Algorithm::MlDsa65 => &ML_DSA_65,
        Algorithm::MlDsa87 => &ML_DSA_87,
        _ => return None,
    })
}

/// With PSS the salt is as long as the hash (RFC 7518 3.5), which aws-lc-rs holds.
fn rsa_scheme(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
