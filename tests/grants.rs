//! The grants beside client credentials: what they send, and how a refresh token that is replaced at
//! each use is kept.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Response};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::error::Reason;
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{Claim, MemoryStore, Store, StoreError, StoreKey, Storing};
use steadfast::rotator::{
    AssertionError, AssertionFile, Client, ClientAuth, ClientCredentials, Grant, JwtBearer,
    RefreshTokenGrant, Rotator, SamlBearer, TokenExchange, TokenType,
};
use steadfast::testing::{ManualClock, OAuthService, RegisteredClient, ServiceConfig};
use steadfast::token::{Assertion, FormatPreference};
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};

const URL: &str = "https://login.example/token";

type Form = BTreeMap<String, String>;
type Parameters = &'static [(&'static str, &'static str)];
type Answers = VecDeque<Result<(u16, String), TransportError>>;

/// Answers in order, and remembers what was sent, with what the store held at that time.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(Answers, Vec<Form>)>>);

impl Script {
    fn of<const N: usize>(answers: [Result<(u16, &str), TransportError>; N]) -> Self {
        let answers = answers.map(|it| it.map(|(status, body)| (status, body.to_owned())));
        Self(Arc::new(Mutex::new((answers.into(), Vec::new()))))
    }

    fn sent(&self) -> Vec<Form> {
        self.0.lock().unwrap().1.clone()
    }

    #[track_caller]
    fn assert_refreshed_with(&self, tokens: &[&str]) {
        let sent = self.sent();
        let sent: Vec<_> = sent.iter().map(|it| it["refresh_token"].as_str()).collect();
        assert_eq!(sent, tokens);
    }
}

impl Transport for Script {
    fn send<'a>(
        &'a self,
        _endpoint: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        _max_body: usize,
    ) -> Sending<'a> {
        let mut script = self.0.lock().unwrap();
        let mut form: Form = url::form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        for (name, value) in request.headers() {
            form.insert(name.to_string(), value.to_str().unwrap().to_owned());
        }
        script.1.push(form);
        let answer = script.0.pop_front().expect("one request too many");
        Box::pin(async move {
            let (status, body) = answer?;
            let response = Response::builder().status(status);
            Ok(response.body(body.into_bytes()).unwrap())
        })
    }
}

fn client() -> Client {
    Client::public(URL, "orders").unwrap()
}

fn rotator(grant: impl Grant, script: &Script) -> Rotator {
    Rotator::new(grant, IssuancePolicy::default()).transport(script.clone())
}

const PLAIN: Result<(u16, &str), TransportError> =
    Ok((200, r#"{"access_token":"a","expires_in":43200}"#));

async fn sent_by(grant: impl Grant) -> Form {
    let script = Script::of([PLAIN]);
    rotator(grant, &script).token().await.unwrap();
    script.sent().remove(0)
}

#[track_caller]
fn assert_sent(form: &Form, expected: &[(&str, &str)]) {
    let headers = ["accept", "content-type"];
    let mut form = form.clone();
    form.retain(|name, _| !headers.contains(&name.as_str()));
    let expected: Form = expected
        .iter()
        .map(|(a, b)| ((*a).into(), (*b).into()))
        .collect();
    assert_eq!(form, expected);
}

async fn assertion() -> Result<Assertion, AssertionError> {
    Ok(Assertion::new("<Assertion>s3cret?</Assertion>"))
}

// What is sent

#[tokio::test]
async fn what_each_grant_sends() {
    let saml = SamlBearer::new(client().scope("read"), "alice", assertion);
    assert_sent(
        &sent_by(saml).await,
        &[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:saml2-bearer",
            ),
            ("assertion", "PEFzc2VydGlvbj5zM2NyZXQ_PC9Bc3NlcnRpb24-"),
            ("scope", "read"),
            ("client_id", "orders"),
        ],
    );
    let jwt = JwtBearer::new(Client::public(URL, "").unwrap(), "alice", || async {
        Ok(Assertion::new("e30.e30.x"))
    });
    assert_sent(
        &sent_by(jwt).await,
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", "e30.e30.x"),
        ],
    );
    let exchange = TokenExchange::new(client(), "alice", TokenType::Jwt, || async {
        Ok(Assertion::new("about-alice"))
    });
    let exchange = exchange
        .actor("orders", TokenType::AccessToken, || async {
            Ok(Assertion::new("about-us"))
        })
        .requested_token_type(TokenType::Other("urn:x:y".into()));
    assert_sent(
        &sent_by(exchange).await,
        &[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", "about-alice"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("actor_token", "about-us"),
            (
                "actor_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("requested_token_type", "urn:x:y"),
            ("client_id", "orders"),
        ],
    );
    let refresh = RefreshTokenGrant::new(client(), "alice", "r-0");
    assert_sent(
        &sent_by(refresh).await,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", "r-0"),
            ("client_id", "orders"),
        ],
    );
}

#[tokio::test]
async fn parameters_and_headers_of_the_providers_own() {
    let zid = HeaderName::from_static("x-zid");
    let client = Client::new(URL, "orders", "s3cret").unwrap();
    let client = client
        .parameter("app_tid", "7")
        .parameter("grant_type", "password")
        .header(zid, HeaderValue::from_static("8"))
        .header(
            http::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer x"),
        );
    let form = sent_by(ClientCredentials::from(client)).await;
    assert_sent(
        &form,
        &[
            ("grant_type", "client_credentials"),
            ("app_tid", "7"),
            ("x-zid", "8"),
            ("authorization", "Basic b3JkZXJzOnMzY3JldA=="),
        ],
    );
}

#[test]
fn whose_token_it_is_changes_the_store_key() {
    let key = |grant: &dyn Grant| {
        let facts = grant.facts();
        StoreKey::of(facts.iter().map(|(name, value)| (*name, &**value)))
    };
    let exchange = |subject| TokenExchange::new(client(), subject, TokenType::Jwt, assertion);
    let x_zid = HeaderName::from_static("x-zid");
    let grants: [&dyn Grant; 11] = [
        &ClientCredentials::from(client()),
        &ClientCredentials::from(client().parameter("a", "b")),
        &ClientCredentials::from(client().header(x_zid, HeaderValue::from_static("b"))),
        &SamlBearer::new(client(), "alice", assertion),
        &SamlBearer::new(client(), "bob", assertion),
        &JwtBearer::new(client(), "alice", assertion),
        &RefreshTokenGrant::new(client(), "alice", "r"),
        &RefreshTokenGrant::new(client(), "bob", "r"),
        &exchange("alice"),
        &exchange("bob"),
        &exchange("alice").actor("bob", TokenType::Jwt, assertion),
    ];
    let keys: std::collections::BTreeSet<_> = grants.iter().map(|it| key(*it)).collect();
    assert_eq!(keys.len(), grants.len());
    let same = ClientCredentials::from(client().parameter("grant_type", "x"));
    assert_eq!(
        key(&same),
        key(grants[0]),
        "what is not sent does not count"
    );
}

#[tokio::test]
async fn an_assertion_that_is_not_to_be_had() {
    for (why, refusal) in [
        (AssertionError::Unavailable, false),
        (AssertionError::Refused, true),
    ] {
        let script = Script::default();
        let grant = JwtBearer::new(client(), "alice", move || async move { Err(why) });
        let error = rotator(grant, &script).token().await.unwrap_err();
        assert_eq!(error.failing().unwrap().reason, Reason::NoCredential);
        assert_eq!(error.is_refusal(), refusal);
        assert!(script.sent().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn each_try_has_an_assertion_of_its_own() {
    let script = Script::of([
        Err(TransportError::Connect),
        Err(TransportError::Timeout),
        PLAIN,
    ]);
    let made = Arc::new(AtomicU32::new(0));
    let grant = SamlBearer::new(client(), "alice", move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        async move { Ok(Assertion::new(format!("<{number}/>"))) }
    });
    let policy = IssuancePolicy::default().with_retries(2).unwrap();
    let rotator = Rotator::new(grant, policy).transport(script.clone());
    rotator.token().await.unwrap();
    let sent = script.sent();
    let assertions: Vec<_> = sent.iter().map(|it| it["assertion"].as_str()).collect();
    assert_eq!(assertions, ["PDAvPg", "PDEvPg", "PDIvPg"]);
}

#[tokio::test]
async fn an_assertion_in_a_file_is_read_for_each_try() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projected-token");
    let grant = || JwtBearer::new(client(), "alice", AssertionFile::new(&path));
    for (file, sent) in [
        ("e30.e30.a\n", "e30.e30.a"),
        (" \r\n e30.e30.b\t\n", "e30.e30.b"),
    ] {
        std::fs::write(&path, file).unwrap();
        assert_eq!(sent_by(grant()).await["assertion"], sent);
    }
    let mut unusable: Vec<Option<&[u8]>> = vec![Some(b""), Some(b" \n"), Some(b"\xff"), None];
    while let Some(content) = unusable.pop() {
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let script = Script::default();
        let error = rotator(grant(), &script).token().await.unwrap_err();
        assert_eq!(error.failing().unwrap().reason, Reason::NoCredential);
        assert!(!error.is_refusal(), "it may be there later");
        assert!(script.sent().is_empty());
    }
    for (error, text) in [
        (AssertionError::Unavailable, "no assertion is to be had now"),
        (AssertionError::Refused, "no assertion is granted"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

/// Short ones, which do not look like secrets by themselves.
#[tokio::test]
async fn no_error_repeats_what_was_sent() {
    let known = || Client::new(URL, "orders", "c1").unwrap();
    let exchange = TokenExchange::new(client(), "alice", TokenType::Jwt, short("s1"));
    let grants: [(Arc<dyn Grant>, &[&str]); 6] = [
        (
            Arc::new(SamlBearer::new(client(), "alice", short("<x1/>"))),
            &["<x1/>", "PHgxLz4"],
        ),
        (
            Arc::new(JwtBearer::new(client(), "alice", short("j1.x.y"))),
            &["j1.x.y"],
        ),
        (
            Arc::new(exchange.actor("orders", TokenType::Jwt, short("s1a1"))),
            &["s1a1", "s1"],
        ),
        (Arc::new(refresh("r1")), &["r1"]),
        (
            Arc::new(ClientCredentials::from(known())),
            &["c1", "b3JkZXJzOmMx"],
        ),
        (
            Arc::new(ClientCredentials::from(
                known().authentication(ClientAuth::Body),
            )),
            &["c1"],
        ),
    ];
    for (grant, secrets) in grants {
        for secret in secrets {
            for body in [
                format!(
                    r#"{{"error":"invalid_grant","error_description":"not '{secret}' again"}}"#
                ),
                format!(r#"{{"error":"bad.{secret}.value"}}"#),
            ] {
                let script = Script::of([Ok((400, &body))]);
                let rotator = rotator(grant.clone(), &script);
                let error = rotator.token().await.unwrap_err();
                let printed = format!("{error} {error:?} {:?}", rotator.health());
                assert!(!printed.contains(secret), "{printed}");
                assert!(printed.contains("not '…' again") || printed.contains("bad"));
            }
        }
    }
}

fn short(text: &'static str) -> impl Fn() -> std::future::Ready<Result<Assertion, AssertionError>> {
    move || std::future::ready(Ok(Assertion::new(text)))
}

#[tokio::test]
async fn what_was_exchanged_must_be_an_access_token() {
    for body in [
        r#"{"access_token":"a","token_type":"N_A"}"#,
        r#"{"access_token":"a","issued_token_type":"urn:ietf:params:oauth:token-type:saml2"}"#,
    ] {
        let script = Script::of([Ok((200, body))]);
        let grant = TokenExchange::new(client(), "alice", TokenType::Jwt, assertion);
        let error = rotator(grant, &script).token().await.unwrap_err();
        assert_eq!(error.failing().unwrap().reason, Reason::TokenType);
    }
}

// Refresh tokens

fn refresh(initial: &str) -> RefreshTokenGrant {
    RefreshTokenGrant::new(client(), "alice", initial)
}

/// What is stored for a grant, after one token was had with these answers.
async fn successor(
    store: &MemoryStore,
    grant: RefreshTokenGrant,
    script: &Script,
) -> Option<String> {
    let rotator = rotator(grant, script).store(store.clone());
    let _ = rotator.token().await;
    let record = store.read(&rotator.store_key()).await.unwrap().unwrap();
    assert!(!format!("{record:?} {record:#?} {rotator:?}").contains("r-"));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    record
        .successor
        .map(|it| it.refresh_token.expose().to_owned())
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_used_from_then_on() {
    let store = MemoryStore::new();
    // The access tokens are of no use, so that the next rotator asks again; a refused one replaces
    // the refresh token all the same.
    let next =
        |token: &str| format!(r#"{{"access_token":"a","expires_in":0,"refresh_token":"{token}"}}"#);
    let (one, two) = (next("r-1"), next("r-2"));
    let script = Script::of([Ok((200, &one))]);
    assert_eq!(
        successor(&store, refresh("r-0"), &script).await.as_deref(),
        Some("r-1")
    );
    script.assert_refreshed_with(&["r-0"]);
    // The pause after the failure binds the credential that failed; a second consent is another one,
    // and its chain begins anew.
    let script = Script::of([Ok((200, &two))]);
    assert_eq!(
        successor(&store, refresh("q-0"), &script).await.as_deref(),
        Some("r-2")
    );
    script.assert_refreshed_with(&["q-0"]);
}

#[tokio::test]
async fn a_replaced_refresh_token_outlives_its_process() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let body = r#"{"access_token":"a","expires_in":43200,"refresh_token":"r-1"}"#;
    let script = Script::of([Ok((200, body)), PLAIN_B]);
    let process = || {
        rotator(refresh("r-0"), &script)
            .store(store.clone())
            .clock(Arc::new(clock.clone()))
    };
    let token = process().token().await.unwrap();
    clock.advance(Duration::from_secs(2));
    let other = process();
    assert_eq!(other.token().await.unwrap().expose(), "a");
    assert_eq!(other.reject(&token).await.unwrap().expose(), "b");
    script.assert_refreshed_with(&["r-0", "r-1"]);
    let record = store.read(&other.store_key()).await.unwrap().unwrap();
    assert_eq!(
        record.successor.unwrap().refresh_token.expose(),
        "r-1",
        "it stays in force"
    );
}

const PLAIN_B: Result<(u16, &str), TransportError> =
    Ok((200, r#"{"access_token":"b","expires_in":43200}"#));

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_sent_again_only_if_nothing_was_sent() {
    let script = Script::of([Err(TransportError::Connect), PLAIN]);
    rotator(refresh("r-0"), &script).token().await.unwrap();
    assert_eq!(script.sent().len(), 2);
    for answer in [
        Err(TransportError::Timeout),
        Err(TransportError::Broken),
        Ok((503, "")),
        Ok((400, r#"{"error":"invalid_grant"}"#)),
    ] {
        let script = Script::of([answer]);
        rotator(refresh("r-0"), &script).token().await.unwrap_err();
        assert_eq!(script.sent().len(), 1);
    }
}

#[tokio::test]
async fn an_opaque_token_where_a_jwt_is_required_costs_no_refresh_token() {
    let store = MemoryStore::new();
    let body = r#"{"access_token":"a","refresh_token":"r-1"}"#;
    let policy = IssuancePolicy::default().with_format(FormatPreference::RequireJwt);
    let rotator = Rotator::new(refresh("r-0"), policy)
        .transport(Script::of([Ok((200, body))]))
        .store(store.clone());
    rotator.token().await.unwrap_err();
    let record = store.read(&rotator.store_key()).await.unwrap().unwrap();
    assert_eq!(record.successor.unwrap().refresh_token.expose(), "r-1");
}

/// Refuses every claim, or every write but the first.
#[derive(Clone)]
struct Failing {
    claims: bool,
    writes: Arc<Mutex<u32>>,
}

fn unusable() -> StoreError {
    StoreError::Unusable("full".into())
}

impl Store for Failing {
    fn read<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async { Ok(None) })
    }

    fn try_claim<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        let claim: Box<dyn Claim> = Box::new(self.clone());
        Box::pin(async {
            if self.claims {
                Ok(Some(claim))
            } else {
                Err(unusable())
            }
        })
    }

    fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        panic!("never without the claim")
    }
}

impl Claim for Failing {
    fn write<'a>(&'a mut self, _: &'a Record) -> Storing<'a, ()> {
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        let first = *writes == 1;
        Box::pin(async move { if first { Ok(()) } else { Err(unusable()) } })
    }
}

#[tokio::test]
async fn without_a_store_no_refresh_token_is_sent() {
    let script = Script::default();
    let store = Failing {
        claims: false,
        writes: Arc::default(),
    };
    let rotator = rotator(refresh("r-0"), &script).store(store);
    let error = rotator.token().await.unwrap_err();
    assert_eq!(error.failing().unwrap().reason, Reason::NoStore);
    assert!(script.sent().is_empty());
}

#[tokio::test]
async fn a_store_that_fails_after_the_answer_costs_no_token() {
    let script = Script::of([PLAIN]);
    let store = Failing {
        claims: true,
        writes: Arc::default(),
    };
    let rotator = rotator(refresh("r-0"), &script).store(store.clone());
    assert_eq!(rotator.token().await.unwrap().expose(), "a");
    assert_eq!(
        *store.writes.lock().unwrap(),
        4,
        "a stamp, two writes before, one at the end"
    );
    assert_eq!(rotator.health().store, Some(unusable()));
}

// Over HTTP

#[tokio::test]
async fn a_service_that_replaces_refresh_tokens_and_takes_none_twice() {
    let registered = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(registered);
    let service = OAuthService::start(config).await.unwrap();
    let client = Client::new(&service.token_url(), "orders", "s3cret").unwrap();
    let initial = service.grant_refresh_token("orders");
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let process = |store: &MemoryStore| {
        let grant = RefreshTokenGrant::new(client.clone(), "alice", initial.as_str());
        Rotator::new(grant, IssuancePolicy::default())
            .store(store.clone())
            .clock(Arc::new(clock.clone()))
    };
    for issued in 1..=3 {
        let rotator = process(&store);
        let token = rotator.token().await.unwrap();
        clock.advance(Duration::from_secs(1200));
        rotator.reject(&token).await.unwrap();
        assert_eq!(service.counters().tokens_issued, issued + 1);
        clock.advance(Duration::from_secs(1200));
    }
    let forgetful = process(&MemoryStore::new());
    assert!(forgetful.token().await.unwrap_err().is_refusal());
}

#[tokio::test]
async fn what_each_grant_brings_arrives_at_a_service() {
    let registered = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(registered);
    let service = OAuthService::start(config).await.unwrap();
    let client = Client::new(&service.token_url(), "orders", "s3cret").unwrap();
    let jwt = short("e30.e30.+/");
    let xml = "<Assertion a=\"\u{e9}\">&amp;</Assertion>\n";
    let grants: [(Arc<dyn Grant>, Parameters); 4] = [
        (
            Arc::new(SamlBearer::new(client.clone(), "alice", short(xml))),
            &[
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:saml2-bearer",
                ),
                (
                    "assertion",
                    "PEFzc2VydGlvbiBhPSLDqSI-JmFtcDs8L0Fzc2VydGlvbj4K",
                ),
            ],
        ),
        (
            Arc::new(JwtBearer::new(client.clone(), "alice", jwt)),
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", "e30.e30.+/"),
            ],
        ),
        (
            Arc::new(TokenExchange::new(
                client.clone(),
                "alice",
                TokenType::AccessToken,
                short("a b&c=d"),
            )),
            &[
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                ),
                ("subject_token", "a b&c=d"),
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:access_token",
                ),
            ],
        ),
        (
            Arc::new(ClientCredentials::from(client.clone())),
            &[("grant_type", "client_credentials")],
        ),
    ];
    for (grant, expected) in grants {
        let rotator = Rotator::new(grant, IssuancePolicy::default());
        rotator.token().await.unwrap();
        let received = service.last_token_request();
        let received: Vec<_> = received.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(received, expected);
    }
    let initial = service.grant_refresh_token("orders");
    let grant = RefreshTokenGrant::new(client, "alice", initial.as_str());
    let rotator = Rotator::new(grant, IssuancePolicy::default());
    rotator.token().await.unwrap();
    assert_eq!(
        service.last_token_request(),
        [
            ("grant_type".into(), "refresh_token".into()),
            ("refresh_token".into(), initial)
        ]
    );
}
