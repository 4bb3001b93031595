//! What a call costs while the token is fresh.
//!
//! | id | what |
//! |---|---|
//! | `token` | a call of `Rotator::token` on the system's clocks |
//! | `token/2-threads` | the same on two threads at once: for each call of one of them |
//! | `clock` | how much of that is the reading of both clocks |
//!
//! `cargo bench --features testing --bench rotate`; with `-- --test` each runs once.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a macro writes the group; a bench may panic, and takes time"
)]

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use steadfast::clock::{Clock, SystemClock};

mod material;

use material::{ready, rotator};

fn rotate(criterion: &mut Criterion) {
    let rotator = rotator(Arc::new(SystemClock));
    criterion.bench_function("token", |bencher| {
        bencher.iter(|| ready(rotator.token()).unwrap());
    });
    criterion.bench_function("token/2-threads", |bencher| {
        bencher.iter_custom(|count| {
            let start = Barrier::new(2);
            let one = || {
                start.wait();
                let since = Instant::now();
                for _ in 0..count {
                    drop(black_box(ready(rotator.token()).unwrap()));
                }
                since.elapsed()
            };
            thread::scope(|scope| {
                let other = scope.spawn(one);
                one().max(other.join().unwrap())
            })
        });
    });
    criterion.bench_function("clock", |bencher| {
        bencher.iter(|| black_box(SystemClock.now()));
    });
}

criterion_group!(benches, rotate);
criterion_main!(benches);
