//! Tokens that a resource refuses.

use super::*;

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
    // Nor is it offered again.
    let second = AccessToken::new("two").unwrap();
    assert!(both.reject(&second, after(now, MINUTE)).is_none());
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
fn a_gate_from_before_a_clock_was_set_back_holds_nobody() {
    let (state, _) = reject_and_renew(&holding(), "second", at(MINUTE));
    let set_back = |now: Now| Now {
        wall: now.wall.minus(HOUR),
        ..now
    };
    let (now, later) = (set_back(at(2 * MINUTE)), set_back(at(3 * MINUTE)));
    let state = state.succeeded(&jwt("third", now, 12 * HOUR), now, now, 0.5);
    let (_, renewed) = reject_and_renew(&state, "fourth", later);
    assert!(renewed);
}

#[test]
fn a_rotation_that_was_due_leaves_the_gate_open() {
    let due = at(2 * HOUR);
    let first = AccessToken::new("first").unwrap();
    for state in [holding(), holding().reject(&first, due).unwrap()] {
        let planned = state.plan(due).unwrap();
        assert_eq!(planned.record().gate, None);
        let rotated = planned.succeeded(&jwt("second", due, 12 * HOUR), due, due, 0.5);
        let (_, renewed) = reject_and_renew(&rotated, "third", after(due, 2 * SECOND));
        assert!(renewed);
    }
}

#[test]
fn a_renewal_that_failed_brought_no_token_that_was_refused_as_well() {
    let first = AccessToken::new("first").unwrap();
    let mut state = holding().reject(&first, at(MINUTE)).unwrap();
    let mut now = at(MINUTE);
    for _ in 0..5 {
        let planned = state.plan(now).unwrap();
        assert_eq!(planned.record().gate.unwrap().closed_for, 30);
        state = planned.failed(&down(), false, now, 0.5);
        // A process that starts anew knows of it, too.
        let again = restarted(&state, now);
        now = after(now, 10 * MINUTE);
        state = again.reject(&first, now).unwrap();
    }
    let planned = state.plan(now).unwrap();
    let issued = planned.succeeded(&jwt("second", now, 12 * HOUR), now, now, 0.5);
    let (state, renewed) = reject_and_renew(&issued, "third", after(now, 30 * SECOND));
    assert!(renewed);
    assert_eq!(state.record().gate.unwrap().closed_for, 60);
}
