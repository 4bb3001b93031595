//! What is secret is never printed: not by `{:?}` or `{:#?}` of any public type, not in an error, not
//! in an event. One test to a process: whether anyone listens is remembered process-wide.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod listening;
mod tokens;

use std::error::Error as StdError;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use listening::Events;
use serde_json::json;
use steadfast::clock::{Clock as _, Now, Timestamp};
use steadfast::jose::{Algorithm, KeySet, LONGEST_TOKEN, Unverified, VerifyingKey, with_scratch};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::error::{IssueError, Reason};
use steadfast::rotator::state::{Record, State};
use steadfast::rotator::store::{
    CredentialTag, FileStore, MemoryStore, SealKey, Sealed, Store, StoreKey,
};
use steadfast::rotator::{
    Answer, ClientCertificate, ClientCredentials, Credential, Grant as _, Preset, PrivateKeyJwt,
    Rotator, SecretSource, Try,
};
use steadfast::testing::{
    Fault, ManualClock, OAuthService, RegisteredClient, ServiceConfig, TestKey,
};
use steadfast::token::{
    AccessToken, ClientSecret, FormatPreference, LifetimeSource, Token, TokenFormat,
};
use steadfast::transport::{ClientIdentity, Endpoint, HttpTransport};
use steadfast::verifier::{Denials, Denylist, KeyCache, Proof, Verifier};

const SECRET: &str = "s3cret-of-the-client";
const OPAQUE: &str = "0paque-token-4d9b2c";
const CLIENT_KEY: &str = include_str!("tls/client-1.key.pem");
const CLIENT_CERTIFICATE: &str = include_str!("tls/client-1.pem");
const SEAL: [u8; 32] = [0xA7; 32];

/// All that must never be seen, in each form in which it might be.
struct Secrets(Vec<String>);

impl Secrets {
    fn new(jwt: &str) -> Self {
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let lines_of_key = CLIENT_KEY.lines().filter(|it| !it.starts_with('-'));
        let mut all: Vec<String> = lines_of_key.map(str::to_owned).collect();
        all.extend([SECRET, OPAQUE, signed, signature].map(str::to_owned));
        all.push(BASE64_STANDARD.encode(format!("orders:{SECRET}")));
        all.push(BASE64_STANDARD.encode(SECRET));
        all.push(
            format!("{:?}", SECRET.as_bytes())
                .trim_matches(['[', ']'])
                .to_owned(),
        );
        all.extend(["167, 167".to_owned(), "a7a7".to_owned()]);
        Self(all)
    }

    #[track_caller]
    fn are_not_in(&self, text: &str) {
        let seen = self.0.iter().find(|it| text.contains(&***it));
        let shown: String = text.chars().take(1000).collect();
        assert_eq!(seen, None, "in {shown}");
    }

    #[track_caller]
    fn are_not_shown_by(&self, value: &dyn Debug) {
        self.are_not_in(&format!("{value:?}"));
        // Without what `{:#?}` puts between the bytes of a list.
        let pretty = format!("{value:#?}");
        self.are_not_in(&pretty);
        self.are_not_in(&pretty.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    #[track_caller]
    fn are_not_told_by(&self, error: &(dyn StdError + 'static)) {
        self.are_not_shown_by(&error);
        let mut next = Some(error);
        while let Some(error) = next {
            self.are_not_in(&error.to_string());
            next = error.source();
        }
    }
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let (events, _listening) = Events::listen();
    let jwt = tokens::Issuer::new().token(json!({}));
    let secrets = Secrets::new(&jwt);

    credentials(&secrets);
    a_rotators_values(&secrets, &jwt);
    stores(&secrets, &jwt).await;
    transport(&secrets);
    keys_and_tokens(&secrets, &jwt);
    verifiers(&secrets, &jwt);
    let service = start(&secrets).await;
    answers_that_repeat_secrets(&secrets, &service, &jwt).await;
    renewals(&secrets, &service, &jwt).await;

    let told = events.take();
    assert!(told.len() > 10, "{told:#?}");
    told.iter().for_each(|it| secrets.are_not_in(it));
}

fn token(text: &str) -> Token {
    let now = Timestamp::from_secs(tokens::NOW);
    Token {
        access_token: AccessToken::new(text).unwrap(),
        format: TokenFormat::Opaque,
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(43_200)),
        lifetime_source: LifetimeSource::ExpiresIn,
        scope: Some("orders:read".into()),
    }
}

fn credentials(secrets: &Secrets) {
    let key = PrivateKeyJwt::new(CLIENT_KEY).key_id("k1");
    let certificate = ClientCertificate::new(CLIENT_CERTIFICATE, CLIENT_KEY);
    let grant = |credential: Credential| {
        ClientCredentials::new("https://login.example/token", "orders", credential).unwrap()
    };
    for credential in [
        Credential::from(SECRET),
        Credential::PrivateKey(key.clone()),
        Credential::Certificate(certificate.clone()),
    ] {
        secrets.are_not_shown_by(&credential);
        let grant = grant(credential);
        secrets.are_not_shown_by(&grant);
        secrets.are_not_shown_by(&grant.facts());
        let rotator = Rotator::new(grant, IssuancePolicy::default());
        secrets.are_not_shown_by(&rotator.handle());
        secrets.are_not_shown_by(&rotator);
    }
    // Such as the key to a gateway before the service.
    let (name, value) = ("x-api-key".parse().unwrap(), SECRET.parse().unwrap());
    secrets.are_not_shown_by(&grant(SECRET.into()).header(name, value));
    secrets.are_not_shown_by(&ClientSecret::new(SECRET));
    secrets.are_not_shown_by(&SecretSource::from(SECRET));
    secrets.are_not_shown_by(&key);
    secrets.are_not_shown_by(&certificate);
    let identity = ClientIdentity::from_pem(CLIENT_CERTIFICATE, CLIENT_KEY).unwrap();
    secrets.are_not_shown_by(&identity);
    // Certificate and key are told for one another, so neither is what it should be.
    let broken = Credential::Certificate(ClientCertificate::new(CLIENT_KEY, SECRET));
    secrets.are_not_told_by(&broken.check().unwrap_err());
    let broken = Credential::PrivateKey(PrivateKeyJwt::new(SECRET));
    secrets.are_not_told_by(&broken.check().unwrap_err());
    let key = StoreKey::of([("secret", SECRET)]);
    secrets.are_not_shown_by(&key);
    secrets.are_not_in(&key.to_string());
    secrets.are_not_shown_by(&CredentialTag::of(&key, SECRET.as_bytes()));
}

fn clock() -> Now {
    ManualClock::new(Timestamp::from_secs(tokens::NOW)).now()
}

/// One that holds an opaque token, the one before it, and a failure.
fn state(jwt: &str) -> State {
    let (key, now) = (StoreKey::of([]), clock());
    let tag = CredentialTag::of(&key, SECRET.as_bytes());
    let answer = |text| Answer {
        token: token(text),
        rotate_in: None,
    };
    let down = IssueError::transient(Reason::NoConnection);
    State::new(IssuancePolicy::default(), tag)
        .succeeded(&answer(OPAQUE), now, now, 0.5)
        .succeeded(&answer(jwt), now, now, 0.5)
        .failed(&down, false, now, 0.5)
}

fn a_rotators_values(secrets: &Secrets, jwt: &str) {
    for text in [OPAQUE, jwt] {
        secrets.are_not_shown_by(&AccessToken::new(text));
        secrets.are_not_shown_by(&token(text));
    }
    let state = state(jwt);
    let record = state.record();
    assert!(record.token.is_some() && record.former.is_some());
    secrets.are_not_shown_by(&state);
    secrets.are_not_shown_by(&state.decide(clock()));
    secrets.are_not_shown_by(&state.health(clock(), None));
    secrets.are_not_shown_by(&state.failing(clock()));
    secrets.are_not_shown_by(&record);
    secrets.are_not_shown_by(&record.token);
    secrets.are_not_shown_by(&record.failed);
    // To show that what was looked for is in there.
    assert!(serde_json::to_string(&record).unwrap().contains(OPAQUE));
}

async fn stores(secrets: &Secrets, jwt: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secrets");
    let _ = std::fs::remove_dir_all(&folder);
    let key = StoreKey::of([]);
    let seal = SealKey::new(SEAL);
    secrets.are_not_shown_by(&seal);
    let bad = SealKey::from_base64(SECRET).unwrap_err();
    secrets.are_not_told_by(&bad);
    let file = FileStore::open(folder.join("tokens.json")).unwrap();
    let sealed = Sealed::new(MemoryStore::new(), seal);
    let record = state(jwt).record();
    let plain = MemoryStore::new();
    write(&plain, &key, &record).await;
    write(&file, &key, &record).await;
    write(&sealed, &key, &record).await;
    for store in [&plain as &dyn Debug, &file, &sealed] {
        secrets.are_not_shown_by(store);
    }
    std::fs::write(folder.join("tokens.json"), SECRET).unwrap();
    if let Err(error) = file.read(&key).await {
        secrets.are_not_told_by(&error);
    }
}

async fn write(store: &impl Store, key: &StoreKey, record: &Record) {
    let mut claim = store.try_claim(key).await.unwrap().unwrap();
    claim.write(record).await.unwrap();
}

fn transport(secrets: &Secrets) {
    let url = format!("https://login.example/{SECRET}?key={SECRET}");
    secrets.are_not_shown_by(&Endpoint::new(&url).unwrap());
    for url in [
        format!("https://orders:{SECRET}@login.example/"),
        format!("http://login.example/{SECRET}"),
        SECRET.to_owned(),
    ] {
        secrets.are_not_told_by(&Endpoint::new(&url).unwrap_err());
    }
    secrets.are_not_shown_by(&HttpTransport::new());
}

fn keys_and_tokens(secrets: &Secrets, jwt: &str) {
    let hmac = TestKey::of(Algorithm::HS256);
    let oct = json!({"keys": [{"kty": "oct", "alg": "HS256", "k": tokens::b64(SECRET.repeat(2))}]});
    let keys = KeySet::from_json_with_symmetric(oct.to_string().as_bytes()).unwrap();
    secrets.are_not_shown_by(&keys);
    secrets.are_not_shown_by(&keys.keys());
    let key = VerifyingKey::hmac(SECRET.repeat(2).as_bytes(), Algorithm::HS256).unwrap();
    secrets.are_not_shown_by(&key);
    secrets.are_not_shown_by(&hmac);
    with_scratch(LONGEST_TOKEN, |scratch| {
        let unverified = Unverified::parse(jwt, scratch).unwrap();
        secrets.are_not_shown_by(&unverified);
        secrets.are_not_shown_by(unverified.header());
        secrets.are_not_shown_by(&unverified.decode());
    });
}

fn verifiers(secrets: &Secrets, jwt: &str) {
    let issuer = tokens::Issuer::new();
    let verifier = tokens::verifier(issuer.keys());
    let verified = verifier.verify(jwt).unwrap();
    secrets.are_not_shown_by(&verified);
    secrets.are_not_shown_by(&verifier);
    let (signed, _) = jwt.rsplit_once('.').unwrap();
    for bad in [
        format!("{signed}.AAAA"),
        format!("{signed}.{}", tokens::b64([0; 64])),
        signed.to_owned(),
        format!("{jwt}.{jwt}"),
        OPAQUE.to_owned(),
        issuer.token(json!({"exp": 1})),
        issuer.token(json!({"aud": "https://other.example"})),
        issuer.token(json!({"iss": null})),
        issuer.with_header(tokens::header(json!({"kid": "unknown"}))),
    ] {
        let error = verifier.verify(&bad).unwrap_err();
        secrets.are_not_told_by(&error);
        assert!(!error.to_string().contains(&bad));
    }
    let keys = KeyCache::empty();
    let in_the_dark: Verifier = Verifier::new(tokens::trust(), keys.clone());
    secrets.are_not_told_by(&in_the_dark.verify(jwt).unwrap_err());
    secrets.are_not_shown_by(&keys.health());
    secrets.are_not_shown_by(&keys);
    secrets.are_not_shown_by(&Proof::certificate(SECRET.as_bytes()));
    let denials = Denials::new().token("https://login.example", "jti");
    secrets.are_not_shown_by(&Denylist::new(denials));
}

async fn start(secrets: &Secrets) -> OAuthService {
    let client = RegisteredClient::new("orders", SECRET);
    secrets.are_not_shown_by(&client);
    let config = ServiceConfig::default().client(client);
    secrets.are_not_shown_by(&config);
    OAuthService::start(config).await.unwrap()
}

/// Bodies that hold what was sent to the service, and what it issued.
fn echoes(jwt: &str) -> Vec<(u16, &'static str, String)> {
    let basic = BASE64_STANDARD.encode(format!("orders:{SECRET}"));
    let all = format!("{SECRET} Basic {basic} {OPAQUE} {jwt}");
    let json = "application/json";
    let error = |code: &str| json!({"error": code, "error_description": all}).to_string();
    vec![
        (401, json, error("invalid_client")),
        (400, json, error(SECRET)),
        (400, json, error(jwt)),
        (400, json, error(OPAQUE)),
        (503, json, error("temporarily_unavailable")),
        (500, "text/plain", all.clone()),
        (200, "text/html", format!("<p>{all}</p>")),
        (
            200,
            json,
            json!({"access_token": format!("{OPAQUE} {jwt}")}).to_string(),
        ),
        (
            200,
            json,
            json!({"access_token": jwt, "token_type": SECRET}).to_string(),
        ),
        (
            200,
            json,
            json!({"access_token": jwt, "expires_in": 0}).to_string(),
        ),
        (200, json, format!(r#"{{"access_token":"{jwt}"#)),
        (
            400,
            "application/x-www-form-urlencoded",
            format!("error=invalid_grant&error_description={SECRET}+{OPAQUE}"),
        ),
    ]
}

fn grant(service: &OAuthService) -> ClientCredentials {
    let grant = ClientCredentials::new(&service.token_url(), "orders", SECRET).unwrap();
    grant.preset(Preset::Neo)
}

async fn answers_that_repeat_secrets(secrets: &Secrets, service: &OAuthService, jwt: &str) {
    let policy = IssuancePolicy::default().with_retries(0).unwrap();
    for (status, content_type, body) in echoes(jwt) {
        let this = Try {
            asked_at: Timestamp::from_secs(tokens::NOW),
            format: FormatPreference::PreferJwt,
            ask_for_jwt: true,
            last_lifetime: None,
            wanted_lifetime: Duration::from_secs(43_200),
            successors: Vec::new(),
        };
        let response = http::Response::builder()
            .status(status)
            .header("content-type", content_type)
            .body(body.clone().into_bytes())
            .unwrap();
        let read = grant(service).read(&this, &response);
        secrets.are_not_shown_by(&read);
        let status = StatusCode::from_u16(status).unwrap();
        service.fault(Fault::answer(status, content_type, body));
        let rotator = Rotator::new(grant(service), policy);
        let result = rotator.token().await;
        secrets.are_not_shown_by(&result);
        secrets.are_not_shown_by(&rotator);
        if let Err(error) = result {
            secrets.are_not_told_by(&error);
            #[cfg(feature = "tower")]
            secrets.are_not_told_by(
                &steadfast::rotator::OutboundError::<std::io::Error>::NoToken(error),
            );
        }
        service.clear_faults();
    }
}

/// With a token that lives: one renewal that succeeds, and one for each way to fail.
async fn renewals(secrets: &Secrets, service: &OAuthService, jwt: &str) {
    let clock = ManualClock::default();
    let policy = IssuancePolicy::default().with_retries(0).unwrap();
    let rotator = Rotator::new(grant(service), policy).clock(Arc::new(clock.clone()));
    let first = rotator.token().await.unwrap();
    let secrets = Secrets([secrets.0.clone(), vec![first.expose().to_owned()]].concat());
    secrets.are_not_shown_by(&first);
    for (status, content_type, body) in echoes(jwt) {
        let body = body.replace(OPAQUE, first.expose());
        let status = StatusCode::from_u16(status).unwrap();
        service.fault(Fault::answer(status, content_type, body));
        clock.advance(Duration::from_secs(600));
        rotator.reject(&first).await.unwrap();
        secrets.are_not_shown_by(&rotator.health());
        secrets.are_not_shown_by(&rotator);
        if let Some(failing) = rotator.health().failing {
            secrets.are_not_in(&failing.to_string());
        }
        service.clear_faults();
    }
    secrets.are_not_shown_by(service);
    outbound(&secrets, &rotator);
}

fn outbound(secrets: &Secrets, rotator: &Rotator) {
    let _ = (secrets, rotator);
    #[cfg(feature = "tower")]
    {
        use steadfast::rotator::{Origins, RotatorLayer};
        let origins = Origins::new(&format!("https://orders.example/{SECRET}")).unwrap();
        secrets.are_not_shown_by(&origins);
        let layer = RotatorLayer::new(rotator.clone(), origins);
        secrets.are_not_shown_by(&tower::Layer::layer(&layer, ()));
        secrets.are_not_shown_by(&layer);
    }
    #[cfg(feature = "reqwest-middleware")]
    {
        use steadfast::rotator::{Origins, RotatorMiddleware};
        let origins = Origins::new("https://orders.example").unwrap();
        secrets.are_not_shown_by(&RotatorMiddleware::new(rotator.clone(), origins));
    }
    #[cfg(feature = "blocking")]
    {
        let policy = IssuancePolicy::default();
        let grant = ClientCredentials::new("https://login.example/", "orders", SECRET).unwrap();
        secrets.are_not_shown_by(&steadfast::rotator::blocking::Rotator::new(grant, policy));
    }
    #[cfg(feature = "redis")]
    {
        use steadfast::rotator::store::RedisStore;
        let url = format!("redis://user:{SECRET}@127.0.0.1:1/0");
        secrets.are_not_shown_by(&RedisStore::new(&url).unwrap());
        let error = RedisStore::new(&format!("http://user:{SECRET}@127.0.0.1")).unwrap_err();
        secrets.are_not_told_by(&error);
    }
}
