//! What a store holds, and what is learned from it.

use super::*;

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

#[test]
fn of_each_chain_of_refresh_tokens_the_newest_link_is_known() {
    let link = |initial: &str, number: u32, seconds: u64| Successor {
        refresh_token: RefreshToken::new(format!("{initial}-{number}")).unwrap(),
        number,
        since: START.wall.plus(Duration::from_secs(seconds)),
        initial: credential(initial),
    };
    let stored = |links: &[Successor]| Record {
        successors: links.to_vec(),
        ..Record::default()
    };
    #[track_caller]
    fn assert_known(state: &State, expected: &[&str]) {
        let known: Vec<_> = state.successors().iter().collect();
        let known: Vec<_> = known.iter().map(|it| it.refresh_token.expose()).collect();
        assert_eq!(known, expected);
    }
    // Whatever the clocks say, more replacements are newer.
    let state = empty().succeeded_by(link("a", 2, 10));
    let state = state.learn(stored(&[link("a", 1, 30), link("b", 7, 20)]), START);
    assert_known(&state, &["b-7", "a-2"]);
    let state = state.learn(stored(&[link("a", 3, 0)]), START);
    assert_known(&state, &["b-7", "a-3"]);
    let state = state.succeeded_by(link("a", 4, 40));
    assert_known(&state, &["a-4", "b-7"]);
    // The chain that was left alone for longest goes.
    let more = [link("c", 1, 50), link("d", 1, 60), link("e", 1, 5)];
    let state = state.learn(stored(&more), START);
    assert_known(&state, &["d-1", "c-1", "a-4", "b-7"]);
    assert_eq!(restarted(&state, START).successors(), state.successors());
}
