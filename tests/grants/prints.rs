//! Whatever is printed of a grant and of its refresh tokens shows no secret.

use std::fmt::Debug;

use crate::script::{HOUR, policy};
use http::{HeaderName, HeaderValue};
use steadfast::clock::{Clock as _, Timestamp};
use steadfast::rotator::state::{Record, State};
use steadfast::rotator::store::{CredentialTag, StoreKey};
use steadfast::rotator::{
    AssertionError, Client, ClientCredentials, JwtBearer, RefreshTokenGrant, SamlBearer, Successor,
    TokenExchange, TokenType, Try,
};
use steadfast::testing::ManualClock;
use steadfast::token::{Assertion, FormatPreference, RefreshToken};

const SECRET: &str = "horse-secret";
const REFRESH: &str = "gull-refresh";
const ASSERTION: &str = "whale-assertion";

#[track_caller]
fn shows_nothing(value: &impl Debug) {
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        for secret in [SECRET, REFRESH, ASSERTION, "query-secret"] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
    }
}

fn client() -> Client {
    let url = "https://login.example/token?key=query-secret";
    let client = Client::new(url, "orders", SECRET).unwrap();
    let key = HeaderName::from_static("x-gateway-key");
    client.header(key, HeaderValue::from_static(SECRET))
}

async fn assertion() -> Result<Assertion, AssertionError> {
    Ok(Assertion::new(ASSERTION))
}

#[test]
fn grants() {
    shows_nothing(&RefreshToken::new(REFRESH));
    shows_nothing(&Assertion::new(ASSERTION));
    shows_nothing(&client());
    shows_nothing(&ClientCredentials::from(client()));
    shows_nothing(&JwtBearer::new(client(), "alice", assertion));
    shows_nothing(&SamlBearer::new(client(), "alice", assertion));
    let exchange = TokenExchange::new(client(), "alice", TokenType::AccessToken, assertion);
    shows_nothing(&exchange.actor("bob", TokenType::AccessToken, assertion));
    shows_nothing(&RefreshTokenGrant::new(client(), "alice", REFRESH));
}

#[test]
fn a_refresh_token_that_was_replaced() {
    let credential = CredentialTag::of(&StoreKey::of([]), SECRET.as_bytes());
    let successor = Successor {
        refresh_token: RefreshToken::new(REFRESH).unwrap(),
        number: 1,
        since: Timestamp::EPOCH,
        initial: credential,
    };
    let record = Record {
        successors: vec![successor.clone()],
        ..Record::default()
    };
    let clock = ManualClock::new(Timestamp::EPOCH);
    let state = State::new(policy(0), credential).learn(record.clone(), clock.now());
    assert_eq!(state.successors().len(), 1);
    shows_nothing(&state);
    shows_nothing(&record);
    shows_nothing(&Try {
        asked_at: clock.wall(),
        format: FormatPreference::PreferJwt,
        ask_for_jwt: true,
        last_lifetime: None,
        wanted_lifetime: HOUR,
        successors: vec![successor],
    });
}
