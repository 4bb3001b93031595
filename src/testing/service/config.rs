//! What the service is told before it starts.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::jose::KeySet;
use crate::policy::IssuancePolicy;
use crate::testing::TestKey;
use crate::token::ClientSecret;

/// How an [`OAuthService`](super::OAuthService) is set up.
///
/// By default: any free port, no control port, the system's clock, seed 0, no client, an RS256 key,
/// client authentication by HTTP Basic only.
#[derive(Clone)]
pub struct ServiceConfig {
    pub(super) port: u16,
    pub(super) control_port: Option<u16>,
    pub(super) seed: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) issuer: Option<String>,
    pub(super) key: TestKey,
    pub(super) clients: Vec<RegisteredClient>,
    pub(super) body_credentials: bool,
    pub(super) keys_cache_control: Option<String>,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            port: 0,
            control_port: None,
            seed: 0,
            clock: Arc::new(SystemClock),
            issuer: None,
            key: TestKey::rsa(0),
            clients: Vec::new(),
            body_credentials: false,
            keys_cache_control: None,
        }
    }
}

impl ServiceConfig {
    /// The port on 127.0.0.1; 0 is any that is free.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Takes orders by HTTP on a port of its own on 127.0.0.1 (0 is any that is free), so that a
    /// service that is down can still be told to come back. All orders are `POST`, with parameters
    /// in the query or in a form:
    ///
    /// | path | parameters | does |
    /// |---|---|---|
    /// | `/fault` | `kind=down\|hang\|slow\|502\|429`, `by=5s` for slow, `retry_after=5s` for 429, `endpoint=token\|jwks\|introspect\|openid-configuration\|oauth-authorization-server`, `times=3`, `for=8h` | [`fault`](super::OAuthService::fault) |
    /// | `/clear` | | [`clear_faults`](super::OAuthService::clear_faults) |
    /// | `/expire` | | [`expire_tokens`](super::OAuthService::expire_tokens) |
    /// | `/keys` | `do=publish` | [`publish_key`](super::OAuthService::publish_key) with a new key; the answer names its `kid` |
    /// | `/keys` | `do=sign&kid=…` | [`sign_with`](super::OAuthService::sign_with) |
    /// | `/keys` | `do=withdraw&kid=…` | [`withdraw_key`](super::OAuthService::withdraw_key) |
    /// | `/keys` | `do=replace`, and `kid=…` to keep a name | [`replace_keys`](super::OAuthService::replace_keys) with a new key |
    ///
    /// `GET /counters` tells the [`Counters`](super::Counters) as JSON. An order is answered with
    /// 200 and a JSON object; one that cannot be followed with 400 and `{"error":"…"}`.
    #[must_use]
    pub fn control_port(self, port: u16) -> Self {
        Self {
            control_port: Some(port),
            ..self
        }
    }

    /// What opaque tokens and `jti` are drawn from: the same seed and the same requests give the
    /// same ones.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The clock that tokens are dated by, that `Date` headers show and that faults run on.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The issuer that tokens and documents name, where it shall not be the service's own URL.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            ..self
        }
    }

    /// The first key that tokens are signed with.
    #[must_use]
    pub fn key(self, key: TestKey) -> Self {
        Self { key, ..self }
    }

    /// Registers a client.
    #[must_use]
    pub fn client(mut self, client: RegisteredClient) -> Self {
        self.clients.push(client);
        self
    }

    /// Takes `client_id` and `client_secret` in the body as well (RFC 6749 2.3.1).
    #[must_use]
    pub fn body_credentials(self) -> Self {
        Self {
            body_credentials: true,
            ..self
        }
    }

    /// `Cache-Control` of the JWK Set; by default it has none.
    #[must_use]
    pub fn keys_cache_control(self, value: impl Into<String>) -> Self {
        Self {
            keys_cache_control: Some(value.into()),
            ..self
        }
    }
}

impl ServiceConfig {
    pub(super) fn has_keys(&self) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|client| matches!(client.proof, Registered::Keys(_)))
    }
}

impl fmt::Debug for ServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceConfig")
            .field("port", &self.port)
            .field("control_port", &self.control_port)
            .field("seed", &self.seed)
            .field("issuer", &self.issuer)
            .field("key", &self.key.kid())
            .field("clients", &self.clients)
            .field("body_credentials", &self.body_credentials)
            .field("keys_cache_control", &self.keys_cache_control)
            .finish_non_exhaustive()
    }
}

/// A client that the service knows. Validity and format of its tokens are set here; no request can
/// ask for another validity.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    pub(super) id: String,
    pub(super) proof: Registered,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) policy: IssuancePolicy,
    pub(super) jwt: JwtIssuing,
}

/// What a client proves its identity with.
#[derive(Clone, Debug)]
pub(super) enum Registered {
    Secret(ClientSecret),
    Keys(KeySet),
}

impl RegisteredClient {
    /// A client that may ask for any scope, with the default policy (12 h), given a JWT when it
    /// asks for one.
    pub fn new(id: impl Into<String>, secret: impl Into<ClientSecret>) -> Self {
        Self::with(id.into(), Registered::Secret(secret.into()))
    }

    /// The same for a client that authenticates by `private_key_jwt` (RFC 7523 2.2), with one of
    /// these keys. `aud` of its assertions is this service's issuer or token endpoint, as a single
    /// text; each has a `jti` that is good once, and expires within 5 min.
    pub fn with_keys(id: impl Into<String>, keys: KeySet) -> Self {
        Self::with(id.into(), Registered::Keys(keys))
    }

    fn with(id: String, proof: Registered) -> Self {
        Self {
            id,
            proof,
            scopes: None,
            policy: IssuancePolicy::default(),
            jwt: JwtIssuing::OnRequest,
        }
    }

    /// The only scopes it may have; who asks for none gets all of them.
    #[must_use]
    pub fn scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            scopes: Some(scopes.into_iter().map(Into::into).collect()),
            ..self
        }
    }

    /// The policy whose validity its tokens get: opaque ones the whole of it, JWTs at most 12 h.
    #[must_use]
    pub fn policy(self, policy: IssuancePolicy) -> Self {
        Self { policy, ..self }
    }

    /// When it gets JWTs.
    #[must_use]
    pub fn jwt(self, jwt: JwtIssuing) -> Self {
        Self { jwt, ..self }
    }
}

/// When a client gets JWTs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JwtIssuing {
    /// With `token_format=jwtrfc` or `token_format=jwt`, in the body or the query.
    #[default]
    OnRequest,
    /// Whatever it asks for.
    Always,
    /// Never; the parameter is ignored.
    Never,
    /// Never; the parameter is refused with `invalid_request`.
    Refused,
}
