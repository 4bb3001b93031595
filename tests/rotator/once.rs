//! Processes that end after one call.

use std::time::Duration;

use steadfast::rotator::store::{MemoryStore, Store as _};
use steadfast::testing::ManualClock;

use crate::script::{HOUR, MINUTE, SECOND, Script, Step, name, rotator};

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
