//! The client's half: one access token, replaced long before it expires, and handed out for as long
//! as it lives while the OAuth service is down.
//!
//! [`Rotator::token`] is all that most applications need. What it does at which moment is decided
//! by [`state::State`], which is pure; [`Grant`] knows how a token is asked for; a
//! [`Store`] keeps it beyond the process.
//!
//! | what there is to say | where |
//! |---|---|
//! | what is particular to a provider, to ask for, or to send with it | [`Client`], [`Preset`] |
//! | a key or a certificate instead of a secret | [`PrivateKeyJwt`], [`ClientCertificate`] |
//! | a token for a subject | [`SamlBearer`], [`JwtBearer`], [`TokenExchange`], [`RefreshTokenGrant`] |
//! | processes, or machines, share one token | [`store`] |
//! | a process ends right after | [`Rotator::token_once`], [`Rotator::reject_once`] |
//! | a resource refused the token | [`Rotator::reject`] |
//! | how things stand | [`Rotator::health`]; counters by the feature `metrics`: `rotator::metrics` |
//! | there is no runtime | feature `blocking`: `rotator::blocking` |
//! | the token goes out by itself | feature `tower`: `rotator::layer`; `reqwest-middleware`: `rotator::middleware` |
//!
//! The other half, which judges such tokens, is the [`verifier`](crate::verifier).

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::clock::{Clock, SystemClock};
use crate::policy::IssuancePolicy;
use crate::token::{AccessToken, Token};
use crate::transport::{HttpTransport, Transport};

mod answer;
mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod client_auth;
pub mod error;
mod flight;
mod grant;
mod health;
mod held;
mod issue;
#[cfg(feature = "tower")]
pub mod layer;
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "reqwest-middleware")]
pub mod middleware;
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
mod origins;
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
mod outbound;
mod pause;
mod preset;
mod record;
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
mod refusal;
mod sent;
mod shared;
pub mod state;
pub mod store;
mod store_key;

pub use answer::read_answer;
pub use auth::{ClientCertificate, Credential, CredentialError, PrivateKeyJwt, SecretSource};
pub use client::Client;
pub use client_auth::ClientAuth;
pub use error::Error;
pub use grant::{
    Asserting, AssertionError, AssertionFile, AssertionSource, ClientCredentials, JwtBearer,
    RefreshTokenGrant, SamlBearer, TokenExchange, TokenType,
};
pub use health::{Health, Status};
pub use issue::{Answer, Grant, Requesting, Try};
#[cfg(feature = "tower")]
pub use layer::{OutboundError, RotatorLayer, RotatorService};
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
pub use message::{Outgoing, Returning};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::RotatorMiddleware;
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
pub use origins::Origins;
pub use preset::{Preset, TokenView, UnknownPreset};
pub use record::Successor;

use flight::{Flight, Limits, until_landed};
use shared::{Parts, Shared};
use state::{Action, State};
use store::{MemoryStore, Store, StoreKey};

/// Holds one access token and replaces it in time. Clones share the token and its one renewal.
///
/// A call costs a snapshot load and a look at the clock while the token is fresh, and never fails
/// while a token lives. [`Self::run`] rotates while nobody calls.
///
/// Secrets that lie in files are read again for every renewal, but not for a call whose token is
/// fresh: a process that does not rotate while idle learns of a replaced secret when its token is
/// due, or at the first call after a failure. With [`Self::run`] it learns of it within a minute.
///
/// A fork leaves the renewals and tasks of the parent behind. The child finds that out once its token
/// is due, and renews for itself; like any task, [`Self::run`] is to be spawned there anew.
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
        if let Some(other) = self.refuse(token) {
            let _ = self.renew(Limits::DETACHED);
            return Ok(other);
        }
        let wait = state::LONGEST_WAIT_WITH_TOKEN;
        self.join(Limits::DETACHED, wait).await
    }

    /// Takes in that a resource refused `token`: another one, if there is one already.
    fn refuse(&self, token: &Token) -> Option<Arc<Token>> {
        let (refused, now) = (&token.access_token, self.shared.now());
        self.shared.refuse(refused);
        let state = self.shared.state.load();
        let latest = state.token(now);
        latest.filter(|it| it.access_token != *refused).cloned()
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
    /// A process that ends while its refresh token is on the way loses the one that replaces it. So
    /// with a grant that [spends](Grant::spends) what it sends this stays until a request that was
    /// made is answered or given up, for up to 25 s more.
    ///
    /// # Errors
    ///
    /// As [`Self::token`].
    pub async fn token_once(&self, min_validity: Duration) -> Result<Arc<Token>, Error> {
        let looked = self.look_once().await;
        self.renew_once(min_validity, looked).await
    }

    /// [`Self::reject`] for a process that ends right after: it reads the store, and if the latest
    /// token there is the one that a resource `refused`, tries the renewal that the store's gate
    /// allows *before* it returns, within 5 s in all. Another token is returned as it is, and nothing
    /// is issued. `min_validity` is that of [`Self::token_once`].
    ///
    /// What comes may be the refused token again, where none other is to be had.
    ///
    /// # Errors
    ///
    /// As [`Self::token`].
    pub async fn reject_once(
        &self,
        refused: &AccessToken,
        min_validity: Duration,
    ) -> Result<Arc<Token>, Error> {
        let looked = self.look_once().await;
        let (shared, now) = (&*self.shared, self.shared.now());
        if let Some(state) = shared.refuse(refused) {
            // There is no later call of this process, so it waits until another token may be issued.
            let spacing = state.spacing(now);
            shared.parts.clock.sleep(spacing).await;
            return self.renew_once(min_validity, looked + spacing).await;
        }
        // Either there is a newer one, or the gate is closed.
        let latest = shared.state.load().token(now).cloned();
        match latest.filter(|latest| latest.access_token != *refused) {
            Some(newer) => Ok(newer),
            None => self.renew_once(min_validity, looked).await,
        }
    }

    /// Reads the store, and returns how long that took: a store may be slow.
    async fn look_once(&self) -> Duration {
        let (shared, started) = (&*self.shared, Instant::now());
        shared.refresh_credential();
        if let Err(error) = shared.read_store().await {
            shared.store_is(Some(error));
        }
        started.elapsed()
    }

    /// The latest token after the renewal that is due, if one is; `waited` is taken from the time for
    /// it.
    async fn renew_once(
        &self,
        min_validity: Duration,
        waited: Duration,
    ) -> Result<Arc<Token>, Error> {
        let shared = &*self.shared;
        // The wider margin is this call's alone, and the renewal does without: whoever is past half of
        // its lifetime is due in any case.
        let state = State::clone(&shared.state.load()).with_min_validity(min_validity);
        let wait = match state.decide(shared.now()) {
            Action::Serve(held) => return Ok(held.token().clone()),
            Action::ServeAndRenew(_) => state::LONGEST_WAIT_WITH_TOKEN,
            Action::JoinThenServe(_, wait) | Action::Join(wait) => wait,
            Action::Fail(failing) => return Err(failing.into()),
        };
        let wait = wait.saturating_sub(waited);
        self.join(Limits::within(wait), self.stay(wait)).await
    }

    /// How long a process that means to end after `wait` stays.
    fn stay(&self, wait: Duration) -> Duration {
        match self.shared.parts.grant.spends() {
            true => until_landed(wait),
            false => wait,
        }
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
            && self.shared.is_renewing()
        {
            // On a runtime without timers this panics, and so does the renewal: in tasks of their own,
            // where a panic is an error.
            let landed = async move { timeout(wait, landings.changed()).await.is_ok() };
            let _ = runtime.spawn(landed).await;
        }
        self.outcome(renewal.map(drop))
    }

    /// After a wait: the latest token that lives, or why there is none.
    fn outcome(&self, renewal: Result<(), Error>) -> Result<Arc<Token>, Error> {
        let (state, now) = (self.shared.state.load(), self.shared.now());
        if let Some(token) = state.token(now) {
            return Ok(Arc::clone(token));
        }
        renewal?;
        match state.failing(now) {
            Some(failing) if !self.shared.is_renewing() => Err(failing.into()),
            _ => Err(Error::Pending),
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
