//! Tokens for tests, signed by hand, so that they may be as odd as they like.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use steadfast::clock::{Clock, Timestamp};
use steadfast::jose::KeySet;
use steadfast::verifier::{Trust, Verifier};

pub const NOW: i64 = 1_795_570_010;
pub const ISSUER: &str = "https://login.example";
pub const AUDIENCE: &str = "https://orders.example";

/// An issuer with one Ed25519 key, `k1`.
pub struct Issuer(Ed25519KeyPair);

impl Issuer {
    pub fn new() -> Self {
        let pem = include_str!("../../src/testing/keys/ed25519.pem");
        Self(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(pem)).unwrap())
    }

    pub fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1"})
    }

    pub fn key_set(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    pub fn keys(&self) -> KeySet {
        KeySet::from_json(self.key_set().to_string().as_bytes()).unwrap()
    }

    /// Signs whatever header and payload are.
    pub fn raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        let signature = self.0.sign(input.as_bytes());
        format!("{input}.{}", b64(signature))
    }

    pub fn with_header(&self, header: Value) -> String {
        self.raw(header.to_string(), claims(json!({})).to_string())
    }

    pub fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        self.raw(header(json!({})).to_string(), payload)
    }

    /// A good token but for these claims; `null` takes one away.
    pub fn token(&self, changes: Value) -> String {
        self.with_payload(claims(changes).to_string())
    }
}

/// What a PEM text holds.
pub fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|it| !it.starts_with('-')).collect();
    BASE64_STANDARD.decode(body).unwrap()
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn header(changes: Value) -> Value {
    changed(json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"}), changes)
}

pub fn claims(changes: Value) -> Value {
    let good =
        json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 3600, "iat": NOW - 60, "sub": "app"});
    changed(good, changes)
}

fn changed(mut object: Value, changes: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

pub fn trust() -> Trust {
    Trust::issuer(ISSUER).audience(AUDIENCE)
}

pub fn verifier(keys: KeySet) -> Verifier {
    Verifier::fixed(trust(), keys).clock(Arc::new(Stopped(NOW)))
}

/// A clock that stands still at a time in seconds.
pub struct Stopped(pub i64);

impl Clock for Stopped {
    fn wall(&self) -> Timestamp {
        Timestamp::from_secs(self.0)
    }

    fn boot(&self) -> Duration {
        Duration::ZERO
    }
}
