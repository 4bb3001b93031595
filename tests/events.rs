//! What the rotator tells through `tracing`. One test to a process: whether anyone listens is
//! remembered process-wide.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod listening;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use listening::Events;
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::testing::ManualClock;
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Issues `token-0`, `token-1`, … unless it is down.
#[derive(Clone, Default)]
struct Service {
    down: Arc<AtomicBool>,
    issued: Arc<AtomicU32>,
}

impl Transport for Service {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        Box::pin(async {
            if self.down.load(Ordering::Relaxed) {
                return Err(TransportError::Connect);
            }
            let number = self.issued.fetch_add(1, Ordering::Relaxed);
            let token = format!(r#"{{"access_token":"token-{number}","expires_in":43200}}"#);
            Ok(http::Response::new(token.into_bytes()))
        })
    }
}

/// Lets everything run that does not wait for a clock.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn events_tell_each_change_once() {
    let (events, _listening) = Events::listen();
    let (service, clock) = (Service::default(), ManualClock::default());
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let policy = IssuancePolicy::default().with_retries(0).unwrap();
    let rotator = Rotator::new(grant, policy)
        .transport(service.clone())
        .clock(Arc::new(clock.clone()));
    let told = |expected: &[&str]| {
        let told = events.take();
        let matches = |(told, expected): (&String, &&str)| told.contains(*expected);
        assert_eq!(told.len(), expected.len(), "{told:?}");
        assert!(told.iter().zip(expected).all(matches), "{told:?}");
        assert!(
            !told
                .iter()
                .any(|it| it.contains("s3cret") || it.contains("token-"))
        );
    };
    rotator.token().await.unwrap();
    told(&[
        "INFO message=new access token",
        "WARN message=the service issued an opaque token",
    ]);
    clock.advance(2 * HOUR);
    service.down.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        rotator.token().await.unwrap();
        settle().await;
        clock.advance(10 * MINUTE);
    }
    told(&["WARN message=no new token since", "DEBUG", "DEBUG"]);
    service.down.store(false, Ordering::Relaxed);
    rotator.token().await.unwrap();
    settle().await;
    told(&[
        "INFO message=new access token",
        "INFO message=tokens are issued again",
    ]);
}
