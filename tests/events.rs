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

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use listening::Events;
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{Claim, MemoryStore, Store, StoreError, StoreKey, Storing};
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::testing::ManualClock;
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Issues `opaque-token-0001`, … with this lifetime, unless it does something else.
#[derive(Clone, Debug)]
enum Mode {
    Issues(u32),
    Down,
    /// Repeats the secret and a token, as some services do.
    Refuses,
}

#[derive(Clone)]
struct Service(Arc<Mutex<(Mode, u32)>>);

impl Service {
    fn set(&self, mode: Mode) {
        self.0.lock().unwrap().0 = mode;
    }

    fn answer(&self) -> Result<http::Response<String>, TransportError> {
        let (mode, issued) = &mut *self.0.lock().unwrap();
        match mode {
            Mode::Down => Err(TransportError::Connect),
            Mode::Refuses => {
                let words = format!(
                    "wrong secret s3cret, you had opaque-token-{issued:04} by eyJhbGciOiJub25lIn0.e30.AAAA"
                );
                let body = format!(r#"{{"error":"invalid_client","error_description":"{words}"}}"#);
                Ok(http::Response::builder().status(401).body(body).unwrap())
            }
            Mode::Issues(lifetime) => {
                *issued += 1;
                let body = format!(
                    r#"{{"access_token":"opaque-token-{issued:04}","expires_in":{lifetime}}}"#
                );
                Ok(http::Response::new(body))
            }
        }
    }
}

impl Transport for Service {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let answer = self.answer().map(|it| it.map(String::into_bytes));
        Box::pin(std::future::ready(answer))
    }
}

/// A store that may be of no use.
#[derive(Clone, Default)]
struct Brittle {
    store: MemoryStore,
    broken: Arc<AtomicBool>,
}

impl Store for Brittle {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        if self.broken.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::Unusable("out of order".into())) });
        }
        self.store.read(key)
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        self.store.try_claim(key)
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        self.store.claim_anyway(key)
    }
}

/// Lets everything run that does not wait for a clock.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// That what was told since is one line for each of these, with these parts in it.
#[track_caller]
fn told(events: &Events, expected: &[&[&str]]) {
    let told = events.take();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (line, parts) in told.iter().zip(expected) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        let secrets = ["s3cret", "opaque-token", "eyJ"];
        assert!(!secrets.iter().any(|it| line.contains(it)), "{line}");
    }
}

#[tokio::test]
async fn events_tell_each_change_once() {
    let (events, _listening) = Events::listen();
    let service = Service(Arc::new(Mutex::new((Mode::Issues(43_200), 0))));
    let (clock, store) = (ManualClock::default(), Brittle::default());
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let policy = IssuancePolicy::default().with_retries(0).unwrap();
    let rotator = Rotator::new(grant, policy)
        .transport(service.clone())
        .store(store.clone())
        .clock(Arc::new(clock.clone()));
    let call_after = async |wait| {
        clock.advance(wait);
        rotator.token().await.unwrap();
        settle().await;
    };

    call_after(Duration::ZERO).await;
    let new = &[
        "INFO message=new access token",
        "rotate_at=2026-11-25T0",
        "expires_at=2026-11-25T13:26:50Z",
    ];
    told(
        &events,
        &[new, &["WARN message=the service issued an opaque token"]],
    );

    // A call that finds the token fresh tells nothing, and a finding is told once.
    call_after(MINUTE).await;
    told(&events, &[]);
    call_after(2 * HOUR).await;
    told(&events, &[&["INFO message=new access token"]]);
    service.set(Mode::Issues(21_600));
    call_after(2 * HOUR).await;
    let shorter = &["WARN message=the token lives 6h, shorter than the 12h wanted"];
    told(&events, &[&["INFO message=new access token"], shorter]);

    service.set(Mode::Down);
    call_after(2 * HOUR).await;
    let outage = &[
        "WARN message=no new token, the latest one serves on",
        "since=2026-11-25T07:27:50Z",
        "attempts=1",
        "reason=no connection",
        "next_attempt=2026-11-25T07:2",
        "serving=true",
    ];
    told(&events, &[outage]);
    for attempts in ["attempts=2", "attempts=3"] {
        call_after(10 * MINUTE).await;
        told(&events, &[&["DEBUG message=no new token", attempts]]);
    }

    service.set(Mode::Refuses);
    call_after(10 * MINUTE).await;
    let refused = &[
        "ERROR message=the service refuses to issue a token",
        "attempts=4",
        "reason=invalid_client (status 401)",
        "serving=true",
    ];
    told(&events, &[refused]);

    service.set(Mode::Issues(43_200));
    call_after(10 * MINUTE).await;
    let again = &[
        "INFO message=tokens are issued again",
        "since=2026-11-25T07:27:50Z",
    ];
    told(&events, &[&["INFO message=new access token"], again]);

    store.broken.store(true, Ordering::Relaxed);
    call_after(2 * HOUR).await;
    let broken = &["WARN message=the store cannot be used: out of order"];
    told(&events, &[broken]);
    call_after(MINUTE).await;
    told(&events, &[]);
    store.broken.store(false, Ordering::Relaxed);
    call_after(MINUTE).await;
    told(
        &events,
        &[
            &["INFO message=new access token"],
            &["INFO message=the store is of use again"],
        ],
    );
}
