//! What a token may not be, row by row; through the library and, where it is built, the command.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod claims;
mod token;
#[path = "../tokens/mod.rs"]
mod tokens;
mod trust;

use std::time::Duration;

use serde_json::{Value, json};
use steadfast::jose::{Algorithm, AlgorithmSet, KeySet, KeySetError, VerifyingKey};
use steadfast::policy::IssuancePolicy;
use steadfast::verifier::{Profile, Trust, Verifier};

use tokens::*;

/// The code for `token`, or `valid`.
#[track_caller]
fn check(token: &str, expected: &str) {
    check_with(|it| it, &[], token, expected);
}

/// The same under other settings, of the library and of the command.
#[track_caller]
fn check_with(set: impl FnOnce(Verifier) -> Verifier, flags: &[&str], token: &str, expected: &str) {
    let issuer = Issuer::new();
    assert_eq!(
        code(&set(verifier(issuer.keys())), token),
        expected,
        "by the library: {token}"
    );
    if let Some(found) = command::code(&issuer.key_set(), flags, token) {
        assert_eq!(found, expected, "by the command: {token}");
    }
}

/// Where only the library has the setting.
#[track_caller]
fn check_library(set: impl FnOnce(Verifier) -> Verifier, token: &str, expected: &str) {
    let found = code(&set(verifier(Issuer::new().keys())), token);
    assert_eq!(found, expected, "{token}");
}

#[track_caller]
fn check_keys(keys: Value, token: &str, expected: &str) {
    let set = KeySet::from_json(keys.to_string().as_bytes()).unwrap();
    assert_eq!(code(&verifier(set), token), expected, "{keys}");
    if let Some(found) = command::code(&keys, &[], token) {
        assert_eq!(found, expected, "by the command: {keys}");
    }
}

fn code<C>(verifier: &Verifier<C>, token: &str) -> &'static str {
    match verifier.verify(token) {
        Ok(_) => "valid",
        Err(error) => error.code().as_str(),
    }
}

mod command {
    use serde_json::Value;

    /// What the command says; `None` where it is not built.
    #[cfg(feature = "cli")]
    pub fn code(keys: &Value, flags: &[&str], token: &str) -> Option<String> {
        use super::tokens::{AUDIENCE, ISSUER, NOW};
        use std::sync::atomic::{AtomicUsize, Ordering};

        static FILES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("rejects-{}.json", FILES.fetch_add(1, Ordering::Relaxed));
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, keys.to_string()).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_steadfast"))
            .arg("verify")
            .args(["--issuer", ISSUER, "--audience", AUDIENCE, "--jwks"])
            .arg(&file)
            .args(["--now", &NOW.to_string()])
            .args(flags)
            .args(["--", token])
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(
            output.status.code(),
            Some(i32::from(answer["valid"] != true))
        );
        Some(match answer["error"].as_str() {
            Some(code) => code.to_owned(),
            None => "valid".to_owned(),
        })
    }

    #[cfg(not(feature = "cli"))]
    pub fn code(_: &Value, _: &[&str], _: &str) -> Option<String> {
        None
    }
}

#[test]
fn a_good_token() {
    check(&Issuer::new().token(json!({})), "valid");
}

#[test]
fn symmetric_keys_by_their_own_constructor_alone() {
    let secret = [7; 32];
    let jwk = json!({"kty": "oct", "k": b64(secret), "kid": "k1", "alg": "HS256"});
    let keys = json!({"keys": [jwk, Issuer::new().jwk()]}).to_string();
    let input = format!(
        "{}.{}",
        b64(header(json!({"alg": "HS256"})).to_string()),
        b64(claims(json!({})).to_string())
    );
    let tag = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret),
        input.as_bytes(),
    );
    let token = format!("{input}.{}", b64(tag));
    let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
    let fetched = KeySet::from_json(keys.as_bytes()).unwrap();
    assert_ne!(code(&verifier(fetched).algorithms(all), &token), "valid");
    let local = KeySet::from_json_with_symmetric(keys.as_bytes()).unwrap();
    assert_eq!(
        code(&verifier(local.clone()), &token),
        "unsupported_algorithm"
    );
    assert_eq!(code(&verifier(local).algorithms(all), &token), "valid");
    let own = VerifyingKey::hmac(&secret, Algorithm::HS256)
        .unwrap()
        .with_kid("k1");
    assert_eq!(
        code(&verifier(KeySet::from_keys([own])).algorithms(all), &token),
        "valid"
    );
}

#[test]
fn what_is_told_first() {
    let issuer = Issuer::new();
    let forged = |token: String| {
        let (input, _) = token.rsplit_once('.').unwrap();
        format!("{input}.{}", b64([0; 64]))
    };
    // The header before the payload, the issuer before the key, the key before the time.
    check(
        &issuer.raw(header(json!({"typ": "x"})).to_string(), "["),
        "wrong_type",
    );
    let strange = json!({"iss": "https://evil.example", "exp": 1});
    let header = header(json!({"kid": "k2"})).to_string();
    check(
        &issuer.raw(&header, claims(strange.clone()).to_string()),
        "wrong_issuer",
    );
    check(
        &issuer.raw(&header, claims(json!({"exp": 1})).to_string()),
        "unknown_key",
    );
    // The time before the signature, everything else after it.
    check(&forged(issuer.token(json!({"exp": 1}))), "expired");
    check(&forged(issuer.token(json!({"exp": "x"}))), "bad_signature");
    check(&forged(issuer.token(json!({"aud": "x"}))), "bad_signature");
    check(&forged(issuer.token(json!({"cnf": {}}))), "bad_signature");
}

#[test]
fn keys_unavailable_is_no_verdict() {
    let verifier: Verifier = Verifier::new(trust(), steadfast::verifier::KeyCache::empty());
    let error = verifier
        .verify(&Issuer::new().token(json!({})))
        .unwrap_err();
    assert_eq!(error.code().as_str(), "keys_unavailable");
    assert!(error.is_unavailable());
}
