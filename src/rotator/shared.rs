//! What the clones of a rotator and its renewals share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Health;
use super::issue::Grant;
#[cfg(feature = "metrics")]
use super::metrics;
use super::state::State;
use super::store::{Store, StoreError, StoreKey, in_time};
use crate::clock::{Clock, Now};
use crate::policy::{Finding, IssuancePolicy};
use crate::token::AccessToken;
use crate::transport::Transport;

/// What a rotator is made of.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) grant: Arc<dyn Grant>,
    pub(super) policy: IssuancePolicy,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Arc<dyn Transport>,
}

/// A rotator's parts, and its state: a value that readers load and writers replace.
pub(super) struct Shared {
    pub(super) parts: Parts,
    pub(super) key: StoreKey,
    pub(super) state: ArcSwap<State>,
    /// Counts the renewals that ended.
    pub(super) landings: watch::Sender<u64>,
    /// Counts the calls of [`RotatorHandle::stop`](super::RotatorHandle::stop).
    pub(super) stops: watch::Sender<u64>,
    store_error: Mutex<Option<StoreError>>,
    told: Mutex<Health>,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        let format = format!("{:?}", parts.policy.format());
        let facts = parts.grant.facts();
        let facts = facts.iter().map(|(name, value)| (*name, &**value));
        let seal = parts.store.seal_id();
        let seal = seal.as_deref().map(|id| ("seal", id));
        let key = StoreKey::of(facts.chain([("format", format.as_str())]).chain(seal));
        let state = State::new(parts.policy, parts.grant.credential(&key));
        Self {
            parts,
            key,
            state: ArcSwap::from_pointee(state),
            landings: watch::Sender::new(0),
            stops: watch::Sender::new(0),
            store_error: Mutex::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Now {
        self.parts.clock.now()
    }

    /// Replaces the state by the one after `change`, which is called again if another change came
    /// first.
    pub(super) fn update(&self, change: impl Fn(&State) -> State) -> Arc<State> {
        loop {
            let before = self.state.load();
            let after = Arc::new(change(&before));
            if self.replace(&before, &after) {
                return after;
            }
        }
    }

    /// Like [`Self::update`]; `None`, and no change, if `change` has none.
    pub(super) fn try_update(
        &self,
        change: impl Fn(&State) -> Option<State>,
    ) -> Option<Arc<State>> {
        loop {
            let before = self.state.load();
            let after = Arc::new(change(&before)?);
            if self.replace(&before, &after) {
                return Some(after);
            }
        }
    }

    fn replace(&self, before: &Arc<State>, after: &Arc<State>) -> bool {
        let found = self.state.compare_and_swap(before, Arc::clone(after));
        Arc::ptr_eq(&found, before)
    }

    /// Whether a renewal is under way in this process.
    pub(super) fn is_renewing(&self) -> bool {
        self.state.load().flight(std::process::id()).is_some()
    }

    pub(super) async fn read_store(&self) -> Result<(), StoreError> {
        if let Some(record) = in_time(self.parts.store.read(&self.key)).await? {
            let now = self.now();
            self.update(|state| state.learn(record.clone(), now));
        }
        Ok(())
    }

    /// A secret may have been replaced since it was last looked at: whether it was.
    pub(super) fn refresh_credential(&self) -> bool {
        let credential = self.parts.grant.credential(&self.key);
        self.try_update(|state| state.with_credential(credential))
            .is_some()
    }

    /// Takes in that a resource refused `token`: the state after it, if that changes anything.
    pub(super) fn refuse(&self, token: &AccessToken) -> Option<Arc<State>> {
        #[cfg(feature = "metrics")]
        metrics::rejected(&self.key);
        let now = self.now();
        self.try_update(|state| state.reject(token, now))
    }

    pub(super) fn store_is(&self, error: Option<StoreError>) {
        #[cfg(feature = "metrics")]
        if error.is_some() {
            metrics::store_failed(&self.key);
        }
        *lock(&self.store_error) = error;
    }

    pub(super) fn health(&self) -> Health {
        let Parts { grant, .. } = &self.parts;
        let mut health = self.state.load().health(self.now(), grant.scope());
        if grant.endpoint().is_plain() {
            health.findings.push(Finding::PlainHttp);
        }
        health.findings.extend(self.parts.store.findings());
        health.store = lock(&self.store_error).clone();
        health
    }

    /// Tells what changed since it was last called.
    pub(super) fn tell(&self) {
        let health = self.health();
        let before = std::mem::replace(&mut *lock(&self.told), health.clone());
        #[cfg(feature = "metrics")]
        metrics::landed(&self.key, &health);
        health.tell_changes(&before);
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
