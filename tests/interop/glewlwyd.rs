//! Debian's `glewlwyd`.

use steadfast::jose::Algorithm;
use steadfast::rotator::error::Reason;
use steadfast::rotator::{ClientAuth, ClientCredentials};
use steadfast::token::TokenFormat;

use super::{HOUR, Halves, Server, real_time, rotator};

/// Its `token_type` is "bearer", the audience is the scope, and its key says no `use`.
#[tokio::test]
async fn its_jwt_is_accepted() {
    let server = start();
    for authentication in [ClientAuth::Basic, ClientAuth::Body] {
        let grant = grant(&server, "s3cret-svc").authentication(authentication);
        let halves = halves(&server, grant).await;
        let token = halves.token().await;
        assert_eq!(token.format, TokenFormat::Jwt);
        assert_eq!(token.lifetime(), 12 * HOUR);
        let verified = halves.accept(&token);
        assert_eq!(verified.algorithm(), Algorithm::RS256);
        assert_eq!(verified.claims().sub.as_deref(), Some("svc"));
        assert!(verified.scope().contains("read"));
    }
}

/// With 403 and an empty body.
#[tokio::test]
async fn a_wrong_secret_fails_with_its_status() {
    let server = start();
    let rotator = rotator(grant(&server, "wrong"), &real_time());
    let error = rotator.token().await.unwrap_err();
    let failing = error.failing().unwrap();
    assert_eq!(failing.reason, Reason::Status { status: 403 });
}

/// It has a word of its own for that, of which nobody knows whether time will help.
#[tokio::test]
async fn an_unknown_scope_fails_with_its_code() {
    let server = start();
    let grant = ClientCredentials::new(&server.url("/api/oidc/token"), "svc", "s3cret-svc");
    let rotator = rotator(grant.unwrap().scope("unheard-of"), &real_time());
    let error = rotator.token().await.unwrap_err();
    assert!(!error.is_refusal(), "{error}");
    match &error.failing().unwrap().reason {
        Reason::Error { status, code, .. } => {
            assert_eq!((*status, code.as_str()), (400, "scope_invalid"));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn both_halves_go_on_while_the_server_is_away() {
    let mut server = start();
    let halves = halves(&server, grant(&server, "s3cret-svc")).await;
    halves.live_through_an_outage(&mut server).await;
}

#[track_caller]
fn start() -> Server {
    Server::start(&["sh", "tests/interop/glewlwyd/run.sh"])
}

async fn halves(server: &Server, grant: ClientCredentials) -> Halves {
    Halves::new(grant, &server.url("/api/oidc"), "read").await
}

fn grant(server: &Server, secret: &str) -> ClientCredentials {
    ClientCredentials::new(&server.url("/api/oidc/token"), "svc", secret)
        .unwrap()
        .scope("read")
}
