//! Attempts that fail, and the pauses after them.

use super::*;

/// The pause after an attempt that failed at `now`.
#[track_caller]
fn pause(state: &State, error: &IssueError, now: Now, random: f64) -> Duration {
    let failed = state.failed(error, false, now, random);
    failed.failing(now).unwrap().next_attempt.since(now.wall)
}

#[test]
fn a_failure_costs_nothing_while_the_token_lives() {
    let due = at(2 * HOUR);
    let state = holding().failed(&down(), false, due, 0.5);
    assert_eq!(action(&state, due), "serve first", "paused");
    assert!(state.begin(due, PROCESS).is_none());
    assert!(state.begin(after(due, MINUTE), PROCESS).is_some());
    // Inside the margin, with no renewal to wait for: at once.
    let late = at(12 * HOUR - 10 * SECOND);
    assert_eq!(
        action(&holding().failed(&down(), false, late, 0.5), late),
        "serve first"
    );
    let expired = at(12 * HOUR);
    let state = state.failed(&refused(), false, expired, 0.5);
    assert_eq!(
        action(&state, expired),
        "fail since 2026-11-25T03:26:50Z: invalid_client (status 401); \
         next attempt at 2026-11-25T13:28:50Z"
    );
    assert_eq!(action(&state, after(expired, 2 * MINUTE)), "join 30s");
}

#[test]
fn pauses_without_a_token() {
    let mut state = empty();
    let mut waits = Vec::new();
    for _ in 0..7 {
        state = state.failed(&down(), false, START, 0.5);
        waits.push(
            state
                .failing(START)
                .unwrap()
                .next_attempt
                .since(START.wall)
                .as_secs(),
        );
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    let state = empty().failed(&refused(), false, START, 0.5);
    assert_eq!(
        state.failing(START).unwrap().next_attempt,
        START.wall.plus(MINUTE)
    );
}

#[test]
fn failures_that_do_not_count() {
    let failed = |written: i64, ends: i64, secret: &str| {
        let wall = |seconds: i64| Timestamp::from_millis(START.wall.as_millis() + seconds * 1000);
        let record = Record {
            failed: Some(Failed {
                since: START.wall,
                attempts: 1,
                reason: Reason::NoConnection,
                class: Class::Transient,
                written_at: wall(written),
                next_attempt: wall(ends),
                credential: credential(secret),
                without_format: false,
            }),
            ..Record::default()
        };
        empty().learn(record, START).begin(START, PROCESS).is_none()
    };
    assert!(failed(0, 30, "s3cret"));
    assert!(failed(60, 600, "s3cret"));
    assert!(!failed(61, 30, "s3cret"), "by a clock that runs ahead");
    assert!(!failed(0, 601, "s3cret"), "by a clock that runs ahead");
    assert!(!failed(0, 30, "another"), "by another credential");
}

#[test]
fn an_answer_that_renews_nothing() {
    let now = at(2 * HOUR);
    let check = |state: &State, answer: &Answer, asked| {
        let error = state.check(answer, asked, now).err();
        error.map(|it| (it.reason, it.class))
    };
    assert_eq!(check(&holding(), &jwt("second", now, HOUR), now), None);
    assert_eq!(
        check(&holding(), &jwt("first", now, HOUR), now),
        Some((Reason::SameToken, Class::Transient))
    );
    assert_eq!(
        check(&holding(), &jwt("second", at(HOUR), HOUR), at(HOUR)),
        Some((Reason::ExpiredOnArrival, Class::Transient))
    );
    let strict = IssuancePolicy::default().with_format(FormatPreference::RequireJwt);
    let strict = State::new(strict, credential("s3cret"));
    assert_eq!(
        check(&strict, &opaque("second", now), now),
        Some((Reason::OpaqueInsteadOfJwt, Class::Permanent))
    );
    // The same token again is no outage, and is not asked for at every call.
    let same = holding().failed(&IssueError::transient(Reason::SameToken), false, now, 0.5);
    assert_eq!(action(&same, now), "serve first");
    assert!(!same.health(now, None).serving_through_outage);
}

#[test]
fn the_plan_under_the_claim() {
    let due = at(2 * HOUR);
    let planned = holding().plan(due).unwrap();
    assert_eq!(planned.record().requested_at, Some(due.wall));
    assert!(holding().plan(at(HOUR)).is_none(), "someone else renewed");
    let failed = holding().failed(&down(), false, due, 0.5);
    assert!(failed.plan(due).is_none(), "someone else failed");
    // A holder that is silent for over 26 s holds nobody any more.
    assert!(empty().holder_is_silent(START));
    assert!(!planned.holder_is_silent(after(due, 26 * SECOND)));
    assert!(planned.holder_is_silent(after(due, 27 * SECOND)));
}

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
