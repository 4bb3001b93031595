//! The client's half: one access token, replaced long before it expires, and handed out for as long
//! as it lives while the OAuth service is down.
//!
//! [`Rotator::token`] is all that most applications need. What it does at which moment is decided
//! by [`state::State`], which is pure; [`Grant`] knows how a token is asked for; a
//! [`Store`] keeps it beyond the process.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::{Clock, SystemClock};
use crate::policy::IssuancePolicy;
use crate::token::Token;
use crate::transport::{HttpTransport, Transport};

mod answer;
mod auth;
pub mod error;
mod flight;
mod grant;
mod health;
mod held;
mod issue;
mod pause;
mod record;
mod shared;
pub mod state;
pub mod store;

pub use answer::read_answer;
pub use auth::{ClientAuth, SecretSource};
pub use error::Error;
pub use grant::{ClientCredentials, Preset, UnknownPreset};
pub use health::Health;
pub use issue::{Answer, Grant, Try};

use flight::{Flight, Limits};
use shared::{Parts, Shared};
use state::Action;
use store::{MemoryStore, Store, StoreKey};

/// Holds one access token and replaces it in time. Clones share the token and its one renewal.
///
/// A call costs a snapshot load and a look at the clock while the token is fresh, and never fails
/// while a token lives. [`Self::run`] rotates while nobody calls.
///
/// ```no_run
/// use steadfast::policy::IssuancePolicy;
/// use steadfast::rotator::{ClientCredentials, Rotator};
///
/// # async fn example(secret: String) -> Result<(), Box<dyn std::error::Error>> {
/// let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders-client", secret)?;
/// let rotator = Rotator::new(grant, IssuancePolicy::default());
/// tokio::spawn(rotator.clone().run());
///
/// let token = rotator.token().await?;
/// let header = format!("Bearer {}", token.expose());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Rotator {
    shared: Arc<Shared>,
}

impl Rotator {
    /// A rotator with a store in memory of its own, the system's clock and [`HttpTransport`].
    pub fn new(grant: impl Grant, policy: IssuancePolicy) -> Self {
        Self::with(Parts {
            grant: Arc::new(grant),
            policy,
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(SystemClock),
            transport: Arc::new(HttpTransport::new()),
        })
    }

    /// Another store, before first use: what is held already is forgotten.
    #[must_use]
    pub fn store(self, store: impl Store) -> Self {
        let store = Arc::new(store);
        Self::with(Parts {
            store,
            ..self.shared.parts.clone()
        })
    }

    /// Another clock, before first use.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::with(Parts {
            clock,
            ..self.shared.parts.clone()
        })
    }

    /// Another transport, before first use.
    #[must_use]
    pub fn transport(self, transport: impl Transport) -> Self {
        let transport = Arc::new(transport);
        Self::with(Parts {
            transport,
            ..self.shared.parts.clone()
        })
    }

    fn with(parts: Parts) -> Self {
        Self {
            shared: Arc::new(Shared::new(parts)),
        }
    }

    /// The latest token that lives.
    ///
    /// *Fresh*: returned at once. *Due*: returned at once, and renewed behind. *Nearly expired*:
    /// waits for the renewal, for at most 5 s or half of the token's remaining life. *None*, or
    /// *expired*: waits for the renewal, for at most 30 s. A caller that goes away loses nothing,
    /// since the renewal is a task of its own.
    ///
    /// # Errors
    ///
    /// If no token lives and none could be had: then it says since when, why, and when the service
    /// is asked again. A token that is known to be expired is never returned.
    pub async fn token(&self) -> Result<Arc<Token>, Error> {
        let wait = match self.shared.state.load().decide(self.shared.now()) {
            // Fresh; or due, and a renewal is under way or must not be made now.
            Action::Serve(held) => return Ok(held.token().clone()),
            // Due. Without a runtime nothing can be renewed behind, and the token lives all the same.
            Action::ServeAndRenew(held) => {
                let _ = self.renew(Limits::DETACHED);
                return Ok(held.token().clone());
            }
            // Nearly expired: a newer one is worth a short wait.
            Action::JoinThenServe(_, wait) => wait,
            // None, or expired.
            Action::Join(wait) => wait,
            // Expired, issuing failed, and the service is left alone for now; but what failed with a
            // secret that was replaced since does not count.
            Action::Fail(_) if self.shared.refresh_credential() => {
                state::LONGEST_WAIT_WITHOUT_TOKEN
            }
            Action::Fail(failing) => return Err(failing.into()),
        };
        self.join(Limits::DETACHED, wait).await
    }

    /// A resource refused `token` with 401, so it may have been revoked or expired early. Returns the
    /// latest token: another one if there is one already or one can be had now, within 5 s; else the
    /// same again.
    ///
    /// At most one renewal per 30 s comes of this, doubling to one per hour while freshly issued
    /// tokens are refused as well: a resource that answers 401 whatever comes must not use up the
    /// tokens that the service grants.
    ///
    /// # Errors
    ///
    /// As [`Self::token`].
    pub async fn reject(&self, token: &Token) -> Result<Arc<Token>, Error> {
        let (refused, now) = (&token.access_token, self.shared.now());
        self.shared.try_update(|state| state.reject(refused, now));
        let state = self.shared.state.load_full();
        match state.token(now) {
            Some(other) if other.access_token != *refused => {
                let _ = self.renew(Limits::DETACHED);
                Ok(Arc::clone(other))
            }
            _ => {
                let wait = state::LONGEST_WAIT_WITH_TOKEN;
                self.join(Limits::DETACHED, wait).await
            }
        }
    }

    /// Rotates while nobody calls [`Self::token`]. Never ends by itself, whatever the service says;
    /// [`RotatorHandle::stop`] ends it. To be polled by a tokio runtime; elsewhere it ends at once.
    ///
    /// Clones share what comes of it; one such task is enough.
    pub fn run(self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.shared.stops.subscribe();
        async move {
            let stopped = async {
                // An error means that no handle is left, and this rotator holds one.
                let _ = stop.changed().await;
            };
            first(self.keep_rotating(), stopped).await;
        }
    }

    /// Stops the tasks that [`Self::run`] is in.
    pub fn handle(&self) -> RotatorHandle {
        RotatorHandle(self.shared.stops.clone())
    }

    async fn keep_rotating(&self) {
        let mut landings = self.shared.landings.subscribe();
        while self.renew(Limits::DETACHED).is_ok() {
            let now = self.shared.now();
            let wait = self.shared.state.load().next_look(now);
            let landed = async {
                let _ = landings.changed().await;
            };
            first(self.shared.parts.clock.sleep(wait), landed).await;
            self.shared.refresh_credential();
        }
    }

    /// The latest token for a process that ends right after: it reads the store, tries a renewal that
    /// is due *before* it returns (within 5 s in all), and waits for the first token for up to 30 s.
    ///
    /// `min_validity` widens the margin before expiry in which a renewal is tried, to at most half of
    /// the lifetime that was granted, but never replaces a token that is younger than 30 s. What
    /// comes may still live shorter.
    ///
    /// # Errors
    ///
    /// As [`Self::token`].
    pub async fn token_once(&self, min_validity: Duration) -> Result<Arc<Token>, Error> {
        let shared = &*self.shared;
        shared.refresh_credential();
        shared.update(|state| state.clone().with_min_validity(min_validity));
        if let Err(error) = shared.read_store().await {
            shared.store_is(Some(error));
        }
        let wait = match shared.state.load().decide(shared.now()) {
            Action::Serve(held) => return Ok(held.token().clone()),
            Action::ServeAndRenew(_) => state::LONGEST_WAIT_WITH_TOKEN,
            Action::JoinThenServe(_, wait) | Action::Join(wait) => wait,
            Action::Fail(failing) => return Err(failing.into()),
        };
        self.join(Limits::within(wait), wait).await
    }

    /// How things stand.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// The name of this client in its store.
    pub fn store_key(&self) -> StoreKey {
        self.shared.key
    }

    /// Makes sure that a renewal is under way, if one is wanted and no pause forbids it. Claimed
    /// before it is spawned, so that two calls never start two.
    fn renew(&self, limits: Limits) -> Result<Handle, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        if let Some(flight) = Flight::claim(&self.shared) {
            runtime.spawn(flight.run(limits));
        }
        Ok(runtime)
    }

    /// Makes sure that a renewal is under way, waits until it has landed, and returns the latest token
    /// that lives then. `wait` is in real time, since it is a caller that waits.
    async fn join(&self, limits: Limits, wait: Duration) -> Result<Arc<Token>, Error> {
        // Subscribed first: a renewal that lands from here on is seen.
        let mut landings = self.shared.landings.subscribe();
        let renewal = self.renew(limits);
        if let Ok(runtime) = &renewal
            && self.shared.state.load().flight().is_some()
        {
            // On a runtime without timers this panics, and so does the renewal: in tasks of their own,
            // where a panic is an error.
            let landed = async move { timeout(wait, landings.changed()).await.is_ok() };
            let _ = runtime.spawn(landed).await;
        }
        let (state, now) = (self.shared.state.load(), self.shared.now());
        match (
            state.token(now),
            renewal,
            state.flight(),
            state.failing(now),
        ) {
            (Some(token), ..) => Ok(Arc::clone(token)),
            (None, Err(error), ..) => Err(error),
            (None, Ok(_), None, Some(failing)) => Err(failing.into()),
            (None, Ok(_), ..) => Err(Error::Pending),
        }
    }
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotator")
            .field("key", &self.shared.key)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// Ends what [`Rotator::run`] runs.
#[derive(Clone, Debug)]
pub struct RotatorHandle(watch::Sender<u64>);

impl RotatorHandle {
    /// Ends it. Calls of [`Rotator::token`] go on as before.
    pub fn stop(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// Waits for whichever comes first.
async fn first(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await;
}
