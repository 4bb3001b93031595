//! A token in this process, and its age.

use std::sync::Arc;
use std::time::Duration;

use super::record::Issued;
use crate::clock::{Now, Timestamp};
use crate::policy::IssuancePolicy;
use crate::token::{AccessToken, Token};

/// A token whose age is measured in boot time from the moment when this process got it, so that a
/// wall clock that jumps neither ages nor rejuvenates it.
#[derive(Clone, Debug)]
pub struct Held {
    issued: Issued,
    lifetime: Duration,
    /// When this process got it, and how old it was then.
    since: Now,
    booted: Timestamp,
    age_then: Duration,
    /// The age at which it is due.
    rotation: Duration,
    /// In boot time: when it is due, when calls begin to wait for its renewal, when it expires.
    due: Duration,
    nearly_expired: Duration,
    expired: Duration,
    /// Issued so far in the future that a clock must be wrong.
    from_the_future: bool,
}

impl Held {
    /// A token that this process asked for at `asked`.
    pub(super) fn issued_here(issued: Issued, policy: &IssuancePolicy, asked: Now) -> Self {
        Self::aged(issued, policy, asked, Duration::ZERO)
    }

    /// A token out of a store: here wall time is all there is. One from the near future is new, since
    /// the clocks of hosts differ; one from further away is new and due.
    pub(super) fn from_store(issued: Issued, policy: &IssuancePolicy, now: Now) -> Self {
        let issued_at = issued.token.issued_at;
        Self {
            from_the_future: issued_at.since(now.wall) > NEAR_FUTURE,
            ..Self::aged(issued, policy, now, now.wall.since(issued_at))
        }
    }

    fn aged(issued: Issued, policy: &IssuancePolicy, since: Now, age_then: Duration) -> Self {
        let lifetime = issued.token.lifetime();
        let margin = LONGEST_MARGIN.min(lifetime / 10);
        let drawn = policy.rotation_age(lifetime, issued.fraction);
        let rotation = issued.rotate_in.map_or(drawn, |asked| asked.min(drawn));
        let rotation = rotation.min(lifetime.saturating_sub(margin));
        let boot = |age: Duration| since.boot.saturating_add(age.saturating_sub(age_then));
        Self {
            rotation,
            due: boot(rotation),
            nearly_expired: boot(lifetime.saturating_sub(margin)),
            expired: boot(lifetime),
            issued,
            lifetime,
            since,
            booted: booted(since),
            age_then,
            from_the_future: false,
        }
    }

    pub(super) fn issued(&self) -> &Issued {
        &self.issued
    }

    /// The token.
    pub fn token(&self) -> &Arc<Token> {
        &self.issued.token
    }

    pub(super) fn is(&self, token: &AccessToken) -> bool {
        self.issued.token.access_token == *token
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How old it is.
    pub fn age(&self, now: Now) -> Duration {
        let here = now.boot.saturating_sub(self.since.boot);
        self.age_then.saturating_add(here)
    }

    /// Whether its age is more than a guess.
    pub(super) fn age_is_known(&self) -> bool {
        !self.from_the_future
    }

    /// How long it still lives.
    pub fn remaining(&self, now: Now) -> Duration {
        self.expired.saturating_sub(now.boot)
    }

    #[inline]
    pub(super) fn lives(&self, now: Now) -> bool {
        now.boot < self.expired
    }

    /// Whether its rotation has come, or a clock disagrees with the other.
    #[inline]
    pub(super) fn is_due(&self, now: Now) -> bool {
        now.boot >= self.due || self.from_the_future || self.clocks_disagree(now)
    }

    /// Whether it is in the margin before expiry in which a call waits for a renewal: 30 s, at most a
    /// tenth of the lifetime, or `wished` if that is more, at most half of it.
    pub(super) fn is_nearly_expired(&self, wished: Duration, now: Now) -> bool {
        let wished = wished.min(self.lifetime / 2);
        now.boot >= self.nearly_expired || self.remaining(now) <= wished
    }

    pub(super) fn until_due(&self, now: Now) -> Duration {
        self.due.saturating_sub(now.boot)
    }

    /// When it is or was due, by the wall clock as it goes now.
    pub(super) fn rotate_at(&self, now: Now) -> Timestamp {
        now.wall.minus(self.age(now)).plus(self.rotation)
    }

    /// One of the two clocks was set or stood still since: then the age may be wrong.
    #[inline]
    fn clocks_disagree(&self, now: Now) -> bool {
        let apart = booted(now).as_millis().abs_diff(self.booted.as_millis());
        apart > LARGEST_DISAGREEMENT_MS
    }
}

/// When the machine was started, by both clocks together: always the same, while they go alike.
#[inline]
fn booted(now: Now) -> Timestamp {
    now.wall.minus(now.boot)
}

const NEAR_FUTURE: Duration = Duration::from_secs(5 * 60);
const LARGEST_DISAGREEMENT_MS: u64 = 60_000;
const LONGEST_MARGIN: Duration = Duration::from_secs(30);
