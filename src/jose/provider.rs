//! jsonwebtoken's cryptography on ring.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result as Outcome};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    RsaPublicKeyComponents,
};
use ring::{digest, hmac};

use super::der::rsa_public;
use super::key::{Curve, hash_of, without_leading_zeros};
use super::{AlgorithmSet, VerifyingKey};

/// jsonwebtoken's provider on ring; a value, installed nowhere.
///
/// Symmetric keys shorter than their hash are refused (RFC 7518 3.2), and so are public keys that
/// [`VerifyingKey`] would refuse.
pub fn provider() -> &'static CryptoProvider {
    &PROVIDER
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: new_signer,
    verifier_factory: new_verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: rsa_components_of_private,
        rsa_pub_components_from_public_key: rsa_components_of_public,
        ec_pub_components_from_private_key: ec_components,
        ed_pub_components_from_private_key: ed_component,
        compute_digest,
    },
};

struct Signer {
    algorithm: Algorithm,
    key: SigningKey,
    random: SystemRandom,
}

enum SigningKey {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Hmac(hmac::Key),
}

pub(super) fn new_signer(algorithm: &Algorithm, key: &EncodingKey) -> Outcome<Box<dyn JwtSigner>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let der = key.as_bytes();
    let key = if let Some(padding) = rsa_padding(*algorithm) {
        SigningKey::Rsa(rsa_pair(der)?, padding)
    } else if let Some(curve) = ec_signing(*algorithm) {
        SigningKey::Ec(ec_pair(curve, der)?)
    } else if *algorithm == Algorithm::EdDSA {
        SigningKey::Ed(ed_pair(der)?)
    } else {
        SigningKey::Hmac(hmac_key(*algorithm, der)?)
    };
    Ok(Box::new(Signer {
        algorithm: *algorithm,
        key,
        random: SystemRandom::new(),
    }))
}

impl signature::Signer<Vec<u8>> for Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        match &self.key {
            SigningKey::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*padding, &self.random, message, &mut signature)
                    .map(|()| signature)
            }
            SigningKey::Ec(pair) => pair
                .sign(&self.random, message)
                .map(|it| it.as_ref().to_vec()),
            SigningKey::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            SigningKey::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
        .map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Signer {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

struct Verifier {
    algorithm: Algorithm,
    pinned: super::Algorithm,
    key: VerifyingKey,
}

fn new_verifier(algorithm: &Algorithm, key: &DecodingKey) -> Outcome<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let pinned =
        super::Algorithm::try_from(*algorithm).map_err(|_| ErrorKind::UnsupportedAlgorithm)?;
    let key = verifying_key(pinned, key).ok_or(ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(Verifier {
        algorithm: *algorithm,
        pinned,
        key,
    }))
}

/// What the kinds of [`DecodingKey`] hold: modulus and exponent or PKCS#1, an uncompressed point, the
/// bytes of an Ed25519 key, a secret.
fn verifying_key(algorithm: super::Algorithm, key: &DecodingKey) -> Option<VerifyingKey> {
    let pinned = AlgorithmSet::one(algorithm);
    let key = match (key.kind(), key.family()) {
        (DecodingKeyKind::RsaModulusExponent { n, e }, _) => VerifyingKey::rsa(n, e, pinned),
        (DecodingKeyKind::SecretOrDer(der), AlgorithmFamily::Rsa) => {
            let (n, e) = rsa_public(der)?;
            VerifyingKey::rsa(n, e, pinned)
        }
        (DecodingKeyKind::SecretOrDer(point), AlgorithmFamily::Ec) => {
            let curve = Curve::for_algorithm(algorithm)?;
            let (x, y) = coordinates(point)?;
            VerifyingKey::ec(curve, x, y, pinned)
        }
        (DecodingKeyKind::SecretOrDer(x), AlgorithmFamily::Ed) => VerifyingKey::ed25519(x, pinned),
        (DecodingKeyKind::SecretOrDer(secret), AlgorithmFamily::Hmac) => {
            VerifyingKey::hmac(secret, algorithm)
        }
    };
    key.ok()
}

impl signature::Verifier<Vec<u8>> for Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key
            .verify(self.pinned, message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Verifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn rsa_padding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_SHA512,
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::PS384 => &RSA_PSS_SHA384,
        Algorithm::PS512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn ec_signing(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => None,
    }
}

/// From PKCS#1, as jsonwebtoken keeps it, or from PKCS#8.
fn rsa_pair(der: &[u8]) -> Outcome<RsaKeyPair> {
    RsaKeyPair::from_der(der)
        .or_else(|_| RsaKeyPair::from_pkcs8(der))
        .map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()).into())
}

pub(super) fn ec_pair(
    curve: &'static EcdsaSigningAlgorithm,
    pkcs8: &[u8],
) -> Outcome<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(curve, pkcs8, &SystemRandom::new())
        .map_err(|_| ErrorKind::InvalidEcdsaKey.into())
}

/// OpenSSL writes Ed25519 keys without their public part, so there is nothing to check it against.
pub(super) fn ed_pair(pkcs8: &[u8]) -> Outcome<Ed25519KeyPair> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

fn hmac_key(algorithm: Algorithm, secret: &[u8]) -> Outcome<hmac::Key> {
    super::Algorithm::try_from(algorithm)
        .ok()
        .and_then(hash_of)
        .filter(|hash| secret.len() >= hash.digest_algorithm().output_len())
        .map(|hash| hmac::Key::new(hash, secret))
        .ok_or_else(|| ErrorKind::InvalidKeyFormat.into())
}

fn rsa_components_of_private(der: &[u8]) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa_pair(der)?.public());
    Ok((public.n, public.e))
}

fn rsa_components_of_public(der: &[u8]) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let (n, e) = rsa_public(der)
        .ok_or_else(|| Error::from(ErrorKind::InvalidRsaKey("not an RSAPublicKey".into())))?;
    let number = |it| without_leading_zeros(it).to_vec();
    Ok((number(n), number(e)))
}

fn ec_components(pkcs8: &[u8], algorithm: Algorithm) -> Outcome<(EllipticCurve, Vec<u8>, Vec<u8>)> {
    let curve = match algorithm {
        Algorithm::ES256 => EllipticCurve::P256,
        _ => EllipticCurve::P384,
    };
    let signing = ec_signing(algorithm).ok_or(ErrorKind::InvalidEcdsaKey)?;
    let pair = ec_pair(signing, pkcs8)?;
    let (x, y) = coordinates(pair.public_key().as_ref()).ok_or(ErrorKind::InvalidEcdsaKey)?;
    Ok((curve, x.to_vec(), y.to_vec()))
}

fn ed_component(pkcs8: &[u8], curve: &EllipticCurve) -> Outcome<Vec<u8>> {
    match curve {
        EllipticCurve::Ed25519 => Ok(ed_pair(pkcs8)?.public_key().as_ref().to_vec()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn compute_digest(data: &[u8], hash: ThumbprintHash) -> Outcome<Vec<u8>> {
    let hash = match hash {
        ThumbprintHash::SHA256 => &digest::SHA256,
        ThumbprintHash::SHA384 => &digest::SHA384,
        ThumbprintHash::SHA512 => &digest::SHA512,
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(digest::digest(hash, data).as_ref().to_vec())
}

/// x and y of an uncompressed point (SEC 1 2.3.3).
fn coordinates(point: &[u8]) -> Option<(&[u8], &[u8])> {
    let (form, xy) = point.split_first()?;
    (*form == 4).then(|| xy.split_at(xy.len() / 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::sign::encoding_key_from_pem;
    use crate::jose::test_keys::{RSA, SECRET, private, signed};

    fn decoding_key(algorithm: Algorithm, key: &EncodingKey) -> DecodingKey {
        let utils = &provider().key_utils;
        match key.family() {
            AlgorithmFamily::Hmac => DecodingKey::from_secret(&SECRET),
            AlgorithmFamily::Rsa => {
                let (n, e) = (utils.rsa_pub_components_from_private_key)(key.as_bytes()).unwrap();
                DecodingKey::from_rsa_raw_components(&n, &e)
            }
            AlgorithmFamily::Ec => {
                let ec = utils.ec_pub_components_from_private_key;
                let (_, x, y) = ec(key.as_bytes(), algorithm).unwrap();
                DecodingKey::from_ec_der(&[&[4], &x[..], &y].concat())
            }
            AlgorithmFamily::Ed => {
                let ed = utils.ed_pub_components_from_private_key;
                DecodingKey::from_ed_der(&ed(key.as_bytes(), &EllipticCurve::Ed25519).unwrap())
            }
        }
    }

    #[test]
    fn the_provider_verifies_what_it_signs() {
        for ours in signed() {
            let algorithm = Algorithm::try_from(ours).unwrap();
            assert_eq!(crate::jose::Algorithm::try_from(algorithm), Ok(ours));
            let key = private(ours);
            let signer = (provider().signer_factory)(&algorithm, &key).unwrap();
            let public = decoding_key(algorithm, &key);
            let verifier = (provider().verifier_factory)(&algorithm, &public).unwrap();
            assert_eq!(signer.algorithm(), algorithm);
            assert_eq!(verifier.algorithm(), algorithm);
            let signature = signer.sign(b"message");
            assert!(verifier.verify(b"message", &signature).is_ok());
            assert!(verifier.verify(b"massage", &signature).is_err());
        }
    }

    #[test]
    fn an_rsa_public_key_in_pkcs1() {
        let key = encoding_key_from_pem(RSA).unwrap();
        let pair = RsaKeyPair::from_der(key.as_bytes()).unwrap();
        let pkcs1 = pair.public().as_ref();
        let utils = &provider().key_utils;
        let (n, e) = (utils.rsa_pub_components_from_public_key)(pkcs1).unwrap();
        assert_eq!((n.len(), &e[..]), (256, &[1, 0, 1][..]));
        let key = DecodingKey::from_rsa_der(pkcs1);
        assert!((provider().verifier_factory)(&Algorithm::RS256, &key).is_ok());
    }

    #[test]
    fn digests() {
        for (hash, len) in [
            (ThumbprintHash::SHA256, 32),
            (ThumbprintHash::SHA384, 48),
            (ThumbprintHash::SHA512, 64),
        ] {
            let digest = (provider().key_utils.compute_digest)(b"", hash).unwrap();
            assert_eq!(digest.len(), len);
        }
    }

    proptest! {
        #[test]
        fn no_key_material_panics(der in any::<Vec<u8>>()) {
            let utils = &provider().key_utils;
            let _ = (utils.rsa_pub_components_from_private_key)(&der);
            let _ = (utils.rsa_pub_components_from_public_key)(&der);
            let _ = (utils.ed_pub_components_from_private_key)(&der, &EllipticCurve::Ed25519);
            for algorithm in [Algorithm::RS256, Algorithm::ES384, Algorithm::EdDSA] {
                let _ = (utils.ec_pub_components_from_private_key)(&der, algorithm);
                for key in [
                    DecodingKey::from_rsa_der(&der),
                    DecodingKey::from_ec_der(&der),
                    DecodingKey::from_ed_der(&der),
                ] {
                    let _ = (provider().verifier_factory)(&algorithm, &key);
                }
            }
        }
    }
}
