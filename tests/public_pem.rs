//! Public keys out of PEM, made with OpenSSL from the private keys that the tests sign with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use jsonwebtoken::Header;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use proptest::prelude::*;
use serde_json::json;
use steadfast::jose::{Algorithm, AlgorithmSet, KeyError, KeySet, KeySetError, VerifyingKey, sign};

const ED25519: &str = include_str!("public_keys/ed25519.pem");
const ED25519_CERTIFICATE: &str = include_str!("public_keys/ed25519.crt.pem");
const P256: &str = include_str!("public_keys/p256.pem");
const P256_CERTIFICATE: &str = include_str!("public_keys/p256.crt.pem");
const P256_COMPRESSED: &str = include_str!("public_keys/p256-compressed.pem");
const P384: &str = include_str!("public_keys/p384.pem");
const RSA: &str = include_str!("public_keys/rsa-0.pem");
const RSA_CERTIFICATE: &str = include_str!("public_keys/rsa-0.crt.pem");
const RSA_PKCS1: &str = include_str!("public_keys/rsa-0.pkcs1.pem");
const RSA_1024: &str = include_str!("public_keys/rsa-1024.pem");
const RSA_PSS: &str = include_str!("public_keys/rsa-pss.pem");
const SECP256K1: &str = include_str!("public_keys/secp256k1.pem");
const SECP521R1: &str = include_str!("public_keys/secp521r1.pem");
const X25519: &str = include_str!("public_keys/x25519.pem");

const PRIVATE_ED25519: &str = include_str!("../src/testing/keys/ed25519.pem");
const PRIVATE_P256: &str = include_str!("../src/testing/keys/p256.pem");
const PRIVATE_P384: &str = include_str!("../src/testing/keys/p384.pem");
const PRIVATE_RSA: &str = include_str!("../src/testing/keys/rsa-0.pem");

#[track_caller]
fn verifies(public: &str, private: &str, algorithm: Algorithm) {
    let header = Header::new(algorithm.try_into().unwrap());
    let private = sign::encoding_key_from_pem(private).unwrap();
    let token = sign::sign(&header, &json!({}), &private).unwrap();
    let key = VerifyingKey::from_pem(public).unwrap();
    assert_eq!(key.kid(), None);
    let keys = KeySet::from_pem(public).unwrap();
    assert_eq!(keys.keys()[0].thumbprint(), key.thumbprint());
    assert!(keys.verify_jws(&token, AlgorithmSet::ASYMMETRIC).is_ok());
}

#[test]
fn every_kind() {
    for rsa in [RSA, RSA_PKCS1, RSA_CERTIFICATE] {
        verifies(rsa, PRIVATE_RSA, Algorithm::RS256);
        verifies(rsa, PRIVATE_RSA, Algorithm::PS512);
    }
    for p256 in [P256, P256_CERTIFICATE] {
        verifies(p256, PRIVATE_P256, Algorithm::ES256);
    }
    verifies(P384, PRIVATE_P384, Algorithm::ES384);
    for ed25519 in [ED25519, ED25519_CERTIFICATE] {
        verifies(ed25519, PRIVATE_ED25519, Algorithm::EdDSA);
    }
}

#[track_caller]
fn refused(pem: &str, reason: KeyError) {
    let key = VerifyingKey::from_pem(pem).map(|_| ());
    assert_eq!(key, Err(reason), "{pem}");
}

#[test]
fn keys_that_cannot_be_used() {
    refused(RSA_1024, KeyError::Modulus);
    refused(RSA_PSS, KeyError::UnsupportedType);
    refused(P256_COMPRESSED, KeyError::CoordinateLength);
    refused(SECP256K1, KeyError::UnsupportedType);
    refused(X25519, KeyError::UnsupportedType);
    refused(PRIVATE_P256, KeyError::UnsupportedLabel);
    for text in ["", "no PEM", P256.trim_start_matches('-')] {
        refused(text, KeyError::NotPem);
    }
    for text in [
        P256.replace("-----END", ""),
        P256.replace("END PUBLIC", "END RSA PUBLIC"),
        P256.replace("PUBLIC KEY", "CERTIFICATE"),
        P256.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        P256_CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY"),
        P256.replace('M', "*"),
        P256.replace("MFkw", "MFgw"),
    ] {
        refused(&text, KeyError::BrokenPem);
    }
}

#[test]
fn p521() {
    let key = VerifyingKey::from_pem(SECP521R1).map(|key| key.algorithms().iter().collect());
    let expected = if cfg!(feature = "aws-lc-rs") {
        Ok(vec![Algorithm::ES512])
    } else {
        Err(KeyError::UnsupportedType)
    };
    assert_eq!(key, expected);
}

#[test]
fn several_blocks() {
    let text = format!(
        "a comment\r\n{X25519}{}{PRIVATE_P256}{RSA_CERTIFICATE}",
        P256.replace('\n', "\r\n")
    );
    let set = KeySet::from_pem(&text).unwrap();
    assert_eq!(set.keys().len(), 2);
    let skipped: Vec<_> = set
        .skipped()
        .iter()
        .map(|it| (it.index, it.reason.clone()))
        .collect();
    let expected = [
        (0, KeyError::UnsupportedType),
        (2, KeyError::UnsupportedLabel),
    ];
    assert_eq!(skipped, expected);
    // The first that is a public key counts for one alone.
    let key = VerifyingKey::from_pem(&format!("{PRIVATE_P256}{P384}{P256}")).unwrap();
    assert!(key.algorithms().contains(Algorithm::ES384));
}

#[test]
fn texts_without_a_key() {
    let read = |text: &str| KeySet::from_pem(text).map(|_| ());
    assert_eq!(read("no PEM"), Err(KeySetError::NotPem));
    assert_eq!(read(&P256.repeat(129)), Err(KeySetError::TooManyKeys));
    assert_eq!(
        read(&" ".repeat(512 * 1024 + 1)),
        Err(KeySetError::TooLarge)
    );
    let Err(KeySetError::NoUsableKey(skipped)) = read(PRIVATE_P256) else {
        panic!("a private key is no public one");
    };
    assert_eq!(skipped[0].reason, KeyError::UnsupportedLabel);
}

#[test]
fn a_set_of_jsonwebtoken() {
    let good = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "good",
        "x": "vzTtle-0RhA0-9pRtpT46eZtVrSRWarC80QbrfGNM_o",
    });
    let off_the_curve = json!({
        "kty": "EC", "crv": "P-256", "kid": "off", "x": "A".repeat(43), "y": "A".repeat(43),
    });
    let secret = json!({"kty": "oct", "k": "A".repeat(86), "kid": "secret"});
    let set = json!({"keys": [off_the_curve, good, secret]});
    let set: JwkSet = serde_json::from_value(set).unwrap();
    let keys = KeySet::try_from(&set).unwrap();
    assert_eq!(keys.keys()[0].kid(), Some("good"));
    let skipped: Vec<_> = keys
        .skipped()
        .iter()
        .map(|it| (it.index, it.kid.as_deref(), it.reason.clone()))
        .collect();
    let expected = [
        (0, Some("off"), KeyError::NotOnCurve),
        (2, Some("secret"), KeyError::Symmetric),
    ];
    assert_eq!(skipped, expected);

    let jwk: Jwk = serde_json::from_value(good).unwrap();
    let key = VerifyingKey::try_from(&jwk).unwrap();
    let same = VerifyingKey::from_pem(ED25519).unwrap();
    assert_eq!(key.thumbprint(), same.thumbprint());
    let empty = KeySet::try_from(&JwkSet::default()).map(|_| ());
    assert_eq!(empty, Err(KeySetError::NoUsableKey(vec![])));
}

fn any_pem() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("PUBLIC KEY"),
        Just("RSA PUBLIC KEY"),
        Just("CERTIFICATE")
    ];
    let good = prop_oneof![
        Just(P256),
        Just(RSA_CERTIFICATE),
        Just(RSA_PKCS1),
        Just(ED25519)
    ];
    prop_oneof![
        "\\PC{0,40}",
        (label, any::<Vec<u8>>()).prop_map(|(label, der)| {
            use base64::Engine;
            let text = base64::prelude::BASE64_STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        }),
        (good, any::<prop::sample::Index>(), "[A-Za-z0-9+/=-]").prop_map(|(good, at, to)| {
            let at = at.index(good.len());
            format!("{}{to}{}", &good[..at], &good[at + 1..])
        }),
    ]
}

proptest! {
    #[test]
    fn no_text_panics_and_good_blocks_stay(broken in any_pem()) {
        let _ = VerifyingKey::from_pem(&broken);
        let set = KeySet::from_pem(&format!("{P384}{broken}\n{ED25519}")).unwrap();
        let kept = |algorithm| {
            set.keys().iter().any(|key| key.algorithms().contains(algorithm))
        };
        prop_assert!(kept(Algorithm::ES384));
        prop_assert!(kept(Algorithm::EdDSA));
    }
}
