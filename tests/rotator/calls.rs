//! What a call does: served at once, renewed behind, waited for.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use steadfast::clock::Clock;
use steadfast::rotator::error::Reason;
use steadfast::rotator::store::MemoryStore;
use steadfast::rotator::{Error, Rotator};
use steadfast::testing::ManualClock;
use steadfast::token::Token;
use tokio::sync::Notify;

use crate::script::{
    HOUR, MINUTE, SECOND, Script, Step, grant, issues, name, policy, reason, rotator, settle,
};

#[tokio::test]
async fn one_token_for_all_operations() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let rotator = rotator.clone();
        callers.spawn(async move { rotator.token().await.unwrap() });
    }
    let tokens: Vec<Arc<Token>> = callers.join_all().await;
    assert!(tokens.iter().all(|it| it.expose() == "token-1"));
    clock.advance(HOUR - SECOND);
    assert_eq!(name(&rotator).await, "token-1");
    assert_eq!(script.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_renewal_for_all_threads() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    for round in 1..=50 {
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let rotator = rotator.clone();
            callers.spawn(async move { rotator.token().await.unwrap() });
        }
        callers.join_all().await;
        while rotator.health().rotate_at.unwrap() <= clock.wall() {
            rotator.token().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(script.requests(), round);
        clock.advance(2 * HOUR);
    }
}

#[tokio::test]
async fn a_due_token_is_served_and_renewed_behind() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    name(&rotator).await;
    clock.advance(2 * HOUR);
    for _ in 0..10 {
        assert_eq!(name(&rotator).await, "token-1");
    }
    settle().await;
    assert_eq!(name(&rotator).await, "token-2");
    assert_eq!(script.requests(), 2);
}

#[tokio::test]
async fn the_fresh_path_does_not_yield() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    name(&rotator).await;
    let mut call = std::pin::pin!(rotator.token());
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn an_outage_of_ten_hours_costs_no_call() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = Rotator::new(grant(), policy(1))
        .transport(script.clone())
        .clock(Arc::new(clock.clone()));
    name(&rotator).await;
    // The worst moment: the next rotation would have been due now.
    clock.advance(HOUR - SECOND);
    script.set_down(true);
    for minute in 0..10 * 60 {
        assert_eq!(name(&rotator).await, "token-1", "minute {minute}");
        settle().await;
        clock.advance(MINUTE);
        settle().await;
    }
    // An attempt every ten minutes, once the pause has grown, of two requests each.
    let requests = script.requests() - 1;
    assert!((100..=160).contains(&requests), "{requests} requests");
    let health = rotator.health();
    assert!(health.serving_through_outage);
    assert_eq!(health.failing.unwrap().reason, Reason::NoConnection);
    script.set_down(false);
    clock.advance(10 * MINUTE);
    assert_eq!(name(&rotator).await, "token-1");
    settle().await;
    assert_eq!(name(&rotator).await, "token-2");
    assert!(!rotator.health().serving_through_outage);
}

#[tokio::test]
async fn an_outage_beyond_the_tokens_life() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    name(&rotator).await;
    clock.advance(2 * HOUR);
    script.set_down(true);
    name(&rotator).await;
    settle().await;
    clock.advance(10 * HOUR);
    let down = rotator.token().await.unwrap_err();
    let failing = down.failing().unwrap().clone();
    assert!(matches!(down, Error::Unavailable(_)));
    assert_eq!(failing.since, clock.wall().minus(10 * HOUR));
    assert_eq!(failing.attempts, 2);
    assert!(failing.next_attempt > clock.wall());
    // At once, and without a request, until the pause is over.
    let requests = script.requests();
    assert!(rotator.token().await.is_err());
    assert_eq!(script.requests(), requests);
    script.set_down(false);
    clock.advance(30 * SECOND);
    assert_eq!(name(&rotator).await, "token-2");
}

#[tokio::test]
async fn nearly_expired_calls_wait_for_the_renewal() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    name(&rotator).await;
    clock.advance(12 * HOUR - 10 * SECOND);
    assert_eq!(name(&rotator).await, "token-2");
    // Should it fail, the latest is served at once.
    clock.advance(12 * HOUR - 10 * SECOND);
    script.set_down(true);
    assert_eq!(name(&rotator).await, "token-2");
    assert_eq!(name(&rotator).await, "token-2");
    assert_eq!(script.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers() {
    let script = Script::of([issues("first"), Step::Hangs, Step::Hangs]);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    name(&rotator).await;
    clock.advance(12 * HOUR - 4 * SECOND);
    let asked = tokio::time::Instant::now();
    assert_eq!(name(&rotator).await, "first");
    assert_eq!(asked.elapsed().as_secs(), 2, "half of what is left");
    clock.advance(10 * SECOND);
    // The renewal has its own deadline, and its end is everyone's answer.
    let late = rotator.token().await.unwrap_err();
    assert_eq!(reason(&late), Reason::Deadline);
    assert!((20..=25).contains(&asked.elapsed().as_secs()));
}

#[tokio::test]
async fn a_cancelled_caller_loses_nothing() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    {
        let mut call = std::pin::pin!(rotator.token());
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    settle().await;
    assert_eq!(name(&rotator).await, "token-1");
    assert_eq!(script.requests(), 1);
}

#[tokio::test]
async fn a_renewal_outlives_its_rotator() {
    let gate = Arc::new(Notify::new());
    let script = Script::of([Step::Waits(gate.clone())]);
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let dropped = rotator(&script, &clock).store(store.clone());
    {
        let mut call = std::pin::pin!(dropped.token());
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    settle().await;
    assert_eq!(script.requests(), 1);
    drop(dropped);
    gate.notify_one();
    settle().await;
    let next = rotator(&script, &clock).store(store);
    assert_eq!(name(&next).await, "waited-for");
    assert_eq!(script.requests(), 1);
}

#[tokio::test]
async fn a_transport_that_panics() {
    let script = Script::of([Step::Panics]);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    let (one, two) = tokio::join!(rotator.token(), rotator.token());
    assert_eq!(reason(&one.unwrap_err()), Reason::BrokenOff);
    assert_eq!(reason(&two.unwrap_err()), Reason::BrokenOff);
    clock.advance(2 * SECOND);
    assert_eq!(name(&rotator).await, "token-1");
}

#[test]
fn a_runtime_that_is_gone() {
    let script = Script::of([Step::Hangs]);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async {
        let rotator = rotator.clone();
        tokio::spawn(async move { rotator.token().await });
        settle().await;
    });
    assert_eq!(script.requests(), 1);
    drop(first);
    assert_eq!(rotator.health().failing.unwrap().reason, Reason::BrokenOff);
    clock.advance(2 * SECOND);
    assert_eq!(runtime().block_on(name(&rotator)), "token-1");
}

#[test]
fn outside_a_runtime() {
    fn poll(rotator: &Rotator) -> Poll<Result<Arc<Token>, Error>> {
        let mut call = std::pin::pin!(rotator.token());
        call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    assert_eq!(poll(&rotator), Poll::Ready(Err(Error::NoRuntime)));
    assert_eq!(script.requests(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(name(&rotator));
    assert!(matches!(poll(&rotator), Poll::Ready(Ok(_))));
    clock.advance(2 * HOUR);
    for moment in ["due", "nearly expired"] {
        assert!(matches!(poll(&rotator), Poll::Ready(Ok(_))), "{moment}");
        clock.advance(10 * HOUR - SECOND);
    }
}

#[test]
fn a_runtime_without_timers() {
    let rotator = rotator(&Script::default(), &ManualClock::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let error = runtime.block_on(rotator.token()).unwrap_err();
    assert_eq!(reason(&error), Reason::BrokenOff);
}
