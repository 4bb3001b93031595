//! The refresher: the task that keeps a [`KeyCache`] fresh.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::sync::{Notify, watch};

use super::bell::Ring;
use super::keys::{KeyCache, KeysUnavailable, MAX_STALE, Progress};
use super::schedule::{Action, Outcome, Schedule};
use super::source::{FetchError, Fetched, Source, SourceError};
use crate::clock::{Clock, LONGEST_SLEEP, Now, SystemClock};
use crate::transport::{HttpTransport, Transport};

/// Fetches the keys of one source over HTTP and keeps a [`KeyCache`] fresh, so that verifications
/// need not.
///
/// Keys are fetched at once, then every 10 min (or as `Cache-Control` says, within 5 to 30 min), and
/// when a verification missed one, at most every 30 s. They are replaced only by a good answer:
/// errors, HTML, an empty or oversized set leave those in hand as they are, and these stay in use for
/// [`max_stale`](Self::max_stale).
///
/// ```no_run
/// use steadfast::verifier::{KeyCache, Refresher};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = KeyCache::empty();
/// tokio::spawn(Refresher::discover("https://login.example", keys.clone())?.run());
/// # Ok(())
/// # }
/// ```
#[must_use = "a refresher does nothing until it runs"]
pub struct Refresher {
    keys: KeyCache,
    source: Source,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    max_stale: Duration,
    schedule: Schedule,
    shared: Arc<Shared>,
}

/// What a refresher and its handles share.
struct Shared {
    stop: Notify,
    /// How many fetches were started.
    started: AtomicU64,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    /// The number of the last fetch that ended, from 1, and how it did.
    ended: u64,
    result: Option<Result<(), FetchError>>,
    has_succeeded: bool,
    is_over: bool,
}

impl Refresher {
    /// Feeds `keys` from the key URL in the discovery document of `issuer`: OpenID Connect's or that
    /// of RFC 8414, whichever is there. It must name this very issuer; it is read again once a day,
    /// and when the key URL answers 404 or 410.
    ///
    /// # Errors
    ///
    /// If `issuer` is no https URL (or http on loopback), or `keys` is fixed or has a refresher.
    pub fn discover(issuer: &str, keys: KeyCache) -> Result<Self, SourceError> {
        Self::new(Source::issuer(issuer, None)?, keys)
    }

    /// Like [`Self::discover`], and takes plain http to `host`, for the document and for the keys:
    /// for a mesh that encrypts underneath.
    ///
    /// # Errors
    ///
    /// As [`Self::discover`].
    pub fn discover_allowing_http_to(
        host: &str,
        issuer: &str,
        keys: KeyCache,
    ) -> Result<Self, SourceError> {
        Self::new(Source::issuer(issuer, Some(host))?, keys)
    }

    /// Feeds `keys` from the JWK Set (RFC 7517 5) at `url`.
    ///
    /// # Errors
    ///
    /// If `url` is no https URL (or http on loopback), or `keys` is fixed or has a refresher.
    pub fn jwks(url: &str, keys: KeyCache) -> Result<Self, SourceError> {
        Self::new(Source::jwks(url, None)?, keys)
    }

    /// Like [`Self::jwks`], and takes plain http to `host`: for a mesh that encrypts underneath.
    ///
    /// # Errors
    ///
    /// As [`Self::jwks`].
    pub fn jwks_allowing_http_to(
        host: &str,
        url: &str,
        keys: KeyCache,
    ) -> Result<Self, SourceError> {
        Self::new(Source::jwks(url, Some(host))?, keys)
    }

    fn new(source: Source, keys: KeyCache) -> Result<Self, SourceError> {
        keys.attach()?;
        Ok(Self {
            keys,
            source,
            transport: Arc::new(HttpTransport::new()),
            clock: Arc::new(SystemClock),
            max_stale: MAX_STALE,
            schedule: Schedule::default(),
            shared: Arc::new(Shared {
                stop: Notify::new(),
                started: AtomicU64::new(0),
                state: watch::Sender::default(),
            }),
        })
    }

    /// Sends requests by `transport` instead of an [`HttpTransport`] of its own.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Arc::new(transport);
        self
    }

    /// Tells time, and waits, by `clock` instead of the system's clocks. Deadlines of requests stay
    /// in real time.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long keys stay in use while the source is down, from the start of the last fetch that
    /// succeeded: 24 h unless set. It is also how long a withdrawn key may live on when the source
    /// cannot be reached. Keys are fetched at least twice as often.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self.schedule.keep_within(max_stale);
        self
    }

    /// Takes a key URL only on the issuer's own origin. Off by default, since Google, Entra and
    /// Kubernetes have theirs elsewhere.
    pub fn pin_origin(mut self) -> Self {
        self.source.pin_origin();
        self
    }

    /// Sends this header with each request to the origin of the given URL, and to no other.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.source.header(name, value);
        self
    }

    /// A handle that stops it, or waits for it.
    pub fn handle(&self) -> RefresherHandle {
        RefresherHandle {
            keys: self.keys.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Runs until a handle stops it. Needs a tokio runtime with timers; it never ends by itself, not
    /// even when the transport panics.
    pub async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        first(shared.stop.notified(), self.keep_fresh()).await;
    }

    async fn keep_fresh(&mut self) {
        loop {
            let now = self.clock.now();
            let held = self.schedule.hear(self.keys.bell().take(), now.boot);
            self.keys.bell().hold(held);
            if self.usable(now) == Err(KeysUnavailable::TooOld) {
                self.schedule.too_old();
            }
            match self.schedule.next(now.boot) {
                Action::Fetch => self.fetch(now).await,
                Action::Wait { at_most, listen } => {
                    let sleep = self.clock.sleep(at_most.min(LONGEST_SLEEP));
                    if listen {
                        first(sleep, self.keys.bell().heard()).await;
                    } else {
                        sleep.await;
                    }
                }
            }
        }
    }

    async fn fetch(&mut self, at: Now) {
        self.schedule.start(at.boot);
        let number = self.shared.started.fetch_add(1, Ordering::AcqRel) + 1;
        let answer = caught(self.source.fetch(&*self.transport, at)).await;
        let answer = answer.unwrap_or(Err(FetchError::Panicked));
        let now = self.clock.now();
        let (outcome, error) = match answer {
            Ok(fetched) => (self.take(fetched, at), None),
            Err(error) => (self.keep(now), Some(error)),
        };
        self.schedule.finish(outcome, now.boot, fastrand::f64());
        self.report(now, error.as_ref());
        self.shared.state.send_modify(|state| {
            state.ended = number;
            state.has_succeeded |= error.is_none();
            state.result = Some(error.map_or(Ok(()), Err));
        });
    }

    /// The source answered a request that started at `at`.
    fn take(&self, fetched: Fetched, at: Now) -> Outcome {
        let changed = match fetched.keys {
            Some(keys) => {
                let changed = self.keys.replace(keys, at, self.max_stale);
                if changed {
                    self.report_skipped();
                }
                changed
            }
            None => {
                self.keys.confirm(at, self.max_stale);
                false
            }
        };
        Outcome::Renewed {
            changed,
            fresh_for: fetched.fresh_for,
        }
    }

    fn report_skipped(&self) {
        for skipped in self.keys.load().keys.skipped() {
            let source = self.source.base();
            let (index, reason) = (skipped.index, &skipped.reason);
            tracing::info!(?source, index, %reason, "key skipped");
        }
    }

    fn keep(&self, now: Now) -> Outcome {
        self.keys.fail();
        Outcome::Failed {
            usable: self.usable(now).is_ok(),
        }
    }

    fn usable(&self, now: Now) -> Result<(), KeysUnavailable> {
        self.keys.load().usable(now.wall, || now.boot)
    }

    fn report(&self, now: Now, error: Option<&FetchError>) {
        let wait = self.schedule.next_fetch().saturating_sub(now.boot);
        let before = self.keys.progress();
        self.keys.report(Progress {
            next_attempt: Some(now.wall.plus(wait)),
            failures: self.schedule.failures(),
            last_error: error.or(before.last_error.as_ref()).cloned(),
        });
        let source = self.source.base();
        let generation = self.keys.load().generation;
        let next_s = wait.as_secs();
        match error {
            Some(error) => {
                let failures = self.schedule.failures();
                tracing::warn!(?source, %error, failures, generation, next_s, "keys not fetched");
            }
            None => tracing::debug!(?source, generation, next_s, "keys fetched"),
        }
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.keys.detach();
        self.shared.state.send_modify(|state| state.is_over = true);
    }
}

/// Stops a [`Refresher`], or waits for it. Clones are the same handle.
#[derive(Clone)]
pub struct RefresherHandle {
    keys: KeyCache,
    shared: Arc<Shared>,
}

impl RefresherHandle {
    /// Ends [`Refresher::run`]; a fetch under way is dropped. The keys stay, and age.
    pub fn stop(&self) {
        self.shared.stop.notify_one();
    }

    /// Waits until keys were fetched for the first time.
    ///
    /// # Errors
    ///
    /// [`FetchError::Stopped`] if the refresher ended before.
    pub async fn ready(&self) -> Result<(), FetchError> {
        self.wait_for(|state| state.has_succeeded.then_some(Ok(())))
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

/// Completes with whichever completes first.
async fn first(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await;
}

/// Completes with what `future` does, or with `None` if it panics; then nothing of it is used again.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::scripted::{Answer, Script, key_set, reply};

    #[tokio::test]
    async fn a_source_lives_on_after_a_panic_of_its_transport() {
        const KEYS: &str = "https://keys.example/jwks";
        let mut source = Source::jwks(KEYS, None).unwrap();
        let script = Script::default();
        for (answer, panics) in [(Answer::Panics, true), (reply(200, key_set("a")), false)] {
            script.put(KEYS, answer);
            let answer = caught(source.fetch(&script, SystemClock.now())).await;
            assert_eq!(answer.is_none(), panics);
        }
    }
}
