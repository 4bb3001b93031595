//! The rotator's machine: its decisions one by one, and its promises under any sequence of events.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use proptest::prelude::*;
use steadfast::clock::{Now, Timestamp};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::Answer;
use steadfast::rotator::error::{Class, ErrorCode, IssueError, Reason};
use steadfast::rotator::state::{Action, Failed, Record, State};
use steadfast::rotator::store::{CredentialTag, StoreKey};
use steadfast::token::{AccessToken, FormatPreference, LifetimeSource, Token, TokenFormat};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The id of the process that all this happens in.
const PROCESS: u32 = 42;

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

fn at(by: Duration) -> Now {
    after(START, by)
}

fn credential(secret: &str) -> CredentialTag {
    CredentialTag::of(&StoreKey::of([("client", "orders")]), secret.as_bytes())
}

fn empty() -> State {
    State::new(IssuancePolicy::default(), credential("s3cret"))
}

fn token(name: &str, asked: Now, lifetime: Duration, format: TokenFormat) -> Answer {
    Answer {
        token: Token {
            access_token: AccessToken::new(name).unwrap(),
            format,
            issued_at: asked.wall,
            expires_at: asked.wall.plus(lifetime),
            lifetime_source: LifetimeSource::ExpiresIn,
            scope: None,
        },
        rotate_in: None,
    }
}

fn jwt(name: &str, asked: Now, lifetime: Duration) -> Answer {
    token(name, asked, lifetime, TokenFormat::Jwt)
}

fn opaque(name: &str, asked: Now) -> Answer {
    token(name, asked, 12 * HOUR, TokenFormat::Opaque)
}

/// A state with a token of 12 h, asked for at the start and rotated after an hour and a half.
fn holding() -> State {
    empty().succeeded(&jwt("first", START, 12 * HOUR), START, START, 0.5)
}

fn down() -> IssueError {
    IssueError::transient(Reason::NoConnection)
}

fn refused() -> IssueError {
    IssueError::permanent(Reason::Error {
        status: 401,
        code: ErrorCode::new("invalid_client"),
        description: None,
    })
}

#[track_caller]
fn name(state: &State, now: Now) -> String {
    state.token(now).expect("a token").expose().to_owned()
}

/// The action in words, with the whole seconds of a wait.
fn action(state: &State, now: Now) -> String {
    match state.decide(now) {
        Action::Serve(held) => format!("serve {}", held.token().expose()),
        Action::ServeAndRenew(held) => format!("serve and renew {}", held.token().expose()),
        Action::JoinThenServe(held, wait) => {
            format!("join {}s, serve {}", wait.as_secs(), held.token().expose())
        }
        Action::Join(wait) => format!("join {}s", wait.as_secs()),
        Action::Fail(failing) => format!("fail {failing}"),
    }
}

#[test]
fn the_table_moment_by_moment() {
    let state = holding();
    assert_eq!(action(&empty(), START), "join 30s");
    assert_eq!(action(&state, START), "serve first");
    assert_eq!(action(&state, at(90 * MINUTE - SECOND)), "serve first");
    assert_eq!(action(&state, at(90 * MINUTE)), "serve and renew first");
    let margin = 12 * HOUR - 30 * SECOND;
    assert_eq!(action(&state, at(margin - SECOND)), "serve and renew first");
    assert_eq!(action(&state, at(margin)), "join 5s, serve first");
    assert_eq!(
        action(&state, at(12 * HOUR - 4 * SECOND)),
        "join 2s, serve first"
    );
    assert_eq!(action(&state, at(12 * HOUR)), "join 30s");
}

#[test]
fn one_renewal_at_a_time() {
    let due = at(2 * HOUR);
    assert!(holding().begin(at(HOUR), PROCESS).is_none(), "fresh");
    let flying = holding().begin(due, PROCESS).unwrap();
    assert!(flying.begin(due, PROCESS).is_none());
    assert_eq!(action(&flying, due), "serve and renew first");
    assert_eq!(
        action(&flying, at(12 * HOUR - SECOND)),
        "join 0s, serve first"
    );
    assert_eq!(action(&flying, at(13 * HOUR)), "join 30s");
    let first = flying.flight(PROCESS).unwrap();
    assert!(
        flying.end(first + 1).flight(PROCESS).is_some(),
        "another one's end"
    );
    let next = flying.end(first).begin(due, PROCESS).unwrap();
    assert_eq!(next.flight(PROCESS), Some(first + 1));
}

#[test]
fn a_fork_leaves_the_renewal_behind() {
    const CHILD: u32 = PROCESS + 1;
    let due = at(2 * HOUR);
    let flying = holding().begin(due, PROCESS).unwrap();
    assert!(flying.begin(due, PROCESS).is_none());
    // In the child it is served, and renewed anew.
    assert_eq!(flying.flight(CHILD), None);
    assert_eq!(action(&flying, due), "serve and renew first");
    let childs = flying.begin(due, CHILD).unwrap();
    assert_eq!(
        childs.flight(CHILD),
        flying.flight(PROCESS).map(|it| it + 1)
    );
    assert!(childs.begin(due, CHILD).is_none(), "one there, too");
    // What the parent's would have ended is not the child's.
    let ended = childs.end(flying.flight(PROCESS).unwrap());
    assert!(ended.flight(CHILD).is_some());
    // A pause holds there as well.
    let paused = flying.failed(&down(), false, due, 0.5);
    assert!(paused.begin(due, CHILD).is_none());
    let empty = empty().begin(START, PROCESS).unwrap();
    assert!(empty.begin(START, CHILD).is_some());
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
fn short_tokens_rotate_at_half_of_their_life() {
    for (fraction, age) in [(0.0, 225), (1.0, 300)] {
        let state = empty().succeeded(&jwt("t", START, 10 * MINUTE), START, START, fraction);
        let age = Duration::from_secs(age);
        assert_eq!(action(&state, at(age - SECOND)), "serve t");
        assert_eq!(action(&state, at(age)), "serve and renew t");
        assert_eq!(
            action(&state, at(570 * SECOND - SECOND)),
            "serve and renew t"
        );
        assert_eq!(action(&state, at(570 * SECOND)), "join 5s, serve t");
    }
    let tiny = empty().succeeded(&jwt("t", START, 2 * SECOND), START, START, 1.0);
    assert_eq!(action(&tiny, at(SECOND)), "serve and renew t");
}

#[test]
fn the_service_may_bring_rotation_forward_only() {
    let rotated = |rotate_in| {
        let answer = Answer {
            rotate_in: Some(rotate_in),
            ..jwt("t", START, 12 * HOUR)
        };
        empty().succeeded(&answer, START, START, 0.5)
    };
    assert_eq!(action(&rotated(HOUR), at(HOUR)), "serve and renew t");
    assert_eq!(
        action(&rotated(6 * HOUR), at(90 * MINUTE)),
        "serve and renew t"
    );
}

#[test]
fn a_second_lies_between_two_issues() {
    let state = holding()
        .reject(&AccessToken::new("first").unwrap(), at(SECOND / 2))
        .unwrap();
    assert!(state.begin(at(SECOND / 2), PROCESS).is_none());
    assert!(state.begin(at(SECOND), PROCESS).is_some());
    let tiny = empty().succeeded(&jwt("t", START, SECOND / 2), START, START, 1.0);
    let expired = at(SECOND / 2);
    assert!(
        tiny.begin(expired, PROCESS).is_some(),
        "the renewal itself waits"
    );
    assert_eq!(tiny.spacing(expired), SECOND / 2);
}

#[test]
fn clocks_that_disagree_make_a_token_due() {
    let jump = |wall: i64| Now {
        wall: Timestamp::from_millis(START.wall.as_millis() + wall * 1000),
        ..at(MINUTE)
    };
    for (wall, due) in [
        (60, false),
        (119, false),
        (121, true),
        (1, false),
        (-1, true),
    ] {
        let serve = if due {
            "serve and renew first"
        } else {
            "serve first"
        };
        assert_eq!(action(&holding(), jump(wall)), serve, "{wall}");
    }
    // A wall clock that jumps by a day neither ends nor prolongs the token's life.
    let next_day = Now {
        wall: START.wall.plus(24 * HOUR),
        ..at(MINUTE)
    };
    assert_eq!(name(&holding(), next_day), "first");
    let year_before = Now {
        wall: START.wall.minus(8760 * HOUR),
        ..at(12 * HOUR)
    };
    assert!(holding().token(year_before).is_none());
}

/// What another process knows that reads what `state` wrote.
fn restarted(state: &State, now: Now) -> State {
    let text = serde_json::to_string(&state.record()).unwrap();
    empty().learn(serde_json::from_str(&text).unwrap(), now)
}

#[test]
fn tokens_out_of_a_store() {
    let later = |wall: Duration| Now {
        wall: START.wall.plus(wall),
        boot: Duration::from_secs(5),
    };
    let sooner = |wall: Duration| Now {
        wall: START.wall.minus(wall),
        boot: Duration::from_secs(5),
    };
    for (now, expected) in [
        (later(Duration::ZERO), "serve first"),
        (later(89 * MINUTE), "serve first"),
        (later(90 * MINUTE), "serve and renew first"),
        (later(12 * HOUR), "join 30s"),
        (sooner(5 * MINUTE), "serve first"),
        (sooner(5 * MINUTE + SECOND), "serve and renew first"),
    ] {
        assert_eq!(
            action(&restarted(&holding(), now), now),
            expected,
            "{now:?}"
        );
    }
    // Young until it has been here for as long as the policy says.
    let now = sooner(4 * MINUTE);
    let state = restarted(&holding(), now);
    assert_eq!(action(&state, after(now, 89 * MINUTE)), "serve first");
    assert_eq!(
        action(&state, after(now, 90 * MINUTE)),
        "serve and renew first"
    );
}

#[test]
fn a_record_survives_its_text() {
    let state = holding().succeeded(&opaque("one", START), START, START, 0.25);
    let state = state.succeeded(&opaque("two", START), START, START, 0.75);
    let state = state.failed(&refused(), true, at(HOUR), 0.5);
    let token = AccessToken::new("two").unwrap();
    let state = state.reject(&token, at(2 * HOUR)).unwrap();
    let record = state.plan(at(2 * HOUR)).unwrap().record();
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    assert_eq!(
        serde_json::from_str::<Record>("{}").unwrap(),
        Record::default()
    );
    assert!(serde_json::from_str::<Record>(&text.replace("\"two\"", "\"t w o\"")).is_err());
    assert!(!format!("{state:?} {record:#?}").contains("two"));
}

#[test]
fn a_changed_policy_counts_at_once() {
    let often = IssuancePolicy::new(12 * HOUR, 10 * MINUTE..=10 * MINUTE).unwrap();
    let state = State::new(often, credential("s3cret")).learn(holding().record(), at(HOUR));
    assert_eq!(action(&state, at(HOUR)), "serve and renew first");
}

#[test]
fn newer_is_a_later_generation() {
    let second = holding().succeeded(&jwt("second", START, HOUR), START, START, 0.5);
    assert_eq!(
        name(&second.learn(holding().record(), START), START),
        "second"
    );
    assert_eq!(
        name(&holding().learn(second.record(), START), START),
        "second"
    );
    // …but never a dead one for one that lives.
    let now = at(2 * HOUR);
    let kept = holding().learn(second.record(), now);
    assert_eq!(name(&kept, now), "first");
    assert!(
        kept.record().generation > second.record().generation,
        "it goes back"
    );
}

#[test]
fn the_failures_of_other_processes_count() {
    let due = at(2 * HOUR);
    let failed = holding().failed(&down(), false, due, 0.5);
    let other = restarted(&failed, due);
    assert_eq!(action(&other, due), "serve first");
    assert!(other.begin(due, PROCESS).is_none());
    assert!(other.health(due, None).serving_through_outage);
    assert!(other.begin(after(due, MINUTE), PROCESS).is_some());
    // Failures of this process that the store does not know of stay.
    assert!(failed.learn(holding().record(), due).failing(due).is_some());
    // A success elsewhere ends the row.
    let again = holding().succeeded(&jwt("second", due, 12 * HOUR), due, due, 0.5);
    assert!(failed.learn(again.record(), due).failing(due).is_none());
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
fn another_credential_makes_the_token_due() {
    let corrected = holding().with_credential(credential("another")).unwrap();
    assert!(corrected.with_credential(credential("another")).is_none());
    let now = at(2 * SECOND);
    assert_eq!(action(&corrected, now), "serve and renew first");
    // Should it be refused, the token still lives.
    let failed = corrected.failed(&refused(), false, now, 0.5);
    assert_eq!(action(&failed, now), "serve first");
    // And a corrected one is tried at once.
    let failed = holding().failed(&refused(), false, at(2 * HOUR), 0.5);
    let corrected = failed.with_credential(credential("another")).unwrap();
    assert!(corrected.begin(at(2 * HOUR), PROCESS).is_some());
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

/// Rejects the latest token at `now` and, where that makes it due, issues `next`.
fn reject_and_renew(state: &State, next: &str, now: Now) -> (State, bool) {
    let latest = state.token(now).unwrap().access_token.clone();
    let rejected = state.reject(&latest, now).unwrap_or_else(|| state.clone());
    match rejected.begin(now, PROCESS).and_then(|it| it.plan(now)) {
        None => (rejected, false),
        Some(planned) => {
            let issued = planned.succeeded(&jwt(next, now, 12 * HOUR), now, now, 0.5);
            (issued.end(planned.flight(PROCESS).unwrap()), true)
        }
    }
}

#[test]
fn a_resource_that_refuses_everything_gets_few_tokens() {
    let (mut state, mut issued) = (holding(), Vec::new());
    for second in 2..24 * 3600 {
        let now = at(second * SECOND);
        let (next, renewed) = reject_and_renew(&state, &format!("t{second}"), now);
        state = next;
        if renewed {
            issued.push(second);
        }
    }
    assert_eq!(issued[..5], [2, 32, 92, 212, 452]);
    assert!(issued.len() <= 40, "{}", issued.len());
    assert!(issued.windows(2).all(|it| it[1] - it[0] <= 3600));
}

#[test]
fn the_gate_starts_anew_after_forty_quiet_minutes() {
    let (state, _) = reject_and_renew(&holding(), "second", at(MINUTE));
    let (state, renewed) = reject_and_renew(&state, "third", at(90 * SECOND));
    assert!(renewed, "30 s later");
    // Closed for a minute, then quiet for forty.
    let later = at(90 * SECOND + 41 * MINUTE);
    let (state, renewed) = reject_and_renew(&state, "fourth", later);
    assert!(renewed);
    let (_, renewed) = reject_and_renew(&state, "fifth", after(later, 30 * SECOND));
    assert!(renewed, "30 s again");
    // The gate lies in the store.
    let (state, _) = reject_and_renew(&holding(), "second", at(MINUTE));
    let other = restarted(&state, at(MINUTE));
    let (_, renewed) = reject_and_renew(&other, "third", at(80 * SECOND));
    assert!(!renewed);
}

#[test]
fn a_day_of_refusals_costs_forty_tokens_at_most_however_often_callers_come() {
    for minutes in 1..=120 {
        let (mut state, mut issued, mut now) = (holding(), 0, MINUTE);
        while now < 24 * HOUR {
            let token = format!("token-{issued}");
            let (next, renewed) = reject_and_renew(&state, &token, at(now));
            state = next;
            issued += u32::from(renewed);
            now += minutes * MINUTE;
        }
        assert!(issued <= 40, "every {minutes} min: {issued}");
    }
}

#[test]
fn a_refusal_that_changes_nothing() {
    let old = AccessToken::new("older").unwrap();
    assert!(
        holding().reject(&old, at(MINUTE)).is_none(),
        "a newer one is there"
    );
    let latest = AccessToken::new("first").unwrap();
    let rejected = holding().reject(&latest, at(MINUTE)).unwrap();
    assert!(
        rejected.reject(&latest, at(MINUTE)).is_none(),
        "known already"
    );
    assert_eq!(action(&rejected, at(MINUTE)), "serve and renew first");
    // A pause is never bypassed, and the old one stays as the last resort.
    let failed = rejected.failed(&down(), false, at(MINUTE), 0.5);
    assert_eq!(action(&failed, at(MINUTE)), "serve first");
    // Another process spent what the gate allows: nothing is owed any more.
    let (spent, _) = reject_and_renew(&holding(), "first", at(MINUTE));
    let record = Record {
        generation: 1,
        ..spent.record()
    };
    let learned = rejected.learn(record, at(MINUTE));
    assert_eq!(action(&learned, at(MINUTE)), "serve first");
}

#[test]
fn the_former_opaque_token_stands_in() {
    let now = at(2 * HOUR);
    let one = empty().succeeded(&opaque("one", START), START, START, 0.5);
    let two = one.succeeded(&opaque("two", now), now, now, 0.5);
    let refuse = |state: &State, token: &str, now| {
        let token = AccessToken::new(token).unwrap();
        state.reject(&token, now).unwrap()
    };
    let rejected = refuse(&two, "two", after(now, MINUTE));
    assert_eq!(action(&rejected, after(now, MINUTE)), "serve and renew one");
    let both = refuse(&rejected, "one", after(now, MINUTE));
    assert_eq!(action(&both, after(now, MINUTE)), "serve and renew two");
    // What stood in well is kept for the next time.
    let three = rejected.succeeded(&opaque("three", now), now, now, 0.5);
    assert_eq!(three.record().former.unwrap().token.expose(), "one");
    // Once dead it stands in for nothing.
    let late = at(13 * HOUR);
    assert_eq!(
        action(&refuse(&two, "two", late), late),
        "serve and renew two"
    );
    // JWTs verify by themselves: no former one.
    let jwts = holding().succeeded(&jwt("second", now, HOUR), now, now, 0.5);
    assert!(jwts.record().former.is_none());
}

#[test]
fn a_token_that_was_refused_does_not_stand_in() {
    let one = empty().succeeded(&opaque("one", START), START, START, 0.5);
    let token = AccessToken::new("one").unwrap();
    let rejected = one.reject(&token, at(MINUTE)).unwrap();
    let begun = rejected.begin(at(MINUTE), 1).unwrap();
    let learned = begun.learn(one.record(), at(MINUTE));
    let planned = learned.plan(at(MINUTE)).unwrap();
    let two = planned.succeeded(&opaque("two", at(MINUTE)), at(MINUTE), at(MINUTE), 0.5);
    assert_eq!(two.record().former, None);
    // Nor when the store is read again, which by then has the gate that this renewal closed.
    let again = planned.learn(planned.record(), at(MINUTE));
    let two = again.succeeded(&opaque("two", at(MINUTE)), at(MINUTE), at(MINUTE), 0.5);
    assert_eq!(two.record().former, None);
}

#[test]
fn a_wider_margin_for_one_call() {
    let wanting = |hours: u32| holding().with_min_validity(hours * HOUR);
    assert_eq!(
        action(&wanting(11), at(59 * MINUTE)),
        "serve first",
        "half at most"
    );
    assert_eq!(action(&wanting(6), at(6 * HOUR)), "join 5s, serve first");
    let short = empty().succeeded(&jwt("t", START, 50 * SECOND), START, START, 1.0);
    let short = short.with_min_validity(HOUR);
    assert_eq!(action(&short, at(24 * SECOND)), "serve t", "under 30 s old");
    assert_eq!(action(&short, at(30 * SECOND)), "join 5s, serve t");
}

#[test]
fn a_background_task_looks_in_time() {
    let looks = |state: &State, now| state.next_look(now).as_secs();
    assert_eq!(looks(&holding(), START), 60);
    assert_eq!(looks(&holding(), at(90 * MINUTE - 7 * SECOND)), 7);
    let failed = empty().failed(&down(), false, START, 0.5);
    assert_eq!(looks(&failed.failed(&down(), false, START, 0.5), START), 2);
    let refused = empty().failed(&refused(), false, START, 0.5);
    assert_eq!(looks(&refused, START), 60);
}

#[test]
fn a_renewal_that_is_put_off() {
    let due = at(2 * HOUR);
    let state = holding().put_off(10 * SECOND, due);
    assert_eq!(action(&state, due), "serve first");
    assert!(!state.health(due, None).serving_through_outage);
    assert_eq!(
        action(&state, after(due, 10 * SECOND)),
        "serve and renew first"
    );
    assert_eq!(action(&empty().put_off(10 * SECOND, due), due), "join 30s");
}

/// One thing that happens to a rotator.
#[derive(Clone, Debug)]
enum Event {
    Passes(Duration),
    WallJumps(i32),
    Issues {
        lifetime: u32,
        opaque: bool,
        fraction: f64,
    },
    IssuesSame,
    Fails {
        permanent: bool,
        retry_after: Option<u32>,
        random: f64,
    },
    Rejects,
    Restarts,
    /// A renewal begins and stays under way, until one of the next three.
    Begins,
    BreaksOff,
    Forks,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u64..7_200_000).prop_map(|it| Event::Passes(Duration::from_millis(it))),
        2 => (0_u64..40_000).prop_map(|it| Event::Passes(Duration::from_millis(it))),
        1 => (-100_000_i32..100_000).prop_map(Event::WallJumps),
        3 => (1_u32..100_000, any::<bool>(), 0.0..1.0)
            .prop_map(|(lifetime, opaque, fraction)| Event::Issues { lifetime, opaque, fraction }),
        1 => Just(Event::IssuesSame),
        3 => (any::<bool>(), proptest::option::of(0_u32..5000), 0.0..1.0)
            .prop_map(|(permanent, retry_after, random)| Event::Fails {
                permanent,
                retry_after,
                random,
            }),
        2 => Just(Event::Rejects),
        1 => Just(Event::Restarts),
        1 => Just(Event::Begins),
        2 => Just(Event::BreaksOff),
        1 => Just(Event::Forks),
    ]
}

/// The state, and what an onlooker knows of the tokens that were issued.
struct World {
    state: State,
    now: Now,
    process: u32,
    /// The renewal that is under way.
    flying: Option<u64>,
    /// Name and boot time of the end of the latest token.
    latest: Option<(String, Duration)>,
    issued: u32,
}

impl World {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Passes(by) => self.now = after(self.now, *by),
            Event::WallJumps(seconds) => {
                let wall = self.now.wall.as_millis() + i64::from(*seconds) * 1000;
                self.now.wall = Timestamp::from_millis(wall);
            }
            Event::Issues {
                lifetime,
                opaque,
                fraction,
            } => {
                self.issued += 1;
                let format = match opaque {
                    true => TokenFormat::Opaque,
                    false => TokenFormat::Jwt,
                };
                let lifetime = Duration::from_secs((*lifetime).into());
                let name = format!("t{}", self.issued);
                let answer = token(&name, self.now, lifetime, format);
                self.flies(|state, now| {
                    state.check(&answer, now, now).unwrap();
                    state.succeeded(&answer, now, now, *fraction)
                });
                if self
                    .state
                    .record()
                    .token
                    .is_some_and(|it| it.token.expose() == name)
                {
                    self.latest = Some((name, self.now.boot + lifetime));
                }
            }
            Event::IssuesSame => {
                let Some(issued) = self.state.record().token else {
                    return;
                };
                let answer = jwt(issued.token.expose(), self.now, HOUR);
                self.flies(|state, now| {
                    let error = state.check(&answer, now, now).unwrap_err();
                    state.failed(&error, false, now, 0.5)
                });
            }
            Event::Fails {
                permanent,
                retry_after,
                random,
            } => {
                let error = IssueError {
                    retry_after: retry_after.map(|it| Duration::from_secs(it.into())),
                    ..if *permanent { refused() } else { down() }
                };
                self.flies(|state, now| state.failed(&error, false, now, *random));
            }
            Event::Rejects => {
                if let Some(token) = self.state.token(self.now).cloned()
                    && let Some(next) = self.state.reject(&token.access_token, self.now)
                {
                    self.state = next;
                }
            }
            Event::Restarts => {
                let record = self.state.record();
                self.state = restarted(&self.state, self.now);
                self.flying = None;
                // A new process has the wall clock alone.
                self.latest = record.token.map(|it| {
                    let age = self.now.wall.since(it.token.issued_at);
                    let left = it.token.lifetime().saturating_sub(age);
                    (it.token.expose().to_owned(), self.now.boot + left)
                });
            }
            Event::Begins => {
                if let Some(flying) = self.state.begin(self.now, self.process) {
                    assert_eq!(self.flying, None, "two renewals");
                    self.flying = flying.flight(self.process);
                    self.state = flying;
                }
            }
            Event::BreaksOff => {
                if let Some(flight) = self.flying.take() {
                    self.state = self.state.failed(&down(), false, self.now, 0.5).end(flight);
                }
            }
            Event::Forks => {
                self.process += 1;
                self.flying = None;
            }
        }
    }

    /// One renewal from its claim to its end, if one may start.
    fn flies(&mut self, lands: impl FnOnce(&State, Now) -> State) {
        let Some(flying) = self.state.begin(self.now, self.process) else {
            return;
        };
        assert_eq!(self.flying, None, "two renewals");
        let second = flying.begin(self.now, self.process);
        assert!(second.is_none(), "two renewals");
        let Some(planned) = flying.plan(self.now) else {
            panic!("claimed, and not wanted");
        };
        let landed = lands(&planned, self.now);
        self.state = landed.end(flying.flight(self.process).unwrap());
        assert!(
            self.state.begin(self.now, self.process).is_none(),
            "no pause after an attempt"
        );
    }

    fn promises(&self) {
        let lives = self.latest.as_ref().filter(|(_, end)| self.now.boot < *end);
        let served = match self.state.decide(self.now) {
            Action::Serve(held) | Action::ServeAndRenew(held) => Some(held),
            Action::JoinThenServe(held, _) => Some(held),
            Action::Join(_) | Action::Fail(_) => None,
        };
        if let Some((name, _)) = lives {
            let served = served.expect("a living token was lost").token();
            let former = self.state.record().former;
            let stands_in = former.is_some_and(|it| it.token == *served);
            assert!(served.expose() == name || stands_in, "not the latest");
        }
        if let Some(held) = served {
            let token = held.token();
            assert!(held.age(self.now) < token.lifetime(), "expired");
            if let Some((name, end)) = &self.latest
                && token.expose() == name
            {
                assert!(self.now.boot < *end, "expired");
            }
        }
        // It never stops trying: whatever happened, ten minutes later a renewal that is wanted may
        // start.
        let later = after(self.now, 10 * MINUTE);
        let wanted = !matches!(self.state.decide(later), Action::Serve(_));
        let begins = self.state.begin(later, self.process).is_some();
        assert_eq!(begins, wanted && self.flying.is_none());
        if self.state.token(later).is_none() {
            assert!(wanted, "given up");
        }
        assert!(self.state.next_look(self.now) <= MINUTE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn promises_hold_whatever_happens(events in proptest::collection::vec(event(), 1..60)) {
        let mut world = World {
                state: empty(),
                now: START,
                process: PROCESS,
                flying: None,
                latest: None,
                issued: 0,
            };
        for event in &events {
            world.happens(event);
            world.promises();
        }
    }

    #[test]
    fn rotation_stays_in_its_range(lifetime in 2_u64..200_000, fraction in 0.0..1.0) {
        // From 2 s: a second lies between two issues, and half of less than 2 s is sooner.
        let lifetime = Duration::from_secs(lifetime);
        let state = empty().succeeded(&jwt("t", START, lifetime), START, START, fraction);
        let (from, to) = if 2 * HOUR <= lifetime / 2 {
            (HOUR, 2 * HOUR)
        } else {
            (lifetime * 3 / 8, lifetime / 2)
        };
        let due = |age: Duration| !matches!(state.decide(at(age)), Action::Serve(_));
        prop_assert!(!due(from.saturating_sub(Duration::from_millis(1))));
        prop_assert!(due(to));
    }
}
