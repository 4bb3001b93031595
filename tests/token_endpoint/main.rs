//! The token endpoint on the wire: what is asked for in a client's own name, and how answers are read.
//! One row for each habit of a service that is known.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod granted;
mod refused;
mod request;

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Request, Response};
use proptest::prelude::*;
use steadfast::clock::Timestamp;
use steadfast::rotator::error::{Class, IssueError, Reason};
use steadfast::rotator::store::StoreKey;
use steadfast::rotator::{Answer, ClientAuth, ClientCredentials, Grant, Preset, Try, read_answer};
use steadfast::token::{ClientSecret, FormatPreference, LifetimeSource, TokenFormat};
use steadfast::transport::EndpointError;

const HOUR: Duration = Duration::from_secs(3600);
/// 2026-11-25T01:26:50Z
const NOW: i64 = 1_795_570_010;
const DATE: &str = "Wed, 25 Nov 2026 01:26:50 GMT";
const SECRET: &str = "correct horse/battery+staple";

fn this() -> Try {
    Try {
        asked_at: Timestamp::from_secs(NOW),
        format: FormatPreference::PreferJwt,
        ask_for_jwt: true,
        last_lifetime: None,
        wanted_lifetime: 12 * HOUR,
        successors: Vec::new(),
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.as_bytes().to_vec()).unwrap()
}

fn read(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Answer, IssueError> {
    let secret = ClientSecret::new(SECRET);
    read_answer(&response(status, headers, body), &this(), Some(&secret))
}

fn grant() -> ClientCredentials {
    ClientCredentials::new("https://login.example/oauth2/token", "orders", SECRET).unwrap()
}

/// What a grant that waits for nothing asks for.
fn ready<F: Future>(asked: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(asked)
}

fn jwt(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"typ":"at+jwt","alg":"RS256","kid":"k"}"#);
    format!("{header}.{}.{}", part(claims), part("signature"))
}

#[track_caller]
fn assert_reason(status: u16, headers: &[(&str, &str)], body: &str, reason: &Reason) {
    let error = read(status, headers, body).expect_err(body);
    assert_eq!(&error.reason, reason, "{body}");
    assert_eq!(error.class, Class::Transient, "{body}");
}

const HTML: (&str, &str) = ("content-type", "text/html");
