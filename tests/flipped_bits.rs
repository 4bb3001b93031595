//! Whatever bit of a token is flipped, it is refused: of the algorithms that aws-lc-rs adds. Those of
//! both backends are tested beside the key set.
#![cfg(feature = "aws-lc-rs")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ML_DSA_44_SIGNING, PqdsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use steadfast::jose::{AlgorithmSet, KeySet};

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and payload of a token, to be signed.
fn input(algorithm: &str) -> String {
    let header = json!({"alg": algorithm, "kid": "a", "typ": "at+jwt"});
    let payload = json!({"iss": "https://login.example", "scope": "orders:read"});
    [header, payload]
        .map(|it| base64url(it.to_string()))
        .join(".")
}

#[track_caller]
fn every_bit_counts(jwk: &Value, token: &str) {
    let document = json!({ "keys": [jwk] }).to_string();
    let keys = KeySet::from_json(document.as_bytes()).unwrap();
    let verify = |token: &str| keys.verify_jws(token, AlgorithmSet::ASYMMETRIC).is_ok();
    assert!(verify(token));
    for bit in 0..token.len() * 7 {
        let mut bytes = token.to_owned().into_bytes();
        bytes[bit / 7] ^= 1 << (bit % 7);
        let flipped = String::from_utf8(bytes).unwrap();
        assert!(!verify(&flipped), "{bit}");
    }
    assert!(verify(token));
}

#[test]
fn es512() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(66);
    let jwk = json!({"kty": "EC", "crv": "P-521", "x": base64url(x), "y": base64url(y)});
    let input = input("ES512");
    let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    every_bit_counts(&jwk, &format!("{input}.{}", base64url(signature)));
}

#[test]
fn ml_dsa_44() {
    let pair = PqdsaKeyPair::generate(&ML_DSA_44_SIGNING).unwrap();
    let public = base64url(pair.public_key());
    let jwk = json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": public});
    let input = input("ML-DSA-44");
    let mut signature = vec![0; ML_DSA_44_SIGNING.signature_len()];
    let len = pair.sign(input.as_bytes(), &mut signature).unwrap();
    every_bit_counts(&jwk, &format!("{input}.{}", base64url(&signature[..len])));
}
