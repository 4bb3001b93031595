//! One attempt: tries, formats, pauses, refused tokens.

use std::sync::Arc;

use steadfast::clock::Clock;
use steadfast::policy::Finding;
use steadfast::rotator::store::{MemoryStore, Store as _};
use steadfast::rotator::{ClientCredentials, Error, Preset, Rotator};
use steadfast::testing::ManualClock;
use steadfast::token::{FormatPreference, Token};
use steadfast::transport::{Endpoint, TransportError};

use crate::script::{
    DOWN, HOUR, MINUTE, SECOND, Script, Step, busy, error, grant, name, policy, rotator, settle,
};

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

    // It uses up the retry.
    let (script, clock) = (Script::of([refusal(), DOWN]), ManualClock::default());
    assert!(start(&script, 1, &clock).token().await.is_err());
    assert_eq!(asks(&script), [true, false]);

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
async fn an_answer_that_is_of_no_use_costs_no_token() {
    for body in [
        r#"{"access_token":"","expires_in":60}"#,
        r#"{"access_token":"a b","expires_in":60}"#,
        r#"{"access_token":"new","expires_in":0}"#,
        r#"{"access_token":"new","token_type":"DPoP"}"#,
        "<html>",
    ] {
        let (script, clock) = (Script::default(), ManualClock::default());
        let rotator = rotator(&script, &clock);
        assert_eq!(name(&rotator).await, "token-1");
        clock.advance(2 * HOUR);
        script.then(Step::Answer(200, None, body.into()));
        for _ in 0..3 {
            assert_eq!(name(&rotator).await, "token-1", "{body}");
            settle().await;
        }
        assert_eq!(script.requests(), 2, "{body}");
        assert!(rotator.health().serving_through_outage, "{body}");
    }
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
async fn while_the_former_token_stands_in_the_next_one_is_on_its_way() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    name(&rotator).await;
    clock.advance(2 * HOUR);
    name(&rotator).await;
    settle().await;
    clock.advance(MINUTE);
    let second = rotator.token().await.unwrap();
    assert_eq!(second.expose(), "token-2");
    assert_eq!(rotator.reject(&second).await.unwrap().expose(), "token-1");
    settle().await;
    assert_eq!(script.requests(), 3, "without another call");
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
