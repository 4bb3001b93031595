//! How long to leave the service alone: between the tries of an attempt, between attempts, and
//! between renewals that refused tokens cause. Arithmetic only; random numbers are in 0..1.

use std::time::Duration;

use super::error::{Class, IssueError, Reason};
use super::record::Gate;
use crate::backoff::{Ladder, spread};
use crate::clock::Timestamp;
use crate::policy::IssuancePolicy;
use crate::token::FormatPreference;

/// No pause is longer, whatever the service asks for.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A living token's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) lifetime: Duration,
    pub(super) remaining: Duration,
}

/// The pause after the `attempts`th failed attempt in a row, with a living token or without.
pub(super) fn after(
    error: &IssueError,
    attempts: u32,
    life: Option<Life>,
    random: f64,
) -> Duration {
    let pause = match (error.class, life) {
        (Class::Permanent, _) => PERMANENT.wait(attempts, random),
        (Class::Transient, None) => WITHOUT_TOKEN.wait(attempts, random),
        // A token that lives leaves time: the pause grows, but never past a quarter of what is left,
        // and never below what even a short-lived token can afford.
        (Class::Transient, Some(life)) => {
            let floor = (life.lifetime / 20).clamp(Duration::from_secs(5), Duration::from_secs(60));
            let grown = WITH_TOKEN.wait(attempts, MIDDLE);
            let pause = grown.min(life.remaining / 4).max(floor);
            // Once it has expired every call fails, so then, at the latest, the service is asked.
            let left = life.remaining.max(WITHOUT_TOKEN.first);
            spread(pause, SPREAD, random).min(left)
        }
    };
    pause
        .max(error.retry_after.unwrap_or_default())
        .min(LONGEST_PAUSE)
}

const SPREAD: f64 = 0.2;

/// What moves no wait.
const MIDDLE: f64 = 0.5;

const PERMANENT: Ladder = Ladder {
    first: Duration::from_secs(60),
    longest: LONGEST_PAUSE,
    spread: SPREAD,
};

const WITH_TOKEN: Ladder = PERMANENT;

const WITHOUT_TOKEN: Ladder = Ladder {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
    spread: SPREAD,
};

/// The tries that one attempt has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    left: u8,
    may_go_without: bool,
    ask_for_jwt: bool,
}

impl Tries {
    /// `can_ask`: the grant has a parameter that asks for a JWT. `refused`: the service refused it
    /// in the attempt before.
    pub(super) fn new(policy: &IssuancePolicy, can_ask: bool, refused: bool) -> Self {
        let prefers = policy.format() == FormatPreference::PreferJwt;
        Self {
            left: policy.retries(),
            may_go_without: can_ask && prefers,
            ask_for_jwt: policy.format() != FormatPreference::Opaque && !(prefers && refused),
        }
    }

    /// Whether the next try asks for a JWT.
    pub(super) fn ask_for_jwt(&self) -> bool {
        self.ask_for_jwt
    }

    /// Whether the parameter was refused, so that the next attempt should go without.
    pub(super) fn format_was_refused(&self, error: &IssueError) -> bool {
        // One that is busy says nothing about the request, whatever its body repeats.
        let refused = error.class == Class::Permanent
            && matches!(
                &error.reason,
                Reason::Error { code, .. } if code.as_str() == "invalid_request"
            );
        refused && self.may_go_without && self.ask_for_jwt
    }

    /// The wait before the next try after one that failed; `None` if the attempt is over.
    pub(super) fn next(&mut self, error: &IssueError, random: f64) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        if self.format_was_refused(error) {
            self.ask_for_jwt = false;
            return Some(Duration::ZERO);
        }
        let status = match error.reason {
            Reason::Status { status } | Reason::Error { status, .. } => Some(status),
            _ => None,
        };
        // A service that says when is taken at its word; one that limits the rate has to say it.
        let wait = match (error.retry_after, status) {
            (Some(wait), _) if wait <= LONGEST_RETRY_AFTER => wait,
            (Some(_), _) | (None, Some(429)) => return None,
            (None, _) => Duration::ZERO,
        };
        let jitter = spread(Duration::from_secs(1), 0.5, random);
        error.reason.is_retryable().then(|| jitter.max(wait))
    }
}

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5);

impl Gate {
    /// Whether a refused token may cause a renewal.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at <= now || !self.counts(now)
    }

    /// A gate that opens later than it was closed for was written by a clock that runs ahead, and
    /// holds nobody.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        self.opens_at.since(now) <= self.closed_for()
    }

    /// The gate after a renewal that a refused token caused.
    pub(super) fn after(before: Option<Self>, now: Timestamp) -> Self {
        let closed_for = match before {
            Some(gate) if gate.counts(now) && now.since(gate.opens_at) < QUIET => gate
                .closed_for
                .saturating_mul(2)
                .clamp(FIRST_GATE, LAST_GATE),
            _ => FIRST_GATE,
        };
        Self {
            opens_at: now,
            closed_for,
        }
        .again(now)
    }

    /// The gate, closed for as long as it was.
    pub(super) fn again(self, now: Timestamp) -> Self {
        Self {
            opens_at: now.plus(self.closed_for()),
            ..self
        }
    }

    fn closed_for(&self) -> Duration {
        Duration::from_secs(self.closed_for.min(LAST_GATE).into())
    }
}

/// Seconds.
const FIRST_GATE: u32 = 30;
const LAST_GATE: u32 = 3600;

/// This long without a refused token after the gate opened, and it starts anew. Forty minutes, so
/// that a resource that refuses everything costs no more than 40 tokens a day, however seldom it is
/// asked: who came every quarter of an hour would find ten quiet minutes each time.
const QUIET: Duration = Duration::from_secs(2400);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rotator::error::ErrorCode;

    const HOUR: Duration = Duration::from_secs(3600);

    #[track_caller]
    fn pause(error: &IssueError, attempts: u32, lifetime: Duration, remaining: Duration) -> u64 {
        let life = Life {
            lifetime,
            remaining,
        };
        after(error, attempts, Some(life), 0.5).as_secs()
    }

    #[test]
    fn pauses_with_a_living_token() {
        let down = IssueError::transient(Reason::NoConnection);
        let pauses = [1, 2, 3, 4, 5, 99].map(|it| pause(&down, it, 12 * HOUR, 10 * HOUR));
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
        // A quarter of what is left, and the floor: a twentieth of the lifetime, 5 s to 60 s.
        for (lifetime, remaining, expected) in [
            (12 * HOUR, 20 * 60, 300),
            (12 * HOUR, 60, 60),
            (HOUR / 6, 40, 30),
            (HOUR / 6, 240, 60),
            (HOUR / 60, 10, 5),
            // It does not outlast the token.
            (HOUR / 60, 3, 3),
            (12 * HOUR, 20, 20),
            (HOUR / 60, 0, 1),
        ] {
            let remaining = Duration::from_secs(remaining);
            assert_eq!(pause(&down, 9, lifetime, remaining), expected);
        }
        let refused = IssueError::permanent(Reason::Unreadable);
        assert_eq!(pause(&refused, 1, HOUR / 60, HOUR / 60), 60);
    }

    #[test]
    fn retries_come_after_a_second_or_so_or_when_the_service_says() {
        let policy = IssuancePolicy::default().with_retries(2).unwrap();
        let after = |error: &IssueError, random| {
            let wait = Tries::new(&policy, false, false).next(error, random);
            wait.map(|it| it.as_millis())
        };
        let down = IssueError::transient(Reason::NoAnswer);
        let waits = [0.0, 0.5, 1.0].map(|random| after(&down, random));
        assert_eq!(waits, [Some(500), Some(1000), Some(1500)]);
        for (status, seconds, wait) in [
            (425, None, Some(1000)),
            (429, None, None),
            (429, Some(0), Some(1000)),
            (429, Some(5), Some(5000)),
            (429, Some(6), None),
            (503, Some(5), Some(5000)),
            (503, Some(6), None),
        ] {
            let busy = IssueError {
                retry_after: seconds.map(Duration::from_secs),
                ..IssueError::transient(Reason::Status { status })
            };
            assert_eq!(after(&busy, 0.5), wait, "{status} {seconds:?}");
        }
    }

    fn error() -> impl Strategy<Value = IssueError> {
        let codes = prop_oneof![Just("invalid_request"), Just("slow_down")];
        let reason = prop_oneof![
            Just(Reason::NoConnection),
            Just(Reason::NoAnswer),
            Just(Reason::Broken),
            (200_u16..600).prop_map(|status| Reason::Status { status }),
            (400_u16..600, codes).prop_map(|(status, code)| Reason::Error {
                status,
                code: ErrorCode::new(code),
                description: None,
            }),
        ];
        let class = prop_oneof![Just(Class::Permanent), Just(Class::Transient)];
        let retry_after = proptest::option::of((0_u64..100_000).prop_map(Duration::from_secs));
        (reason, class, retry_after).prop_map(|(reason, class, retry_after)| IssueError {
            reason,
            class,
            retry_after,
        })
    }

    proptest! {
        #[test]
        fn an_attempt_is_one_try_and_its_retries(
            retries in 0_u8..=2,
            can_ask: bool,
            refused: bool,
            errors in proptest::collection::vec((error(), 0.0..1.0), 10),
        ) {
            let policy = IssuancePolicy::default().with_retries(retries).unwrap();
            let mut tries = Tries::new(&policy, can_ask, refused);
            let waits = errors.iter().map_while(|(error, random)| tries.next(error, *random));
            let waits: Vec<_> = waits.collect();
            prop_assert!(waits.len() <= retries.into());
            prop_assert!(waits.iter().all(|it| *it <= LONGEST_RETRY_AFTER));
        }

        #[test]
        fn no_pause_is_longer_than_ten_minutes(
            error in error(),
            attempts: u32,
            lifetime in 0_u64..u64::MAX,
            remaining in 0_u64..u64::MAX,
            random in 0.0..1.0,
        ) {
            let life = Life {
                lifetime: Duration::from_secs(lifetime),
                remaining: Duration::from_secs(remaining),
            };
            for life in [None, Some(life)] {
                let pause = after(&error, attempts, life, random);
                prop_assert!(pause <= LONGEST_PAUSE);
                prop_assert!(pause >= Duration::from_millis(800));
            }
        }
    }
}
