//! Answers of token endpoints that nobody here wrote, recorded once and read again.
//!
//! They lie in the directory that STEADFAST_VECTORS names and are no part of this project.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vectors;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::Response;
use serde::Deserialize;
use steadfast::clock::Timestamp;
use steadfast::rotator::error::{Class, IssueError};
use steadfast::rotator::{Answer, Try, read_answer};
use steadfast::token::{FormatPreference, LifetimeSource, TokenFormat};

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Deserialize)]
struct Exchange {
    name: String,
    method: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn read(status: u16, headers: &BTreeMap<String, String>, body: &str) -> Result<Answer, IssueError> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let response = response.body(body.as_bytes().to_vec()).unwrap();
    // Hours from when the answers were recorded: no clock but the service's counts.
    let this = Try {
        asked_at: Timestamp::from_secs(1_795_500_000),
        format: FormatPreference::PreferJwt,
        ask_for_jwt: false,
        last_lifetime: None,
        wanted_lifetime: Duration::from_secs(43200),
        successors: Vec::new(),
    };
    read_answer(&response, &this, None)
}

/// What one exchange must come to: format, seconds and scope, or class and text.
type Outcome = Result<(TokenFormat, u64, Option<&'static str>), (Class, &'static str)>;

fn recorded(file: &str, expected: &[(&str, Outcome)]) {
    let Some(folder) = vectors::folder("token-endpoint") else {
        return;
    };
    let exchanges: Vec<Exchange> =
        serde_json::from_str(&text(folder.join("recorded").join(file))).unwrap();
    let posted = exchanges.iter().filter(|it| it.method == "POST");
    let mut seen = Vec::new();
    for exchange in posted {
        let name = exchange.name.as_str();
        let (_, outcome) = expected
            .iter()
            .find(|(expected, _)| *expected == name)
            .unwrap_or_else(|| panic!("nobody expected {name}"));
        match (
            read(exchange.status, &exchange.headers, &exchange.body),
            outcome,
        ) {
            (Ok(answer), Ok((format, seconds, scope))) => {
                assert_eq!(answer.token.format, *format, "{name}");
                assert_eq!(answer.token.lifetime().as_secs(), *seconds, "{name}");
                assert_eq!(answer.token.scope.as_deref(), *scope, "{name}");
            }
            (Err(error), Err((class, text))) => {
                assert_eq!(error.class, *class, "{name}");
                assert_eq!(error.to_string(), *text, "{name}");
            }
            (got, _) => panic!("{name}: {got:?}"),
        }
        seen.push(name);
    }
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
}

use Class::{Permanent, Transient};
use TokenFormat::{Jwt, Opaque};

#[test]
fn oidc_provider() {
    let jwt = Ok((Jwt, 300, Some("read")));
    let client = "invalid_client (status 401): client authentication failed";
    recorded(
        "oidc-provider-9.13.3.json",
        &[
            ("opaque", Ok((Opaque, 300, Some("read")))),
            ("jwt-rs256", jwt),
            ("jwt-ps256", jwt),
            ("jwt-es256", jwt),
            ("jwt-es384", jwt),
            ("jwt-es512", jwt),
            ("jwt-ed25519", jwt),
            ("no-scope", Ok((Opaque, 300, None))),
            ("wrong-secret-post", Err((Permanent, client))),
            ("wrong-secret-basic", Err((Permanent, client))),
            (
                "basic-not-encoded",
                Err((
                    Permanent,
                    "invalid_request (status 400): client_id and client_secret in the \
                     authorization header are not properly encoded",
                )),
            ),
            ("unknown-client", Err((Permanent, client))),
            (
                "scope-not-allowed",
                Err((
                    Permanent,
                    "invalid_scope (status 400): requested scope is not allowed",
                )),
            ),
            (
                "unsupported-grant",
                Err((
                    Permanent,
                    "unsupported_grant_type (status 400): unsupported grant_type requested",
                )),
            ),
            (
                "missing-grant",
                Err((
                    Permanent,
                    "invalid_request (status 400): missing required parameter 'grant_type'",
                )),
            ),
            (
                "invalid-target",
                Err((
                    Permanent,
                    "invalid_target (status 400): resource indicator is missing, or unknown",
                )),
            ),
            ("jwt-es256-after-rotation", jwt),
        ],
    );
}

#[test]
fn glewlwyd() {
    recorded(
        "glewlwyd-2.7.5.json",
        &[
            ("jwt", Ok((Jwt, 60, Some("read")))),
            ("jwt-two-scopes", Ok((Jwt, 60, Some("read write")))),
            (
                "invalid-scope",
                Err((Transient, "scope_invalid (status 400)")),
            ),
            ("no-scope", Err((Transient, "status 403"))),
            ("wrong-secret", Err((Transient, "status 403"))),
            ("unsupported-grant", Err((Transient, "status 400"))),
        ],
    );
}

#[test]
fn oauth2_mock_server() {
    let jwt = Ok((Jwt, 3600, Some("x")));
    recorded(
        "oauth2-mock-server-8.2.3.json",
        &[
            ("jwt-0", jwt),
            ("jwt-1", jwt),
            ("jwt-2", jwt),
            (
                "unsupported-grant",
                Err((Permanent, "invalid_grant (status 400)")),
            ),
            (
                "injected-500",
                Err((Transient, "server_error (status 500)")),
            ),
        ],
    );
}

/// None is left out.
#[test]
fn every_file_is_read() {
    let Some(folder) = vectors::folder("token-endpoint") else {
        return;
    };
    let names = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(
        names(folder.clone()),
        ["PROVENANCE.md", "msal4j", "recorded"]
    );
    assert_eq!(
        names(folder.join("msal4j")),
        [
            "AAD_token_response.json",
            "Foci_token_response.json",
            "MSA_token_response.json"
        ]
    );
    assert_eq!(
        names(folder.join("recorded")),
        [
            "glewlwyd-2.7.5.json",
            "oauth2-mock-server-8.2.3.json",
            "oidc-provider-9.13.3.json"
        ]
    );
}

#[test]
fn entra() {
    let Some(folder) = vectors::folder("token-endpoint") else {
        return;
    };
    for name in ["AAD", "Foci", "MSA"] {
        let path = folder
            .join("msal4j")
            .join(format!("{name}_token_response.json"));
        let token = read(200, &BTreeMap::new(), &text(path)).unwrap().token;
        assert_eq!(token.format, Opaque, "the authors took the token out");
        assert_eq!(token.lifetime().as_secs(), 3600);
        assert_eq!(token.lifetime_source, LifetimeSource::ExpiresIn);
        assert!(token.scope.unwrap().contains("openid"));
    }
}
