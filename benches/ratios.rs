//! The ratios that this crate promises, one line each, with what is promised.
//!
//! `cargo bench --features testing,tower --bench ratios`. Both sides of a ratio are walked by turns,
//! a few milliseconds each, and timed by what the thread had of its core, so that other work on the
//! machine hits both alike; a line shows the medians over all rounds. Without `--bench`, as
//! `cargo test` runs it, there is one round.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may panic, and takes time"
)]

use std::env;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use steadfast::clock::{Clock, SystemClock};
use steadfast::jose::{Algorithm, Unverified, with_scratch};
use steadfast::testing::TestKey;

mod material;

use material::{
    AUDIENCE, ISSUER, NineClaims, among_several, claims, keys, ready, refused, rotator, token,
    token_of, verifier,
};

fn main() {
    let rounds = match env::args().any(|it| it == "--bench") {
        true => 301,
        false => 1,
    };
    known(rounds);
    for algorithm in [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ] {
        first(algorithm, rounds);
    }
    first_hs256(rounds);
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::HS256] {
        fill(algorithm, rounds);
    }
    refuse(rounds);
    fresh(rounds);
}

/// What the thread had of its core until now.
#[cfg(unix)]
fn on_the_core() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

#[cfg(not(unix))]
fn on_the_core() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Nanoseconds of one call.
fn nanos(calls: usize, f: &mut dyn FnMut()) -> f64 {
    let since = on_the_core();
    (0..calls).for_each(|_| f());
    (on_the_core() - since).as_nanos() as f64 / calls as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}

/// The medians of one, of the other, and of what `compare` says of each round.
fn by_turns(
    rounds: usize,
    mut one: impl FnMut() -> f64,
    mut other: impl FnMut() -> f64,
    compare: fn(f64, f64) -> f64,
) -> (f64, f64, f64) {
    let pairs: Vec<_> = (0..rounds).map(|_| (one(), other())).collect();
    (
        median(pairs.iter().map(|it| it.0).collect()),
        median(pairs.iter().map(|it| it.1).collect()),
        median(pairs.iter().map(|it| compare(it.0, it.1)).collect()),
    )
}

/// A few milliseconds of calls.
fn calls(nanos_of_one: usize) -> usize {
    (3_000_000 / nanos_of_one).max(1)
}

fn known(rounds: usize) {
    let key = TestKey::of(Algorithm::RS256);
    let (plain, several, token) = (verifier(&key), among_several(&key), token(&key));
    plain.verify(&token).unwrap();
    several.verify(&token).unwrap();
    let mut known = || drop(plain.verify(black_box(&token)).unwrap());
    let mut peer = jsonwebtoken_9(&key, token.clone());
    let (ours, theirs, ratio) = by_turns(
        rounds,
        || nanos(calls(100), &mut known),
        || nanos(calls(20_000), &mut peer),
        |ours, theirs| theirs / ours,
    );
    println!(
        "known/RS256 {ours:.0} ns, jsonwebtoken9/RS256 {theirs:.0} ns: {ratio:.0} times faster (at least 180)"
    );
    let mut among = || drop(several.verify(black_box(&token)).unwrap());
    let (many, one, more) = by_turns(
        rounds,
        || nanos(calls(100), &mut among),
        || nanos(calls(100), &mut known),
        |many, one| many - one,
    );
    println!("known/several {many:.0} ns, known/RS256 {one:.0} ns: {more:.1} ns more");
}

fn first(algorithm: Algorithm, rounds: usize) {
    let key = TestKey::of(algorithm);
    let (first, token) = (verifier(&key).without_token_cache(), token(&key));
    let keys = keys(&key);
    let most = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => 1.06,
        _ => 1.04,
    };
    with_scratch(token.len(), |scratch| {
        let jws = Unverified::parse(&token, scratch)
            .unwrap()
            .decode()
            .unwrap();
        let mut raw = || {
            let (input, signature) = (black_box(jws.signing_input), jws.signature);
            keys.keys()[0].verify(algorithm, input, signature).unwrap();
        };
        let mut whole = || drop(first.verify(black_box(&token)).unwrap());
        let (ours, raw, ratio) = by_turns(
            rounds,
            || nanos(calls(50_000), &mut whole),
            || nanos(calls(50_000), &mut raw),
            |ours, raw| ours / raw,
        );
        println!(
            "first/{algorithm} {ours:.0} ns, raw/{algorithm} {raw:.0} ns: {ratio:.3} (at most {most})"
        );
    });
}

fn first_hs256(rounds: usize) {
    let key = TestKey::of(Algorithm::HS256);
    let token = token(&key);
    let first = verifier(&key).without_token_cache();
    let custom = verifier(&key).claims::<NineClaims>().without_token_cache();
    let mut peer = jsonwebtoken_9(&key, token.clone());
    let mut row = |name: &str, most: f64, ours: &mut dyn FnMut()| {
        let (ours, theirs, ratio) = by_turns(
            rounds,
            || nanos(calls(2000), ours),
            || nanos(calls(2000), &mut peer),
            |ours, theirs| ours / theirs,
        );
        println!(
            "{name} {ours:.0} ns, jsonwebtoken9/HS256 {theirs:.0} ns: {ratio:.3} (at most {most})"
        );
    };
    row("first/HS256", 0.6, &mut || {
        drop(first.verify(black_box(&token)).unwrap())
    });
    row("first/HS256/custom", 0.75, &mut || {
        drop(custom.verify(black_box(&token)).unwrap())
    });
}

fn jsonwebtoken_9(key: &TestKey, token: String) -> impl FnMut() {
    let jwk: jsonwebtoken9::jwk::Jwk = serde_json::from_value(key.public_jwk()).unwrap();
    let decoding = jsonwebtoken9::DecodingKey::from_jwk(&jwk).unwrap();
    let mut validation = jsonwebtoken9::Validation::new(key.algorithm().name().parse().unwrap());
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
    validation.validate_nbf = true;
    move || {
        let claims = jsonwebtoken9::decode::<NineClaims>(black_box(&token), &decoding, &validation);
        drop(claims.unwrap());
    }
}

/// A new verifier each round, whose token cache has room for many times as many tokens.
fn fill(algorithm: Algorithm, rounds: usize) {
    let key = TestKey::of(algorithm);
    let with_jti = |number: usize| {
        let jti = format!("f0f4a4c2-6f0e-4d52-9f6b-{number:012}");
        token_of(&key, NineClaims { jti, ..claims() })
    };
    let tokens: Vec<_> = (0..128).map(with_jti).collect();
    let first = verifier(&key).without_token_cache();
    let walk = |verifier: &steadfast::verifier::Verifier| {
        let mut tokens = tokens.iter();
        nanos(tokens.len(), &mut || {
            drop(verifier.verify(tokens.next().unwrap()).unwrap());
        })
    };
    let (fill, first, more) = by_turns(
        rounds,
        || walk(&verifier(&key)),
        || walk(&first),
        |fill, first| fill - first,
    );
    println!(
        "fill/{algorithm} {fill:.0} ns, first/{algorithm} {first:.0} ns: {more:.0} ns more (at most 1000)"
    );
}

fn refuse(rounds: usize) {
    let key = TestKey::of(Algorithm::RS256);
    let verifier = verifier(&key);
    verifier.verify(&token(&key)).unwrap();
    for it in refused(&key) {
        let most = match it.name {
            "wrong-issuer" | "expired" => 700,
            _ => 500,
        };
        let mut once = || drop(verifier.verify(black_box(&it.token)).unwrap_err());
        let times = (0..rounds).map(|_| nanos(calls(1000), &mut once));
        let nanos = median(times.collect());
        println!("refuse/{} {nanos:.0} ns (at most {most})", it.name);
    }
}

fn fresh(rounds: usize) {
    let rotator = rotator(Arc::new(SystemClock));
    let mut token = || drop(ready(rotator.token()).unwrap());
    let mut clock = || {
        black_box(SystemClock.now());
    };
    let (token, clock, ratio) = by_turns(
        rounds,
        || nanos(calls(100), &mut token),
        || nanos(calls(100), &mut clock),
        |token, clock| token / clock,
    );
    println!("token {token:.0} ns, clock {clock:.0} ns: {ratio:.2} (at most 2)");
}
