//! Whatever the issuer signs is judged without a panic, and alike with the token cache and without;
//! whatever a stranger writes is refused.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use steadfast::clock::{Clock, Timestamp};
use steadfast::jose::{Algorithm, AlgorithmSet, KeySet, VerifyingKey};
use steadfast::verifier::{Trust, Verifier};

const SECRET: [u8; 32] = [7; 32];

fuzz_target!(|input: (&[u8], &[u8], &str)| {
    let (header, payload, stranger) = input;
    let [cached, plain] = &*VERIFIERS;
    let signed_by = |header: &[u8]| {
        let input = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
        let tag = hmac::sign(&key, input.as_bytes());
        format!("{input}.{}", BASE64URL.encode(tag))
    };
    for token in [
        signed_by(header),
        signed_by(br#"{"alg":"HS256","kid":"k"}"#),
    ] {
        let verdict = plain.verify(&token).map(|it| it.claims().clone());
        for _ in 0..2 {
            let again = cached.verify(&token).map(|it| it.claims().clone());
            assert_eq!(again, verdict);
        }
    }
    assert!(plain.verify(stranger).is_err());
});

static VERIFIERS: LazyLock<[Verifier; 2]> = LazyLock::new(|| {
    let verifier = || {
        let key = VerifyingKey::hmac(&SECRET, Algorithm::HS256)
            .unwrap()
            .with_kid("k");
        let trust = Trust::issuer("i").audience("a");
        Verifier::fixed(trust, KeySet::from_keys([key]))
            .algorithms(AlgorithmSet::SYMMETRIC)
            .clock(Arc::new(Stopped))
    };
    [verifier(), verifier().without_token_cache()]
});

struct Stopped;

impl Clock for Stopped {
    fn wall(&self) -> Timestamp {
        Timestamp::from_secs(1000)
    }

    fn boot(&self) -> Duration {
        Duration::ZERO
    }
}
