//! What the service knows, shared by its connections and its handle.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::config::ServiceConfig;
use super::faults::{Endpoint, Fault, FaultKind};
use super::form::Form;
use super::keyring::Keyring;
use super::refresh_tokens::RefreshTokens;
use super::script::Script;
use crate::clock::{Clock, Timestamp};

/// How often the service was asked, and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    endpoints: [EndpointCounters; Endpoint::ALL.len()],
    /// Connections that were opened, those that were reset included.
    pub connections: u64,
    /// Connections that were reset, by [`Fault::down`].
    pub connections_reset: u64,
    /// Tokens issued, of either format.
    pub tokens_issued: u64,
    /// Tokens issued as JWT.
    pub jwts_issued: u64,
}

/// How often one endpoint was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounters {
    /// Requests that arrived, whatever became of them. A connection that was reset before it asked
    /// for anything is in none of these.
    pub received: u64,
    /// Requests that were answered with 2xx or 304.
    pub succeeded: u64,
}

impl Counters {
    /// Those of one endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> EndpointCounters {
        let all = self.endpoints.get(endpoint as usize);
        all.copied().unwrap_or_default()
    }

    /// Requests that arrived at `endpoint`, whatever became of them.
    pub fn received(&self, endpoint: Endpoint) -> u64 {
        self.endpoint(endpoint).received
    }

    /// Requests that `endpoint` answered with 2xx or 304.
    pub fn succeeded(&self, endpoint: Endpoint) -> u64 {
        self.endpoint(endpoint).succeeded
    }

    pub(super) fn to_json(self) -> Value {
        let mut json = json!({
            "connections": self.connections,
            "connections_reset": self.connections_reset,
            "tokens_issued": self.tokens_issued,
            "jwts_issued": self.jwts_issued,
        });
        if let Some(members) = json.as_object_mut() {
            for endpoint in Endpoint::ALL {
                let EndpointCounters {
                    received,
                    succeeded,
                } = self.endpoint(endpoint);
                let count = json!({ "received": received, "succeeded": succeeded });
                members.insert(endpoint.name().to_owned(), count);
            }
        }
        json
    }

    fn of(&mut self, endpoint: Endpoint) -> Option<&mut EndpointCounters> {
        self.endpoints.get_mut(endpoint as usize)
    }
}

/// A token that was issued, by which introspection knows it.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) client_id: String,
    pub(super) scope: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) id: String,
    /// Whole seconds.
    pub(super) issued_at: i64,
    /// Whole seconds.
    pub(super) expires_at: i64,
}

pub(super) struct State {
    pub(super) config: ServiceConfig,
    /// The service's URL, without a slash at the end.
    pub(super) url: String,
    /// Notified when every connection is to be reset.
    pub(super) resets: watch::Sender<()>,
    inner: Mutex<Inner>,
}

struct Inner {
    script: Script,
    keyring: Keyring,
    tokens: HashMap<String, Issued>,
    /// `exp` of the assertions that were accepted, by client and `jti`.
    assertions: HashMap<(String, String), i64>,
    refresh_tokens: RefreshTokens,
    last_token_request: Vec<(String, String)>,
    random: fastrand::Rng,
    counters: Counters,
    /// Tokens issued, by client.
    issued_to: HashMap<String, u64>,
}

impl State {
    pub(super) fn new(config: ServiceConfig, url: String) -> Self {
        let inner = Inner {
            script: Script::default(),
            keyring: Keyring::new(config.key.clone()),
            tokens: HashMap::new(),
            assertions: HashMap::new(),
            refresh_tokens: RefreshTokens::default(),
            last_token_request: Vec::new(),
            random: fastrand::Rng::with_seed(config.seed),
            counters: Counters::default(),
            issued_to: HashMap::new(),
        };
        Self {
            config,
            url,
            resets: watch::Sender::new(()),
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    pub(super) fn issuer(&self) -> &str {
        self.config.issuer.as_deref().unwrap_or(&self.url)
    }

    pub(super) fn url_of(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.url, endpoint.path())
    }

    pub(super) fn counters(&self) -> Counters {
        self.inner().counters
    }

    pub(super) fn tokens_issued_to(&self, client_id: &str) -> u64 {
        let inner = self.inner();
        inner.issued_to.get(client_id).copied().unwrap_or_default()
    }

    pub(super) fn keyring<R>(&self, f: impl FnOnce(&mut Keyring) -> R) -> R {
        f(&mut self.inner().keyring)
    }

    pub(super) fn refresh_tokens<R>(&self, f: impl FnOnce(&mut RefreshTokens) -> R) -> R {
        f(&mut self.inner().refresh_tokens)
    }

    pub(super) fn keep_token_request(&self, form: &Form) {
        let all = form.all().map(|(name, value)| (name.into(), value.into()));
        self.inner().last_token_request = all.collect();
    }

    pub(super) fn last_token_request(&self) -> Vec<(String, String)> {
        self.inner().last_token_request.clone()
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        let (resets, boot) = (fault.resets_everything(), self.clock().boot());
        self.inner().script.add(fault, boot);
        if resets {
            self.resets.send_replace(());
        }
    }

    pub(super) fn clear_faults(&self) {
        self.inner().script.clear();
    }

    /// Counts a connection, and tells whether it is to be reset.
    pub(super) fn refuses_connection(&self) -> bool {
        let boot = self.clock().boot();
        let mut inner = self.inner();
        inner.counters.connections += 1;
        let refused = inner.script.refuses_connection(boot);
        inner.counters.connections_reset += u64::from(refused);
        refused
    }

    /// Counts the reset of a connection that was open.
    pub(super) fn count_reset(&self) {
        self.inner().counters.connections_reset += 1;
    }

    /// Counts a request, and tells what is to go wrong with it.
    pub(super) fn receive(&self, endpoint: Endpoint) -> Option<FaultKind> {
        let boot = self.clock().boot();
        let mut inner = self.inner();
        if let Some(counters) = inner.counters.of(endpoint) {
            counters.received += 1;
        }
        let fault = inner.script.strikes(endpoint, boot);
        let reset = fault == Some(FaultKind::Down);
        inner.counters.connections_reset += u64::from(reset);
        fault
    }

    pub(super) fn count_success(&self, endpoint: Endpoint) {
        if let Some(counters) = self.inner().counters.of(endpoint) {
            counters.succeeded += 1;
        }
    }

    /// 32 lower-case hexadecimal digits. Drawn from the seed, so anyone can guess them.
    pub(super) fn draw_id(&self) -> String {
        format!("{:032x}", self.inner().random.u128(..))
    }

    pub(super) fn remember(&self, token: String, issued: Issued, is_jwt: bool) {
        let now = self.wall_secs();
        let mut inner = self.inner();
        inner.counters.tokens_issued += 1;
        inner.counters.jwts_issued += u64::from(is_jwt);
        *inner.issued_to.entry(issued.client_id.clone()).or_default() += 1;
        // Now and then, and ever more seldom while all of them live.
        if inner.tokens.len().is_power_of_two() {
            inner.tokens.retain(|_, it| now < it.expires_at);
        }
        inner.tokens.insert(token, issued);
    }

    /// What a token stands for, if it was issued here and is active.
    pub(super) fn find(&self, token: &str) -> Option<Issued> {
        let now = self.wall_secs();
        let inner = self.inner();
        let issued = inner.tokens.get(token)?;
        (now < issued.expires_at).then(|| issued.clone())
    }

    /// Whether an assertion comes for the first time.
    pub(super) fn spend(&self, client_id: &str, jti: String, exp: i64) -> bool {
        let now = self.wall_secs();
        let mut inner = self.inner();
        inner.assertions.retain(|_, exp| now < *exp);
        let before = inner.assertions.insert((client_id.to_owned(), jti), exp);
        before.is_none()
    }

    pub(super) fn expire_tokens(&self) {
        self.inner().tokens.clear();
    }

    pub(super) fn wall_secs(&self) -> i64 {
        self.wall().as_secs()
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.clock().wall()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A JWT never lives longer (an opaque token may).
pub(super) const LONGEST_JWT: Duration = Duration::from_secs(12 * 3600);
