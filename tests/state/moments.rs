//! What is done at which moment.

use super::*;

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
    // The margin is a tenth of the lifetime at most.
    let short = empty().succeeded(&jwt("t", START, MINUTE), START, START, 1.0);
    assert_eq!(action(&short, at(53 * SECOND)), "serve and renew t");
    assert_eq!(action(&short, at(54 * SECOND)), "join 3s, serve t");
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

#[test]
fn a_changed_policy_counts_at_once() {
    let often = IssuancePolicy::new(12 * HOUR, 10 * MINUTE..=10 * MINUTE).unwrap();
    let state = State::new(often, credential("s3cret")).learn(holding().record(), at(HOUR));
    assert_eq!(action(&state, at(HOUR)), "serve and renew first");
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
