//! What happened, and the state after it.

use std::time::Duration;

use super::{LONGEST_SILENCE, State};
use crate::clock::{Now, Timestamp};
use crate::rotator::error::{IssueError, Reason};
use crate::rotator::held::Held;
use crate::rotator::issue::Answer;
use crate::rotator::pause::{self, LONGEST_PAUSE, Life};
use crate::rotator::record::{Failed, Gate, Issued, Record, Successor};
use crate::token::{AccessToken, FormatPreference, TokenFormat};

impl State {
    /// Takes in what the store holds.
    #[must_use]
    pub fn learn(&self, stored: Record, now: Now) -> Self {
        let mut next = self.clone();
        let newer = stored.outran(&self.record());
        let failed = stored.failed.filter(|it| self.counts(it, now));
        if newer {
            let held = |it| Held::from_store(it, &self.policy, now);
            let latest = stored.token.map(held);
            if latest.as_ref().is_some_and(|it| it.lives(now)) || !self.lives(now) {
                next.generation = stored.generation;
                next.latest = latest;
                next.former = stored.former.map(held);
                next.offer_former = false;
                next.refused = false;
            } else {
                // A living token is not given up for a newer one that does not live: it goes back
                // into the store.
                next.generation = stored.generation.saturating_add(1);
            }
            next.set_failed(failed, now);
        } else if let Some(failed) = failed
            && self
                .failed
                .as_ref()
                .is_none_or(|it| it.written_at < failed.written_at)
        {
            next.set_failed(Some(failed), now);
        }
        let counts = |gate: &Gate| gate.counts(now.wall);
        let gates = (self.gate.filter(counts), stored.gate.filter(counts));
        next.gate = later(gates.0, gates.1, |gate| gate.opens_at);
        // Another process may have spent what the gate allows; where this one did, it still owes.
        next.refused &= next.gate == self.gate || next.gate_is_open(now);
        let links = next.successors.into_iter().chain(stored.successors);
        next.successors = Successor::newest_of(links);
        // A stamp by a clock that runs ahead would hide all that come after it.
        let counts = |stamp: &Timestamp| stamp.since(now.wall) <= LONGEST_SILENCE;
        let stamps = (
            self.requested_at.filter(counts),
            stored.requested_at.filter(counts),
        );
        next.requested_at = later(stamps.0, stamps.1, |stamp| stamp);
        next
    }

    /// A failure counts unless it was written, or ends, by a clock that runs ahead, and only for the
    /// credential that failed.
    fn counts(&self, failed: &Failed, now: Now) -> bool {
        failed.written_at.since(now.wall) <= FURTHEST_WRITTEN
            && failed.next_attempt.since(now.wall) <= LONGEST_PAUSE
            && failed.credential == self.credential
    }

    fn set_failed(&mut self, failed: Option<Failed>, now: Now) {
        let pause = failed.as_ref().map(|it| it.next_attempt.since(now.wall));
        self.pause_ends = now.boot.saturating_add(pause.unwrap_or_default());
        self.failed = failed;
    }

    /// What the store shall hold.
    pub fn record(&self) -> Record {
        let issued = |held: &Held| held.issued().clone();
        Record {
            generation: self.generation,
            token: self.latest.as_ref().map(issued),
            former: self.former.as_ref().map(issued),
            failed: self.failed.clone(),
            gate: self.gate,
            requested_at: self.requested_at,
            successors: self.successors.clone(),
            sealed: None,
        }
    }

    /// Whether an answer to a request made at `asked` renews anything.
    ///
    /// # Errors
    ///
    /// If it does not; the token in hand stays.
    pub fn check(&self, answer: &Answer, asked: Now, now: Now) -> Result<(), IssueError> {
        let token = &answer.token;
        let required = self.policy.format() == FormatPreference::RequireJwt;
        if required && token.format == TokenFormat::Opaque {
            Err(IssueError::permanent(Reason::OpaqueInsteadOfJwt))
        } else if token.lifetime() <= now.boot.saturating_sub(asked.boot) {
            Err(IssueError::transient(Reason::ExpiredOnArrival))
        } else if self.is_latest(&token.access_token) {
            Err(IssueError::transient(Reason::SameToken))
        } else {
            Ok(())
        }
    }

    /// A new token came, asked for at `asked`; `fraction` (0 to 1) is where it will be rotated.
    #[must_use]
    pub fn succeeded(&self, answer: &Answer, asked: Now, now: Now, fraction: f64) -> Self {
        let latest = Held::issued_here(
            Issued {
                token: answer.token.clone().into(),
                fraction,
                rotate_in: answer.rotate_in,
                credential: self.credential,
            },
            &self.policy,
            asked,
        );
        let opaque = |held: &&Held| held.token().format == TokenFormat::Opaque;
        // One that was refused itself is no resort.
        let refused = |held: &&Held| self.refused && self.is_latest(&held.token().access_token);
        let former = self
            .serving(now)
            .filter(|held| opaque(held) && !refused(held))
            .filter(|_| opaque(&&latest));
        Self {
            generation: self.generation.saturating_add(1),
            former: former.cloned(),
            latest: Some(latest),
            offer_former: false,
            refused: false,
            failed: None,
            pause_ends: Duration::ZERO,
            ..self.clone()
        }
    }

    /// An attempt failed. `without_format`: the next one shall not ask for a format.
    #[must_use]
    pub fn failed(&self, error: &IssueError, without_format: bool, now: Now, random: f64) -> Self {
        let attempts = self
            .failed
            .as_ref()
            .map_or(0, |it| it.attempts)
            .saturating_add(1);
        let life = self.serving(now).map(|held| Life {
            lifetime: held.lifetime(),
            remaining: held.remaining(now),
        });
        let pause = pause::after(error, attempts, life, random);
        Self {
            failed: Some(Failed {
                since: self.failed.as_ref().map_or(now.wall, |it| it.since),
                attempts,
                reason: error.reason.clone(),
                class: error.class,
                written_at: now.wall,
                next_attempt: now.wall.plus(pause),
                credential: self.credential,
                without_format,
            }),
            pause_ends: now.boot.saturating_add(pause),
            ..self.clone()
        }
    }

    /// A resource answered 401 to `token`. `None` if that changes nothing: a newer one is to be had
    /// already, or renewals for refused tokens are used up for now.
    pub fn reject(&self, token: &AccessToken, now: Now) -> Option<Self> {
        let mut next = self.clone();
        if self.offer_former && self.former.as_ref().is_some_and(|it| it.is(token)) {
            // Both are refused: the latest is the last resort, and the other one is of no use.
            next.offer_former = false;
            next.former = None;
        } else if self.is_latest(token) {
            next.offer_former = self.former.as_ref().is_some_and(|it| it.lives(now));
            next.refused |= self.gate_is_open(now);
        }
        let changed = next.offer_former != self.offer_former || next.refused != self.refused;
        changed.then_some(next)
    }
}

fn later<T: Copy, K: Ord>(one: Option<T>, other: Option<T>, time: impl Fn(T) -> K) -> Option<T> {
    one.into_iter().chain(other).max_by_key(|it| time(*it))
}

const FURTHEST_WRITTEN: Duration = Duration::from_secs(60);
