//! What all benches verify: one token of about 800 bytes with nine claims, and whoever accepts it.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::panic,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each bench takes what it needs, and may panic"
)]

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use steadfast::clock::{Clock, SystemClock};
use steadfast::jose::{Algorithm, AlgorithmSet, KeySet};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::testing::TestKey;
use steadfast::transport::{Endpoint, Sending, Transport};
use steadfast::verifier::{Denials, Denylist, KeyCache, Trust, Verifier};

pub const ISSUER: &str = "https://login.example";
pub const AUDIENCE: &str = "https://orders.example";

/// How long the token of every bench is, or a few bytes less.
pub const LENGTH: usize = 800;

/// What a user of a peer, or of `Verifier::claims`, would write down.
#[derive(Clone, Serialize, Deserialize)]
pub struct NineClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub exp: u64,
    pub nbf: u64,
    pub iat: u64,
    pub jti: String,
    pub client_id: String,
    pub scope: String,
}

/// Claims that are good for twelve hours.
pub fn claims() -> NineClaims {
    let now = u64::try_from(SystemClock.wall().as_secs()).unwrap();
    NineClaims {
        iss: ISSUER.into(),
        sub: "5b1c7d0e-orders-client".into(),
        aud: AUDIENCE.into(),
        exp: now + 12 * 3600,
        nbf: now - 10,
        iat: now - 10,
        jti: "f0f4a4c2-6f0e-4d52-9f6b-1f2f7a3f3f10".into(),
        client_id: "orders-client".into(),
        scope: String::new(),
    }
}

/// The token.
pub fn token(key: &TestKey) -> String {
    token_of(key, claims())
}

/// A token of these claims, filled up with scopes.
pub fn token_of(key: &TestKey, claims: NineClaims) -> String {
    let with_scope = |scope: String| {
        let claims = NineClaims {
            scope,
            ..claims.clone()
        };
        key.sign(&claims).unwrap()
    };
    let missing = LENGTH - with_scope(String::new()).len();
    let scopes = "orders:read ".chars().cycle();
    with_scope(scopes.take(missing * 3 / 4).collect())
}

pub fn keys(key: &TestKey) -> KeySet {
    let document = json!({ "keys": [key.public_jwk()] }).to_string();
    KeySet::from_json_with_symmetric(document.as_bytes()).unwrap()
}

pub fn trust() -> Trust {
    Trust::issuer(ISSUER).audience(AUDIENCE)
}

pub fn verifier(key: &TestKey) -> Verifier {
    Verifier::fixed(trust(), keys(key)).algorithms(AlgorithmSet::one(key.algorithm()))
}

/// Three sources, of which the last has issued the token, and a denylist.
pub fn among_several(key: &TestKey) -> Verifier {
    let of = |issuer: &str| {
        let trust = Trust::issuer(issuer).audience(AUDIENCE);
        (trust, KeyCache::fixed(keys(key)))
    };
    let sources = [
        of("https://one.example"),
        of("https://two.example"),
        of(ISSUER),
    ];
    Verifier::several(sources)
        .algorithms(AlgorithmSet::one(key.algorithm()))
        .denylist(Denylist::new(Denials::new().token(ISSUER, "revoked")))
}

/// The longest that one of so many threads takes for `count` calls, each while it holds the results
/// of `held` others.
pub fn on_threads(threads: usize, held: usize, count: u64, it: &Verifier, token: &str) -> Duration {
    let start = Barrier::new(threads);
    let one = || {
        let held: Vec<_> = (0..held).map(|_| it.verify(token).unwrap()).collect();
        start.wait();
        let since = Instant::now();
        for _ in 0..count {
            drop(black_box(it.verify(black_box(token)).unwrap()));
        }
        let took = since.elapsed();
        drop(held);
        took
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let took = threads.into_iter().map(|it| it.join().unwrap());
        took.max().unwrap_or_default()
    })
}

/// Calls `f` while another thread swaps the key set a thousand times a second, each time for one
/// that differs by a key that no token has.
pub fn under_swaps<R>(key: &TestKey, f: impl FnOnce(&Verifier) -> R) -> R {
    let other = TestKey::of(Algorithm::ES256);
    let sets = ["one", "two"].map(|kid| {
        let (own, other) = (keys(key), keys(&other.clone().with_kid(kid)));
        KeySet::from_keys(own.keys().iter().chain(other.keys()).cloned())
    });
    let cache = KeyCache::fixed(keys(key));
    let verifier =
        Verifier::new(trust(), cache.clone()).algorithms(AlgorithmSet::one(key.algorithm()));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for set in sets.iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                cache.swap(set.clone());
                thread::sleep(Duration::from_millis(1));
            }
        });
        let result = f(&verifier);
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// A token that is refused, and by which name.
pub struct Refused {
    pub name: &'static str,
    pub token: String,
}

/// Tokens that need no signature to be refused; most are as long as the good one.
pub fn refused(key: &TestKey) -> Vec<Refused> {
    let good = token(key);
    let (header, rest) = good.split_once('.').unwrap();
    let stranger = NineClaims {
        iss: "https://login.other.example".into(),
        ..claims()
    };
    let expired = NineClaims {
        exp: 1_700_000_000,
        ..claims()
    };
    let tokens = [
        ("oversized", "a".repeat(20_000)),
        ("malformed", format!("{header}={rest}")),
        ("opaque", "x".repeat(LENGTH)),
        (
            "unknown-kid",
            token(&key.clone().with_kid("another-key-of-theirs")),
        ),
        ("wrong-issuer", token_of(key, stranger)),
        ("expired", token_of(key, expired)),
    ];
    tokens
        .into_iter()
        .map(|(name, token)| Refused { name, token })
        .collect()
}

/// Grants a token of 12 h.
struct Granting;

impl Transport for Granting {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let body =
            br#"{"access_token":"0123456789abcdef","token_type":"bearer","expires_in":43200}"#;
        Box::pin(async { Ok(http::Response::new(body.to_vec())) })
    }
}

/// A rotator with a fresh token.
pub fn rotator(clock: Arc<dyn Clock>) -> Rotator {
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant, IssuancePolicy::default())
        .transport(Granting)
        .clock(clock);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(rotator.token()).unwrap();
    rotator
}

/// What a future gives that is ready at once.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// The algorithms that are timed.
pub const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::HS256,
];
