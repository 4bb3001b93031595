//! Rotators that share a store, and stores that are of no use.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::clock::{Clock, SystemClock};
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{
    Claim, FileStore, MemoryStore, Store, StoreError, StoreKey, Storing,
};
use steadfast::rotator::{Error, Rotator};
use steadfast::testing::ManualClock;
use steadfast::token::FormatPreference;

use crate::script::{HOUR, SECOND, Script, grant, name, policy, rotator, settle};

#[tokio::test]
async fn rotators_share_a_token_through_a_store() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let start = || rotator(&script, &clock).store(store.clone());
    let (one, two) = (start(), start());
    let (first, second) = tokio::join!(one.token(), two.token());
    assert_eq!(first.unwrap().expose(), second.unwrap().expose());
    assert_eq!(script.requests(), 1);
    clock.advance(2 * HOUR);
    for _ in 0..3 {
        name(&one).await;
        name(&two).await;
        settle().await;
    }
    assert_eq!(script.requests(), 2);
    assert_eq!(name(&one).await, name(&two).await);
    // Failures, too: one budget for all.
    script.set_down(true);
    clock.advance(2 * HOUR);
    for _ in 0..100 {
        name(&start()).await;
        settle().await;
    }
    assert_eq!(script.requests(), 3);
    // Another scope is another token.
    let other = Rotator::new(grant().scope("write"), policy(0))
        .transport(script.clone())
        .clock(Arc::new(clock.clone()))
        .store(store.clone());
    assert!(other.token().await.is_err());
}

#[test]
fn the_format_that_is_asked_for_is_part_of_the_store_key() {
    let key = |format| Rotator::new(grant(), policy(0).with_format(format)).store_key();
    let keys = [
        FormatPreference::PreferJwt,
        FormatPreference::RequireJwt,
        FormatPreference::Opaque,
    ]
    .map(key);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[tokio::test]
async fn rotators_share_nothing_else() {
    let (script, clock) = (Script::default(), ManualClock::default());
    assert_eq!(name(&rotator(&script, &clock)).await, "token-1");
    assert_eq!(name(&rotator(&script, &clock)).await, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_was_stopped_starves_nobody() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let rotator = rotator(&script, &clock).store(store.clone());
    let _held = store
        .try_claim(&rotator.store_key())
        .await
        .unwrap()
        .unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(name(&rotator).await, "token-1");
    assert_eq!(asked.elapsed().as_secs(), 28);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_stopped_after_its_stamp() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let rotator = rotator(&script, &clock).store(store.clone());
    let mut held = store
        .try_claim(&rotator.store_key())
        .await
        .unwrap()
        .unwrap();
    held.write(&stamp(&clock)).await.unwrap();
    assert_eq!(rotator.token().await, Err(Error::Pending));
    assert_eq!(script.requests(), 0);
    // The renewal goes on, and passes the holder by once its stamp is older than 30 s.
    clock.advance(31 * SECOND);
    assert_eq!(name(&rotator).await, "token-1");
    // What the holder writes when it wakes up is older.
    held.write(&stamp(&clock)).await.unwrap();
    let record = store.read(&rotator.store_key()).await.unwrap().unwrap();
    assert_eq!(record.token.unwrap().token.expose(), "token-1");
}

fn stamp(clock: &ManualClock) -> Record {
    Record {
        requested_at: Some(clock.wall()),
        ..Record::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_at_work_is_left_alone() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let rotator = rotator(&script, &clock).store(store.clone());
    let mut held = store
        .try_claim(&rotator.store_key())
        .await
        .unwrap()
        .unwrap();
    held.write(&stamp(&clock)).await.unwrap();
    let waiting = tokio::spawn({
        let rotator = rotator.clone();
        async move { rotator.token().await }
    });
    SystemClock.sleep(10 * SECOND).await;
    assert_eq!(script.requests(), 0);
    drop(held);
    assert_eq!(waiting.await.unwrap().unwrap().expose(), "token-1");

    // With a living token nobody waits for the claim, and nobody asks for it at every call.
    let _held = store
        .try_claim(&rotator.store_key())
        .await
        .unwrap()
        .unwrap();
    clock.advance(2 * HOUR);
    let asked = tokio::time::Instant::now();
    assert_eq!(name(&rotator).await, "token-1");
    settle().await;
    assert_eq!(name(&rotator).await, "token-1");
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!(script.requests(), 1);
}

/// One claim is for a whole file, and its holder may be at work for another client.
#[tokio::test(start_paused = true)]
async fn a_holder_that_works_for_another_client_is_left_alone() {
    let folder = std::env::temp_dir().join(format!("steadfast-stamp-{}", std::process::id()));
    let store = FileStore::open(folder.join("tokens.json")).unwrap();
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock).store(store.clone());
    let other = StoreKey::of([("client", "another")]);
    let mut held = store.try_claim(&other).await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let rotator = rotator.clone();
        async move { rotator.token().await }
    });
    for _ in 0..29 {
        held.write(&stamp(&clock)).await.unwrap();
        SystemClock.sleep(SECOND).await;
        clock.advance(SECOND);
    }
    assert_eq!(script.requests(), 0);
    waiting.await.unwrap().unwrap_err();
    assert_eq!(script.requests(), 0);
    drop(held);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A store where another process issues just before this one gets the claim.
struct Raced {
    store: MemoryStore,
    other: Record,
}

impl Store for Raced {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        self.store.read(key)
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            let claim = self.store.try_claim(key).await?;
            claim.unwrap().write(&self.other).await?;
            self.store.try_claim(key).await
        })
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        self.store.claim_anyway(key)
    }
}

#[tokio::test]
async fn the_store_is_read_again_under_the_claim() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let other = rotator(&script, &clock).store(store.clone());
    name(&other).await;
    let other = store.read(&other.store_key()).await.unwrap().unwrap();
    let store = MemoryStore::new();
    let raced = rotator(&script, &clock).store(Raced { store, other });
    assert_eq!(name(&raced).await, "token-1");
    assert_eq!(script.requests(), 1);
}

/// A store that can be read only, which shows when it is claimed or not before it is written.
#[derive(Clone, Default)]
struct ReadOnly {
    store: MemoryStore,
    claims: bool,
}

fn read_only<T>() -> Result<T, StoreError> {
    Err(StoreError::Unusable("read-only file system".into()))
}

impl Store for ReadOnly {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        self.store.read(key)
    }

    fn try_claim<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            match self.claims {
                true => Ok(Some(Box::new(NoWriting) as Box<dyn Claim>)),
                false => read_only(),
            }
        })
    }

    fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        Box::pin(async { read_only() })
    }
}

struct NoWriting;

impl Claim for NoWriting {
    fn write<'a>(&'a mut self, _: &'a Record) -> Storing<'a, ()> {
        Box::pin(async { read_only() })
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written() {
    for claims in [false, true] {
        let (script, clock, store) = (
            Script::default(),
            ManualClock::default(),
            MemoryStore::new(),
        );
        name(&rotator(&script, &clock).store(store.clone())).await;
        clock.advance(2 * HOUR);
        // With a living token nothing is issued…
        let reader = rotator(&script, &clock).store(ReadOnly { store, claims });
        for _ in 0..10 {
            assert_eq!(name(&reader).await, "token-1");
            settle().await;
        }
        assert_eq!(script.requests(), 1);
        assert!(reader.health().store.is_some());
        assert!(!reader.health().serving_through_outage);
        // …and without one there is no choice.
        clock.advance(10 * HOUR);
        assert_eq!(name(&reader).await, "token-2");
        assert_eq!(
            reader.health().store.unwrap().to_string(),
            "the store cannot be used: read-only file system"
        );
        assert_eq!(name(&reader).await, "token-2");
    }
}

/// A store that takes nothing for a while.
#[derive(Clone, Default)]
struct Full {
    store: MemoryStore,
    full: Arc<AtomicBool>,
}

impl Store for Full {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        self.store.read(key)
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        match self.full.load(Ordering::Relaxed) {
            true => Box::pin(async { Ok(Some(Box::new(NoWriting) as Box<dyn Claim>)) }),
            false => self.store.try_claim(key),
        }
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        self.store.claim_anyway(key)
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_for_a_while_closes_no_gate() {
    let (script, clock, store) = (Script::default(), ManualClock::default(), Full::default());
    let rotator = rotator(&script, &clock).store(store.clone());
    let first = rotator.token().await.unwrap();
    clock.advance(2 * SECOND);
    store.full.store(true, Ordering::Relaxed);
    assert_eq!(rotator.reject(&first).await.unwrap(), first);
    for _ in 0..5 {
        clock.advance(11 * SECOND);
        assert_eq!(name(&rotator).await, "token-1");
        settle().await;
    }
    store.full.store(false, Ordering::Relaxed);
    clock.advance(11 * SECOND);
    name(&rotator).await;
    settle().await;
    let second = rotator.token().await.unwrap();
    assert_eq!(second.expose(), "token-2");
    clock.advance(31 * SECOND);
    assert_eq!(rotator.reject(&second).await.unwrap().expose(), "token-3");
}

/// A store whose writes never end.
struct Stuck;

impl Store for Stuck {
    fn read<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async { Ok(None) })
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async { self.claim_anyway(key).await.map(Some) })
    }

    fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Claim>) })
    }
}

impl Claim for Stuck {
    fn write<'a>(&'a mut self, _: &'a Record) -> Storing<'a, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_costs_no_token() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock).store(Stuck);
    let asked = tokio::time::Instant::now();
    assert_eq!(name(&rotator).await, "token-1");
    assert!(asked.elapsed() <= 2 * SECOND + SECOND / 10);
    let health = rotator.health();
    assert_eq!(health.failing, None);
    assert_eq!(
        health.store.unwrap().to_string(),
        "the store cannot be used: no answer in time"
    );
}
