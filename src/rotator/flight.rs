//! The one renewal of a process: claims the store, issues, and tells what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::error::{IssueError, Reason};
#[cfg(feature = "metrics")]
use super::metrics;
use super::pause::Tries;
use super::sent::Sent;
use super::shared::Shared;
use super::state::{self, State};
use super::store::{Claim, LONGEST_ANSWER_OF_A_STORE, StoreError, in_time};
use super::{Answer, Try};
use crate::clock::{Clock, Now, SystemClock};

/// The right to be the one renewal. Dropped before it has landed (its task panicked, was never
/// started, or its runtime is gone) it counts as a failed attempt and frees the way for the next.
pub(super) struct Flight {
    shared: Arc<Shared>,
    number: u64,
    landed: bool,
}

/// How long a renewal may take, in real time: these are deadlines of I/O, not of the policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// To wait for another process that holds the store's claim and makes no request.
    patience: Duration,
    /// In all, waiting included, until the last answer must be there.
    total: Duration,
}

impl Limits {
    /// For a renewal that goes on whoever waits for it. A caller's 30 s outlast the patience.
    pub(super) const DETACHED: Self = Self {
        patience: Duration::from_secs(28),
        total: Duration::from_secs(60),
    };

    /// For a caller that waits so long and then is gone for good: an answer that comes in the last
    /// moments could not be written down any more. One that cannot wait for what an answer takes
    /// leaves before the end, so that its hurry does not count as a failure of the service.
    pub(super) fn within(wait: Duration) -> Self {
        let wait = wait.max(LONG_ENOUGH);
        let total = wait.saturating_sub((wait / 8).min(TO_WRITE));
        Self {
            patience: total * 4 / 5,
            total,
        }
    }
}

/// From the claim to its end; whoever polls for the claim is more patient.
const HELD_AT_MOST: Duration = Duration::from_secs(25);

/// How long a caller that is gone for good after `wait` must stay, so that no request of a grant that
/// [spends](super::Grant::spends) is on its way when it goes: what replaces the thing spent would be
/// lost. It stays as long only while there is such a request.
pub(super) fn until_landed(wait: Duration) -> Duration {
    wait.max(LONG_ENOUGH) + HELD_AT_MOST
}

/// For one write: the stamp before the first request, and what came of the attempt after it.
const TO_WRITE: Duration = LONGEST_ANSWER_OF_A_STORE;

/// What came of asking for the store's claim.
enum Asked {
    /// Granted, or of no use: then the one without a token issues for itself.
    Go(Option<Box<dyn Claim>>),
    /// There is nothing to do: someone else did it.
    Settled,
    /// Another process issues.
    Busy,
}

impl Flight {
    /// Claims the renewal, if one is wanted and none is under way.
    pub(super) fn claim(shared: &Arc<Shared>) -> Option<Self> {
        let now = shared.now();
        let process = std::process::id();
        let begun = shared.try_update(|state| state.begin(now, process))?;
        Some(Self {
            shared: Arc::clone(shared),
            number: begun.flight(process)?,
            landed: false,
        })
    }

    /// Carries it out.
    pub(super) async fn run(mut self, limits: Limits) {
        let start = Instant::now();
        self.shared.refresh_credential();
        self.space().await;
        let polling = self.ask_for_claim(start + limits.patience);
        match timeout_at(start + limits.total, polling).await {
            Ok(Asked::Go(mut claim)) => {
                self.issue(&mut claim, start + limits.total).await;
                release(claim).await;
            }
            Ok(Asked::Settled) => {}
            Ok(Asked::Busy) => self.put_off(WHILE_ANOTHER_ISSUES),
            Err(_) if self.has_token() => self.put_off(WHILE_ANOTHER_ISSUES),
            Err(_) => self.fail(&IssueError::transient(Reason::StoreBusy), false),
        }
        self.land();
    }

    /// At least a second lies between two successful issues, however short tokens live.
    async fn space(&self) {
        let spacing = self.shared.state.load().spacing(self.shared.now());
        if !spacing.is_zero() {
            self.shared.parts.clock.sleep(spacing).await;
        }
    }

    /// With a living token the claim is tried once and never waited for. Without one it is polled,
    /// and the store read before, between and after, so that this ends as soon as another process
    /// has a token, or a failure, to show. A holder that was stopped must not starve the others:
    /// once `patience` is over and it has made no request for a while, it is passed by.
    async fn ask_for_claim(&self, patience: Instant) -> Asked {
        loop {
            match self.try_claim().await {
                Ok(Asked::Busy) if !self.has_token() => {}
                Ok(asked) => return asked,
                Err(error) => return self.without_store(error),
            }
            let shared = &*self.shared;
            let silent = !self.spends() && shared.state.load().holder_is_silent(shared.now());
            if silent && Instant::now() >= patience && self.all_are_silent().await {
                return match in_time(shared.parts.store.claim_anyway(&shared.key)).await {
                    Ok(claim) => Asked::Go(Some(claim)),
                    Err(error) => self.without_store(error),
                };
            }
            SystemClock.sleep(between_polls()).await;
        }
    }

    /// The same of everyone whom the claim may be held for.
    async fn all_are_silent(&self) -> bool {
        let shared = &*self.shared;
        let stamp = in_time(shared.parts.store.stamp()).await;
        state::is_silent(stamp.ok().flatten(), shared.now())
    }

    async fn try_claim(&self) -> Result<Asked, StoreError> {
        let shared = &*self.shared;
        shared.read_store().await?;
        if !self.is_wanted() {
            return Ok(Asked::Settled);
        }
        let Some(claim) = in_time(shared.parts.store.try_claim(&shared.key)).await? else {
            return Ok(Asked::Busy);
        };
        // Whoever held the claim until now may have issued.
        shared.read_store().await?;
        Ok(Asked::Go(Some(claim)))
    }

    /// A store that is of no use: with a living token nothing is issued, since no other process would
    /// learn of it; without one there is no choice.
    fn without_store(&self, error: StoreError) -> Asked {
        self.shared.store_is(Some(error));
        if self.has_token() {
            self.put_off(WHILE_STORE_IS_UNUSABLE);
            return Asked::Settled;
        }
        if self.spends() {
            self.fail(&IssueError::transient(Reason::NoStore), false);
            return Asked::Settled;
        }
        Asked::Go(None)
    }

    /// Under the claim: stamp, ask, take in what came, write.
    async fn issue(&self, claim: &mut Option<Box<dyn Claim>>, end: Instant) {
        let shared = &*self.shared;
        let now = shared.now();
        let Some(planned) = shared.state.load().plan(now) else {
            return;
        };
        // This finds out whether the store can be written before a token is asked for that would be
        // lost to it.
        if let Err(error) = write(claim, &planned).await
            && let Asked::Settled = self.without_store(error)
        {
            return;
        }
        // Not before, or else a gate would be closed for a request that is not made.
        if shared.try_update(|state| state.plan(now)).is_none() {
            return;
        }
        // A request that spends is not broken off because a caller is in a hurry, and what it brings
        // is written before it is told.
        let held = Instant::now() + HELD_AT_MOST;
        let broken_off = match self.spends() {
            true => held - (2 + WRITES) * TO_WRITE,
            false => end.min(held - 2 * TO_WRITE),
        };
        match timeout_at(broken_off, self.attempt(claim, end)).await {
            Ok(Ok((answer, asked))) => self.succeed(claim, &answer, asked).await,
            Ok(Err((error, without_format))) => self.fail(&error, without_format),
            Err(_) => self.fail(&IssueError::transient(Reason::Deadline), false),
        }
        let state = shared.state.load_full();
        let written = write(claim, &state).await;
        if claim.is_some() {
            shared.store_is(written.err());
        }
    }

    /// The first try and the retries that its failure allows; the error comes with whether the
    /// service refused the parameter that asks for a format.
    async fn attempt(
        &self,
        claim: &mut Option<Box<dyn Claim>>,
        end: Instant,
    ) -> Result<(Answer, Now), (IssueError, bool)> {
        let shared = &*self.shared;
        let refused = shared.state.load().format_was_refused();
        let mut tries = Tries::new(
            &shared.parts.policy,
            shared.parts.grant.can_ask_for_jwt(),
            refused,
        );
        let mut without_format = refused;
        loop {
            let asked = shared.now();
            let error = match self.ask(asked, tries.ask_for_jwt()).await {
                Ok(answer) => return Ok((answer, asked)),
                Err(error) => error,
            };
            without_format |= tries.format_was_refused(&error);
            let Some(wait) = tries.next(&error, fastrand::f64()) else {
                return Err((error, without_format));
            };
            if self.spends() && !may_spend_again(&error, wait, end) {
                return Err((error, without_format));
            }
            shared.parts.clock.sleep(wait).await;
            let now = shared.now();
            let state = shared.update(|state| state.stamped(now));
            // Best effort: that the store can be written was found out before the first try.
            let _ = write(claim, &state).await;
        }
    }

    async fn ask(&self, asked: Now, ask_for_jwt: bool) -> Result<Answer, IssueError> {
        let shared = &*self.shared;
        let this = Try {
            asked_at: asked.wall,
            format: shared.parts.policy.format(),
            ask_for_jwt,
            last_lifetime: shared.state.load().last_lifetime(),
            wanted_lifetime: shared.parts.policy.validity(),
            successors: shared.state.load().successors().to_vec(),
        };
        let request = shared.parts.grant.request(&this).await?;
        let endpoint = shared.parts.grant.endpoint();
        let sent = Sent::of(&request);
        let answered = shared
            .parts
            .transport
            .send(endpoint, request, LONGEST_ANSWER);
        let mut response = answered.await?;
        response.extensions_mut().insert(sent);
        if let Some(successor) = shared.parts.grant.successor(&this, &response) {
            shared.update(|state| state.succeeded_by(successor.clone()));
        }
        let answer = shared.parts.grant.read(&this, &response)?;
        let now = shared.now();
        shared.state.load().check(&answer, asked, now)?;
        Ok(answer)
    }

    async fn succeed(&self, claim: &mut Option<Box<dyn Claim>>, answer: &Answer, asked: Now) {
        #[cfg(feature = "metrics")]
        metrics::issued(&self.shared.key);
        let (now, fraction) = (self.shared.now(), fastrand::f64());
        let after = |state: &State| state.succeeded(answer, asked, now, fraction);
        if self.spends() {
            self.keep(claim, &after(&self.shared.state.load())).await;
        }
        self.shared.update(after);
    }

    /// RFC 9700 4.14.2: whoever is killed once the access token is out must not come back with a
    /// refresh token that was replaced. If the store fails now, after it took the stamp, the token
    /// is handed out nevertheless: to withhold it would mend nothing.
    async fn keep(&self, claim: &mut Option<Box<dyn Claim>>, state: &State) {
        for _ in 0..WRITES {
            if write(claim, state).await.is_ok() {
                return;
            }
            SystemClock.sleep(between_polls()).await;
        }
    }

    fn spends(&self) -> bool {
        self.shared.parts.grant.spends()
    }

    fn fail(&self, error: &IssueError, without_format: bool) {
        #[cfg(feature = "metrics")]
        metrics::failed(&self.shared.key, error, self.has_token());
        let (now, random) = (self.shared.now(), fastrand::f64());
        self.shared
            .update(|state| state.failed(error, without_format, now, random));
    }

    fn put_off(&self, wait: Duration) {
        let now = self.shared.now();
        self.shared.update(|state| state.put_off(wait, now));
    }

    fn has_token(&self) -> bool {
        let state = self.shared.state.load();
        state.token(self.shared.now()).is_some()
    }

    fn is_wanted(&self) -> bool {
        let state = self.shared.state.load();
        state.plan(self.shared.now()).is_some()
    }

    fn land(&mut self) {
        self.landed = true;
        self.shared.update(|state| state.end(self.number));
        self.shared.landings.send_modify(|count| *count += 1);
        // Last, since whoever listens may panic.
        self.shared.tell();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.fail(&IssueError::transient(Reason::BrokenOff), false);
            self.land();
        }
    }
}

/// A store that does not answer is as good as one that cannot be written: it costs no token.
async fn write(claim: &mut Option<Box<dyn Claim>>, state: &State) -> Result<(), StoreError> {
    let Some(claim) = claim else {
        return Ok(());
    };
    in_time(claim.write(&state.record())).await
}

/// Best effort: a claim that is not given back ends by itself.
async fn release(claim: Option<Box<dyn Claim>>) {
    if let Some(mut claim) = claim {
        let _ = in_time(claim.release()).await;
    }
}

/// Only if nothing was sent; and what is sent is not broken off, so it must have the time for it.
fn may_spend_again(error: &IssueError, wait: Duration, end: Instant) -> bool {
    error.reason == Reason::NoConnection && Instant::now() + wait + LONG_ENOUGH < end
}

fn between_polls() -> Duration {
    Duration::from_millis(fastrand::u64(50..=250))
}

/// RFC 6749 sets no limit to an answer; a token that is larger is of no use in a header.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What a service that is well needs for an answer at the most.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Besides the one that ends every renewal.
const WRITES: u32 = 2;

const WHILE_ANOTHER_ISSUES: Duration = Duration::from_secs(1);
const WHILE_STORE_IS_UNUSABLE: Duration = Duration::from_secs(10);
