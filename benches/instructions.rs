//! Walks one hot path so many times, for `tests/instructions.sh`, which has callgrind count the
//! instructions within [`measured`] alone.
//!
//! `instructions PATH COUNT`; without a path it walks each once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may panic")]

use std::env;
use std::hint::black_box;
use std::sync::Arc;

use steadfast::jose::{Algorithm, Unverified, VerifyingKey, with_scratch};
use steadfast::testing::{ManualClock, TestKey};

mod material;

use material::{
    NineClaims, among_several, claims, keys, ready, refused, rotator, token, token_of, verifier,
};

/// Whose instructions are counted. Never inlined: it is found by its name.
#[inline(never)]
fn measured(walk: &mut dyn FnMut()) {
    walk();
}

/// A walk, once before it counts: what a thread or a process makes at first use is made then.
fn walk(count: usize, mut once: impl FnMut()) {
    once();
    for _ in 0..count {
        measured(&mut once);
    }
}

fn key() -> TestKey {
    TestKey::of(Algorithm::HS256)
}

fn known(count: usize) {
    let (verifier, token) = (verifier(&key()), token(&key()));
    verifier.verify(&token).unwrap();
    walk(count, || drop(verifier.verify(black_box(&token)).unwrap()));
}

fn known_several(count: usize) {
    let (verifier, token) = (among_several(&key()), token(&key()));
    verifier.verify(&token).unwrap();
    walk(count, || drop(verifier.verify(black_box(&token)).unwrap()));
}

fn first(count: usize) {
    let (verifier, token) = (verifier(&key()).without_token_cache(), token(&key()));
    walk(count, || drop(verifier.verify(black_box(&token)).unwrap()));
}

fn first_custom(count: usize) {
    let verifier = verifier(&key()).claims::<NineClaims>();
    let (verifier, token) = (verifier.without_token_cache(), token(&key()));
    walk(count, || drop(verifier.verify(black_box(&token)).unwrap()));
}

/// As many tokens as calls, into a cache that has room for all.
fn fill(count: usize) {
    let of = |number: usize| {
        let jti = format!("f0f4a4c2-6f0e-4d52-9f6b-{number:012}");
        token_of(&key(), NineClaims { jti, ..claims() })
    };
    let tokens: Vec<_> = (0..=count).map(of).collect();
    let mut tokens = tokens.iter();
    let verifier = verifier(&key());
    walk(count, || {
        drop(verifier.verify(tokens.next().unwrap()).unwrap());
    });
}

/// The signature check alone.
fn raw(count: usize) {
    let (keys, token) = (keys(&key()), token(&key()));
    let key: &VerifyingKey = keys.keys().first().unwrap();
    with_scratch(token.len(), |scratch| {
        let jws = Unverified::parse(&token, scratch)
            .unwrap()
            .decode()
            .unwrap();
        walk(count, || {
            let (input, signature) = (black_box(jws.signing_input), jws.signature);
            key.verify(Algorithm::HS256, input, signature).unwrap();
        });
    });
}

/// jsonwebtoken 9 with the same token, checks and claims type: not gated, for comparison.
fn jsonwebtoken_9(count: usize) {
    let token = token(&key());
    let secret = jsonwebtoken9::DecodingKey::from_secret(key().secret().unwrap());
    let mut validation = jsonwebtoken9::Validation::new(jsonwebtoken9::Algorithm::HS256);
    validation.set_issuer(&[material::ISSUER]);
    validation.set_audience(&[material::AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
    validation.validate_nbf = true;
    walk(count, || {
        let claims = jsonwebtoken9::decode::<NineClaims>(black_box(&token), &secret, &validation);
        drop(claims.unwrap());
    });
}

fn refuse(name: &str, count: usize) {
    let verifier = verifier(&key());
    verifier.verify(&token(&key())).unwrap();
    let tokens = refused(&key());
    let refused = tokens.iter().find(|it| it.name == name).unwrap();
    walk(count, || {
        drop(verifier.verify(black_box(&refused.token)).unwrap_err());
    });
}

/// On a clock that stands still: the system's is not this crate's cost, and callgrind does not see
/// what the kernel does for it.
fn fresh(count: usize) {
    let rotator = rotator(Arc::new(ManualClock::default()));
    walk(count, || drop(ready(rotator.token()).unwrap()));
}

fn path(name: &str, count: usize) {
    match name.split_once('/') {
        Some(("known", "HS256")) => known(count),
        Some(("known", "several")) => known_several(count),
        Some(("first", "HS256")) => first(count),
        Some(("first", "HS256-custom")) => first_custom(count),
        Some(("fill", "HS256")) => fill(count),
        Some(("raw", "HS256")) => raw(count),
        Some(("jsonwebtoken9", "HS256")) => jsonwebtoken_9(count),
        Some(("refuse", name)) => refuse(name, count),
        None if name == "token" => fresh(count),
        _ => panic!("no such path: {name}"),
    }
}

const PATHS: [&str; 14] = [
    "known/HS256",
    "known/several",
    "first/HS256",
    "first/HS256-custom",
    "fill/HS256",
    "raw/HS256",
    "jsonwebtoken9/HS256",
    "refuse/oversized",
    "refuse/malformed",
    "refuse/opaque",
    "refuse/unknown-kid",
    "refuse/wrong-issuer",
    "refuse/expired",
    "token",
];

fn main() {
    // Cargo adds `--bench`, or the options of a test's harness.
    let words: Vec<_> = env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    match words.as_slice() {
        [name, count] => path(name, count.parse().unwrap()),
        _ => PATHS.iter().for_each(|name| path(name, 1)),
    }
}
