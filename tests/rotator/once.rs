//! Processes that end after one call.

use std::sync::Arc;
use std::time::Duration;

use steadfast::clock::{Clock, SystemClock, Timestamp};
use steadfast::rotator::Rotator;
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{Claim, MemoryStore, Store, StoreKey, Storing};
use steadfast::testing::ManualClock;

use crate::script::{HOUR, MINUTE, SECOND, Script, Step, grant, issues, name, policy, rotator};

#[tokio::test(start_paused = true)]
async fn one_shot_processes() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let once = || {
        let rotator = rotator(&script, &clock).store(store.clone());
        async move {
            rotator
                .token_once(Duration::ZERO)
                .await
                .map(|it| it.expose().to_owned())
        }
    };
    for _ in 0..100 {
        assert_eq!(once().await.unwrap(), "token-1");
    }
    assert_eq!(script.requests(), 1);
    // Due: the renewal comes first.
    clock.advance(2 * HOUR);
    assert_eq!(once().await.unwrap(), "token-2");
    // A service that never answers costs five seconds, once.
    clock.advance(2 * HOUR);
    script.then(Step::Hangs);
    let asked = tokio::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(once().await.unwrap(), "token-2");
    }
    assert!(asked.elapsed() <= 5 * SECOND);
    assert_eq!(script.requests(), 3);
    // Without a token: an error, and the next run does not even ask.
    clock.advance(12 * HOUR);
    script.set_down(true);
    assert!(once().await.is_err());
    assert!(once().await.is_err());
    assert_eq!(script.requests(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_hurry_of_a_token_that_ends_is_no_failure() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let rotator = rotator(&script, &clock).store(store.clone());
    name(&rotator).await;
    clock.advance(12 * HOUR - SECOND);
    script.then(Step::Hangs);
    let asked = tokio::time::Instant::now();
    let token = rotator.token_once(Duration::ZERO).await.unwrap();
    assert_eq!(token.expose(), "token-1");
    assert!(asked.elapsed() <= SECOND / 2 + SECOND / 100);
    assert_eq!(script.requests(), 2);
    let stored = store.read(&rotator.store_key()).await.unwrap().unwrap();
    assert_eq!(stored.failed, None);
}

#[tokio::test]
async fn a_minimum_validity_for_one_run() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let once = |min: Duration| {
        let rotator = rotator(&script, &clock).store(store.clone());
        async move { rotator.token_once(min).await.unwrap().expose().to_owned() }
    };
    once(Duration::ZERO).await;
    assert_eq!(once(24 * HOUR).await, "token-1", "it just came");
    script.set_down(true);
    clock.advance(7 * HOUR);
    assert_eq!(
        once(6 * HOUR).await,
        "token-1",
        "the latest, if there is no other"
    );
    script.set_down(false);
    clock.advance(10 * MINUTE);
    assert_eq!(once(6 * HOUR).await, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_minimum_validity_is_that_of_one_call() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let once = rotator(&script, &clock);
    once.token_once(6 * HOUR).await.unwrap();
    // Due, and it lives long enough for a clone, which wished for nothing.
    clock.advance(7 * HOUR);
    script.then(Step::Hangs);
    let asked = tokio::time::Instant::now();
    assert_eq!(name(&once.clone()).await, "token-1");
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

/// A clock that goes as tokio's does.
struct Follows(tokio::time::Instant);

impl Clock for Follows {
    fn wall(&self) -> Timestamp {
        Timestamp::from_secs(1_795_570_010).plus(self.0.elapsed())
    }

    fn boot(&self) -> Duration {
        self.0.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_stopped_at_once_starves_no_single_run() {
    let clock = Arc::new(Follows(tokio::time::Instant::now()));
    let (script, store) = (Script::default(), MemoryStore::new());
    let rotator = Rotator::new(grant(), policy(0))
        .transport(script.clone())
        .clock(clock.clone())
        .store(store.clone());
    let key = rotator.store_key();
    let mut held = store.try_claim(&key).await.unwrap().unwrap();
    let stamp = Record {
        requested_at: Some(clock.wall()),
        ..Record::default()
    };
    held.write(&stamp).await.unwrap();
    let token = rotator.token_once(Duration::ZERO).await.unwrap();
    assert_eq!(token.expose(), "token-1");
    assert!(clock.0.elapsed() <= 30 * SECOND);
}

/// A store whose every answer takes nine tenths of a second.
#[derive(Clone)]
struct Slow(MemoryStore);

async fn slowly() {
    SystemClock.sleep(SECOND * 9 / 10).await;
}

impl Store for Slow {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async {
            slowly().await;
            self.0.read(key).await
        })
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            slowly().await;
            self.0.try_claim(key).await
        })
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        self.0.claim_anyway(key)
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_and_a_silent_service_cost_five_seconds_in_all() {
    let clock = ManualClock::default();
    let store = MemoryStore::new();
    let script = Script::of([issues("first"), Step::Hangs]);
    name(&rotator(&script, &clock).store(store.clone())).await;
    clock.advance(2 * HOUR);
    let once = rotator(&script, &clock).store(Slow(store));
    let asked = tokio::time::Instant::now();
    let token = once.token_once(Duration::ZERO).await.unwrap();
    assert_eq!(token.expose(), "first");
    assert!(
        asked.elapsed() <= 5 * SECOND + SECOND / 100,
        "{:?}",
        asked.elapsed()
    );
}
