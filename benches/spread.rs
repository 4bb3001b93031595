//! What criterion has no shape for, one line each; what is not a time is held against its bound.
//!
//! | line | what |
//! |---|---|
//! | `threads` | a known token on one and on two threads, the minimum of many rounds, with none and with a hundred results held |
//! | `swaps` | the 99th percentile of a known token, quiet and while key sets are swapped a thousand times a second |
//! | `flood` | good tokens on one thread, alone and beside a thread that sends tokens to be refused |
//! | `million` | a million distinct tokens through one token cache: the most bytes it held, and how much of a hot set it still knew |
//!
//! `cargo bench --features testing,tower --bench spread`; without `--bench`, as `cargo test` runs
//! it, everything is a hundred times shorter.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may panic, and takes time"
)]

use std::env;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use steadfast::jose::Algorithm;
use steadfast::testing::TestKey;
use steadfast::verifier::Verifier;

mod material;

use material::{NineClaims, claims, on_threads, refused, token, token_of, under_swaps, verifier};

fn main() {
    let share = match env::args().any(|it| it == "--bench") {
        true => 1,
        false => 100,
    };
    threads(2000 / share);
    swaps(2_000_000 / share);
    flood(300 / share);
    million(1_000_000 / share);
}

fn threads(rounds: usize) {
    let key = TestKey::of(Algorithm::RS256);
    let (verifier, token) = (verifier(&key), token(&key));
    verifier.verify(&token).unwrap();
    let minimum = |threads, held| {
        let round = |_| on_threads(threads, held, CALLS.into(), &verifier, &token);
        let minimum = (0..rounds).map(round).min().unwrap_or_default();
        minimum / CALLS
    };
    for held in [0, 100] {
        let (one, two) = (minimum(1, held), minimum(2, held));
        let ratio = two.as_secs_f64() / one.as_secs_f64();
        println!("threads: {held} held: one {one:?}, two {two:?}, ratio {ratio:.2}");
    }
}

const CALLS: u32 = 2000;

/// The time below which so many thousandths of the calls are.
fn percentile(times: &mut [Duration], thousandths: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * thousandths / 1000]
}

fn times(verifier: &Verifier, token: &str, calls: usize) -> Vec<Duration> {
    verifier.verify(token).unwrap();
    let once = |_| {
        let since = Instant::now();
        drop(black_box(verifier.verify(black_box(token)).unwrap()));
        since.elapsed()
    };
    (0..calls).map(once).collect()
}

fn swaps(calls: usize) {
    let key = TestKey::of(Algorithm::RS256);
    let token = token(&key);
    let quiet = &mut times(&verifier(&key), &token, calls);
    let swapped = &mut under_swaps(&key, |verifier| times(verifier, &token, calls));
    for thousandths in [500, 990, 999] {
        let (quiet, swapped) = (
            percentile(quiet, thousandths),
            percentile(swapped, thousandths),
        );
        let ratio = swapped.as_secs_f64() / quiet.as_secs_f64();
        let percent = thousandths as f64 / 10.0;
        println!("swaps: p{percent}: quiet {quiet:?}, under swaps {swapped:?}, ratio {ratio:.2}");
    }
}

/// Each round gives the good tokens a millisecond or so.
fn flood(rounds: usize) {
    let key = TestKey::of(Algorithm::RS256);
    let (verifier, token) = (verifier(&key), token(&key));
    let bad: Vec<_> = refused(&key).into_iter().map(|it| it.token).collect();
    verifier.verify(&token).unwrap();
    let minimum = || {
        let round = |_| on_threads(1, 0, CALLS.into(), &verifier, &token);
        (0..rounds).map(round).min().unwrap_or_default() / CALLS
    };
    let alone = minimum();
    let done = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        scope.spawn(|| {
            let tokens = bad.iter().cycle();
            for token in tokens.take_while(|_| !done.load(Ordering::Relaxed)) {
                verifier.verify(token).unwrap_err();
            }
        });
        let beside = minimum();
        done.store(true, Ordering::Relaxed);
        beside
    });
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!("flood: good tokens alone {alone:?}, beside a flood {beside:?}, ratio {ratio:.2}");
}

/// A hot set of [`HOT`] tokens is asked for again and again while others pass once.
fn million(tokens: usize) {
    let key = TestKey::of(Algorithm::HS256);
    let with_number = |number: usize| {
        let jti = format!("f0f4a4c2-6f0e-4d52-9f6b-{number:012}");
        token_of(&key, NineClaims { jti, ..claims() })
    };
    let hot: Vec<_> = (0..HOT).map(with_number).collect();
    let (mut asked, mut known) = (0_u64, 0_u64);
    let passed = allocation_counter::measure(|| {
        let verifier = verifier(&key);
        for number in 0..tokens {
            let token = with_number(HOT + number);
            verifier.verify(&token).unwrap();
            let hot = &hot[number % HOT];
            let counted = allocation_counter::measure(|| drop(verifier.verify(hot).unwrap()));
            if number >= 2 * HOT {
                asked += 1;
                known += u64::from(counted.count_total == 0);
            }
        }
    });
    let most = passed.bytes_max;
    let rate = 100.0 * known as f64 / asked.max(1) as f64;
    println!(
        "million: {tokens} tokens: at most {:.1} MiB of {} MiB; {rate:.2} % of a hot set known",
        most as f64 / MIB as f64,
        BOUND / MIB
    );
    assert!(most < BOUND, "{most} bytes");
    assert!(asked == 0 || rate > 95.0, "{rate} %");
}

/// An eighth of what the cache has room for.
const HOT: usize = 512;
const MIB: u64 = 1 << 20;
/// What the cache says that its entries may weigh.
const BOUND: u64 = 32 * MIB;
