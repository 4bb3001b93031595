//! Moments of a rotator that are easily got wrong: pauses at the end of a token's life, clocks that
//! run ahead, stores that are slow, answers that mislead.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use script::{HOUR, MINUTE, SECOND, Script, Step, grant, issues, name, policy, rotator, settle};
use steadfast::clock::{Clock, Now, SystemClock, Timestamp};
use steadfast::policy::{Finding, IssuancePolicy};
use steadfast::rotator::error::{IssueError, Reason};
use steadfast::rotator::state::{Action, Gate, Record, State};
use steadfast::rotator::store::{Claim, CredentialTag, MemoryStore, Store, StoreKey, Storing};
use steadfast::rotator::{Answer, ClientAuth, ClientCredentials, Preset, Rotator};
use steadfast::testing::ManualClock;
use steadfast::token::{AccessToken, LifetimeSource, Token, TokenFormat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const START: Now = Now {
    wall: Timestamp::from_secs(1_795_570_010),
    boot: Duration::from_secs(1000),
};

fn after(now: Now, by: Duration) -> Now {
    Now {
        wall: now.wall.plus(by),
        boot: now.boot + by,
    }
}

fn empty() -> State {
    let credential = CredentialTag::of(&StoreKey::of([("client", "orders")]), b"s3cret");
    State::new(IssuancePolicy::default(), credential)
}

fn jwt(name: &str, asked: Now, lifetime: Duration) -> Answer {
    Answer {
        token: Token {
            access_token: AccessToken::new(name).unwrap(),
            format: TokenFormat::Jwt,
            issued_at: asked.wall,
            expires_at: asked.wall.plus(lifetime),
            lifetime_source: LifetimeSource::ExpiresIn,
            scope: None,
        },
        rotate_in: None,
    }
}

fn holding() -> State {
    empty().succeeded(&jwt("first", START, 12 * HOUR), START, START, 0.5)
}

fn down() -> IssueError {
    IssueError::transient(Reason::NoConnection)
}

/// The pause after an attempt that failed at `now`.
#[track_caller]
fn pause(state: &State, error: &IssueError, now: Now, random: f64) -> Duration {
    let failed = state.failed(error, false, now, random);
    failed.failing(now).unwrap().next_attempt.since(now.wall)
}

// State and time

#[tokio::test]
async fn the_fresh_path_allocates_nothing() {
    let rotator = rotator(&Script::default(), &ManualClock::default());
    // The first loads of a thread allocate.
    name(&rotator).await;
    name(&rotator).await;
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            let mut call = std::pin::pin!(rotator.token());
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Ready(Ok(_))));
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn processes_that_share_a_store_share_one_draw() {
    let record = holding().record();
    let due = |now: Now| {
        let state = empty().learn(record.clone(), now);
        !matches!(state.decide(now), Action::Serve(_))
    };
    for boot in [5, 50_000] {
        let boot = Duration::from_secs(boot);
        let at = |age: Duration| Now {
            wall: START.wall.plus(age),
            boot,
        };
        assert!(!due(at(90 * MINUTE - SECOND)));
        assert!(due(at(90 * MINUTE)));
    }
}

#[tokio::test]
async fn a_lifetime_that_was_assumed_stays_assumed() {
    let untold = |name: &str| {
        let body = format!(r#"{{"access_token":"{name}","token_type":"bearer"}}"#);
        Step::Answer(200, None, body)
    };
    let (script, clock) = (
        Script::of([untold("one"), untold("two")]),
        ManualClock::default(),
    );
    let rotator = rotator(&script, &clock);
    let assumed = Finding::LifetimeAssumed { assumed: 12 * HOUR };
    for token in ["one", "two"] {
        name(&rotator).await;
        settle().await;
        assert_eq!(name(&rotator).await, token);
        assert!(rotator.health().findings.contains(&assumed), "{token}");
        clock.advance(2 * HOUR);
    }
}

// Pauses

#[test]
fn pauses_of_a_fleet_are_spread_at_the_floor_too() {
    let now = after(START, 2 * HOUR);
    let pauses = [0.0, 0.2, 0.4, 0.6, 0.8].map(|it| pause(&holding(), &down(), now, it));
    assert!(pauses.windows(2).all(|it| it[0] < it[1]), "{pauses:?}");
    assert!(
        pauses
            .iter()
            .all(|it| *it >= 48 * SECOND && *it < 72 * SECOND)
    );
}

#[test]
fn no_pause_of_a_living_token_outlasts_it() {
    for left in [30 * SECOND, 5 * SECOND, SECOND] {
        let now = after(START, 12 * HOUR - left);
        for error in [down(), IssueError::transient(Reason::SameToken)] {
            for random in [0.0, 0.5, 0.99] {
                let pause = pause(&holding(), &error, now, random);
                assert!(pause <= left.max(SECOND), "{left:?}: {pause:?}");
            }
        }
    }
    // Unless the service says so.
    let busy = IssueError {
        retry_after: Some(90 * SECOND),
        ..down()
    };
    let now = after(START, 12 * HOUR - SECOND);
    assert_eq!(pause(&holding(), &busy, now, 0.5), 90 * SECOND);
}

#[tokio::test]
async fn a_service_that_renews_at_expiry_alone_costs_no_operation() {
    let same = || Step::Answer(200, None, BRIEF.into());
    let clock = ManualClock::default();
    let script = Script::of(std::iter::repeat_with(same).take(100));
    let rotator = rotator(&script, &clock);
    for second in 0..60 {
        assert_eq!(name(&rotator).await, "brief", "{second}");
        settle().await;
        clock.advance(10 * SECOND);
    }
    let asked = script.requests();
    assert!(asked < 20, "{asked} requests");
    // Expired now, and the service has another one.
    script.clear();
    assert_eq!(name(&rotator).await, "token-1");
}

const BRIEF: &str = r#"{"access_token":"brief","token_type":"bearer","expires_in":600}"#;

#[tokio::test]
async fn a_busy_service_did_not_refuse_the_format() {
    let busy = || Step::Answer(429, Some(2), r#"{"error":"invalid_request"}"#.into());
    for retries in [0, 1] {
        let (script, clock) = (Script::of([busy()]), ManualClock::default());
        let rotator = Rotator::new(grant().preset(Preset::Neo), policy(retries))
            .transport(script.clone())
            .clock(Arc::new(clock.clone()));
        let call = |rotator: Rotator| tokio::spawn(async move { rotator.token().await });
        let first = call(rotator.clone());
        settle().await;
        assert_eq!(script.requests(), 1, "its Retry-After counts");
        clock.advance(3 * SECOND);
        let _ = first.await.unwrap();
        name(&rotator).await;
        let bodies = script.bodies();
        assert_eq!(bodies.len(), 2);
        assert!(
            bodies.iter().all(|it| it.contains("token_format")),
            "{retries}"
        );
    }
}

// Clocks that run ahead

#[test]
fn a_gate_by_a_clock_that_ran_ahead_holds_nobody_and_opens_nothing() {
    let now = after(START, MINUTE);
    let ahead = Record {
        gate: Some(Gate {
            opens_at: now.wall.plus(1000 * HOUR),
            closed_for: 30,
        }),
        ..holding().record()
    };
    let reject = |state: &State, now: Now| {
        let latest = state.token(now).unwrap().access_token.clone();
        state.reject(&latest, now)
    };
    let state = empty().learn(ahead.clone(), now);
    let planned = reject(&state, now).unwrap().plan(now).unwrap();
    let issued = planned.succeeded(&jwt("second", now, 12 * HOUR), now, now, 0.5);
    // Whoever still remembers that gate learns of the true one.
    let other = empty().learn(ahead, now).learn(issued.record(), now);
    let soon = after(now, 2 * SECOND);
    assert!(reject(&other, soon).is_none_or(|it| it.plan(soon).is_none()));
    // It began anew: 30 s.
    let later = after(now, 30 * SECOND);
    assert!(reject(&other, later).unwrap().plan(later).is_some());
}

#[test]
fn a_stamp_by_a_clock_that_ran_ahead_hides_no_other() {
    let stamped = |at: Timestamp| Record {
        requested_at: Some(at),
        ..Record::default()
    };
    let state = empty().learn(stamped(START.wall.plus(1000 * HOUR)), START);
    assert!(state.holder_is_silent(START));
    let state = state.learn(stamped(START.wall), START);
    assert!(!state.holder_is_silent(after(START, 10 * SECOND)));
}

// Several processes

/// One process among several that share a record.
#[derive(Clone, Debug)]
enum Does {
    Reads(usize),
    Renews {
        process: usize,
        lands: bool,
        lifetime: u32,
    },
    Rejects(usize),
    Passes(u64),
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        2 => (0_usize..3).prop_map(Does::Reads),
        4 => (0_usize..3, any::<bool>(), 30_u32..50_000)
            .prop_map(|(process, lands, lifetime)| Does::Renews { process, lands, lifetime }),
        2 => (0_usize..3).prop_map(Does::Rejects),
        4 => (0_u64..3_600_000).prop_map(Does::Passes),
    ]
}

/// Three processes, and the record that is all they share.
struct Shared {
    states: [State; 3],
    stored: Record,
    now: Now,
    issued: u32,
    /// The end of each token by its number, in boot time.
    ends: Vec<Duration>,
    last_request: Option<Duration>,
}

impl Shared {
    /// What a renewal does under the claim, which only one of them has.
    fn renews(&mut self, process: usize, lands: bool, lifetime: u32) {
        let now = self.now;
        let Some(flying) = self.states[process].begin(now, 1) else {
            return;
        };
        let known = flying.learn(self.stored.clone(), now);
        let landed = match known.plan(now) {
            None => known,
            Some(planned) => {
                if let Some(last) = self.last_request {
                    let since = now.boot - last;
                    assert!(since >= SECOND / 2, "{since:?} after the one before");
                }
                self.last_request = Some(now.boot);
                match lands {
                    true => {
                        let lifetime = Duration::from_secs(lifetime.into());
                        self.ends.push(now.boot + lifetime);
                        self.issued += 1;
                        let answer = jwt(&format!("{}", self.issued), now, lifetime);
                        planned.succeeded(&answer, now, now, 0.5)
                    }
                    false => planned.failed(&down(), false, now, 0.5),
                }
            }
        };
        let generation = self.stored.generation;
        if landed.record().generation >= generation {
            self.stored = landed.record();
        }
        self.states[process] = landed.end(flying.flight(1).unwrap());
    }

    fn end_of(&self, token: &Token) -> Duration {
        self.ends[token.expose().parse::<usize>().unwrap() - 1]
    }

    fn promises(&self) {
        for state in &self.states {
            if let Some(token) = state.token(self.now) {
                assert!(self.now.boot < self.end_of(token), "expired");
            }
        }
        // What the store holds is the newest that was issued, or one that outlived it.
        if let (Some(latest), Some(newest)) = (&self.stored.token, self.ends.last()) {
            let is_newest = latest.token.expose() == self.issued.to_string();
            assert!(is_newest || self.now.boot >= *newest);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn processes_that_share_a_record(events in proptest::collection::vec(does(), 1..80)) {
        let mut world = Shared {
            states: [empty(), empty(), empty()],
            stored: Record::default(),
            now: START,
            issued: 0,
            ends: Vec::new(),
            last_request: None,
        };
        for event in events {
            match event {
                Does::Reads(process) => {
                    let learned = world.states[process].learn(world.stored.clone(), world.now);
                    world.states[process] = learned;
                }
                Does::Renews { process, lands, lifetime } => world.renews(process, lands, lifetime),
                Does::Rejects(process) => {
                    let state = &world.states[process];
                    let latest = state.token(world.now).map(|it| it.access_token.clone());
                    let rejected = latest.and_then(|it| state.reject(&it, world.now));
                    if let Some(rejected) = rejected {
                        world.states[process] = rejected;
                    }
                }
                Does::Passes(millis) => {
                    // Never less than the second that lies between two issues.
                    let by = SECOND + Duration::from_millis(millis);
                    world.now = after(world.now, by);
                }
            }
            world.promises();
        }
    }
}

#[test]
fn a_resource_that_refuses_everything_is_bounded_for_a_fleet() {
    let mut world = Shared {
        states: [empty(), empty(), empty()],
        stored: Record::default(),
        now: START,
        issued: 0,
        ends: Vec::new(),
        last_request: None,
    };
    world.renews(0, true, 43_200);
    for second in 0..24 * 3600_u64 {
        world.now = after(world.now, SECOND);
        let process = usize::try_from(second % 3).unwrap();
        let state = &world.states[process];
        let latest = state.token(world.now).map(|it| it.access_token.clone());
        if let Some(rejected) = latest.and_then(|it| state.reject(&it, world.now)) {
            world.states[process] = rejected;
        }
        world.renews(process, true, 43_200);
    }
    assert!(world.issued <= 40, "{}", world.issued);
}

/// A clock that goes as tokio's does.
struct Follows(tokio::time::Instant);

impl Clock for Follows {
    fn wall(&self) -> Timestamp {
        START.wall.plus(self.0.elapsed())
    }

    fn boot(&self) -> Duration {
        START.boot + self.0.elapsed()
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

// Answers

#[test]
fn no_error_repeats_a_secret_however_it_is_spelled() {
    let secret = "p@s s/1";
    for auth in [ClientAuth::Basic, ClientAuth::BasicRaw, ClientAuth::Body] {
        let url = "https://login.example/token";
        let grant = ClientCredentials::new(url, "orders", secret).unwrap();
        let grant = grant.authentication(auth);
        for echoed in ["p@s s/1", "p%40s+s%2F1", "p%40s%20s%2F1", "p%40s+s%2f1"] {
            let body = format!(
                r#"{{"error":"invalid_client","error_description":"no client with {echoed}"}}"#
            );
            let response = http::Response::builder().status(401);
            let response = response.body(body.into_bytes()).unwrap();
            let error = read(&grant, &response);
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains(echoed), "{printed}");
        }
    }
}

fn read(grant: &ClientCredentials, response: &http::Response<Vec<u8>>) -> IssueError {
    use steadfast::rotator::{Grant as _, Try};
    use steadfast::token::FormatPreference;

    let this = Try {
        asked_at: START.wall,
        format: FormatPreference::PreferJwt,
        ask_for_jwt: false,
        last_lifetime: None,
        wanted_lifetime: 12 * HOUR,
        successor: None,
    };
    grant.read(&this, response).unwrap_err()
}

/// A service on loopback that gives every connection the same answer, and counts them.
async fn service(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let asked = Arc::<AtomicUsize>::default();
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, asked)
}

async fn refusal(url: &str) -> Reason {
    let grant = ClientCredentials::new(url, "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant, policy(0));
    script::reason(&rotator.token().await.unwrap_err())
}

#[tokio::test]
async fn the_token_endpoint_leads_nowhere_else() {
    let token = r#"{"access_token":"stolen","expires_in":600}"#;
    let head = format!("content-length: {}\r\n\r\n{token}", token.len());
    let (elsewhere, asked) = service(format!("HTTP/1.1 200 OK\r\n{head}")).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {status} X\r\nlocation: {elsewhere}\r\n{head}");
        let (url, _) = service(answer).await;
        assert_eq!(refusal(&url).await, Reason::Status { status });
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_is_a_mebibyte_at_most() {
    for (size, fits) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let token = r#"{"access_token":"abc","expires_in":600}"#;
        let body = format!("{token}{}", " ".repeat(size - token.len()));
        let (url, _) = service(format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}"
        ))
        .await;
        if fits {
            let grant = ClientCredentials::new(&url, "orders", "s3cret").unwrap();
            let token = Rotator::new(grant, policy(0)).token().await.unwrap();
            assert_eq!(token.expose(), "abc");
        } else {
            assert_eq!(refusal(&url).await, Reason::Broken);
        }
    }
}
