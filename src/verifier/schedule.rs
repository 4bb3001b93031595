//! When to fetch keys: a pure machine, driven by the refresher.
//!
//! It knows boot time alone, so a wall clock that jumps cannot move a fetch, and time that was spent
//! in suspend counts.

use std::time::Duration;

use super::bell::{PLACES, Rings};
use crate::backoff::{Ladder, spread};

/// Decides when the next fetch is due.
///
/// Fetches come by three ways: ahead of time after a success, up a ladder after failures, and
/// brought forward by a bell, which the gate holds back until 30 s after the last fetch started,
/// whatever had triggered that one.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// When the last fetch started.
    started: Option<Duration>,
    /// When the next fetch is due, bells aside; at once to begin with.
    due: Duration,
    /// However fresh an answer says that it stays.
    at_latest: Option<Duration>,
    /// However well or badly it went: a look costs next to nothing.
    poll: Option<Duration>,
    failures: u32,
    /// A bell waits for its fetch.
    rung: bool,
    /// The kids among those bells, and those that the fetch under way will answer.
    heard: Vec<u64>,
    asked: Vec<u64>,
    absent: AbsentKids,
    /// After a look that found nothing new, so that one stale client does not keep us looking.
    deaf_until: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start a fetch.
    Fetch,
    /// Ask again after this long; where `listen` says so, or when the bell rings.
    Wait { at_most: Duration, listen: bool },
}

/// How a fetch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The source answered.
    Renewed {
        /// Whether the keys are others than before.
        changed: bool,
        /// How long the answer says that it stays fresh.
        fresh_for: Option<Duration>,
    },
    /// It did not, or with nothing usable.
    Failed {
        /// Whether verifications can go on with the keys in hand.
        usable: bool,
    },
}

impl Schedule {
    pub(super) fn next(&self, boot: Duration) -> Action {
        let wait = self.next_fetch().saturating_sub(boot);
        if wait.is_zero() {
            return Action::Fetch;
        }
        let deaf = self.deaf_until.saturating_sub(boot);
        if self.rung {
            // Nothing that could be heard would bring it forward any more.
            Action::Wait {
                at_most: wait,
                listen: false,
            }
        } else if deaf.is_zero() {
            Action::Wait {
                at_most: wait,
                listen: true,
            }
        } else {
            Action::Wait {
                at_most: wait.min(deaf),
                listen: false,
            }
        }
    }

    /// When the next fetch starts, as far as is known now.
    pub(super) fn next_fetch(&self) -> Duration {
        match self.started {
            Some(started) if self.rung => self.due.min(started.saturating_add(GATE)),
            _ => self.due,
        }
    }

    /// How many fetches in a row have failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes note of bells; returns how many of them cause no fetch of their own.
    pub(super) fn hear(&mut self, rings: Rings, boot: Duration) -> u64 {
        let all = rings.kids.len() + usize::from(rings.anonymous);
        let mut news = rings.anonymous;
        for kid in rings.kids {
            if !self.absent.mutes(kid, boot) {
                news = true;
                self.expect(kid);
            }
        }
        if !news {
            if all > 0 {
                self.deaf_until = boot.saturating_add(LOOK_EVERY);
            }
            return all as u64;
        }
        let is_answered_now = !self.rung && !self.gate_is_shut(boot);
        self.rung = true;
        (all - usize::from(is_answered_now)) as u64
    }

    /// The next fetch will tell whether the source has `kid`.
    fn expect(&mut self, kid: u64) {
        if self.heard.len() < PLACES && !self.heard.contains(&kid) {
            self.heard.push(kid);
        }
    }

    fn gate_is_shut(&self, boot: Duration) -> bool {
        self.started
            .is_some_and(|started| boot < started.saturating_add(GATE))
    }

    /// Keys are too old after `max_stale`, so a fetch comes in time before that.
    pub(super) fn keep_within(&mut self, max_stale: Duration) {
        self.at_latest = Some((max_stale / 2).max(GATE));
    }

    /// Looks again every 30 s, whatever came of the last look: for a source that costs nobody anything.
    pub(super) fn polling() -> Self {
        Self {
            poll: Some(GATE),
            ..Self::default()
        }
    }

    /// Keys are too old. Without a failure that means that a clock was set, which no fetch waits
    /// for: it is as if a bell had rung.
    pub(super) fn too_old(&mut self) {
        self.rung |= self.failures == 0;
    }

    /// A fetch starts. It answers the bells that were heard so far.
    pub(super) fn start(&mut self, boot: Duration) {
        self.started = Some(boot);
        self.rung = false;
        self.asked = std::mem::take(&mut self.heard);
    }

    /// The fetch ended; `random` is uniform in 0..1.
    pub(super) fn finish(&mut self, outcome: Outcome, boot: Duration, random: f64) {
        let asked = std::mem::take(&mut self.asked);
        let wait = match outcome {
            Outcome::Renewed { changed, fresh_for } => {
                self.failures = 0;
                if changed {
                    self.absent.clear();
                } else {
                    asked.into_iter().for_each(|it| self.absent.add(it, boot));
                }
                let wait = ahead(fresh_for, random);
                wait.min(self.at_latest.unwrap_or(wait))
            }
            Outcome::Failed { usable } => {
                self.failures = self.failures.saturating_add(1);
                let ladder = if usable { WITH_KEYS } else { WITHOUT_KEYS };
                ladder.wait(self.failures, random)
            }
        };
        self.due = boot.saturating_add(self.poll.map_or(wait, |poll| wait.min(poll)));
    }
}

/// Both extremes that services state have caused outages, so theirs is a wish within bounds.
fn ahead(fresh_for: Option<Duration>, random: f64) -> Duration {
    let wait = fresh_for.map_or(AHEAD, |it| it.clamp(SOONEST, LATEST));
    spread(wait, JITTER, random).clamp(SOONEST, LATEST)
}

/// Kids that clients keep presenting though the source does not have them. Remembered only to save
/// fetches: a kid that is not remembered costs one more.
#[derive(Debug, Default)]
struct AbsentKids(Vec<Absent>);

#[derive(Debug)]
struct Absent {
    kid: u64,
    times: u32,
    until: Duration,
}

impl AbsentKids {
    fn mutes(&self, kid: u64, boot: Duration) -> bool {
        self.0.iter().any(|it| it.kid == kid && boot < it.until)
    }

    /// The source answered, and still does not have `kid`.
    fn add(&mut self, kid: u64, boot: Duration) {
        let place = self.0.iter().position(|it| it.kid == kid);
        let times = match place.map(|place| self.0.remove(place)) {
            Some(known) => known.times.saturating_add(1),
            None => 1,
        };
        if self.0.len() >= PLACES {
            // The one that was added longest ago.
            self.0.remove(0);
        }
        let until = boot.saturating_add(MUTED.wait(times, 0.5));
        self.0.push(Absent { kid, times, until });
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// A bell brings the next fetch forward to this long after the last one started.
pub(super) const GATE: Duration = Duration::from_secs(30);
/// Refresh-ahead where the source states no freshness, and the bounds where it does.
const AHEAD: Duration = Duration::from_secs(10 * 60);
const SOONEST: Duration = Duration::from_secs(5 * 60);
const LATEST: Duration = Duration::from_secs(30 * 60);
const JITTER: f64 = 0.1;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After failures, while verifications go on with the keys in hand …
const WITH_KEYS: Ladder = Ladder {
    first: Duration::from_secs(30),
    longest: Duration::from_secs(300),
    spread: JITTER,
};
/// … and while they cannot.
const WITHOUT_KEYS: Ladder = Ladder {
    first: Duration::from_secs(1),
    ..WITH_KEYS
};
/// How long the bells of a kid that is known to be absent are not answered.
const MUTED: Ladder = Ladder {
    first: Duration::from_secs(30),
    longest: Duration::from_secs(300),
    spread: 0.0,
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOOT: Duration = Duration::from_secs(5_000);
    const RENEWED: Outcome = Outcome::Renewed {
        changed: false,
        fresh_for: None,
    };
    const CHANGED: Outcome = Outcome::Renewed {
        changed: true,
        fresh_for: None,
    };
    const FAILED: Outcome = Outcome::Failed { usable: true };

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn kid(kid: u64) -> Rings {
        Rings {
            anonymous: false,
            kids: vec![kid],
        }
    }

    fn anonymous() -> Rings {
        Rings {
            anonymous: true,
            kids: Vec::new(),
        }
    }

    /// A machine whose first fetch took no time and ended so.
    fn after(outcome: Outcome) -> Schedule {
        let mut schedule = Schedule::default();
        fetch(&mut schedule, BOOT, outcome);
        schedule
    }

    #[track_caller]
    fn fetch(schedule: &mut Schedule, at: Duration, outcome: Outcome) {
        assert_eq!(schedule.next(at), Action::Fetch);
        schedule.start(at);
        schedule.finish(outcome, at, 0.5);
    }

    /// Runs `schedule` for an hour in steps of a second, with `rings` at each, every fetch ending in
    /// `outcome`; returns when fetches started.
    fn hour(
        schedule: &mut Schedule,
        from: Duration,
        mut rings: impl FnMut(u64) -> Rings,
        outcome: Outcome,
        random: f64,
    ) -> Vec<u64> {
        let mut starts = Vec::new();
        for second in 0..=3600 {
            let boot = from + secs(second);
            schedule.hear(rings(second), boot);
            if schedule.next(boot) == Action::Fetch {
                schedule.start(boot);
                schedule.finish(outcome, boot, random);
                starts.push(second);
            }
        }
        starts
    }

    #[test]
    fn the_first_fetch_is_due_at_once() {
        assert_eq!(Schedule::default().next(Duration::ZERO), Action::Fetch);
    }

    #[test]
    fn after_a_success_it_comes_ahead_of_time() {
        for (fresh_for, random, expected) in [
            (None, 0.5, 600),
            (None, 0.0, 540),
            (None, 1.0, 660),
            (Some(0), 0.5, 300),
            (Some(15), 0.0, 300),
            (Some(15), 1.0, 330),
            (Some(900), 0.5, 900),
            (Some(900), 0.0, 810),
            (Some(86_400), 0.5, 1800),
            (Some(86_400), 1.0, 1800),
            (Some(u64::MAX), 0.0, 1620),
        ] {
            let fresh_for = fresh_for.map(secs);
            let mut schedule = Schedule::default();
            schedule.start(BOOT);
            let changed = true;
            schedule.finish(Outcome::Renewed { changed, fresh_for }, BOOT, random);
            let expected = Action::Wait {
                at_most: secs(expected),
                listen: true,
            };
            assert_eq!(schedule.next(BOOT), expected, "{fresh_for:?} {random}");
        }
    }

    #[test]
    fn it_comes_before_keys_are_too_old() {
        for (max_stale, expected) in [(86_400, 600), (600, 300), (100, 50), (10, 30), (0, 30)] {
            let mut schedule = Schedule::default();
            schedule.keep_within(secs(max_stale));
            fetch(&mut schedule, BOOT, RENEWED);
            assert_eq!(schedule.next_fetch(), BOOT + secs(expected), "{max_stale}");
        }
    }

    #[test]
    fn keys_that_are_too_old_without_a_failure_bring_it_forward() {
        let mut schedule = after(RENEWED);
        schedule.too_old();
        assert_eq!(schedule.next_fetch(), BOOT + GATE);
        let mut schedule = after(Outcome::Failed { usable: true });
        fetch(&mut schedule, BOOT + GATE, Outcome::Failed { usable: true });
        schedule.too_old();
        assert_eq!(
            schedule.next_fetch(),
            BOOT + GATE + secs(60),
            "the ladder holds"
        );
    }

    #[test]
    fn a_source_that_is_polled_is_looked_at_every_30_seconds() {
        for outcome in [CHANGED, RENEWED, FAILED, Outcome::Failed { usable: false }] {
            let mut schedule = Schedule::polling();
            let quiet = hour(&mut schedule, BOOT, |_| Rings::default(), outcome, 0.5);
            assert!(quiet.len() >= 121, "{quiet:?}");
            assert!(quiet.windows(2).all(|pair| pair[1] - pair[0] <= 30));
        }
    }

    #[test]
    fn failures_climb_a_ladder() {
        for (usable, expected) in [
            (true, [30, 60, 120, 240, 300, 300, 300, 300, 300, 300]),
            (false, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]),
        ] {
            let mut schedule = after(CHANGED);
            let mut boot = schedule.next_fetch();
            for wait in expected {
                fetch(&mut schedule, boot, Outcome::Failed { usable });
                assert_eq!(schedule.next_fetch(), boot + secs(wait));
                boot += secs(wait);
            }
            assert_eq!(schedule.failures(), 10);
            fetch(&mut schedule, boot, RENEWED);
            assert_eq!(schedule.failures(), 0);
            assert_eq!(schedule.next_fetch(), boot + secs(600));
        }
    }

    #[test]
    fn a_dead_hour_costs_16_fetches_and_121_under_bells() {
        for random in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let quiet = hour(
                &mut Schedule::default(),
                BOOT,
                |_| Rings::default(),
                FAILED,
                random,
            );
            assert!((14..=16).contains(&quiet.len()), "{quiet:?}");
            let loud = hour(
                &mut Schedule::default(),
                BOOT,
                |_| anonymous(),
                FAILED,
                random,
            );
            assert!((120..=121).contains(&loud.len()), "{loud:?}");
        }
    }

    #[test]
    fn a_bell_is_answered_at_once_outside_the_gate() {
        let mut schedule = after(CHANGED);
        let boot = BOOT + secs(200);
        assert_eq!(schedule.hear(kid(7), boot), 0, "none was held");
        assert_eq!(schedule.next(boot), Action::Fetch);
    }

    #[test]
    fn a_bell_inside_the_gate_is_kept_and_answered_when_it_opens() {
        for outcome in [CHANGED, FAILED] {
            let mut schedule = after(CHANGED);
            let boot = BOOT + secs(600);
            fetch(&mut schedule, boot, outcome);
            assert_eq!(schedule.hear(kid(7), boot + secs(10)), 1, "held");
            let wait = Action::Wait {
                at_most: secs(20),
                listen: false,
            };
            assert_eq!(schedule.next(boot + secs(10)), wait);
            assert_eq!(schedule.next(boot + secs(30)), Action::Fetch);
        }
    }

    #[test]
    fn a_bell_does_not_put_off_a_fetch_that_is_due_sooner() {
        let mut schedule = after(Outcome::Failed { usable: false });
        schedule.hear(anonymous(), BOOT);
        assert_eq!(schedule.next_fetch(), BOOT + secs(1));
    }

    #[test]
    fn a_bell_during_a_fetch_is_not_answered_by_it() {
        let mut schedule = after(CHANGED);
        let boot = BOOT + secs(600);
        schedule.start(boot);
        schedule.hear(kid(7), boot + secs(1));
        schedule.finish(RENEWED, boot + secs(2), 0.5);
        assert_eq!(schedule.next_fetch(), boot + secs(30));
    }

    #[test]
    fn a_thousand_bogus_kids_cause_one_fetch() {
        let mut schedule = after(CHANGED);
        let from = BOOT + secs(5);
        for bogus in 0..1000 {
            schedule.hear(kid(bogus), from);
        }
        let starts = hour(&mut schedule, from, |_| Rings::default(), RENEWED, 0.5);
        assert_eq!(starts, [25, 625, 1225, 1825, 2425, 3025]);
    }

    #[test]
    fn a_flood_of_new_kids_causes_a_fetch_every_30_seconds() {
        let mut schedule = after(CHANGED);
        let from = BOOT + secs(30);
        let starts = hour(&mut schedule, from, |second| kid(second + 1), RENEWED, 0.5);
        assert_eq!(starts.len(), 121);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 30));
    }

    #[test]
    fn a_stale_client_causes_ever_fewer_fetches() {
        let mut schedule = after(CHANGED);
        let from = BOOT + secs(30);
        let starts = hour(&mut schedule, from, |_| kid(7), RENEWED, 0.5);
        let pauses: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses[..5], [30, 60, 120, 240, 300]);
        assert!(pauses[5..].iter().all(|pause| *pause == 300));
        // Another kid is heard all the same …
        let boot = from + secs(3600) + GATE;
        schedule.hear(kid(7), boot);
        assert_ne!(schedule.next(boot), Action::Fetch);
        schedule.hear(kid(8), boot);
        fetch(&mut schedule, boot, CHANGED);
        // … and once the set has changed, so is this one.
        schedule.hear(kid(7), boot + GATE);
        assert_eq!(schedule.next(boot + GATE), Action::Fetch);
    }

    #[test]
    fn a_look_that_found_nothing_new_is_not_repeated_at_once() {
        let mut schedule = after(CHANGED);
        schedule.hear(kid(7), BOOT + GATE);
        fetch(&mut schedule, BOOT + GATE, RENEWED);
        let boot = BOOT + GATE + secs(5);
        assert_eq!(schedule.hear(kid(7), boot), 1);
        let wait = Action::Wait {
            at_most: LOOK_EVERY,
            listen: false,
        };
        assert_eq!(schedule.next(boot), wait);
        assert!(matches!(
            schedule.next(boot + LOOK_EVERY),
            Action::Wait { listen: true, .. }
        ));
    }

    #[test]
    fn a_kid_that_is_heard_again_and_again_counts_once() {
        let mut schedule = after(CHANGED);
        for second in 0..30 {
            schedule.hear(kid(7), BOOT + secs(second));
        }
        let boot = BOOT + GATE;
        fetch(&mut schedule, boot, RENEWED);
        assert!(schedule.absent.mutes(7, boot + secs(29)));
        assert!(!schedule.absent.mutes(7, boot + secs(30)));
    }

    #[test]
    fn memory_of_absent_kids_is_bounded() {
        let mut absent = AbsentKids::default();
        (0..1000).for_each(|kid| absent.add(kid, BOOT));
        assert_eq!(absent.0.len(), PLACES);
        assert!(absent.mutes(999, BOOT) && !absent.mutes(0, BOOT));
    }

    #[derive(Clone, Debug)]
    enum Event {
        /// Time passes, awake or in suspend.
        Pass(Duration),
        Ring(Vec<u64>, bool),
        /// From now on fetches take so long and end so.
        Fetches(Duration, Outcome),
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let fresh = proptest::option::of((0..=u64::MAX).prop_map(secs));
        prop_oneof![
            (any::<bool>(), fresh)
                .prop_map(|(changed, fresh_for)| Outcome::Renewed { changed, fresh_for }),
            any::<bool>().prop_map(|usable| Outcome::Failed { usable }),
        ]
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..90_000u64).prop_map(|it| Event::Pass(Duration::from_millis(it))),
            1 => (0..1_000_000u64).prop_map(|it| Event::Pass(secs(it))),
            4 => (proptest::collection::vec(1..200u64, 0..5), any::<bool>())
                .prop_map(|(kids, anonymous)| Event::Ring(kids, anonymous)),
            1 => ((0..60u64).prop_map(secs), outcomes())
                .prop_map(|(takes, outcome)| Event::Fetches(takes, outcome)),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_the_gate_holds_and_bells_are_answered(
            events in proptest::collection::vec(events(), 1..200),
            random in 0.0..1.0f64,
        ) {
            let mut schedule = Schedule::default();
            let mut boot = BOOT;
            let (mut takes, mut outcome) = (Duration::ZERO, CHANGED);
            for event in events {
                match event {
                    Event::Pass(time) => boot += time,
                    Event::Fetches(time, ends) => (takes, outcome) = (time, ends),
                    Event::Ring(kids, anonymous) => {
                        let all = kids.len() as u64 + u64::from(anonymous);
                        let held = schedule.hear(Rings { kids, anonymous }, boot);
                        prop_assert!(held <= all);
                        if anonymous {
                            let opens = schedule.started.map_or(boot, |it| it + GATE).max(boot);
                            prop_assert!(schedule.next_fetch() <= opens);
                        }
                    }
                }
                match schedule.next(boot) {
                    Action::Fetch => {
                        if let Some(last) = schedule.started {
                            prop_assert!(boot >= schedule.due || boot - last >= GATE);
                        }
                        schedule.start(boot);
                        boot += takes;
                        schedule.finish(outcome, boot, random);
                        prop_assert!(schedule.due > boot && schedule.due - boot <= LATEST);
                    }
                    Action::Wait { at_most, .. } => {
                        prop_assert!(!at_most.is_zero() && boot + at_most <= schedule.next_fetch());
                    }
                }
            }
        }
    }
}
