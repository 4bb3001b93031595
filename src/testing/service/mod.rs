//! An OAuth service on loopback, over real HTTP, that fails when it is told to.

mod answer;
mod assertion;
mod client_auth;
mod config;
mod control;
mod documents;
mod faults;
mod form;
mod grants;
mod keyring;
mod received;
mod refresh_tokens;
mod script;
mod server;
mod state;
mod token;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use config::{JwtIssuing, RegisteredClient, ServiceConfig};
pub use faults::{Endpoint, Fault, FaultAnswer, FaultError, FaultKind};
pub use state::{Counters, EndpointCounters};

use self::server::{Door, serve};
use self::state::State;
use super::TestKey;

/// An embedded OAuth service: a real HTTP server on 127.0.0.1, for tests.
///
/// It grants tokens to the clients that were registered: for client credentials (RFC 6749 4.4), for
/// assertions and tokens to exchange, which it takes as they come, and for the refresh tokens of
/// [`Self::grant_refresh_token`]:
///
/// - The token endpoint takes `POST` with a form. Clients authenticate by HTTP Basic, id and secret
///   as they are or form-encoded first; in the body only where
///   [`ServiceConfig::body_credentials`] says so; by `private_key_jwt` (RFC 7523 2.2) where
///   [`RegisteredClient::with_keys`] does.
/// - Tokens are opaque, 32 lower-case hexadecimal digits, unless `token_format=jwtrfc` (a JWT with
///   `typ` `at+jwt`, RFC 9068) or `token_format=jwt` (`typ` `JWT`) is in body or query. Validity is
///   that of the client's registration; a JWT has at most 12 h. No parameter asks for another.
/// - `audience` and `resource` go into `aud`, repeated or not; without either `aud` is the issuer.
///   The granted scope is told in the answer.
/// - [`Self::last_token_request`] tells what came, assertions and refresh tokens included.
/// - There are a JWK Set with an entity tag, documents for OpenID Connect Discovery and RFC 8414,
///   and introspection (RFC 7662) of tokens of either format for any registered client.
///
/// Tokens are dated by the clock of [`ServiceConfig::clock`], and so are `Date` headers. Nothing
/// here is a secret: keys are published, and whatever looks random comes from a seed.
///
/// The service runs on the runtime that it was started on, and stops when this handle is dropped.
///
/// ```
/// use steadfast::testing::{Endpoint, Fault, OAuthService, RegisteredClient, ServiceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let client = RegisteredClient::new("orders-client", "secret").scopes(["orders:read"]);
/// let service = OAuthService::start(ServiceConfig::default().client(client)).await?;
/// assert!(service.token_url().starts_with("http://127.0.0.1:"));
///
/// service.fault(Fault::down());
/// // … whoever asks now has its connection reset …
/// service.clear_faults();
/// assert_eq!(service.counters().received(Endpoint::Token), 0);
/// service.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct OAuthService {
    state: Arc<State>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl OAuthService {
    /// Binds its ports and answers from then on.
    ///
    /// # Errors
    ///
    /// If a port cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled, as all of tokio does.
    pub async fn start(config: ServiceConfig) -> io::Result<Self> {
        let (listener, address) = bind(config.port).await?;
        let control = match config.control_port {
            Some(port) => Some(bind(port).await?),
            None => None,
        };
        let state = Arc::new(State::new(config, format!("http://{address}")));
        let mut tasks = vec![tokio::spawn(serve(listener, state.clone(), Door::Service))];
        let control = control.map(|(listener, address)| {
            tasks.push(tokio::spawn(serve(listener, state.clone(), Door::Control)));
            address
        });
        Ok(Self {
            state,
            address,
            control,
            tasks,
        })
    }

    /// The issuer that its tokens name: its URL, unless another was set.
    pub fn issuer(&self) -> &str {
        self.state.issuer()
    }

    /// Its own URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of one endpoint.
    pub fn url_of(&self, endpoint: Endpoint) -> String {
        self.state.url_of(endpoint)
    }

    /// The token endpoint.
    pub fn token_url(&self) -> String {
        self.url_of(Endpoint::Token)
    }

    /// The JWK Set.
    pub fn jwks_url(&self) -> String {
        self.url_of(Endpoint::Jwks)
    }

    /// Introspection.
    pub fn introspection_url(&self) -> String {
        self.url_of(Endpoint::Introspection)
    }

    /// Where it takes orders, if it does; see [`ServiceConfig::control_port`].
    pub fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    /// Lets something go wrong from now on. Of several faults that fit a request the one that was
    /// set first happens.
    pub fn fault(&self, fault: Fault) {
        self.state.add_fault(fault);
    }

    /// Takes all faults back. Requests that hang stay so.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// Expires every token that was issued so far, early: introspection finds none of them active.
    /// Whoever verifies a JWT by its key cannot know.
    pub fn expire_tokens(&self) {
        self.state.expire_tokens();
    }

    /// Grants a client a refresh token, as a subject's consent would. It is good once; each use brings
    /// the next one, and a second use of any revokes them all (RFC 9700 4.14.2).
    pub fn grant_refresh_token(&self, client_id: &str) -> String {
        let token = self.state.draw_id();
        self.state
            .refresh_tokens(|all| all.grant(client_id, token.clone()));
        token
    }

    /// The parameters of the last request for a token that could be read, in body and query, as they
    /// came: assertions, refresh tokens and secrets among them. Empty before the first one.
    pub fn last_token_request(&self) -> Vec<(String, String)> {
        self.state.last_token_request()
    }

    /// The key that tokens are signed with now.
    pub fn signing_key(&self) -> TestKey {
        self.state.keyring(|keyring| keyring.signing().clone())
    }

    /// The keys of the JWK Set.
    pub fn published_keys(&self) -> Vec<TestKey> {
        self.state.keyring(|keyring| keyring.published().to_vec())
    }

    /// An RS256 key that this service did not have before, not used for anything yet.
    pub fn fresh_key(&self) -> TestKey {
        self.state.keyring(|keyring| keyring.fresh())
    }

    /// Adds a key to the JWK Set (in place of one with the same `kid`) and goes on signing with
    /// the old one: the first half of a rotation that nobody notices.
    pub fn publish_key(&self, key: TestKey) {
        self.state.keyring(|keyring| keyring.publish(key));
    }

    /// Signs with a published key from now on: the second half. False if there is none with this
    /// `kid`. The old key stays published until it is [withdrawn](Self::withdraw_key).
    pub fn sign_with(&self, kid: &str) -> bool {
        self.state.keyring(|keyring| keyring.sign_with(kid))
    }

    /// Takes a key out of the JWK Set. False if there is none with this `kid`. A key that signs
    /// goes on signing.
    pub fn withdraw_key(&self, kid: &str) -> bool {
        self.state.keyring(|keyring| keyring.withdraw(kid))
    }

    /// Rotates abruptly: at once `key` signs, and is the only one in the JWK Set. It may have the
    /// `kid` of the old one.
    pub fn replace_keys(&self, key: TestKey) {
        self.state.keyring(|keyring| keyring.replace(key));
    }

    /// How often it was asked so far, and what it did.
    pub fn counters(&self) -> Counters {
        self.state.counters()
    }

    /// How many tokens one client was issued so far, of either format.
    pub fn tokens_issued_to(&self, client_id: &str) -> u64 {
        self.state.tokens_issued_to(client_id)
    }

    /// Stops, and closes all connections; the ports are free when this returns.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for OAuthService {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Without the tokens that it knows.
impl fmt::Debug for OAuthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthService")
            .field("url", &self.url())
            .field("control_url", &self.control_url())
            .field("config", &self.state.config)
            .finish_non_exhaustive()
    }
}

async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
