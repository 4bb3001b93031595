//! What a verification costs, beside the bare signature check and beside peers.
//!
//! All ids of one `ALG` verify the same token of about 800 bytes with nine claims, read into typed
//! claims, with the same checks configured: `iss`, `aud`, `exp`, `nbf`.
//!
//! | id | what |
//! |---|---|
//! | `known/ALG` | a token that is in the token cache |
//! | `first/ALG` | a token that is verified anew, token cache off |
//! | `fill/ALG` | a token that is verified anew and put into an empty token cache |
//! | `raw/ring/ALG` | the signature check alone, with a key that was decoded before |
//! | `peer/jsonwebtoken9/ALG` | jsonwebtoken 9, which runs on ring |
//! | `peer/jsonwebtoken11/ALG` | jsonwebtoken 11 on this crate's provider on ring, which is installed in this process for that: its own backends are compared in another place |
//! | `wall` | one reading of the system's wall clock |
//!
//! `cargo bench --features testing --bench verify`; with `-- --test` each runs once.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use serde_json::json;
use steadfast::clock::{Clock, SystemClock};
use steadfast::jose::{Algorithm, AlgorithmSet, KeySet, Unverified, VerifyingKey};
use steadfast::testing::TestKey;
use steadfast::verifier::{Trust, Verifier};

const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "https://orders.example";
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::HS256,
];

/// What a user of the peers would write down.
#[derive(Serialize, Deserialize)]
struct NineClaims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    client_id: String,
    scope: String,
}

/// A token of `len` bytes, or a few less.
fn token(key: &TestKey, len: usize) -> String {
    let now = u64::try_from(SystemClock.wall().as_secs()).unwrap();
    let with_scope = |scope: String| {
        let claims = NineClaims {
            iss: ISSUER.into(),
            sub: "5b1c7d0e-orders-client".into(),
            aud: AUDIENCE.into(),
            exp: now + 12 * 3600,
            nbf: now - 10,
            iat: now - 10,
            jti: "f0f4a4c2-6f0e-4d52-9f6b-1f2f7a3f3f10".into(),
            client_id: "orders-client".into(),
            scope,
        };
        key.sign(&claims).unwrap()
    };
    let missing = len - with_scope(String::new()).len();
    let scope: String = "orders:read "
        .chars()
        .cycle()
        .take(missing * 3 / 4)
        .collect();
    with_scope(scope)
}

fn keys(key: &TestKey) -> KeySet {
    let document = json!({ "keys": [key.public_jwk()] }).to_string();
    KeySet::from_json_with_symmetric(document.as_bytes()).unwrap()
}

fn verifier(key: &TestKey) -> Verifier {
    let trust = Trust::issuer(ISSUER).audience(AUDIENCE);
    Verifier::fixed(trust, keys(key)).algorithms(AlgorithmSet::one(key.algorithm()))
}

fn ours(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = TestKey::of(algorithm);
        let token = token(&key, 800);
        let known = verifier(&key);
        known.verify(&token).unwrap();
        c.bench_function(&format!("known/{algorithm}"), |b| {
            b.iter(|| known.verify(black_box(&token)).unwrap());
        });
        let first = verifier(&key).without_token_cache();
        c.bench_function(&format!("first/{algorithm}"), |b| {
            b.iter(|| first.verify(black_box(&token)).unwrap());
        });
        c.bench_function(&format!("fill/{algorithm}"), |b| {
            let empty = || verifier(&key);
            let fill = |verifier: Verifier| {
                let verified = verifier.verify(black_box(&token)).unwrap();
                (verifier, verified)
            };
            b.iter_batched(empty, fill, BatchSize::NumIterations(64));
        });
        if algorithm == Algorithm::HS256 || algorithm == Algorithm::RS256 {
            let custom = verifier(&key).claims::<NineClaims>().without_token_cache();
            c.bench_function(&format!("first/{algorithm}/custom"), |b| {
                b.iter(|| custom.verify(black_box(&token)).unwrap());
            });
        }
    }
}

fn raw(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = TestKey::of(algorithm);
        let token = token(&key, 800);
        let keys = keys(&key);
        let verifying: &VerifyingKey = keys.keys().first().unwrap();
        let mut scratch = vec![0; token.len()];
        let jws = Unverified::parse(&token, &mut scratch)
            .unwrap()
            .decode()
            .unwrap();
        c.bench_function(&format!("raw/ring/{algorithm}"), |b| {
            b.iter(|| {
                let (input, signature) = (black_box(jws.signing_input), black_box(jws.signature));
                verifying.verify(algorithm, input, signature).unwrap();
            });
        });
    }
}

macro_rules! peer {
    ($name:ident, $library:ident, $id:literal) => {
        fn $name(c: &mut Criterion) {
            let mut group = c.benchmark_group($id);
            for algorithm in ALGORITHMS {
                let key = TestKey::of(algorithm);
                let token = token(&key, 800);
                let jwk: $library::jwk::Jwk = serde_json::from_value(key.public_jwk()).unwrap();
                let decoding = $library::DecodingKey::from_jwk(&jwk).unwrap();
                let name = algorithm.name().parse().unwrap();
                let mut validation = $library::Validation::new(name);
                validation.set_issuer(&[ISSUER]);
                validation.set_audience(&[AUDIENCE]);
                validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
                validation.validate_nbf = true;
                group.bench_function(BenchmarkId::from_parameter(algorithm), |b| {
                    b.iter(|| {
                        $library::decode::<NineClaims>(black_box(&token), &decoding, &validation)
                            .unwrap()
                    });
                });
            }
            group.finish();
        }
    };
}

peer!(jsonwebtoken_9, jsonwebtoken9, "peer/jsonwebtoken9");
peer!(jsonwebtoken_11, jsonwebtoken, "peer/jsonwebtoken11");

fn with_provider(c: &mut Criterion) {
    // The one process that installs it; whoever was first would do.
    let _ = steadfast::jose::sign::provider().install_default();
    jsonwebtoken_11(c);
}

fn wall(c: &mut Criterion) {
    c.bench_function("wall", |b| b.iter(|| SystemClock.wall()));
}

criterion_group!(benches, wall, ours, raw, jsonwebtoken_9, with_provider);
criterion_main!(benches);
