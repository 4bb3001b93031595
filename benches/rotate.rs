//! What a call costs while the token is fresh (`fresh`), and how much of that is the reading of both
//! clocks (`clock`).

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a macro writes the group; a bench may panic"
)]

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use steadfast::clock::{Clock, SystemClock};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::transport::{Endpoint, Sending, Transport};

/// Grants a token of 12 h.
struct Granting;

impl Transport for Granting {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let body =
            br#"{"access_token":"0123456789abcdef","token_type":"bearer","expires_in":43200}"#;
        Box::pin(async { Ok(http::Response::new(body.to_vec())) })
    }
}

fn holding() -> Rotator {
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant, IssuancePolicy::default()).transport(Granting);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(rotator.token()).unwrap();
    rotator
}

fn rotate(criterion: &mut Criterion) {
    let rotator = holding();
    criterion.bench_function("fresh", |bencher| {
        bencher.iter(|| {
            let call = pin!(rotator.token());
            match call.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(token) => token.unwrap(),
                Poll::Pending => unreachable!("a fresh token is there"),
            }
        });
    });
    criterion.bench_function("clock", |bencher| {
        bencher.iter(|| black_box(SystemClock.now()));
    });
}

criterion_group!(benches, rotate);
criterion_main!(benches);
