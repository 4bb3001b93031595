//! Nothing is allocated for a token before its signature is good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use steadfast::jose::{
    Algorithm, AlgorithmSet, KeySet, Unverified, VerifyingKey, shape, sign, with_scratch,
};

const ALL: AlgorithmSet = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);

fn private(algorithm: Algorithm) -> EncodingKey {
    let pem = match algorithm {
        Algorithm::ES256 => include_str!("../src/testing/keys/p256.pem"),
        Algorithm::ES384 => include_str!("../src/testing/keys/p384.pem"),
        Algorithm::EdDSA => include_str!("../src/testing/keys/ed25519.pem"),
        _ if algorithm.is_symmetric() => return EncodingKey::from_secret(&[7; 64]),
        _ => include_str!("../src/testing/keys/rsa-0.pem"),
    };
    sign::encoding_key_from_pem(pem).unwrap()
}

fn public(algorithm: Algorithm) -> Value {
    let base64url = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let key = private(algorithm);
    let (der, utils) = (key.as_bytes(), &sign::provider().key_utils);
    let ec = |curve: &str| {
        let theirs = algorithm.try_into().unwrap();
        let (_, x, y) = (utils.ec_pub_components_from_private_key)(der, theirs).unwrap();
        json!({"kty": "EC", "crv": curve, "x": base64url(&x), "y": base64url(&y)})
    };
    match algorithm {
        Algorithm::ES256 => ec("P-256"),
        Algorithm::ES384 => ec("P-384"),
        Algorithm::EdDSA => {
            let curve = jsonwebtoken::jwk::EllipticCurve::Ed25519;
            let x = (utils.ed_pub_components_from_private_key)(der, &curve).unwrap();
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(&x)})
        }
        _ => {
            let (n, e) = (utils.rsa_pub_components_from_private_key)(der).unwrap();
            json!({"kty": "RSA", "n": base64url(&n), "e": base64url(&e)})
        }
    }
}

fn verifying(algorithm: Algorithm) -> VerifyingKey {
    if algorithm.is_symmetric() {
        return VerifyingKey::hmac(&[7; 64], algorithm).unwrap();
    }
    VerifyingKey::from_jwk(&public(algorithm).to_string()).unwrap()
}

fn token(algorithm: Algorithm) -> String {
    let mut header = Header::new(algorithm.try_into().unwrap());
    header.kid = Some("orders-2026".to_owned());
    let claims = json!({"iss": "https://login.example", "x": "y".repeat(400)});
    sign::sign(&header, &claims, &private(algorithm)).unwrap()
}

#[track_caller]
fn allocates(count: u64, f: impl FnOnce()) {
    assert_eq!(allocation_counter::measure(f).count_total, count);
}

#[test]
fn parsing_and_checking_a_signature() {
    let signed = Algorithm::ALL
        .into_iter()
        .filter(|it| jsonwebtoken::Algorithm::try_from(*it).is_ok());
    for algorithm in signed {
        let (key, token) = (
            verifying(algorithm).with_kid("orders-2026"),
            token(algorithm),
        );
        let keys = KeySet::from_keys([key]);
        allocates(0, || {
            with_scratch(token.len(), |scratch| {
                let unverified = Unverified::parse(&token, scratch).unwrap();
                let kid = unverified.header().kid.as_deref();
                let key = keys.candidates(kid, algorithm).unwrap().next().unwrap();
                let jws = unverified.decode().unwrap();
                let check = || key.verify(algorithm, jws.signing_input, jws.signature);
                if allocates_in_the_backend(algorithm) {
                    allocation_counter::opt_out(|| assert!(check().is_ok()));
                } else {
                    assert!(check().is_ok());
                }
            });
        });
    }
}

/// For RSA ring makes its numbers on the heap, anew for each signature.
fn allocates_in_the_backend(algorithm: Algorithm) -> bool {
    matches!(algorithm.name().get(..2), Some("RS" | "PS"))
}

#[test]
fn refusing_a_forged_token() {
    let keys = KeySet::from_keys([verifying(Algorithm::ES256)]);
    let token = token(Algorithm::ES256);
    let (input, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", "A".repeat(86));
    allocates(0, || assert!(keys.verify_jws(&forged, ALL).is_err()));
}

#[test]
fn refusing_what_is_no_token() {
    let keys = KeySet::from_keys([verifying(Algorithm::ES256)]);
    for token in [
        String::new(),
        "opaque".to_owned(),
        ".".repeat(16_000),
        "a.".repeat(8_000),
        format!("eyJ{}", ".".repeat(16_000)),
        "x".repeat(1 << 20),
    ] {
        allocates(0, || {
            assert!(keys.verify_jws(&token, ALL).is_err());
            shape(&token);
        });
    }
}

#[test]
fn one_room_on_the_heap_for_a_longer_token() {
    allocates(0, || with_scratch(16 * 1024, |_| ()));
    allocates(1, || with_scratch(16 * 1024 + 1, |_| ()));
}
