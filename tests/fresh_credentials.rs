//! Every try proves anew who the client is: a fresh assertion, and secrets and keys as their files
//! are by then. With the embedded service, which takes no assertion twice.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use steadfast::jose::{Algorithm, KeySet};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::error::Reason;
use steadfast::rotator::{ClientAuth, ClientCredentials, Credential, PrivateKeyJwt, Rotator};
use steadfast::testing::keys::jwk_set;
use steadfast::testing::{
    Endpoint, ManualClock, OAuthService, RegisteredClient, ServiceConfig, TestKey,
};
use steadfast::token::{FormatPreference, Token};
use steadfast::transport::{self, HttpTransport, Sending, Transport, TransportError};

/// What becomes of one request on its way.
enum Fate {
    /// It is never sent, the answer is 503; and then something is done.
    Unavailable(Box<dyn Fn() + Send>),
    /// It arrives and is answered, and the answer is lost.
    AnswerLost,
}

/// The way to the service: writes down what goes over it, and does to a request what it is told.
#[derive(Clone, Default)]
struct Way {
    http: HttpTransport,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Way {
    fn with(fates: impl IntoIterator<Item = Fate>) -> Self {
        let way = Self::default();
        way.fates.lock().unwrap().extend(fates);
        way
    }

    fn parameters(&self, name: &str) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let value = |body: &String| {
            let mut pairs = url::form_urlencoded::parse(body.as_bytes());
            let found = pairs.find(|(it, _)| it == name).unwrap();
            found.1.into_owned()
        };
        sent.iter().map(value).collect()
    }
}

impl Transport for Way {
    fn send<'a>(
        &'a self,
        endpoint: &'a transport::Endpoint,
        request: Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a> {
        Box::pin(async move {
            let body = String::from_utf8(request.body().clone()).unwrap();
            self.sent.lock().unwrap().push(body);
            let fate = self.fates.lock().unwrap().pop_front();
            match fate {
                Some(Fate::Unavailable(then)) => {
                    then();
                    let answer = Response::builder().status(503);
                    Ok(answer.body(Vec::new()).unwrap())
                }
                Some(Fate::AnswerLost) => {
                    let answer = self.http.send(endpoint, request, max_body).await;
                    assert_eq!(answer.unwrap().status(), 200);
                    Err(TransportError::Timeout)
                }
                None => self.http.send(endpoint, request, max_body).await,
            }
        })
    }
}

/// The file is replaced while the service is away.
fn replaced(path: &Path, content: &'static str) -> Fate {
    let path = path.to_owned();
    Fate::Unavailable(Box::new(move || fs::write(&path, content).unwrap()))
}

/// A service that knows these keys, or else the secret `right`, of the client `orders`.
async fn service(keys: &[&TestKey]) -> (OAuthService, ManualClock) {
    let clock = ManualClock::default();
    let client = if keys.is_empty() {
        RegisteredClient::new("orders", "right")
    } else {
        let keys = KeySet::from_json(jwk_set(keys.iter().copied()).to_string().as_bytes());
        RegisteredClient::with_keys("orders", keys.unwrap())
    };
    let config = ServiceConfig::default()
        .body_credentials()
        .clock(clock.clone());
    let service = OAuthService::start(config.client(client)).await.unwrap();
    (service, clock)
}

fn rotator(
    (service, clock): &(OAuthService, ManualClock),
    credential: impl Into<Credential>,
    way: &Way,
) -> Rotator {
    let grant = ClientCredentials::new(&service.token_url(), "orders", credential).unwrap();
    let policy = IssuancePolicy::default().with_retries(2).unwrap();
    let policy = policy.with_format(FormatPreference::Opaque);
    Rotator::new(grant.authentication(ClientAuth::Body), policy)
        .clock(Arc::new(clock.clone()))
        .transport(way.clone())
}

/// Its first token. The pauses between tries take no time here.
async fn first_token(rotator: &Rotator, clock: &ManualClock) -> Arc<Token> {
    let token = tokio::spawn({
        let rotator = rotator.clone();
        async move { rotator.token().await.unwrap() }
    });
    while !token.is_finished() {
        if let Some(pause) = clock.next_wakeup() {
            clock.advance(pause);
        }
        tokio::task::yield_now().await;
    }
    token.await.unwrap()
}

fn key_file(test: &str, key: &TestKey) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fresh-{test}.pem"));
    fs::write(&path, key.private_pem().unwrap()).unwrap();
    path
}

fn signer(key: &TestKey) -> PrivateKeyJwt {
    let signer = PrivateKeyJwt::new(key.private_pem().unwrap()).key_id(key.kid());
    signer.algorithm(key.algorithm())
}

#[tokio::test]
async fn every_kind_of_key_gets_a_token() {
    for algorithm in [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ] {
        let key = TestKey::of(algorithm);
        let (way, service) = (Way::default(), service(&[&key]).await);
        first_token(&rotator(&service, signer(&key), &way), &service.1).await;
        assert_eq!(service.0.tokens_issued_to("orders"), 1, "{algorithm}");
    }
}

#[tokio::test]
async fn a_try_after_a_lost_answer_has_an_assertion_of_its_own() {
    let key = TestKey::of(Algorithm::ES256);
    let way = Way::with([Fate::AnswerLost, Fate::AnswerLost]);
    let service = service(&[&key]).await;
    first_token(&rotator(&service, signer(&key), &way), &service.1).await;
    assert_eq!(service.0.tokens_issued_to("orders"), 3);
    let assertions = BTreeSet::from_iter(way.parameters("client_assertion"));
    assert_eq!(assertions.len(), 3);
}

#[tokio::test]
async fn a_key_that_was_replaced_between_two_tries_signs_the_second() {
    let (old, new) = (TestKey::rsa(0), TestKey::rsa(1));
    let path = key_file("replaced", &old);
    let way = Way::with([replaced(&path, new.private_pem().unwrap())]);
    let service = service(&[&new]).await;
    first_token(
        &rotator(&service, PrivateKeyJwt::new(path), &way),
        &service.1,
    )
    .await;
    assert_eq!(service.0.counters().received(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_secret_that_was_replaced_between_two_tries_is_sent_by_the_second() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fresh-secret");
    fs::write(&path, "wrong").unwrap();
    let way = Way::with([replaced(&path, "right")]);
    let service = service(&[]).await;
    first_token(&rotator(&service, path, &way), &service.1).await;
    assert_eq!(way.parameters("client_secret"), ["wrong", "right"]);
}

#[tokio::test]
async fn a_corrected_key_is_tried_at_once() {
    let (wrong, right) = (TestKey::rsa(2), TestKey::rsa(1));
    let path = key_file("corrected", &wrong);
    let (way, service) = (Way::default(), service(&[&right]).await);
    let rotator = rotator(&service, PrivateKeyJwt::new(path.clone()), &way);
    let error = rotator.token().await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    assert!(rotator.token().await.is_err());
    assert_eq!(
        service.0.counters().received(Endpoint::Token),
        1,
        "no second time"
    );
    fs::write(&path, right.private_pem().unwrap()).unwrap();
    rotator.token().await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_of_no_use_costs_no_request_and_no_token() {
    let key = TestKey::of(Algorithm::EdDSA);
    let path = key_file("unusable", &key);
    let (way, service) = (Way::default(), service(&[&key]).await);
    let rotator = rotator(&service, PrivateKeyJwt::new(path.clone()), &way);
    fs::write(&path, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let error = rotator.token().await.unwrap_err();
    assert_eq!(error.failing().unwrap().reason, Reason::NoCredential);
    assert_eq!(way.sent.lock().unwrap().len(), 0);

    fs::write(&path, key.private_pem().unwrap()).unwrap();
    let token = rotator.token().await.unwrap();
    fs::write(&path, "").unwrap();
    service.1.advance(Duration::from_secs(1));
    let same = rotator.token_once(Duration::ZERO).await.unwrap();
    assert_eq!(same, token);
    assert_eq!(way.sent.lock().unwrap().len(), 1);
    assert_eq!(
        rotator.health().failing.unwrap().reason,
        Reason::NoCredential
    );
}
