//! The refresher: the task that keeps a [`KeyCache`] fresh.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::fetch_error::{FetchError, SourceError};
use super::fetched::Fetched;
use super::grace::Grace;
use super::handle::{RefresherHandle, Shared};
use super::key_file::{Kept, KeyFile, KeyFileError};
use super::keys::{Health, KeyCache, KeysUnavailable, MAX_STALE, Progress};
use super::schedule::{Action, Outcome, Schedule};
use super::source::Source;
use crate::clock::{Clock, LONGEST_SLEEP, Now, SystemClock};
use crate::jose::KeySet;
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
/// let refresher = Refresher::discover("https://login.example", keys.clone())?
///     .key_file("/var/cache/orders/keys.json"); // to start while the service is down
/// tokio::spawn(refresher.run());
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
    grace: Grace,
    key_path: Option<PathBuf>,
    key_file: Option<KeyFile>,
    key_file_error: Option<KeyFileError>,
    shared: Arc<Shared>,
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

    /// Feeds `keys` from a JWK Set in a file that someone else writes; `oct` keys are skipped. It is
    /// read every 30 s, and while it is gone or broken the last good keys stay.
    ///
    /// # Errors
    ///
    /// If `keys` is fixed or has a refresher.
    pub fn file(path: impl Into<PathBuf>, keys: KeyCache) -> Result<Self, SourceError> {
        let mut refresher = Self::new(Source::file(path.into()), keys)?;
        refresher.schedule = Schedule::polling();
        Ok(refresher)
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
            grace: Grace::default(),
            key_path: None,
            key_file: None,
            key_file_error: None,
            shared: Shared::new(),
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
    /// cannot be reached. Keys are fetched at least twice as often, down to every 30 s.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self.schedule.keep_within(max_stale);
        self
    }

    /// How long a key that the source no longer has lives on, from the start of the fetch that showed
    /// it: not at all unless set. For sources that withdraw keys before the last token that they
    /// signed has expired; a key that was withdrawn because it was stolen lives on as well.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Grace::new(grace);
        self
    }

    /// Keeps the keys in a file as well, so that a server can start while the source is down: read
    /// when this runs, written after each fetch that succeeded.
    ///
    /// Keys of the file are used up to [`max_stale`](Self::max_stale) after they were fetched, by the
    /// wall clock. The file is used only if it is a regular file (after links) that nobody but this
    /// user and root may write to, and if it was written for this very source. It is a JWK Set with
    /// one more member; private members that a source published are not kept. Missing folders are
    /// made, and `PATH.lock` lies beside it. What is wrong with it is in
    /// [`Health::key_file_error`](super::Health::key_file_error). A [watched file](Self::file) needs
    /// none and has none.
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_path = Some(path.into());
        self
    }

    /// The issuer that discovery must name, where it is not the URL that [`Self::discover`] was
    /// given: for a service that is asked by an internal URL, or that is spelled otherwise.
    ///
    /// ```
    /// use steadfast::verifier::{KeyCache, Refresher};
    ///
    /// let inside = "http://keycloak.mesh:8080/realms/orders";
    /// let refresher =
    ///     Refresher::discover_allowing_http_to("keycloak.mesh", inside, KeyCache::empty())?
    ///         .expect_issuer("https://login.example/realms/orders");
    /// # Ok::<(), steadfast::verifier::SourceError>(())
    /// ```
    pub fn expect_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.source.expect_issuer(issuer.into());
        self
    }

    /// Sends what this file holds as bearer token, to the origin of the given URL and to no other. It
    /// is read for each fetch. For Kubernetes, give [`Self::jwks`] the API server's own
    /// `/openid/v1/jwks`, since discovery names another host.
    pub fn bearer_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.source.bearer_file(path.into());
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
        first(shared.stopped(), self.keep_fresh()).await;
    }

    async fn keep_fresh(&mut self) {
        self.restore().await;
        loop {
            let now = self.clock.now();
            if let Some(keys) = self.grace.end(now.boot) {
                self.keys.amend(keys);
            }
            let held = self.schedule.hear(self.keys.bell().take(), now.boot);
            self.keys.bell().hold(held);
            if self.usable(now) == Err(KeysUnavailable::TooOld) {
                self.schedule.too_old();
            }
            match self.schedule.next(now.boot) {
                Action::Fetch => self.fetch(now).await,
                Action::Wait { at_most, listen } => {
                    let sleep = self.clock.sleep(self.longest_sleep(now).min(at_most));
                    if listen {
                        first(sleep, self.keys.bell().heard()).await;
                    } else {
                        sleep.await;
                    }
                }
            }
        }
    }

    /// At most until a withdrawn key dies.
    fn longest_sleep(&self, now: Now) -> Duration {
        let end = self.grace.next_end();
        end.map_or(LONGEST_SLEEP, |end| end.saturating_sub(now.boot))
            .min(LONGEST_SLEEP)
    }

    /// Begins with the keys of the key file. A fetch follows at once, whatever their age.
    async fn restore(&mut self) {
        let (Some(path), Some(name)) = (self.key_path.take(), self.source.name()) else {
            return;
        };
        let mut file = KeyFile::new(path, name);
        let loaded = file.load(self.clock.wall()).await;
        self.key_file = Some(file);
        let now = self.clock.now();
        match loaded {
            Ok(Some(kept)) => self.take_kept(kept, now),
            Ok(None) => {}
            Err(error) => self.report_key_file(error),
        }
    }

    fn take_kept(&mut self, kept: Kept, now: Now) {
        let restored = self
            .keys
            .restore(kept.keys, kept.fetched_at, now, self.max_stale);
        if !restored {
            return;
        }
        if let Some(found) = kept.found {
            self.source.resume(found);
        }
        if self.usable(now).is_ok() {
            self.shared.has_keys();
        }
        let age_s = now.wall.since(kept.fetched_at).as_secs();
        tracing::info!(source = ?self.source, age_s, "keys restored from the key file");
    }

    async fn fetch(&mut self, at: Now) {
        self.schedule.start(at.boot);
        let number = self.shared.start();
        let answer = caught(self.source.fetch(&*self.transport, at)).await;
        let answer = answer.unwrap_or(Err(FetchError::Panicked));
        let (outcome, error) = match answer {
            Ok(fetched) => (self.take(fetched, at).await, None),
            Err(error) => (self.keep(self.clock.now()), Some(error)),
        };
        let now = self.clock.now();
        self.schedule.finish(outcome, now.boot, fastrand::f64());
        self.report(now, error.as_ref());
        self.shared.end(number, error.map_or(Ok(()), Err));
    }

    /// The source answered a request that started at `at`.
    async fn take(&mut self, fetched: Fetched, at: Now) -> Outcome {
        let (keys, document) = fetched.keys.unzip();
        let changed = match keys {
            Some(keys) => self.replace(keys, at),
            None => {
                self.keys.confirm(at, self.max_stale);
                false
            }
        };
        self.save(document, at).await;
        Outcome::Renewed {
            changed,
            fresh_for: fetched.fresh_for,
        }
    }

    fn replace(&mut self, keys: KeySet, at: Now) -> bool {
        let before = match self.usable(at) {
            Ok(()) => self.keys.key_set(),
            // Keys that were too old do not come back as withdrawn ones.
            Err(_) => {
                self.grace.forget();
                KeySet::default()
            }
        };
        let keys = self.grace.take(&before, keys, at.boot);
        let changed = self.keys.replace(keys, at, self.max_stale);
        if changed {
            self.report_skipped();
        }
        changed
    }

    /// After the keys were published: verifications do not wait for a disk.
    async fn save(&mut self, document: Option<Vec<u8>>, at: Now) {
        let Some(file) = &mut self.key_file else {
            return;
        };
        self.key_file_error = None;
        if let Err(error) = file.save(document, at.wall, self.source.found()).await {
            self.report_key_file(error);
        }
    }

    fn report_key_file(&mut self, error: KeyFileError) {
        self.key_file_error = Some(error);
        tracing::warn!(source = ?self.source, %error, "no use of the key file");
        // At once: a fetch of a service that is down takes its time to end.
        self.keys.report(Progress {
            key_file_error: Some(error),
            ..Progress::clone(&self.keys.progress())
        });
    }

    fn report_skipped(&self) {
        for skipped in self.keys.load().keys.skipped() {
            let (index, reason) = (skipped.index, &skipped.reason);
            tracing::info!(source = ?self.source, index, %reason, "key skipped");
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
            key_file_error: self.key_file_error,
        });
        let health = self.keys.health();
        let Health {
            generation,
            usable_keys,
            bells_rung,
            bells_held,
            stale_serves,
            failures,
            ..
        } = health;
        let (source, next_s) = (&self.source, wait.as_secs());
        let age_s = health.age(now).map(|age| age.as_secs());
        match error {
            Some(error) => tracing::warn!(
                ?source, %error, failures, generation, usable_keys, age_s, stale_serves,
                bells_rung, bells_held, next_s, "keys not fetched"
            ),
            None => tracing::debug!(
                ?source,
                generation,
                usable_keys,
                bells_rung,
                bells_held,
                next_s,
                "keys fetched"
            ),
        }
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.keys.detach();
        self.shared.close();
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
