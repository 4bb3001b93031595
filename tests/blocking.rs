//! The rotator without a runtime.
#![cfg(all(feature = "blocking", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod script;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use script::{DOWN, HOUR, MINUTE, SECOND, Script, Step, issues, reason};
use steadfast::clock::Clock;
use steadfast::rotator::Health;
use steadfast::rotator::blocking::Rotator;
use steadfast::rotator::error::Reason;
use steadfast::rotator::store::{MemoryStore, Store as _};
use steadfast::testing::ManualClock;
use tokio::sync::Notify;

fn rotator(script: &Script, clock: &ManualClock) -> Rotator {
    script::rotator(script, clock).into()
}

#[track_caller]
fn name(rotator: &Rotator) -> String {
    rotator.token().unwrap().expose().to_owned()
}

/// Waits for what happens on the rotator's thread, and fails if it never does.
#[track_caller]
fn until(what: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if what() {
            return;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    panic!("it never happened");
}

/// The threads of this process that belong to rotators.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    names.filter(|it| it == "steadfast\n").count()
}

#[test]
fn one_token_for_all_threads() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    for round in 1..=20 {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| name(&rotator));
            }
        });
        until(|| {
            name(&rotator);
            rotator.health().rotate_at.unwrap() > clock.wall()
        });
        assert_eq!(name(&rotator), format!("token-{round}"));
        assert_eq!(script.requests(), round);
        clock.advance(2 * HOUR);
    }
}

#[test]
fn a_due_token_is_served_and_renewed_behind() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    assert_eq!(name(&rotator), "token-1");
    clock.advance(2 * HOUR);
    assert_eq!(name(&rotator), "token-1");
    until(|| name(&rotator) == "token-2");
    assert_eq!(script.requests(), 2);
}

#[test]
fn nearly_expired_calls_wait_for_the_renewal() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    name(&rotator);
    clock.advance(12 * HOUR - 10 * SECOND);
    assert_eq!(name(&rotator), "token-2");
    // Should it fail, the latest is served at once.
    clock.advance(12 * HOUR - 10 * SECOND);
    script.set_down(true);
    assert_eq!(name(&rotator), "token-2");
    assert_eq!(name(&rotator), "token-2");
    assert_eq!(script.requests(), 3);
}

#[test]
fn a_service_that_never_answers_costs_half_of_what_is_left() {
    let script = Script::of([issues("first"), Step::Hangs]);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    name(&rotator);
    clock.advance(12 * HOUR - SECOND / 5);
    assert_eq!(name(&rotator), "first");
    clock.advance(HOUR);
    // What hangs is waited for by nobody who drops the rotator.
    assert_eq!(script.requests(), 2);
}

#[test]
fn an_error_says_why_and_pauses_hold() {
    let (script, clock) = (Script::of([DOWN]), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let down = rotator.token().unwrap_err();
    assert_eq!(reason(&down), Reason::NoConnection);
    assert_eq!(rotator.token().unwrap_err(), down);
    assert_eq!(script.requests(), 1);
    clock.advance(2 * SECOND);
    assert_eq!(name(&rotator), "token-1");
}

#[test]
fn a_transport_that_panics() {
    let (script, clock) = (Script::of([Step::Panics]), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let broken = rotator.token().unwrap_err();
    assert_eq!(reason(&broken), Reason::BrokenOff);
    clock.advance(2 * SECOND);
    assert_eq!(name(&rotator), "token-1");
}

#[test]
fn a_401_renews_once() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let first = rotator.token().unwrap();
    clock.advance(MINUTE);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(rotator.reject(&first).unwrap().expose(), "token-2"));
        }
    });
    assert_eq!(script.requests(), 2);
    script.set_down(true);
    clock.advance(MINUTE);
    let latest = rotator.token().unwrap();
    // The former one was refused, too: the latest is the last resort.
    assert_eq!(rotator.reject(&latest).unwrap(), latest);
}

#[test]
fn one_shot() {
    let (script, clock, store) = (
        Script::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let once = || {
        let rotator = Rotator::from(script::rotator(&script, &clock).store(store.clone()));
        let token = rotator.token_once(Duration::ZERO);
        token.map(|it| it.expose().to_owned())
    };
    assert_eq!(once().unwrap(), "token-1");
    assert_eq!(once().unwrap(), "token-1");
    clock.advance(2 * HOUR);
    assert_eq!(once().unwrap(), "token-2");
    clock.advance(12 * HOUR);
    script.set_down(true);
    assert!(once().is_err());
    assert_eq!(script.requests(), 3);
}

#[test]
fn inside_a_runtime() {
    let flavors = [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ];
    for mut flavor in flavors {
        let runtime = flavor.enable_all().build().unwrap();
        runtime.block_on(async {
            let (script, clock) = (Script::default(), ManualClock::default());
            let rotator = rotator(&script, &clock);
            assert_eq!(name(&rotator), "token-1");
            clock.advance(2 * HOUR);
            name(&rotator);
            until(|| name(&rotator) == "token-2");
            // Dropped there, too.
            drop(rotator);
        });
        let in_a_task = runtime.spawn(async {
            let rotator = rotator(&Script::default(), &ManualClock::default());
            name(&rotator)
        });
        assert_eq!(runtime.block_on(in_a_task).unwrap(), "token-1");
    }
}

#[test]
fn shared_with_the_async_one() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let other = script::rotator(&script, &clock);
    let rotator = Rotator::from(other.clone());
    assert_eq!(name(&rotator), "token-1");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(script::name(&other)), "token-1");
    assert_eq!(other.store_key(), rotator.store_key());
    assert_eq!(script.requests(), 1);
}

#[test]
fn the_fresh_path_allocates_nothing() {
    let rotator = rotator(&Script::default(), &ManualClock::default());
    // The first loads of a thread allocate.
    let _tokens = [rotator.token(), rotator.token()];
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            rotator.token().unwrap();
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn rotation_while_nobody_calls() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    rotator.run().unwrap();
    rotator.run().unwrap();
    let awaits_rotation = |health: Health| {
        health.rotate_at.is_some_and(|it| it > clock.wall()) && clock.sleepers() == 1
    };
    for _ in 0..6 * 60 {
        until(|| awaits_rotation(rotator.health()));
        clock.advance(MINUTE);
    }
    until(|| awaits_rotation(rotator.health()));
    let requests = script.requests();
    assert!((3..=7).contains(&requests), "{requests} in six hours");
    rotator.stop();
    until(|| clock.sleepers() == 0);
    clock.advance(24 * HOUR);
    assert_eq!(script.requests(), requests);
    // And on again.
    rotator.run().unwrap();
    until(|| script.requests() > requests);
}

#[test]
#[cfg(target_os = "linux")]
fn the_last_handle_ends_the_thread() {
    // In a process of its own, since other tests have threads of the same name.
    if std::env::var_os("STEADFAST_TEST_ALONE").is_none() {
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_last_handle_ends_the_thread"])
            .env("STEADFAST_TEST_ALONE", "1")
            .output()
            .unwrap();
        assert!(alone.status.success(), "{alone:?}");
        return;
    }
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    assert_eq!(threads(), 0, "none before it is needed");
    rotator.run().unwrap();
    name(&rotator);
    let other = rotator.clone();
    assert_eq!(threads(), 1);
    drop(rotator);
    name(&other);
    assert_eq!(threads(), 1);
    drop(other);
    until(|| threads() == 0);
}

#[test]
fn a_renewal_asked_for_right_before_the_last_handle_goes_is_made() {
    let (script, clock) = (Script::default(), ManualClock::default());
    for requests in (2..=40).step_by(2) {
        let rotator = rotator(&script, &clock);
        name(&rotator);
        clock.advance(2 * HOUR);
        name(&rotator);
        drop(rotator);
        until(|| script.requests() == requests);
    }
}

#[test]
fn a_renewal_under_way_outlives_the_last_handle() {
    let gate = Arc::new(Notify::new());
    let script = Script::of([issues("first"), Step::Waits(gate.clone())]);
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let rotator = Rotator::from(script::rotator(&script, &clock).store(store.clone()));
    let key = rotator.store_key();
    let stored = || {
        let mut read = store.read(&key);
        let polled = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(Some(record))) = polled else {
            panic!("the store is in memory");
        };
        record.token.unwrap().token.expose().to_owned()
    };
    name(&rotator);
    clock.advance(2 * HOUR);
    assert_eq!(name(&rotator), "first");
    until(|| script.requests() == 2);
    drop(rotator);
    assert_eq!(stored(), "first");
    gate.notify_one();
    until(|| stored() == "waited-for");
}
