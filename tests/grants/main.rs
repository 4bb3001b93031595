//! The grants beside client credentials.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod prints;
mod refresh_tokens;
mod requests;
#[path = "../script/mod.rs"]
mod script;

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
    AssertionError, AssertionFile, Client, ClientAuth, ClientCredentials, Grant, JwtBearer, Preset,
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

fn refresh(initial: &str) -> RefreshTokenGrant {
    RefreshTokenGrant::new(client(), "alice", initial)
}
