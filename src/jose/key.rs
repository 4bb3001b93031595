//! Keys that verify, and the checks that no backend makes.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::{digest, hmac};

use super::backend::PublicKey;
use super::{Algorithm, AlgorithmSet, JwsError, KeyError, edwards};

/// A key that verifies signatures, decoded once, pinned to the algorithms it may verify.
///
/// Private parts of a key are never kept. Cloning shares the material.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<Arc<str>>,
    issuer: Option<Arc<str>>,
    algorithms: AlgorithmSet,
    thumbprint: Thumbprint,
    material: Material,
}

impl VerifyingKey {
    /// A symmetric key for HS256, HS384 or HS512, at least as long as the hash (RFC 7518 3.2).
    pub fn hmac(secret: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::symmetric(secret, AlgorithmSet::one(algorithm))
    }

    /// For those of `algorithms` that `secret` is long enough for.
    pub(super) fn symmetric(secret: &[u8], algorithms: AlgorithmSet) -> Result<Self, KeyError> {
        let mut too_short = false;
        let keys: Arc<[(Algorithm, hmac::Key)]> = algorithms
            .iter()
            .filter_map(|algorithm| Some((algorithm, hash_of(algorithm)?)))
            .filter(|(_, hash)| {
                let enough = secret.len() >= hash.digest_algorithm().output_len();
                too_short |= !enough;
                enough
            })
            .map(|(algorithm, hash)| (algorithm, hmac::Key::new(hash, secret)))
            .collect();
        if keys.is_empty() {
            return Err(if too_short {
                KeyError::SecretTooShort
            } else {
                KeyError::AlgorithmMismatch
            });
        }
        let json = format!(r#"{{"k":"{}","kty":"oct"}}"#, text_of(secret));
        let algorithms = keys.iter().map(|(algorithm, _)| *algorithm).collect();
        Ok(Self::new(algorithms, &json, Material::Hmac(keys)))
    }

    /// An RSA key of modulus `n` and exponent `e`, big-endian, leading zero octets allowed.
    pub(super) fn rsa(n: &[u8], e: &[u8], algorithms: AlgorithmSet) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        check_modulus(n)?;
        check_exponent(e)?;
        let json = format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            text_of(e),
            text_of(n)
        );
        let algorithms = pinned(algorithms, RSA).ok_or(KeyError::AlgorithmMismatch)?;
        let key = PublicKey::rsa(n, e, algorithms)?;
        Ok(Self::new(algorithms, &json, Material::Public(key)))
    }

    /// A point of a curve of [`Curve`].
    pub(super) fn ec(
        curve: &'static Curve,
        x: &[u8],
        y: &[u8],
        algorithms: AlgorithmSet,
    ) -> Result<Self, KeyError> {
        let algorithms = pinned(algorithms, AlgorithmSet::one(curve.algorithm))
            .ok_or(KeyError::AlgorithmMismatch)?;
        if x.len() != curve.coordinate || y.len() != curve.coordinate {
            return Err(KeyError::CoordinateLength);
        }
        let key = PublicKey::encoded(curve.algorithm, &[&[4], x, y].concat())?;
        let json = format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            curve.name,
            text_of(x),
            text_of(y)
        );
        Ok(Self::new(algorithms, &json, Material::Public(key)))
    }

    /// An Ed25519 key.
    pub(super) fn ed25519(x: &[u8], algorithms: AlgorithmSet) -> Result<Self, KeyError> {
        let algorithms = pinned(algorithms, AlgorithmSet::one(Algorithm::EdDSA))
            .ok_or(KeyError::AlgorithmMismatch)?;
        let encoded = x.try_into().map_err(|_| KeyError::CoordinateLength)?;
        edwards::check(encoded)?;
        let json = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text_of(x));
        let key = PublicKey::encoded(Algorithm::EdDSA, x)?;
        Ok(Self::new(algorithms, &json, Material::Public(key)))
    }

    /// An ML-DSA key (RFC 9964); its algorithm is part of what it is.
    pub(super) fn ml_dsa(public: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let length = ml_dsa_length(algorithm).ok_or(KeyError::AlgorithmMismatch)?;
        if public.len() != length {
            return Err(KeyError::KeyLength);
        }
        let json = format!(
            r#"{{"alg":"{algorithm}","kty":"AKP","pub":"{}"}}"#,
            text_of(public)
        );
        let key = PublicKey::encoded(algorithm, public)?;
        let algorithms = AlgorithmSet::one(algorithm);
        Ok(Self::new(algorithms, &json, Material::Public(key)))
    }

    fn new(algorithms: AlgorithmSet, json: &str, material: Material) -> Self {
        Self {
            kid: None,
            issuer: None,
            algorithms,
            thumbprint: Thumbprint::of(json),
            material,
        }
    }

    /// The same key under another `kid`.
    #[must_use]
    pub fn with_kid(self, kid: &str) -> Self {
        Self {
            kid: Some(kid.into()),
            ..self
        }
    }

    pub(super) fn with_issuer(self, issuer: &str) -> Self {
        Self {
            issuer: Some(issuer.into()),
            ..self
        }
    }

    pub(crate) fn shared_kid(&self) -> Option<Arc<str>> {
        self.kid.clone()
    }

    pub(crate) fn shared_issuer(&self) -> Option<Arc<str>> {
        self.issuer.clone()
    }

    /// `kid` (RFC 7517 4.5).
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it may verify: its `alg`, or without one all that its type and curve allow.
    pub fn algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// `issuer` of the JWK (Entra): the key verifies for this one alone.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Thumbprint of the material (RFC 7638).
    ///
    /// Never show that of a symmetric key: a short secret can be guessed from it (RFC 7638 7).
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Checks `signature` over `input`.
    ///
    /// [`JwsError::UnsupportedAlgorithm`] if the key may not verify `algorithm`, else
    /// [`JwsError::BadSignature`] if it is not good.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), JwsError> {
        if !self.algorithms.contains(algorithm) {
            return Err(JwsError::UnsupportedAlgorithm);
        }
        match &self.material {
            Material::Public(key) => key.verify(algorithm, input, signature),
            Material::Hmac(keys) => {
                let (_, key) = keys
                    .iter()
                    .find(|(it, _)| *it == algorithm)
                    .ok_or(JwsError::UnsupportedAlgorithm)?;
                hmac::verify(key, input, signature).map_err(|_| JwsError::BadSignature)
            }
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("issuer", &self.issuer)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// A JWK thumbprint with SHA-256 (RFC 7638); shown in base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Of the required members, in order and without white space (RFC 7638 3).
    fn of(json: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, json.as_bytes());
        Self(hash.as_ref().try_into().unwrap_or_default())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text_of(&self.0))
    }
}

#[derive(Clone)]
enum Material {
    Public(PublicKey),
    Hmac(Arc<[(Algorithm, hmac::Key)]>),
}

/// A curve of `kty` EC.
pub(super) struct Curve {
    name: &'static str,
    coordinate: usize,
    algorithm: Algorithm,
}

impl Curve {
    pub(super) fn named(name: &str) -> Result<&'static Self, KeyError> {
        CURVES
            .iter()
            .find(|it| it.name == name && it.algorithm.is_supported())
            .ok_or(KeyError::UnsupportedCurve)
    }

    pub(super) fn for_algorithm(algorithm: Algorithm) -> Option<&'static Self> {
        CURVES.iter().find(|it| it.algorithm == algorithm)
    }
}

static CURVES: [Curve; 3] = [
    Curve {
        name: "P-256",
        coordinate: 32,
        algorithm: Algorithm::ES256,
    },
    Curve {
        name: "P-384",
        coordinate: 48,
        algorithm: Algorithm::ES384,
    },
    Curve {
        name: "P-521",
        coordinate: 66,
        algorithm: Algorithm::ES512,
    },
];

/// How long a public key is (FIPS 204, table 2).
fn ml_dsa_length(algorithm: Algorithm) -> Option<usize> {
    Some(match algorithm {
        Algorithm::MlDsa44 => 1312,
        Algorithm::MlDsa65 => 1952,
        Algorithm::MlDsa87 => 2592,
        _ => return None,
    })
}

const RSA: AlgorithmSet = AlgorithmSet::EMPTY
    .with(Algorithm::RS256)
    .with(Algorithm::RS384)
    .with(Algorithm::RS512)
    .with(Algorithm::PS256)
    .with(Algorithm::PS384)
    .with(Algorithm::PS512);

/// What is left of `wanted` for a key that can do `possible`.
fn pinned(wanted: AlgorithmSet, possible: AlgorithmSet) -> Option<AlgorithmSet> {
    let both = wanted.intersection(possible);
    (!both.is_empty()).then_some(both)
}

/// The hash of an HMAC algorithm.
pub(super) fn hash_of(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

// Checks that the backend does not make, or only in part and with each signature anew.

fn check_modulus(n: &[u8]) -> Result<(), KeyError> {
    let unused = n.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = n.len() * 8 - unused;
    let odd = n.last().is_some_and(|last| last % 2 == 1);
    if odd && (2048..=8192).contains(&bits) {
        Ok(())
    } else {
        Err(KeyError::Modulus)
    }
}

fn check_exponent(e: &[u8]) -> Result<(), KeyError> {
    let value = e
        .iter()
        .try_fold(0_u64, |so_far, byte| {
            Some(so_far.checked_mul(256)? + u64::from(*byte))
        })
        .ok_or(KeyError::Exponent)?;
    if value % 2 == 1 && (3..=1 << 33).contains(&value) {
        Ok(())
    } else {
        Err(KeyError::Exponent)
    }
}

pub(super) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn text_of(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_keys::{SECRET, jwk};

    const ANY: AlgorithmSet = AlgorithmSet::ASYMMETRIC;

    fn modulus(len: usize, first: u8, last: u8) -> Vec<u8> {
        let mut n = vec![0x55; len];
        (n[0], n[len - 1]) = (first, last);
        n
    }

    #[track_caller]
    fn rsa(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
        VerifyingKey::rsa(n, e, ANY).map(|_| ())
    }

    #[test]
    fn rsa_sizes() {
        let e = [1, 0, 1];
        assert_eq!(rsa(&modulus(256, 0x80, 1), &e), Ok(()));
        assert_eq!(rsa(&modulus(256, 0x7f, 1), &e), Err(KeyError::Modulus));
        assert_eq!(rsa(&modulus(1024, 0xff, 1), &e), Ok(()));
        assert_eq!(rsa(&modulus(1025, 0x01, 1), &e), Err(KeyError::Modulus));
        assert_eq!(rsa(&modulus(256, 0x80, 2), &e), Err(KeyError::Modulus));
        assert_eq!(rsa(&[], &e), Err(KeyError::Modulus));
        assert_eq!(rsa(&[0; 512], &e), Err(KeyError::Modulus));
    }

    #[test]
    fn rsa_exponents() {
        let n = modulus(256, 0x80, 1);
        for good in [
            &[3][..],
            &[1, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 0, 3],
            &[1, 255, 255, 255, 255],
        ] {
            assert_eq!(rsa(&n, good), Ok(()), "{good:?}");
        }
        for bad in [
            &[][..],
            &[0],
            &[1],
            &[2],
            &[1, 0, 0],
            &[2, 0, 0, 0, 0],
            &[2, 0, 0, 0, 1],
            &[1, 0, 0, 0, 0, 0, 0, 0, 1],
            &[255; 40],
        ] {
            assert_eq!(rsa(&n, bad), Err(KeyError::Exponent), "{bad:?}");
        }
    }

    #[test]
    fn leading_zeros_do_not_count() {
        let n = modulus(256, 0x80, 1);
        let padded = [&[0, 0][..], &n].concat();
        let (plain, padded) = (
            VerifyingKey::rsa(&n, &[3], ANY).unwrap(),
            VerifyingKey::rsa(&padded, &[0, 3], ANY).unwrap(),
        );
        assert_eq!(plain.thumbprint(), padded.thumbprint());
        let short = [&[0; 64][..], &modulus(192, 0x80, 1)].concat();
        assert_eq!(rsa(&short, &[3]), Err(KeyError::Modulus));
    }

    #[test]
    fn points_of_the_wrong_curve() {
        let curve = Curve::named("P-256").unwrap();
        let ec = |x: &[u8], y: &[u8]| VerifyingKey::ec(curve, x, y, ANY).map(|_| ());
        assert_eq!(ec(&[1; 32], &[1; 32]), Err(KeyError::NotOnCurve));
        assert_eq!(ec(&[0; 32], &[0; 32]), Err(KeyError::NotOnCurve));
        assert_eq!(ec(&[255; 32], &[255; 32]), Err(KeyError::NotOnCurve));
        assert_eq!(ec(&[1; 31], &[1; 32]), Err(KeyError::CoordinateLength));
        assert_eq!(ec(&[1; 31], &[1; 33]), Err(KeyError::CoordinateLength));
        assert_eq!(ec(&[1; 48], &[1; 48]), Err(KeyError::CoordinateLength));
        assert!(Curve::named("secp256k1").is_err());
        let with_aws_lc = cfg!(feature = "aws-lc-rs");
        assert_eq!(Curve::named("P-521").is_ok(), with_aws_lc);
    }

    #[test]
    fn symmetric_lengths() {
        let hmac = |len, algorithm| VerifyingKey::hmac(&vec![1; len], algorithm).map(|_| ());
        for (algorithm, len) in [
            (Algorithm::HS256, 32),
            (Algorithm::HS384, 48),
            (Algorithm::HS512, 64),
        ] {
            assert_eq!(hmac(len, algorithm), Ok(()));
            assert_eq!(hmac(len - 1, algorithm), Err(KeyError::SecretTooShort));
        }
        assert_eq!(hmac(64, Algorithm::RS256), Err(KeyError::AlgorithmMismatch));
        let all = VerifyingKey::symmetric(&[1; 48], AlgorithmSet::SYMMETRIC).unwrap();
        let expected = AlgorithmSet::one(Algorithm::HS256).with(Algorithm::HS384);
        assert_eq!(all.algorithms(), expected);
    }

    #[test]
    fn pinned_to_its_algorithms() {
        let key = VerifyingKey::from_jwk(&jwk(Algorithm::ES256).to_string()).unwrap();
        for algorithm in Algorithm::ALL {
            let expected = if algorithm == Algorithm::ES256 {
                JwsError::BadSignature
            } else {
                JwsError::UnsupportedAlgorithm
            };
            assert_eq!(key.verify(algorithm, b"", &[0; 64]), Err(expected));
        }
    }

    /// Under the identity element R = identity and S = 0 are good for whatever message.
    #[test]
    fn the_signature_for_everything() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let backend = PublicKey::encoded(Algorithm::EdDSA, &identity).unwrap();
        let checked = backend.verify(Algorithm::EdDSA, b"anything", &signature);
        assert_eq!(checked, Ok(()));
        let ours = VerifyingKey::ed25519(&identity, ANY);
        assert_eq!(ours.unwrap_err(), KeyError::SmallOrder);
    }

    #[test]
    fn debug_shows_no_material() {
        let key = VerifyingKey::hmac(&SECRET, Algorithm::HS256)
            .unwrap()
            .with_kid("a");
        assert_eq!(
            format!("{key:?}"),
            r#"VerifyingKey { kid: Some("a"), issuer: None, algorithms: {HS256}, .. }"#
        );
    }
}
