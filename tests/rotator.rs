//! The rotator as a whole: a clock that is moved by hand, and answers by script or by the embedded
//! service.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast::clock::{Clock, SystemClock, Timestamp};
use steadfast::policy::{Finding, IssuancePolicy};
use steadfast::rotator::error::{Class, IssueError, Reason};
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{
    Claim, CredentialTag, MemoryStore, Store, StoreError, StoreKey, Storing,
};
use steadfast::rotator::{Answer, ClientCredentials, Error, Grant, Health, Preset, Rotator, Try};
use steadfast::testing::{self, Fault, ManualClock, OAuthService, RegisteredClient, ServiceConfig};
use steadfast::token::{FormatPreference, Token};
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What the service does next.
#[derive(Clone, Debug)]
enum Step {
    /// Status, `Retry-After`, body.
    Answer(u16, Option<u64>, String),
    Fails(TransportError),
    Panics,
    Hangs,
}

fn issues(token: &str) -> Step {
    let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":43200}}"#);
    Step::Answer(200, None, body)
}

fn error(status: u16, code: &str) -> Step {
    Step::Answer(status, None, format!(r#"{{"error":"{code}"}}"#))
}

fn busy(retry_after: u64) -> Step {
    Step::Answer(429, Some(retry_after), String::new())
}

const DOWN: Step = Step::Fails(TransportError::Connect);

/// Answers by script; once that is over, issues `token-1`, `token-2`, … or stays down.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Played>>);

#[derive(Default)]
struct Played {
    steps: VecDeque<Step>,
    down: bool,
    requests: Vec<String>,
    issued: u32,
}

impl Script {
    fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().steps.extend(steps);
        script
    }

    fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    fn bodies(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }

    fn next(&self, body: String) -> Step {
        let mut played = self.0.lock().unwrap();
        played.requests.push(body);
        match played.steps.pop_front() {
            Some(step) => step,
            None if played.down => DOWN,
            None => {
                played.issued += 1;
                issues(&format!("token-{}", played.issued))
            }
        }
    }
}

impl Transport for Script {
    fn send<'a>(
        &'a self,
        _: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        _: usize,
    ) -> Sending<'a> {
        let step = self.next(String::from_utf8(request.into_body()).unwrap());
        Box::pin(async move {
            match step {
                Step::Answer(status, retry_after, body) => {
                    let mut answer = http::Response::builder().status(status);
                    if let Some(seconds) = retry_after {
                        answer = answer.header("retry-after", seconds);
                    }
                    Ok(answer.body(body.into_bytes()).unwrap())
                }
                Step::Fails(error) => Err(error),
                Step::Panics => panic!("a transport that panics"),
                Step::Hangs => std::future::pending().await,
            }
        })
    }
}

fn grant() -> ClientCredentials {
    ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap()
}

fn policy(retries: u8) -> IssuancePolicy {
    IssuancePolicy::default().with_retries(retries).unwrap()
}

/// A rotator without retries, so that a failed attempt is one request and needs no waiting.
fn rotator(script: &Script, clock: &ManualClock) -> Rotator {
    Rotator::new(grant(), policy(0))
        .transport(script.clone())
        .clock(Arc::new(clock.clone()))
}

/// Lets everything run that does not wait for a clock: nothing here does I/O.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn name(rotator: &Rotator) -> String {
    rotator.token().await.unwrap().expose().to_owned()
}

fn reason(error: &Error) -> Reason {
    error.failing().unwrap().reason.clone()
}

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

#[tokio::test]
async fn rotation_while_nobody_calls() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let handle = rotator.handle();
    let task = tokio::spawn(rotator.clone().run());
    for _ in 0..24 * 60 {
        clock.until_sleepers(1).await;
        assert!(clock.next_wakeup().unwrap() <= MINUTE);
        clock.advance(MINUTE);
        settle().await;
    }
    let requests = script.requests();
    assert!((12..=25).contains(&requests), "{requests} in a day");
    assert!(rotator.health().rotate_at.unwrap() > clock.wall());
    handle.stop();
    task.await.unwrap();
    clock.advance(24 * HOUR);
    settle().await;
    assert_eq!(script.requests(), requests);
}

#[tokio::test]
async fn the_background_task_outlives_a_permanent_error() {
    let refusals = std::iter::repeat_n(error(401, "invalid_client"), 60);
    let script = Script::of(refusals);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    let _task = tokio::spawn(rotator.clone().run());
    for _ in 0..6 * 60 {
        clock.until_sleepers(1).await;
        clock.advance(MINUTE);
        settle().await;
    }
    let requests = script.requests();
    assert!((30..=50).contains(&requests), "{requests} in six hours");
    let refused = rotator.token().await.unwrap_err();
    assert!(refused.is_refusal());
    for _ in 0..6 * 60 {
        clock.until_sleepers(1).await;
        clock.advance(MINUTE);
        settle().await;
    }
    assert!(rotator.token().await.is_ok());
}

/// Runs one call while the clock moves on in steps of half a second.
async fn call_in_time(rotator: &Rotator, clock: &ManualClock) -> Result<Arc<Token>, Error> {
    let call = tokio::spawn({
        let rotator = rotator.clone();
        async move { rotator.token().await }
    });
    while !call.is_finished() {
        settle().await;
        clock.advance(SECOND / 2);
        settle().await;
    }
    call.await.unwrap()
}

#[tokio::test]
async fn retries_are_few_and_for_a_reason() {
    let odd = || Step::Answer(200, None, "<html>".into());
    for (retries, steps, requests, succeeds) in [
        (1, vec![DOWN], 2, true),
        (2, vec![DOWN, DOWN], 3, true),
        (2, vec![DOWN, DOWN, DOWN], 3, false),
        (1, vec![DOWN, DOWN], 2, false),
        (0, vec![DOWN], 1, false),
        (2, vec![Step::Fails(TransportError::Timeout)], 2, true),
        (2, vec![Step::Fails(TransportError::Broken)], 1, false),
        (2, vec![Step::Answer(503, None, String::new())], 2, true),
        (
            2,
            vec![Step::Answer(503, Some(60), String::new())],
            1,
            false,
        ),
        (2, vec![Step::Answer(408, None, String::new())], 2, true),
        (2, vec![Step::Answer(404, None, String::new())], 1, false),
        (2, vec![Step::Answer(302, None, String::new())], 1, false),
        (2, vec![busy(3)], 2, true),
        (2, vec![busy(6)], 1, false),
        (2, vec![Step::Answer(429, None, String::new())], 1, false),
        (2, vec![error(401, "invalid_client")], 1, false),
        (2, vec![error(500, "server_error")], 2, true),
        (2, vec![odd()], 1, false),
    ] {
        let label = format!("{steps:?}");
        let (script, clock) = (Script::of(steps), ManualClock::default());
        let rotator = Rotator::new(grant(), policy(retries))
            .transport(script.clone())
            .clock(Arc::new(clock.clone()));
        let outcome = call_in_time(&rotator, &clock).await;
        assert_eq!(outcome.is_ok(), succeeds, "{label}");
        assert_eq!(script.requests(), requests, "{label}");
    }
}

#[tokio::test]
async fn each_request_is_preceded_by_a_stamp() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let rotator = Rotator::new(grant(), policy(1))
        .transport(Script::of([DOWN, Step::Hangs]))
        .clock(Arc::new(clock.clone()))
        .store(store.clone());
    let _call = tokio::spawn({
        let rotator = rotator.clone();
        async move { rotator.token().await }
    });
    for _ in 0..2 {
        settle().await;
        let record = store.read(&rotator.store_key()).await.unwrap().unwrap();
        assert_eq!(record.requested_at, Some(clock.wall()));
        clock.advance(2 * SECOND);
    }
}

#[tokio::test]
async fn tokens_that_live_for_half_a_second() {
    let body = r#"{"access_token":"brief","token_type":"bearer","expires_in":0.5}"#;
    let script = Script::of([Step::Answer(200, None, body.into())]);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    assert_eq!(name(&rotator).await, "brief");
    clock.advance(SECOND / 2);
    let call = tokio::spawn(async move { name(&rotator).await });
    settle().await;
    assert_eq!(script.requests(), 1, "a second lies between two issues");
    clock.advance(SECOND / 2);
    assert_eq!(call.await.unwrap(), "token-1");
}

/// A grant whose secret is replaced.
struct Replaced {
    grant: ClientCredentials,
    secret: Arc<Mutex<&'static str>>,
}

impl Grant for Replaced {
    fn endpoint(&self) -> &Endpoint {
        self.grant.endpoint()
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        self.grant.facts()
    }

    fn credential(&self, key: &StoreKey) -> CredentialTag {
        CredentialTag::of(key, self.secret.lock().unwrap().as_bytes())
    }

    fn can_ask_for_jwt(&self) -> bool {
        false
    }

    fn request(&self, this: &Try) -> Result<http::Request<Vec<u8>>, IssueError> {
        self.grant.request(this)
    }

    fn read(&self, this: &Try, response: &http::Response<Vec<u8>>) -> Result<Answer, IssueError> {
        self.grant.read(this, response)
    }
}

#[tokio::test]
async fn a_secret_that_is_replaced() {
    let script = Script::of([error(401, "invalid_client"), error(401, "invalid_client")]);
    let (clock, secret) = (ManualClock::default(), Arc::new(Mutex::new("wrong")));
    let replaced = Replaced {
        grant: grant(),
        secret: secret.clone(),
    };
    let rotator = Rotator::new(replaced, policy(0))
        .transport(script.clone())
        .clock(Arc::new(clock.clone()));
    let _task = tokio::spawn(rotator.clone().run());
    settle().await;
    clock.advance(72 * SECOND);
    settle().await;
    assert_eq!(script.requests(), 2);
    // A pause of two minutes has begun; the background task looks again within one.
    *secret.lock().unwrap() = "right";
    clock.advance(MINUTE);
    settle().await;
    assert_eq!(name(&rotator).await, "token-1");
    // The token of a secret that was replaced is replaced, too.
    *secret.lock().unwrap() = "newer";
    clock.advance(MINUTE);
    settle().await;
    assert_eq!(name(&rotator).await, "token-2");
}

#[tokio::test]
async fn a_corrected_secret_is_tried_at_the_next_call() {
    let script = Script::of([error(401, "invalid_client")]);
    let secret = Arc::new(Mutex::new("wrong"));
    let replaced = Replaced {
        grant: grant(),
        secret: secret.clone(),
    };
    let rotator = Rotator::new(replaced, policy(0)).transport(script.clone());
    assert!(rotator.token().await.unwrap_err().is_refusal());
    assert!(rotator.token().await.unwrap_err().is_refusal());
    assert_eq!(script.requests(), 1, "the pause holds");
    *secret.lock().unwrap() = "right";
    assert_eq!(name(&rotator).await, "token-1");
}

#[tokio::test]
async fn plain_http_is_a_finding() {
    for (url, plain) in [
        ("http://idp.mesh/token", true),
        ("https://idp.mesh/token", false),
        ("http://127.0.0.1/token", false),
    ] {
        let endpoint = Endpoint::allowing_http_to("idp.mesh", url).unwrap();
        let grant = ClientCredentials::at(endpoint, "orders", "s3cret");
        let rotator = Rotator::new(grant, policy(0)).transport(Script::default());
        rotator.token().await.unwrap();
        let findings = rotator.health().findings;
        assert_eq!(findings.contains(&Finding::PlainHttp), plain, "{url}");
    }
}

#[tokio::test]
async fn retry_after_lifts_the_pause() {
    let script = Script::of([busy(120), busy(7200), DOWN]);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    for wait in [120, 600] {
        let busy = rotator.token().await.unwrap_err();
        let pause = busy.failing().unwrap().next_attempt.since(clock.wall());
        assert_eq!(pause.as_secs(), wait);
        clock.advance(pause);
    }
}

#[tokio::test]
async fn a_format_that_is_refused_is_not_asked_for() {
    let refusal = || error(400, "invalid_request");
    let asks = |script: &Script| -> Vec<bool> {
        let bodies = script.bodies();
        bodies
            .iter()
            .map(|it| it.contains("token_format"))
            .collect()
    };
    let start = |script: &Script, retries: u8, clock: &ManualClock| {
        Rotator::new(grant().preset(Preset::Neo), policy(retries))
            .transport(script.clone())
            .clock(Arc::new(clock.clone()))
    };
    let (script, clock) = (Script::of([refusal()]), ManualClock::default());
    let rotator = start(&script, 1, &clock);
    assert_eq!(name(&rotator).await, "token-1");
    clock.advance(2 * HOUR);
    name(&rotator).await;
    settle().await;
    assert_eq!(
        asks(&script),
        [true, false, true],
        "again at the next rotation"
    );

    // Without a retry to spend, the next attempt goes without.
    let (script, clock) = (Script::of([refusal()]), ManualClock::default());
    let rotator = start(&script, 0, &clock);
    assert!(rotator.token().await.is_err());
    clock.advance(2 * MINUTE);
    assert_eq!(name(&rotator).await, "token-1");
    assert_eq!(asks(&script), [true, false]);
}

#[tokio::test]
async fn opaque_tokens_where_jwts_are_required() {
    let strict = policy(0).with_format(FormatPreference::RequireJwt);
    let rotator = Rotator::new(grant(), strict)
        .transport(Script::default())
        .clock(Arc::new(ManualClock::default()));
    assert!(matches!(rotator.token().await, Err(Error::Opaque(_))));
}

#[tokio::test]
async fn a_401_renews_once() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let first = rotator.token().await.unwrap();
    clock.advance(MINUTE);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (rotator, first) = (rotator.clone(), first.clone());
        callers.spawn(async move { rotator.reject(&first).await.unwrap() });
    }
    let tokens = callers.join_all().await;
    assert!(tokens.iter().all(|it| it.expose() == "token-2"));
    // A storm for a minute, whatever is issued.
    for _ in 0..60 {
        let latest = rotator.token().await.unwrap();
        rotator.reject(&latest).await.unwrap();
        clock.advance(SECOND);
    }
    assert_eq!(script.requests(), 3, "and one more after 30 s");
    // If nothing newer can be had, the old one is the last resort.
    script.set_down(true);
    clock.advance(MINUTE);
    let latest = rotator.token().await.unwrap();
    assert_eq!(rotator.reject(&latest).await.unwrap(), latest);
}

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
    script.0.lock().unwrap().steps.push_back(Step::Hangs);
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
    script.0.lock().unwrap().steps.push_back(Step::Hangs);
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

#[tokio::test]
async fn errors_have_pinned_texts() {
    let clock = ManualClock::new(Timestamp::from_secs(1_795_570_010));
    let text = |steps: Vec<Step>, format| {
        let rotator = Rotator::new(grant(), policy(0).with_format(format))
            .transport(Script::of(steps))
            .clock(Arc::new(clock.clone()));
        async move {
            let text = rotator.token().await.unwrap_err().to_string();
            // The pause is random.
            let (fixed, next) = text.rsplit_once(' ').unwrap();
            assert!(next.starts_with("2026-11-25T01:2"), "{next}");
            fixed.to_owned()
        }
    };
    let prefer = FormatPreference::PreferJwt;
    assert_eq!(
        text(vec![DOWN], prefer).await,
        "no token could be issued since 2026-11-25T01:26:50Z: no connection; next attempt at"
    );
    assert_eq!(
        text(vec![error(401, "invalid_client")], prefer).await,
        "the service refuses this client since 2026-11-25T01:26:50Z: \
         invalid_client (status 401); next attempt at"
    );
    assert_eq!(
        text(vec![issues("opaque")], FormatPreference::RequireJwt).await,
        "no JWT could be had since 2026-11-25T01:26:50Z: \
         an opaque token where a JWT is required; next attempt at"
    );
    let reasons = [
        (Reason::NoConnection, "no connection"),
        (Reason::NoAnswer, "no answer in time"),
        (Reason::Broken, "the answer broke off"),
        (Reason::NoTls, "TLS is not available"),
        (Reason::Status { status: 502 }, "status 502"),
        (Reason::Unreadable, "an answer without a usable token"),
        (Reason::TokenType, "a token that is not a bearer token"),
        (
            Reason::ExpiredOnArrival,
            "a token that was expired when it came",
        ),
        (Reason::SameToken, "the same token again"),
        (Reason::NoCredential, "the credential is not to be had"),
        (Reason::Deadline, "the attempt took too long"),
        (Reason::BrokenOff, "the renewal broke off"),
        (
            Reason::StoreBusy,
            "another process holds the store and issues nothing",
        ),
    ];
    for (reason, text) in reasons {
        assert_eq!(reason.to_string(), text);
    }
    assert_eq!(
        Error::Pending.to_string(),
        "no token was issued in time, the renewal goes on"
    );
    assert_eq!(
        Error::NoRuntime.to_string(),
        "issuing a token needs a tokio runtime"
    );
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let rotator = rotator(
        &Script::of([issues("s3cret-token")]),
        &ManualClock::default(),
    );
    let token = rotator.token().await.unwrap();
    let text = format!("{rotator:?} {rotator:#?} {token:?} {:?}", rotator.health());
    assert!(!text.contains("s3cret"), "{text}");
    let refused = Script::of([error(400, "s3cret says no")]);
    let refused = Rotator::new(grant(), policy(0)).transport(refused);
    let error = refused.token().await.unwrap_err();
    assert_eq!(error.failing().unwrap().class, Class::Transient);
    assert!(!format!("{error} {error:?}").contains("says no"));
}

/// Completes once an attempt has failed and is followed by its pause.
async fn landed(rotator: &Rotator, clock: &ManualClock) {
    let paused = |health: Health| {
        health
            .failing
            .is_some_and(|it| it.next_attempt > clock.wall())
    };
    while rotator.health().rotate_at.unwrap() <= clock.wall() && !paused(rotator.health()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_embedded_service_goes_down_and_comes_back() {
    let clock = ManualClock::default();
    let client = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(client).clock(clock.clone());
    let service = OAuthService::start(config).await.unwrap();
    let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant.preset(Preset::Neo), policy(0)).clock(Arc::new(clock.clone()));
    let first = rotator.token().await.unwrap();
    assert_eq!(first.format.to_string(), "jwt");
    assert_eq!(first.lifetime(), 12 * HOUR);
    service.fault(Fault::down());
    for _ in 0..11 * 6 {
        clock.advance(10 * MINUTE);
        assert_eq!(rotator.token().await.unwrap(), first);
        landed(&rotator, &clock).await;
    }
    assert_eq!(service.counters().succeeded(testing::Endpoint::Token), 1);
    service.clear_faults();
    // Inside the margin a call waits for the renewal that is under way.
    clock.advance(HOUR - 10 * SECOND);
    let second = rotator.token().await.unwrap();
    assert_ne!(second, first);
    assert_eq!(service.counters().succeeded(testing::Endpoint::Token), 2);
    service.stop().await;
}
