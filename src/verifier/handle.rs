//! The handle of a refresher: for those who want to stop it, or to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use super::bell::Ring;
use super::fetch_error::FetchError;
use super::keys::KeyCache;

/// Stops a [`Refresher`](super::Refresher), or waits for it. Clones are the same handle.
#[derive(Clone)]
pub struct RefresherHandle {
    pub(super) keys: KeyCache,
    pub(super) shared: Arc<Shared>,
}

impl RefresherHandle {
    /// Ends [`Refresher::run`](super::Refresher::run); a fetch under way is dropped. The keys stay, and age.
    pub fn stop(&self) {
        self.shared.stop.notify_one();
    }

    /// Waits until there are keys: fetched, or those of a key file that are not too old.
    ///
    /// # Errors
    ///
    /// [`FetchError::Stopped`] if the refresher ended before.
    pub async fn ready(&self) -> Result<(), FetchError> {
        self.wait_for(|state| state.has_keys.then_some(Ok(())))
            .await
    }

    /// Asks for a fetch and waits for its end. The gate holds here, too: no fetch is brought forward
    /// to less than 30 s after the last one started.
    ///
    /// # Errors
    ///
    /// Why the fetch failed, or [`FetchError::Stopped`] if the refresher ended before.
    pub async fn refresh(&self) -> Result<(), FetchError> {
        let before = self.shared.started.load(Ordering::Acquire);
        self.keys.ring(Ring::OnRequest);
        self.wait_for(|state| match state.ended > before {
            true => state.result.clone(),
            false => None,
        })
        .await
    }

    async fn wait_for(
        &self,
        answer: impl Fn(&State) -> Option<Result<(), FetchError>>,
    ) -> Result<(), FetchError> {
        let mut states = self.shared.state.subscribe();
        let state = states
            .wait_for(|state| state.is_over || answer(state).is_some())
            .await;
        match state {
            Ok(state) => answer(&state).unwrap_or(Err(FetchError::Stopped)),
            Err(_) => Err(FetchError::Stopped),
        }
    }
}

/// What a refresher and its handles share.
pub(super) struct Shared {
    stop: Notify,
    /// How many fetches were started.
    started: AtomicU64,
    state: watch::Sender<State>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: Notify::new(),
            started: AtomicU64::new(0),
            state: watch::Sender::default(),
        })
    }

    /// Completes once a handle says so.
    pub(super) async fn stopped(&self) {
        self.stop.notified().await;
    }

    /// A fetch starts; returns its number.
    pub(super) fn start(&self) -> u64 {
        self.started.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The fetch of this number ended so.
    pub(super) fn end(&self, number: u64, result: Result<(), FetchError>) {
        self.state.send_modify(|state| {
            state.ended = number;
            state.has_keys |= result.is_ok();
            state.result = Some(result);
        });
    }

    /// There are keys, though none was fetched yet.
    pub(super) fn has_keys(&self) {
        self.state.send_modify(|state| state.has_keys = true);
    }

    /// The refresher is gone.
    pub(super) fn close(&self) {
        self.state.send_modify(|state| state.is_over = true);
    }
}

#[derive(Default)]
struct State {
    /// The number of the last fetch that ended, from 1, and how it did.
    ended: u64,
    result: Option<Result<(), FetchError>>,
    has_keys: bool,
    is_over: bool,
}
