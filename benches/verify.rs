//! What a verification costs, beside the bare signature check and beside jsonwebtoken.
//!
//! All ids of one `ALG` verify the same token of about 800 bytes with nine claims, read into typed
//! claims, with the same checks configured: `iss`, `aud`, `exp`, `nbf`.
//!
//! | id | what |
//! |---|---|
//! | `known/ALG` | a token that is in the token cache |
//! | `known/several` | the same among three sources, with a denylist |
//! | `known/held-100` | the same while a hundred results are held |
//! | `known/2-threads` | the same on two threads at once: for each call of one of them |
//! | `known/2-threads-held-100` | both |
//! | `known/under-swaps` | the same while another thread swaps the key set a thousand times a second |
//! | `known/layer` | the same through the tower layer, request and answer included |
//! | `first/ALG` | a token that is verified anew, token cache off |
//! | `first/ALG/custom` | the same, read into a claims type of the caller |
//! | `fill/ALG` | a token that is verified anew and put into the token cache |
//! | `refuse/REASON` | a token that needs no signature to be refused, beside known ones |
//! | `raw/ALG` | the signature check alone, with a key that was decoded before |
//! | `jsonwebtoken9/ALG` | jsonwebtoken 9, which runs on ring |
//! | `jsonwebtoken11/ALG` | jsonwebtoken 11 on this crate's provider on ring, which is installed in this process for that; its own backends need a process each, and have it in `benches/peers` |
//! | `wall-clock` | one reading of the system's wall clock |
//!
//! `cargo bench --features testing,tower --bench verify`; with `-- --test` each runs once. What
//! criterion has no shape for, `benches/spread.rs` prints.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a macro writes the groups; a bench may panic, and takes time"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use steadfast::clock::{Clock, SystemClock};
use steadfast::jose::{Algorithm, Unverified, VerifyingKey};
use steadfast::testing::TestKey;

mod material;

use material::{
    ALGORITHMS, AUDIENCE, ISSUER, NineClaims, among_several, claims, keys, on_threads, refused,
    token, token_of, under_swaps, verifier,
};

fn known(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = TestKey::of(algorithm);
        let (known, token) = (verifier(&key), token(&key));
        known.verify(&token).unwrap();
        c.bench_function(&format!("known/{algorithm}"), |b| {
            b.iter(|| known.verify(black_box(&token)).unwrap());
        });
    }
    let key = TestKey::of(Algorithm::RS256);
    let (several, known, token) = (among_several(&key), verifier(&key), token(&key));
    several.verify(&token).unwrap();
    c.bench_function("known/several", |b| {
        b.iter(|| several.verify(black_box(&token)).unwrap());
    });
    known.verify(&token).unwrap();
    let held: Vec<_> = (0..100).map(|_| known.verify(&token).unwrap()).collect();
    c.bench_function("known/held-100", |b| {
        b.iter(|| known.verify(black_box(&token)).unwrap());
    });
    drop(held);
    for (id, held) in [("known/2-threads", 0), ("known/2-threads-held-100", 100)] {
        c.bench_function(id, |b| {
            b.iter_custom(|count| on_threads(2, held, count, &known, &token));
        });
    }
    under_swaps(&key, |verifier| {
        c.bench_function("known/under-swaps", |b| {
            b.iter(|| verifier.verify(black_box(&token)).unwrap());
        });
    });
}

fn first(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = TestKey::of(algorithm);
        let (first, token) = (verifier(&key).without_token_cache(), token(&key));
        c.bench_function(&format!("first/{algorithm}"), |b| {
            b.iter(|| first.verify(black_box(&token)).unwrap());
        });
        let custom = verifier(&key).claims::<NineClaims>().without_token_cache();
        c.bench_function(&format!("first/{algorithm}/custom"), |b| {
            b.iter(|| custom.verify(black_box(&token)).unwrap());
        });
    }
}

/// Each call has a token of its own, and each verifier a few hundred of them, in a cache that has
/// room for thousands.
fn fill(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = TestKey::of(algorithm);
        let with_jti = |number: usize| {
            let jti = format!("f0f4a4c2-6f0e-4d52-9f6b-{number:012}");
            token_of(&key, NineClaims { jti, ..claims() })
        };
        let tokens: Vec<_> = (0..256).map(with_jti).collect();
        c.bench_function(&format!("fill/{algorithm}"), |b| {
            b.iter_custom(|count| {
                let mut took = Duration::ZERO;
                let mut left = usize::try_from(count).unwrap();
                while left > 0 {
                    let verifier = verifier(&key);
                    let some = tokens.get(..left.min(tokens.len())).unwrap();
                    let since = Instant::now();
                    for token in some {
                        drop(black_box(verifier.verify(black_box(token)).unwrap()));
                    }
                    took += since.elapsed();
                    left -= some.len();
                }
                took
            });
        });
    }
}

fn refuse(c: &mut Criterion) {
    let key = TestKey::of(Algorithm::RS256);
    let verifier = verifier(&key);
    verifier.verify(&token(&key)).unwrap();
    for it in refused(&key) {
        c.bench_function(&format!("refuse/{}", it.name), |b| {
            b.iter(|| verifier.verify(black_box(&it.token)).unwrap_err());
        });
    }
}

fn raw(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = TestKey::of(algorithm);
        let token = token(&key);
        let keys = keys(&key);
        let verifying: &VerifyingKey = keys.keys().first().unwrap();
        let mut scratch = vec![0; token.len()];
        let jws = Unverified::parse(&token, &mut scratch)
            .unwrap()
            .decode()
            .unwrap();
        c.bench_function(&format!("raw/{algorithm}"), |b| {
            b.iter(|| {
                let (input, signature) = (black_box(jws.signing_input), black_box(jws.signature));
                verifying.verify(algorithm, input, signature).unwrap();
            });
        });
    }
}

macro_rules! jsonwebtoken {
    ($name:ident, $library:ident, $id:literal) => {
        fn $name(c: &mut Criterion) {
            for algorithm in ALGORITHMS {
                let key = TestKey::of(algorithm);
                let token = token(&key);
                let jwk: $library::jwk::Jwk = serde_json::from_value(key.public_jwk()).unwrap();
                let decoding = $library::DecodingKey::from_jwk(&jwk).unwrap();
                let name = algorithm.name().parse().unwrap();
                let mut validation = $library::Validation::new(name);
                validation.set_issuer(&[ISSUER]);
                validation.set_audience(&[AUDIENCE]);
                validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
                validation.validate_nbf = true;
                c.bench_function(&format!("{}/{algorithm}", $id), |b| {
                    b.iter(|| {
                        $library::decode::<NineClaims>(black_box(&token), &decoding, &validation)
                            .unwrap()
                    });
                });
            }
        }
    };
}

jsonwebtoken!(jsonwebtoken_9, jsonwebtoken9, "jsonwebtoken9");
jsonwebtoken!(on_our_provider, jsonwebtoken, "jsonwebtoken11");

fn jsonwebtoken_11(c: &mut Criterion) {
    // The one process that installs it; whoever was first would do.
    let _ = steadfast::jose::sign::provider().install_default();
    on_our_provider(c);
}

fn clock(c: &mut Criterion) {
    c.bench_function("wall-clock", |b| b.iter(|| SystemClock.wall()));
}

/// Through the layer, with a service behind it that answers at once.
#[cfg(feature = "tower")]
fn layer(c: &mut Criterion) {
    use std::convert::Infallible;
    use std::sync::Arc;

    use http::{Request, Response, header};
    use steadfast::verifier::VerifyLayer;
    use tower::{Layer, Service, service_fn};

    let key = TestKey::of(Algorithm::RS256);
    let (verifier, token) = (Arc::new(verifier(&key)), token(&key));
    let answer = |_: Request<()>| std::future::ready(Ok::<_, Infallible>(Response::new(())));
    let mut with = VerifyLayer::new(verifier).layer(service_fn(answer));
    let mut without = service_fn(answer);
    let header: header::HeaderValue = format!("Bearer {token}").parse().unwrap();
    let request = || {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, header.clone());
        request
    };
    assert_eq!(material::ready(with.call(request())).unwrap().status(), 200);
    c.bench_function("known/layer", |b| {
        b.iter(|| material::ready(with.call(request())).unwrap());
    });
    c.bench_function("known/no-layer", |b| {
        b.iter(|| material::ready(without.call(request())).unwrap());
    });
}

#[cfg(not(feature = "tower"))]
fn layer(_: &mut Criterion) {}

criterion_group!(
    benches,
    clock,
    known,
    layer,
    first,
    fill,
    refuse,
    raw,
    jsonwebtoken_9,
    jsonwebtoken_11
);
criterion_main!(benches);
