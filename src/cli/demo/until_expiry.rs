//! A cached JWT of 1 h, renewed 10 s before it expires; keys that the waiting request fetches once
//! they are older than 10 min.
//!
//! These are the defaults of widespread libraries: a token source that renews when it is asked too
//! late, and a remote key set with a maximum age, which fails when a fetch fails. Both let whoever
//! comes meanwhile wait for the request that is under way.

use std::sync::Arc;
use std::time::Duration;

use http::header::InvalidHeaderValue;
use tokio::sync::Mutex;

use super::chronicle::{Failure, Strategy};
use super::resource::{Admission, Gate, Resource};
use super::scribe::Scribe;
use super::setting::Setting;
use super::token_client::TokenClient;
use super::wire::Wire;
use super::work::Client;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::jose::{AlgorithmSet, Jws, JwsError, KeySet};
use crate::token::{AccessToken, TokenFormat};
use crate::transport::Endpoint;

const THIS: Strategy = Strategy::CachedUntilExpiry;

/// The client.
pub(super) struct UntilExpiry {
    tokens: TokenClient,
    scribe: Scribe,
    cached: Mutex<Option<CachedToken>>,
}

#[derive(Clone)]
struct CachedToken {
    token: AccessToken,
    expires_at: Duration,
}

impl UntilExpiry {
    pub(super) fn new(setting: &Setting) -> Result<Self, InvalidHeaderValue> {
        Ok(Self {
            tokens: TokenClient::new(setting, THIS, TokenFormat::Jwt)?,
            scribe: setting.scribe(),
            cached: Mutex::new(None),
        })
    }

    async fn token(&self) -> Result<AccessToken, Failure> {
        // Held over the request: that is how such a client issues one token, not one a caller.
        let mut cached = self.cached.lock().await;
        let now = self.scribe.now();
        if let Some(it) = cached.as_ref().filter(|it| now + EARLY < it.expires_at) {
            return Ok(it.token.clone());
        }
        let (token, lifetime) = self.tokens.issue().await?;
        *cached = Some(CachedToken {
            token: token.clone(),
            expires_at: now + lifetime,
        });
        Ok(token)
    }

    /// Forgets a token that was refused, if it is still the cached one.
    async fn forget(&self, token: &AccessToken) {
        let mut cached = self.cached.lock().await;
        *cached = cached.take().filter(|it| it.token != *token);
    }
}

impl Client for UntilExpiry {
    async fn work(&self, resource: &Resource) -> Result<(), Failure> {
        let token = self.token().await?;
        match resource.use_with(token.expose()).await {
            Err(Failure::Refused(401)) => {
                self.forget(&token).await;
                resource.use_with(self.token().await?.expose()).await
            }
            outcome => outcome,
        }
    }
}

/// The resource server's side.
pub(super) struct RemoteKeys {
    wire: Wire,
    endpoint: Endpoint,
    issuer: String,
    scribe: Scribe,
    cached: Mutex<Option<CachedKeys>>,
}

struct CachedKeys {
    keys: Arc<KeySet>,
    fetched_at: Duration,
}

impl RemoteKeys {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            wire: setting.wire(THIS, setting.resource_side(THIS)),
            endpoint: setting.keys_url.clone(),
            issuer: setting.issuer().to_owned(),
            scribe: setting.scribe(),
            cached: Mutex::new(None),
        }
    }

    /// The keys, fetched now if those at hand are not younger than `age`.
    async fn keys(&self, age: Duration) -> Result<Arc<KeySet>, Unavailable> {
        // Held over the request, as above.
        let mut cached = self.cached.lock().await;
        let now = self.scribe.now();
        if let Some(it) = cached.as_ref().filter(|it| now < it.fetched_at + age) {
            return Ok(Arc::clone(&it.keys));
        }
        let document = self
            .wire
            .get(&self.endpoint)
            .await
            .map_err(|_| Unavailable)?;
        let keys = Arc::new(KeySet::from_json(&document).map_err(|_| Unavailable)?);
        *cached = Some(CachedKeys {
            keys: Arc::clone(&keys),
            fetched_at: now,
        });
        Ok(keys)
    }

    async fn verify(&self, token: &str) -> Result<Result<Jws, JwsError>, Unavailable> {
        let verify = |keys: &KeySet| keys.verify_jws(token, AlgorithmSet::ASYMMETRIC);
        match verify(&*self.keys(LONGEST_AGE).await?) {
            // A rotation, perhaps: worth another look, unless the last one was just now.
            Err(JwsError::UnknownKey(_)) => Ok(verify(&*self.keys(COOLDOWN).await?)),
            outcome => Ok(outcome),
        }
    }

    /// Issuer, audience and expiry (RFC 7519 4.1), with the usual minute of leeway.
    fn is_for_us(&self, jws: &Jws) -> bool {
        let Ok(claims) = serde_json::from_slice::<Claims>(&jws.payload) else {
            return false;
        };
        let now = self.scribe.clock().wall();
        claims.iss.as_deref() == Some(&*self.issuer)
            && claims
                .aud
                .is_some_and(|aud| aud.contains(Setting::AUDIENCE))
            && claims
                .exp
                .is_some_and(|exp| now < exp.to_timestamp().plus(LEEWAY))
    }
}

/// The keys cannot be had.
struct Unavailable;

impl Gate for RemoteKeys {
    async fn admit(&self, token: &str) -> Admission {
        match self.verify(token).await {
            Ok(Ok(jws)) if self.is_for_us(&jws) => Admission::Granted,
            Ok(_) => Admission::Refused,
            Err(Unavailable) => Admission::Unavailable,
        }
    }
}

const EARLY: Duration = Duration::from_secs(10);
const LONGEST_AGE: Duration = Duration::from_secs(600);
const COOLDOWN: Duration = Duration::from_secs(30);
const LEEWAY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::chronicle::{Answer, Caller, Wanted};
    use super::super::setting::tests::Stage;
    use super::super::story::Turn;
    use super::*;

    type Seen = (Wanted, Caller, Answer);

    const ISSUED: Seen = (
        Wanted::Token,
        Caller::Client,
        Answer::Token(Duration::from_secs(3600)),
    );
    const FETCHED: Seen = (Wanted::Keys, Caller::WaitedFor, Answer::Given);

    #[tokio::test]
    async fn token_and_keys_are_fetched_by_whoever_needs_them() {
        let mut stage = Stage::set().await;
        let client = UntilExpiry::new(&stage.setting).unwrap();
        assert_eq!(stage.calls(), []);
        let gate = RemoteKeys::new(&stage.setting);
        assert_eq!(stage.operation(THIS, &client, gate).await, Ok(()));
        assert_eq!(stage.calls(), [ISSUED, FETCHED]);
    }

    #[tokio::test]
    async fn a_bad_token_is_refused() {
        let stage = Stage::set().await;
        let client = UntilExpiry::new(&stage.setting).unwrap();
        let mut gate = RemoteKeys::new(&stage.setting);
        let token = client.token().await.unwrap();
        assert_eq!(gate.admit(token.expose()).await, Admission::Granted);
        assert_eq!(gate.admit("made-up").await, Admission::Refused);
        gate.issuer = "https://login.example".into();
        assert_eq!(gate.admit(token.expose()).await, Admission::Refused);
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let mut stage = Stage::set().await;
        let client = UntilExpiry::new(&stage.setting).unwrap();
        let mut gate = RemoteKeys::new(&stage.setting);
        gate.issuer = "https://login.example".into();
        let outcome = stage.operation(THIS, &client, gate).await;
        assert_eq!(outcome, Err(Failure::Refused(401)));
        assert_eq!(stage.calls(), [ISSUED, FETCHED, ISSUED]);
    }

    #[tokio::test]
    async fn keys_that_cannot_be_fetched_are_no_refusal() {
        let stage = Stage::set().await;
        let client = UntilExpiry::new(&stage.setting).unwrap();
        let token = client.token().await.unwrap();
        stage.setting.take(Turn::Down);
        let gate = RemoteKeys::new(&stage.setting);
        assert_eq!(gate.admit(token.expose()).await, Admission::Unavailable);
    }
}
