//! A fork leaves threads, tasks and their claims behind in the parent.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod script;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use script::{HOUR, Script, Step, issues};
use steadfast::rotator::blocking::Rotator;
use steadfast::testing::ManualClock;
use tokio::sync::Notify;

/// Whether `rotator` hands out `wanted` within a minute.
fn comes_to(rotator: &Rotator, wanted: &str) -> bool {
    (0..6000).any(|_| {
        thread::park_timeout(Duration::from_millis(10));
        rotator.token().is_ok_and(|it| it.expose() == wanted)
    })
}

/// The exit status of a child that runs `work`, forked here and now.
#[track_caller]
fn in_a_child(work: impl FnOnce() -> bool) -> i32 {
    match fork::fork().unwrap() {
        fork::Fork::Child => std::process::exit(if work() { 7 } else { 8 }),
        fork::Fork::Parent(child) => fork::waitpid(child).unwrap() >> 8,
    }
}

// One test alone, since whatever another one does at the moment of the fork is cut short.
#[test]
fn the_child_renews_for_itself() {
    let gate = Arc::new(Notify::new());
    let hangs = Step::Waits(gate.clone());
    let script = Script::of([issues("first"), hangs, issues("childs")]);
    let clock = ManualClock::default();
    let rotator = Rotator::from(script::rotator(&script, &clock));
    assert_eq!(rotator.token().unwrap().expose(), "first");
    assert_eq!(in_a_child(|| comes_to(&rotator, "first")), 7, "fresh");

    // Due, and the renewal of the parent is under way when it forks.
    clock.advance(2 * HOUR);
    assert_eq!(rotator.token().unwrap().expose(), "first");
    while script.requests() < 2 {
        thread::yield_now();
    }
    assert_eq!(in_a_child(|| comes_to(&rotator, "childs")), 7);
    assert_eq!(script.requests(), 2, "in this process");
    gate.notify_one();
    assert!(comes_to(&rotator, "waited-for"));

    // The parent's renewal and its background task hold nobody up where there is no token, either.
    let hung = Step::Waits(gate);
    let script = Script::of([hung, issues("childs")]);
    let rotator = Rotator::from(script::rotator(&script, &clock));
    rotator.run().unwrap();
    while script.requests() < 1 {
        thread::yield_now();
    }
    assert_eq!(in_a_child(|| comes_to(&rotator, "childs")), 7);
}
