//! Verification on ring.

use std::sync::Arc;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use ring::{agreement, rand};

use crate::jose::{Algorithm, AlgorithmSet, JwsError, KeyError};

/// A public key as ring takes it: it parses one with each signature anew.
#[derive(Clone)]
pub(in crate::jose) enum PublicKey {
    Rsa(RsaPublicKeyComponents<Arc<[u8]>>),
    Encoded(UnparsedPublicKey<Arc<[u8]>>),
}

impl PublicKey {
    /// Of a modulus and an exponent without leading zero octets.
    pub(in crate::jose) fn rsa(n: &[u8], e: &[u8], _: AlgorithmSet) -> Result<Self, KeyError> {
        Ok(Self::Rsa(RsaPublicKeyComponents {
            n: n.into(),
            e: e.into(),
        }))
    }

    /// An uncompressed point of the curve of `algorithm`, or an Ed25519 key.
    pub(in crate::jose) fn encoded(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyError> {
        // JOSE's signatures are r and s of fixed length, never DER (RFC 7518 3.4).
        Ok(Self::Encoded(match algorithm {
            Algorithm::ES256 => {
                check_point(&agreement::ECDH_P256, key)?;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.into())
            }
            Algorithm::ES384 => {
                check_point(&agreement::ECDH_P384, key)?;
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.into())
            }
            Algorithm::EdDSA => UnparsedPublicKey::new(&ED25519, key.into()),
            _ => return Err(KeyError::UnsupportedAlgorithm),
        }))
    }

    /// Checks `signature` with one of the algorithms of this key.
    pub(in crate::jose) fn verify(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), JwsError> {
        match self {
            Self::Rsa(key) => {
                let scheme = rsa_scheme(algorithm).ok_or(JwsError::UnsupportedAlgorithm)?;
                key.verify(scheme, input, signature)
            }
            Self::Encoded(key) => key.verify(input, signature),
        }
        .map_err(|_| JwsError::BadSignature)
    }
}

/// With PSS the salt is as long as the hash (RFC 7518 3.5), which ring holds.
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

/// ring tells a point that is off the curve only when it is used: in a throw-away key agreement.
fn check_point(curve: &'static agreement::Algorithm, point: &[u8]) -> Result<(), KeyError> {
    let private = agreement::EphemeralPrivateKey::generate(curve, &rand::SystemRandom::new());
    private
        .and_then(|private| {
            let peer = agreement::UnparsedPublicKey::new(curve, point);
            agreement::agree_ephemeral(private, &peer, |_| ())
        })
        .map_err(|_| KeyError::NotOnCurve)
}
