//! Private keys out of PEM (RFC 7468), as jsonwebtoken keeps them.

use jsonwebtoken::EncodingKey;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, RsaKeyPair,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, alg_id};
use zeroize::Zeroizing;

use super::der::{INTEGER, OCTET_STRING, SEQUENCE, element, push_element};
use super::provider::{ec_pair, ed_pair};
use super::sign::SignError;

/// Reads a private key from PEM: PKCS#8 ("PRIVATE KEY"), PKCS#1 ("RSA PRIVATE KEY") or SEC1 ("EC
/// PRIVATE KEY"); RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519.
///
/// The first private key in `pem` counts. An EC key must come with its public key, as usual.
pub fn encoding_key_from_pem(pem: &str) -> Result<EncodingKey, SignError> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SignError::NoKey)?;
    let key = Zeroizing::new(key);
    match &*key {
        PrivateKeyDer::Pkcs1(der) => rsa_key(der.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(der) => sec1_key(der.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(der) => pkcs8_key(der.secret_pkcs8_der()),
        _ => None,
    }
    .ok_or(SignError::UnusableKey)
}

fn rsa_key(pkcs1: &[u8]) -> Option<EncodingKey> {
    RsaKeyPair::from_der(pkcs1).ok()?;
    Some(EncodingKey::from_rsa_der(pkcs1))
}

fn ec_key(pkcs8: &[u8]) -> Option<EncodingKey> {
    let mut curves = [
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &ECDSA_P384_SHA384_FIXED_SIGNING,
    ]
    .into_iter();
    curves
        .any(|curve| ec_pair(curve, pkcs8).is_ok())
        .then(|| EncodingKey::from_ec_der(pkcs8))
}

/// ring, as jsonwebtoken, reads EC keys from PKCS#8 alone, so SEC1 is wrapped in it.
fn sec1_key(sec1: &[u8]) -> Option<EncodingKey> {
    [alg_id::ECDSA_P256, alg_id::ECDSA_P384]
        .iter()
        .find_map(|algorithm| ec_key(&in_pkcs8(algorithm, sec1)))
}

fn pkcs8_key(pkcs8: &[u8]) -> Option<EncodingKey> {
    if ed_pair(pkcs8).is_ok() {
        return Some(EncodingKey::from_ed_der(pkcs8));
    }
    ec_key(pkcs8).or_else(|| {
        RsaKeyPair::from_pkcs8(pkcs8).ok()?;
        rsa_key(out_of_pkcs8(pkcs8)?)
    })
}

/// PrivateKeyInfo of version 0 (RFC 5208 5).
fn in_pkcs8(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut info = Zeroizing::new(vec![INTEGER, 1, 0]);
    push_element(SEQUENCE, algorithm, &mut info);
    push_element(OCTET_STRING, key, &mut info);
    let mut pkcs8 = Zeroizing::new(Vec::new());
    push_element(SEQUENCE, &info, &mut pkcs8);
    pkcs8
}

fn out_of_pkcs8(pkcs8: &[u8]) -> Option<&[u8]> {
    let (info, _) = element(SEQUENCE, pkcs8)?;
    let (_version, info) = element(INTEGER, info)?;
    let (_algorithm, info) = element(SEQUENCE, info)?;
    element(OCTET_STRING, info).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use jsonwebtoken::{Algorithm, AlgorithmFamily, Header};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::jose::sign::sign;
    use crate::jose::test_keys::{ED25519, P256, P384, RSA};

    fn pem(label: &str, der: &[u8]) -> String {
        let text = BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    fn der(pem: &str) -> Vec<u8> {
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        key.secret_pkcs8_der().to_vec()
    }

    #[test]
    fn pkcs1_and_sec1() {
        for (label, pkcs8, algorithm) in [
            ("RSA PRIVATE KEY", RSA, Algorithm::PS256),
            ("EC PRIVATE KEY", P256, Algorithm::ES256),
            ("EC PRIVATE KEY", P384, Algorithm::ES384),
        ] {
            let inner = pem(label, out_of_pkcs8(&der(pkcs8)).unwrap());
            let key = encoding_key_from_pem(&inner).unwrap();
            let same = encoding_key_from_pem(pkcs8).unwrap();
            assert_eq!(key.as_bytes(), same.as_bytes());
            assert!(sign(&Header::new(algorithm), &json!({}), &key).is_ok());
        }
    }

    #[test]
    fn the_first_private_key_counts() {
        let text = format!("text\n{}{P256}{RSA}", pem("CERTIFICATE", b"x"));
        let key = encoding_key_from_pem(&text).unwrap();
        assert_eq!(key.family(), AlgorithmFamily::Ec);
    }

    #[test]
    fn texts_without_a_usable_key() {
        for text in [
            String::new(),
            "no PEM".into(),
            pem("PUBLIC KEY", b"x"),
            pem("ENCRYPTED PRIVATE KEY", b"x"),
        ] {
            let refused = encoding_key_from_pem(&text).map(|_| ());
            assert_eq!(refused, Err(SignError::NoKey), "{text}");
        }
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            for der in [
                &b""[..],
                b"x",
                &[SEQUENCE, 0x82, 0xff, 0xff],
                &der(ED25519)[..40],
            ] {
                let refused = encoding_key_from_pem(&pem(label, der)).map(|_| ());
                assert_eq!(refused, Err(SignError::UnusableKey), "{label} {der:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_der_panics(der in any::<Vec<u8>>()) {
            for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
                prop_assert!(encoding_key_from_pem(&pem(label, &der)).is_err());
            }
        }
    }
}
