//! Public keys out of PEM (RFC 7468).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use super::der::{public_key_info, public_key_info_of_certificate, rsa_public};
use super::key::Curve;
use super::key_set::LONGEST_DOCUMENT;
use super::{Algorithm, AlgorithmSet, KeyError, KeySet, KeySetError, VerifyingKey};

impl VerifyingKey {
    /// From the first public key in `pem`: a block `PUBLIC KEY` (RFC 5280 4.1.2.7), `RSA PUBLIC KEY`
    /// (RFC 8017 A.1.1) or `CERTIFICATE` (RFC 5280 4.1).
    ///
    /// It has no `kid`, and verifies every algorithm that its type and curve allow. Of a certificate
    /// its key counts alone: neither its signature nor its time is looked at.
    ///
    /// ```
    /// use steadfast::jose::{Algorithm, VerifyingKey};
    ///
    /// let key = VerifyingKey::from_pem(
    ///     "-----BEGIN PUBLIC KEY-----\n\
    ///      MCowBQYDK2VwAyEAvzTtle+0RhA0+9pRtpT46eZtVrSRWarC80QbrfGNM/o=\n\
    ///      -----END PUBLIC KEY-----\n",
    /// )?;
    /// assert!(key.algorithms().contains(Algorithm::EdDSA));
    /// # Ok::<(), steadfast::jose::KeyError>(())
    /// ```
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let mut none = KeyError::NotPem;
        for block in blocks(pem) {
            match block.key() {
                Err(KeyError::UnsupportedLabel) => none = KeyError::UnsupportedLabel,
                key => return key,
            }
        }
        Err(none)
    }
}

impl KeySet {
    /// From all blocks of a PEM text, each read as [`VerifyingKey::from_pem`] reads one; blocks that
    /// cannot be used, private keys among them, are skipped with a reason.
    ///
    /// At most 512 KiB and 128 blocks. A text without any key that can be used is an error.
    pub fn from_pem(pem: &str) -> Result<Self, KeySetError> {
        if pem.len() > LONGEST_DOCUMENT {
            return Err(KeySetError::TooLarge);
        }
        if blocks(pem).next().is_none() {
            return Err(KeySetError::NotPem);
        }
        Self::of_usable(blocks(pem).map(|block| (None, block.key())))
    }
}

/// From one `-----BEGIN` to the next.
struct Block<'p> {
    label: &'p str,
    /// Missing if the block has no end.
    body: Option<&'p str>,
}

fn blocks(pem: &str) -> impl Iterator<Item = Block<'_>> {
    pem.split("-----BEGIN ").skip(1).map(|block| {
        let (label, rest) = block.split_once("-----").unwrap_or((block, ""));
        let end = format!("-----END {label}-----");
        let body = rest.split_once(end.as_str()).map(|(body, _)| body);
        Block { label, body }
    })
}

impl Block<'_> {
    fn key(&self) -> Result<VerifyingKey, KeyError> {
        let read = match self.label {
            "PUBLIC KEY" => from_spki,
            "RSA PUBLIC KEY" => from_pkcs1,
            "CERTIFICATE" => from_certificate,
            _ => return Err(KeyError::UnsupportedLabel),
        };
        read(&self.der().ok_or(KeyError::BrokenPem)?)
    }

    fn der(&self) -> Option<Vec<u8>> {
        let mut text = self.body?.to_owned();
        text.retain(|it| !it.is_ascii_whitespace());
        BASE64_STANDARD.decode(text).ok()
    }
}

fn from_certificate(certificate: &[u8]) -> Result<VerifyingKey, KeyError> {
    from_spki(public_key_info_of_certificate(certificate).ok_or(KeyError::BrokenPem)?)
}

fn from_spki(spki: &[u8]) -> Result<VerifyingKey, KeyError> {
    let (identifier, key) = public_key_info(spki).ok_or(KeyError::BrokenPem)?;
    let (_, algorithm) = ALGORITHMS
        .iter()
        .find(|(it, algorithm)| it.as_ref() == identifier && algorithm.is_supported())
        .ok_or(KeyError::UnsupportedType)?;
    match algorithm {
        Algorithm::RS256 => from_pkcs1(key),
        Algorithm::EdDSA => VerifyingKey::ed25519(key, ANY),
        algorithm => match Curve::for_algorithm(*algorithm) {
            Some(curve) => from_point(curve, key),
            None => VerifyingKey::ml_dsa(key, *algorithm),
        },
    }
}

fn from_pkcs1(key: &[u8]) -> Result<VerifyingKey, KeyError> {
    let (n, e) = rsa_public(key).ok_or(KeyError::BrokenPem)?;
    VerifyingKey::rsa(n, e, ANY)
}

/// An uncompressed point (SEC 1 2.3.3); a compressed one is as good as never met, and no backend
/// takes it.
fn from_point(curve: &'static Curve, point: &[u8]) -> Result<VerifyingKey, KeyError> {
    match point.split_first() {
        Some((4, xy)) => {
            let (x, y) = xy.split_at(xy.len() / 2);
            VerifyingKey::ec(curve, x, y, ANY)
        }
        _ => Err(KeyError::CoordinateLength),
    }
}

/// What a key in DER is for, by one of the algorithms that it verifies. An RSA key for PSS alone
/// (RFC 4055 1.2) is not among them, as it restricts hash and salt with parameters.
const ALGORITHMS: [(AlgorithmIdentifier, Algorithm); 8] = [
    (alg_id::RSA_ENCRYPTION, Algorithm::RS256),
    (alg_id::ECDSA_P256, Algorithm::ES256),
    (alg_id::ECDSA_P384, Algorithm::ES384),
    (alg_id::ECDSA_P521, Algorithm::ES512),
    (alg_id::ED25519, Algorithm::EdDSA),
    (alg_id::ML_DSA_44, Algorithm::MlDsa44),
    (alg_id::ML_DSA_65, Algorithm::MlDsa65),
    (alg_id::ML_DSA_87, Algorithm::MlDsa87),
];

const ANY: AlgorithmSet = AlgorithmSet::ASYMMETRIC;
