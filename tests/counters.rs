//! What the rotator counts through the `metrics` facade.

#![cfg(all(feature = "metrics", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod script;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use script::{HOUR, MINUTE, SECOND, Script, error, settle};
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{Claim, Store, StoreError, StoreKey, Storing};
use steadfast::testing::ManualClock;

/// Keeps every value, by its name and labels.
#[derive(Default)]
struct Values(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Values {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        let labels = key
            .labels()
            .map(|it| format!("{}={}", it.key(), it.value()));
        let labels: Vec<_> = labels.collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }

    fn all(&self) -> Vec<(String, u64)> {
        let values = self.0.lock().unwrap();
        let value = |(name, value): (&String, &Arc<AtomicU64>)| {
            (name.clone(), value.load(Ordering::Relaxed))
        };
        values.iter().map(value).collect()
    }
}

impl Recorder for Values {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// A store of no use.
struct Broken;

impl Store for Broken {
    fn read<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async { Err(StoreError::Unusable("out of order".into())) })
    }

    fn try_claim<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async { Err(StoreError::Busy) })
    }

    fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        Box::pin(async { Err(StoreError::Busy) })
    }
}

#[tokio::test]
async fn a_day_in_numbers() {
    let values = Values::default();
    let _recording = metrics::set_default_local_recorder(&values);
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = script::rotator(&script, &clock);
    let call = async || {
        let token = rotator.token().await;
        settle().await;
        token
    };

    // None yet, and the service is down; then the first one, a thousand times.
    script.set_down(true);
    call().await.unwrap_err();
    clock.advance(MINUTE);
    script.set_down(false);
    for _ in 0..1000 {
        call().await.unwrap();
    }
    // Two attempts fail, which nobody notices; the second one for good.
    clock.advance(2 * HOUR);
    script.set_down(true);
    call().await.unwrap();
    clock.advance(10 * MINUTE);
    script.set_down(false);
    script.then(error(401, "invalid_client"));
    call().await.unwrap();
    // Back, and a resource refuses what comes.
    clock.advance(10 * MINUTE);
    call().await.unwrap();
    clock.advance(2 * SECOND);
    for _ in 0..2 {
        let token = call().await.unwrap();
        rotator.reject(&token).await.unwrap();
    }

    let client: String = rotator.store_key().to_string().chars().take(12).collect();
    let expires_at = rotator.health().expires_at.unwrap().as_secs_f64().to_bits();
    let value = |name: &str, value| (name.replace("CLIENT", &format!("client={client}")), value);
    let expected = [
        value(
            "steadfast_attempts_failed_total CLIENT class=permanent reason=error",
            1,
        ),
        value(
            "steadfast_attempts_failed_total CLIENT class=transient reason=no_connection",
            2,
        ),
        value("steadfast_outage_attempts_total CLIENT", 2),
        value("steadfast_token_expires_at_seconds CLIENT", expires_at),
        value("steadfast_tokens_issued_total CLIENT", 3),
        value("steadfast_tokens_rejected_total CLIENT", 2),
    ];
    assert_eq!(values.all(), expected);
}

#[tokio::test]
async fn a_store_that_is_of_no_use() {
    let values = Values::default();
    let _recording = metrics::set_default_local_recorder(&values);
    let rotator = script::rotator(&Script::default(), &ManualClock::default()).store(Broken);
    rotator.token().await.unwrap();
    assert!(matches!(
        rotator.health().store,
        Some(StoreError::Unusable(_))
    ));
    let counted = |name| values.all().into_iter().find(|it| it.0.starts_with(name));
    assert_eq!(counted("steadfast_store_errors_total").unwrap().1, 1);
    assert_eq!(counted("steadfast_tokens_issued_total").unwrap().1, 1);
}
