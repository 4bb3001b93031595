//! What a key set of a hundred keys costs: parsing one, and how much of that no parser can save;
//! finding a key in it; replacing it.
//!
//! | id | what |
//! |---|---|
//! | `keys/parse-100/KTY` | a JWK Set document of a hundred keys, to a `KeySet` |
//! | `keys/json-100/KTY` | the JSON of that document alone, to `serde_json`'s values |
//! | `keys/base64-100/KTY` | the base64url of its numbers alone, by the crate `base64` |
//! | `keys/points-100/EC` | the check that its points are on the curve alone: with ring, a throw-away key agreement each |
//! | `keys/candidates-100` | the keys to try for a token, by its kid |
//! | `keys/swap` | one set replaced by another, which verifications see at once |
//!
//! `cargo bench --features testing,tower --bench keys`; with `-- --test` each runs once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a macro writes the group; a bench may panic"
)]

use std::hint::black_box;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use steadfast::jose::{Algorithm, KeySet};
use steadfast::testing::TestKey;
use steadfast::verifier::KeyCache;

const KEYS: usize = 100;

/// A hundred keys that differ by their kid.
fn jwks(algorithm: Algorithm) -> Vec<Value> {
    let with_kid = |number| {
        let key = TestKey::of(algorithm).with_kid(format!("key-{number:03}"));
        key.public_jwk()
    };
    (0..KEYS).map(with_kid).collect()
}

/// The numbers of a key, in base64url.
fn numbers(jwk: &Value) -> Vec<String> {
    let members = ["n", "e", "x", "y"].into_iter();
    let texts = members.filter_map(|name| jwk.get(name)?.as_str());
    texts.map(str::to_owned).collect()
}

fn parse(c: &mut Criterion) {
    for (kty, algorithm) in [
        ("RSA", Algorithm::RS256),
        ("EC", Algorithm::ES256),
        ("OKP", Algorithm::EdDSA),
    ] {
        let jwks = jwks(algorithm);
        let numbers: Vec<_> = jwks.iter().flat_map(numbers).collect();
        let document = json!({ "keys": jwks }).to_string().into_bytes();
        c.bench_function(&format!("keys/parse-100/{kty}"), |b| {
            b.iter(|| KeySet::from_json(black_box(&document)).unwrap());
        });
        c.bench_function(&format!("keys/json-100/{kty}"), |b| {
            b.iter(|| serde_json::from_slice::<Value>(black_box(&document)).unwrap());
        });
        c.bench_function(&format!("keys/base64-100/{kty}"), |b| {
            b.iter(|| {
                let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(black_box(text)).unwrap();
                numbers.iter().for_each(|text| drop(decode(text)));
            });
        });
    }
}

fn points(c: &mut Criterion) {
    let jwk = TestKey::of(Algorithm::ES256).public_jwk();
    let numbers = numbers(&jwk);
    let coordinates = numbers
        .iter()
        .flat_map(|it| BASE64_URL_SAFE_NO_PAD.decode(it).unwrap());
    let point: Vec<_> = [4].into_iter().chain(coordinates).collect();
    let random = SystemRandom::new();
    c.bench_function("keys/points-100/EC", |b| {
        b.iter(|| {
            for _ in 0..KEYS {
                let private = EphemeralPrivateKey::generate(&ECDH_P256, &random).unwrap();
                let peer = UnparsedPublicKey::new(&ECDH_P256, black_box(&point));
                agree_ephemeral(private, &peer, |_| ()).unwrap();
            }
        });
    });
}

fn hundred(algorithm: Algorithm) -> KeySet {
    let document = json!({ "keys": jwks(algorithm) }).to_string();
    KeySet::from_json(document.as_bytes()).unwrap()
}

fn candidates(c: &mut Criterion) {
    let keys = hundred(Algorithm::RS256);
    c.bench_function("keys/candidates-100", |b| {
        b.iter(|| {
            let found = keys.candidates(black_box(Some("key-073")), Algorithm::RS256);
            found.unwrap().next().unwrap().algorithms()
        });
    });
}

fn swap(c: &mut Criterion) {
    let (one, other) = (hundred(Algorithm::RS256), hundred(Algorithm::ES256));
    let cache = KeyCache::fixed(one.clone());
    c.bench_function("keys/swap", |b| {
        b.iter(|| {
            cache.swap(other.clone());
            cache.swap(one.clone());
        });
    });
}

criterion_group!(benches, parse, points, candidates, swap);
criterion_main!(benches);
