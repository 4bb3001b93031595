//! What to do at which moment: the rotator without its I/O.
//!
//! [`State`] is a value. [`State::decide`] says what a call does now; everything else takes what
//! happened and returns the state after it. The shells (async, blocking and one-shot) only carry
//! it out.

use std::time::Duration;

use super::error::{Failing, Reason};
use super::health::{Health, Status};
use super::store::CredentialTag;
use crate::clock::{LONGEST_SLEEP, Now, Timestamp};
use crate::policy::IssuancePolicy;
use crate::token::{AccessToken, LifetimeSource, Token};

mod change;

pub use super::held::Held;
pub use super::record::{Failed, Gate, Issued, Record, Successor};

/// All that one rotator knows.
#[derive(Clone, Debug)]
pub struct State {
    policy: IssuancePolicy,
    credential: CredentialTag,
    min_validity: Duration,
    generation: u64,
    latest: Option<Held>,
    /// The opaque token before `latest`, while it lives.
    former: Option<Held>,
    /// A resource refused `latest`, and `former` is to be had.
    offer_former: bool,
    /// A resource refused `latest`, and a renewal is owed for that.
    refused: bool,
    failed: Option<Failed>,
    /// Boot time before which no attempt is made.
    pause_ends: Duration,
    /// Boot time before which a living token is not renewed.
    put_off_until: Duration,
    gate: Option<Gate>,
    requested_at: Option<Timestamp>,
    successors: Vec<Successor>,
    flight: Option<Flying>,
    flights: u64,
}

/// A renewal under way, and the process that it is a task of.
#[derive(Clone, Copy, Debug)]
struct Flying {
    number: u64,
    process: u32,
}

/// What a call does now.
#[derive(Clone, Debug)]
pub enum Action<'a> {
    /// Returns the token.
    Serve(&'a Held),
    /// Returns the token, and makes sure that a renewal is under way: in this process, which a fork
    /// may have made another one.
    ServeAndRenew(&'a Held),
    /// Waits for the renewal, so long at most, and then returns what lives.
    JoinThenServe(&'a Held, Duration),
    /// Waits for the renewal, so long at most.
    Join(Duration),
    /// There is no token and none is to be had now.
    Fail(Failing),
}

impl State {
    /// Nothing is known yet.
    pub fn new(policy: IssuancePolicy, credential: CredentialTag) -> Self {
        Self {
            policy,
            credential,
            min_validity: Duration::ZERO,
            generation: 0,
            latest: None,
            former: None,
            offer_former: false,
            refused: false,
            failed: None,
            pause_ends: Duration::ZERO,
            put_off_until: Duration::ZERO,
            gate: None,
            requested_at: None,
            successors: Vec::new(),
            flight: None,
            flights: 0,
        }
    }

    /// The same, with a margin of at least `min_validity` (and at most half of a token's lifetime)
    /// before expiry in which a call waits for a renewal.
    #[must_use]
    pub fn with_min_validity(mut self, min_validity: Duration) -> Self {
        self.min_validity = min_validity;
        self
    }

    /// The state with the credential that is in force now; `None` if it is in force already. What
    /// failed with another one does not count any more: a corrected secret is tried at once.
    pub fn with_credential(&self, credential: CredentialTag) -> Option<Self> {
        (credential != self.credential).then(|| Self {
            credential,
            failed: None,
            pause_ends: Duration::ZERO,
            ..self.clone()
        })
    }

    /// What a call does now.
    #[inline]
    pub fn decide(&self, now: Now) -> Action<'_> {
        match self.serving(now) {
            Some(held) if !self.is_due(now) => Action::Serve(held),
            Some(held) => self.decide_when_due(held, now),
            None => self.decide_without(now),
        }
    }

    fn decide_when_due<'a>(&'a self, held: &'a Held, now: Now) -> Action<'a> {
        let may_wait = self.flight.is_some() || self.may_begin(now);
        let nearly_expired =
            held.is_nearly_expired(Duration::ZERO, now) || self.is_wanted_longer(held, now);
        if may_wait && nearly_expired {
            let half = held.remaining(now) / 2;
            return Action::JoinThenServe(held, half.min(LONGEST_WAIT_WITH_TOKEN));
        }
        match may_wait {
            true => Action::ServeAndRenew(held),
            false => Action::Serve(held),
        }
    }

    fn decide_without(&self, now: Now) -> Action<'_> {
        // A renewal under way, or one that may start, is worth waiting for whatever failed before:
        // the first call after an outage succeeds.
        let may_wait = self.flight.is_some() || !self.is_paused(now);
        match self.failing(now) {
            Some(failing) if !may_wait => Action::Fail(failing),
            _ => Action::Join(LONGEST_WAIT_WITHOUT_TOKEN),
        }
    }

    /// Claims the one renewal of this process: `None` unless one is wanted, none is under way and
    /// no pause forbids it. Claimed before anything is spawned.
    ///
    /// A renewal of another process (`process` is the id of this one) is what a fork left behind: its
    /// task exists in the parent alone, so nothing is to be expected of it here.
    pub fn begin(&self, now: Now, process: u32) -> Option<Self> {
        let free = self.flight(process).is_none() && self.may_begin(now);
        free.then(|| {
            let number = self.flights.saturating_add(1);
            Self {
                flight: Some(Flying { number, process }),
                flights: number,
                ..self.clone()
            }
        })
    }

    /// The number of the renewal that is under way in this process: later ones have higher numbers.
    pub fn flight(&self, process: u32) -> Option<u64> {
        let own = self.flight.filter(|it| it.process == process);
        own.map(|it| it.number)
    }

    /// The renewal with this number is over.
    #[must_use]
    pub fn end(&self, flight: u64) -> Self {
        Self {
            flight: self.flight.filter(|it| it.number != flight),
            ..self.clone()
        }
    }

    fn may_begin(&self, now: Now) -> bool {
        let later = now.boot < self.put_off_until || !self.spacing(now).is_zero();
        !self.is_paused(now) && self.wants_renewal(now) && !(later && self.lives(now))
    }

    fn wants_renewal(&self, now: Now) -> bool {
        !self.lives(now) || self.is_due(now)
    }

    /// How much is left of the second that lies between two successful issues.
    pub fn spacing(&self, now: Now) -> Duration {
        match &self.latest {
            Some(latest) if latest.age_is_known() => BETWEEN_ISSUES.saturating_sub(latest.age(now)),
            _ => Duration::ZERO,
        }
    }

    /// What the holder of the store's claim does, once it has read the store: the state with the
    /// stamp that goes into the store before the request, or `None` if nothing is to be issued.
    pub fn plan(&self, now: Now) -> Option<Self> {
        if !self.may_begin(now) {
            return None;
        }
        let mut next = self.clone();
        if self.lives(now) && !self.is_due_by_itself(now) {
            // An attempt that failed brought no token that could be refused as well.
            let again = self.gate.filter(|_| self.failed.is_some());
            next.gate = Some(match again {
                Some(gate) => gate.again(now.wall),
                None => Gate::after(self.gate, now.wall),
            });
        }
        next.requested_at = Some(now.wall);
        Some(next)
    }

    /// The state with a new stamp, for a further request of the same attempt.
    #[must_use]
    pub fn stamped(&self, now: Now) -> Self {
        Self {
            requested_at: Some(now.wall),
            ..self.clone()
        }
    }

    /// Whether the other one who holds the store has been silent for so long that one may issue
    /// without its consent.
    pub fn holder_is_silent(&self, now: Now) -> bool {
        is_silent(self.requested_at, now)
    }

    fn gate_is_open(&self, now: Now) -> bool {
        self.gate.is_none_or(|gate| gate.is_open(now.wall))
    }

    fn is_latest(&self, token: &AccessToken) -> bool {
        self.latest.as_ref().is_some_and(|it| it.is(token))
    }

    /// The token to hand out: the latest, or the one before it where that is to be offered or is all
    /// that lives. Never one that is expired.
    #[inline]
    fn serving(&self, now: Now) -> Option<&Held> {
        let (first, second) = if self.offer_former {
            (&self.former, &self.latest)
        } else {
            (&self.latest, &self.former)
        };
        let lives = |held: &&Held| held.lives(now);
        first
            .as_ref()
            .filter(lives)
            .or_else(|| second.as_ref().filter(lives))
    }

    /// The token to hand out, if one lives.
    pub fn token(&self, now: Now) -> Option<&std::sync::Arc<Token>> {
        self.serving(now).map(Held::token)
    }

    fn lives(&self, now: Now) -> bool {
        self.serving(now).is_some()
    }

    #[inline]
    fn is_due(&self, now: Now) -> bool {
        self.refused || self.is_due_by_itself(now)
    }

    #[inline]
    fn is_due_by_itself(&self, now: Now) -> bool {
        self.latest.as_ref().is_none_or(|latest| {
            latest.is_due(now) || latest.issued().credential != self.credential
        })
    }

    /// A wider margin is one call's wish, and no reason to replace a token that just came.
    fn is_wanted_longer(&self, held: &Held, now: Now) -> bool {
        !self.min_validity.is_zero()
            && held.age(now) >= TOO_YOUNG_TO_REPLACE
            && held.is_nearly_expired(self.min_validity, now)
    }

    fn is_paused(&self, now: Now) -> bool {
        now.boot < self.pause_ends
    }

    /// Another process issues, or the store cannot be written: a living token is not renewed for a
    /// while. Not a failure, since no request was made.
    #[must_use]
    pub fn put_off(&self, wait: Duration, now: Now) -> Self {
        Self {
            put_off_until: now.boot.saturating_add(wait),
            ..self.clone()
        }
    }

    /// The attempts that failed in a row, if the last one did.
    pub fn failing(&self, now: Now) -> Option<Failing> {
        let failed = self.failed.as_ref()?;
        Some(Failing {
            since: failed.since,
            attempts: failed.attempts,
            reason: failed.reason.clone(),
            class: failed.class,
            next_attempt: now.wall.plus(self.pause_ends.saturating_sub(now.boot)),
        })
    }

    /// Whether the service refused the parameter that asks for a format.
    pub(super) fn format_was_refused(&self) -> bool {
        self.failed.as_ref().is_some_and(|it| it.without_format)
    }

    /// The refresh tokens in force where the service replaced one that the user gave.
    pub fn successors(&self) -> &[Successor] {
        &self.successors
    }

    /// The service replaced the refresh token.
    #[must_use]
    pub fn succeeded_by(&self, successor: Successor) -> Self {
        let all = [successor]
            .into_iter()
            .chain(self.successors.iter().cloned());
        Self {
            successors: Successor::newest_of(all),
            ..self.clone()
        }
    }

    /// How long the latest token was granted for, whether it still lives or not; `None` if that was
    /// a guess, which does not become knowledge by being repeated.
    pub fn last_lifetime(&self) -> Option<Duration> {
        let latest = self.latest.as_ref()?;
        let known = latest.token().lifetime_source != LifetimeSource::Assumed;
        known.then(|| latest.lifetime())
    }

    /// How long a background task may sleep before it looks again: 60 s at most.
    pub fn next_look(&self, now: Now) -> Duration {
        let wait = match &self.latest {
            _ if self.flight.is_some() => LONGEST_SLEEP,
            Some(latest) if !self.wants_renewal(now) => latest.until_due(now),
            _ => {
                let ends = self.pause_ends.max(self.put_off_until);
                ends.saturating_sub(now.boot).max(self.spacing(now))
            }
        };
        wait.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }

    /// How things stand.
    pub fn health(&self, now: Now, asked_scope: Option<&str>) -> Health {
        let held = self.serving(now).or(self.latest.as_ref());
        let token = held.map(Held::token);
        let failing = self.failing(now);
        let in_the_way = |it: &&Failing| it.reason != Reason::SameToken;
        let outage = failing.as_ref().filter(in_the_way).map(|it| it.since);
        let status = if self.lives(now) {
            Status::of_living(self.is_due(now), outage)
        } else {
            Status::without_token(held.is_some(), failing.as_ref().map(|it| it.class))
        };
        Health {
            status,
            issued_at: token.map(|it| it.issued_at),
            rotate_at: held.map(|it| it.rotate_at(now)),
            expires_at: token.map(|it| it.expires_at),
            serving_through_outage: matches!(status, Status::ServingThroughOutage { .. }),
            failing,
            findings: token.map_or_else(Vec::new, |it| self.policy.findings(it, asked_scope)),
            store: None,
        }
    }
}

/// Whether a holder that made a stamp then has been silent for too long.
pub(super) fn is_silent(stamp: Option<Timestamp>, now: Now) -> bool {
    stamp.is_none_or(|stamp| {
        // A stamp from the future is by a clock that runs ahead, and says nothing.
        now.wall.since(stamp) > LONGEST_SILENCE || stamp.since(now.wall) > LONGEST_SILENCE
    })
}

/// With a living token in hand, nobody waits longer for a better one.
pub(super) const LONGEST_WAIT_WITH_TOKEN: Duration = Duration::from_secs(5);
/// Without one, nobody waits longer for the first.
pub(super) const LONGEST_WAIT_WITHOUT_TOKEN: Duration = Duration::from_secs(30);

const BETWEEN_ISSUES: Duration = Duration::from_secs(1);
const TOO_YOUNG_TO_REPLACE: Duration = Duration::from_secs(30);
/// More than the 25 s that a renewal takes from its stamp to its end, and less than a single run
/// waits in all.
const LONGEST_SILENCE: Duration = Duration::from_secs(26);
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);
