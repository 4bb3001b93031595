//! npm's `oidc-provider`.

use std::sync::Arc;

use steadfast::jose::Algorithm;
use steadfast::policy::Finding;
use steadfast::rotator::error::Reason;
use steadfast::rotator::{ClientAuth, ClientCredentials, Preset, PrivateKeyJwt};
use steadfast::token::{Token, TokenFormat};

use super::{HOUR, Halves, Server, real_time, rotator};

#[tokio::test]
async fn without_a_resource_the_token_is_opaque() {
    let server = start();
    let halves = halves(&server, "rs256").await;
    let token = rotator(grant(&server), &halves.clock)
        .token()
        .await
        .unwrap();
    assert_eq!(token.format, TokenFormat::Opaque);
    assert_eq!(token.lifetime(), 12 * HOUR);
    assert_eq!(token.scope.as_deref(), Some("read write"));
    halves.refuse(&token, "opaque");
}

#[tokio::test]
async fn with_a_resource_it_is_a_jwt_that_the_verifier_accepts() {
    let server = start();
    for (resource, algorithm, key) in [
        ("rs256", Algorithm::RS256, "rs-1"),
        ("ps256", Algorithm::PS256, "ps-1"),
        ("es256", Algorithm::ES256, "es-1"),
        ("es384", Algorithm::ES384, "es384-1"),
        ("ed25519", Algorithm::EdDSA, "ed-1"),
    ] {
        let halves = halves(&server, resource).await;
        let token = halves.token().await;
        assert_eq!(token.format, TokenFormat::Jwt, "{resource}");
        let verified = halves.accept(&token);
        assert_eq!(verified.algorithm(), algorithm);
        assert_eq!(verified.key_id(), Some(key));
        assert_eq!(verified.claims().client_id.as_deref(), Some("svc-basic"));
        assert!(verified.scope().contains("write"), "{resource}");
    }
}

#[tokio::test]
async fn a_jwt_for_another_resource_is_refused() {
    let server = start();
    let token = halves(&server, "es256").await.token().await;
    halves(&server, "rs256")
        .await
        .refuse(&token, "wrong_audience");
}

#[tokio::test]
async fn es512_takes_a_backend_that_has_it() {
    let server = start();
    let halves = halves(&server, "es512").await;
    let token = halves.token().await;
    if cfg!(feature = "aws-lc-rs") {
        assert_eq!(halves.accept(&token).algorithm().name(), "ES512");
    } else {
        halves.refuse(&token, "unsupported_algorithm");
    }
}

#[tokio::test]
async fn credentials_in_the_body() {
    let server = start();
    let grant = ClientCredentials::new(&server.url("/token"), "svc-post", "s3cret-post")
        .unwrap()
        .authentication(ClientAuth::Body);
    rotator(grant, &real_time()).token().await.unwrap();
}

#[tokio::test]
async fn a_signed_assertion_of_every_kind() {
    let server = start();
    let resource = resource_url("es256");
    for name in ["RS256", "PS256", "ES256", "EdDSA"] {
        // Either name of the server will do.
        for key in [
            signer(&server, name),
            signer(&server, name).audience(server.url("")),
        ] {
            let grant = ClientCredentials::new(&server.url("/token"), "svc-pk", key).unwrap();
            let grant = grant.preset(Preset::OidcProvider).resource(&resource);
            let halves = Halves::new(grant, &server.url(""), &resource).await;
            let token = halves.token().await;
            let verified = halves.accept(&token);
            assert_eq!(
                verified.claims().client_id.as_deref(),
                Some("svc-pk"),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_signature_by_another_key_or_for_another_server_is_a_refusal() {
    let server = start();
    for key in [
        signer(&server, "RS256").key_id("client-PS256"),
        signer(&server, "ES256").key_id("client-RS256"),
        signer(&server, "EdDSA").audience("https://login.example"),
    ] {
        let grant = ClientCredentials::new(&server.url("/token"), "svc-pk", key).unwrap();
        assert_refused(grant, 401, "invalid_client").await;
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_refusal() {
    let server = start();
    for (id, authentication) in [
        ("svc-basic", ClientAuth::Basic),
        ("svc-post", ClientAuth::Body),
    ] {
        let grant = ClientCredentials::new(&server.url("/token"), id, "wrong").unwrap();
        let grant = grant.authentication(authentication);
        assert_refused(grant, 401, "invalid_client").await;
    }
}

/// It decodes id and secret, as RFC 6749 2.3.1 says, and this secret holds a lone `%`.
#[tokio::test]
async fn raw_credentials_are_a_refusal() {
    let server = start();
    let grant = grant(&server).authentication(ClientAuth::BasicRaw);
    assert_refused(grant, 400, "invalid_request").await;
}

/// It passes them by, and says which it granted.
#[tokio::test]
async fn unknown_scopes_are_a_finding() {
    let server = start();
    let grant = ClientCredentials::new(&server.url("/token"), "svc-post", "s3cret-post");
    let grant = grant.unwrap().authentication(ClientAuth::Body);
    for (scope, granted) in [("read unheard-of", Some("read")), ("unheard-of", None)] {
        let rotator = rotator(grant.clone().scope(scope), &real_time());
        let token = rotator.token().await.unwrap();
        assert_eq!(token.scope.as_deref(), granted, "{scope}");
        let narrower = rotator.health().findings.contains(&Finding::NarrowerScope);
        assert_eq!(narrower, granted.is_some(), "{scope}");
    }
}

async fn assert_refused(grant: ClientCredentials, expected: u16, name: &str) {
    let error = rotator(grant, &real_time()).token().await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    match &error.failing().unwrap().reason {
        Reason::Error { status, code, .. } => {
            assert_eq!((*status, code.as_str()), (expected, name), "{error}");
        }
        other => panic!("{other}"),
    }
}

/// The server made its clients' keys, and shows them.
fn signer(server: &Server, algorithm: &str) -> PrivateKeyJwt {
    let pem = server.send("GET", &format!("/__test/client-key?alg={algorithm}"));
    PrivateKeyJwt::new(pem)
        .key_id(format!("client-{algorithm}"))
        .algorithm(algorithm.parse().unwrap())
}

#[tokio::test]
async fn keys_that_rotate_are_fetched_when_a_token_needs_them() {
    let server = start();
    let halves = halves(&server, "es256").await;
    let first = halves.token().await;
    halves.accept(&first);

    server.send("POST", "/__test/rotate?keep=1");
    let second = fresh_token(&server, &halves).await;
    halves.refuse(&second, "unknown_key");
    halves.accept_once_the_key_is_there(&second).await;
    halves.accept(&first);

    server.send("POST", "/__test/rotate");
    let third = fresh_token(&server, &halves).await;
    halves.refuse(&third, "unknown_key");
    halves.accept_once_the_key_is_there(&third).await;
    halves.refuse(&first, "unknown_key");
    halves.refuse(&second, "unknown_key");
}

#[tokio::test]
async fn both_halves_go_on_while_the_server_is_away() {
    let mut server = start();
    let halves = halves(&server, "es256").await;
    halves.live_through_an_outage(&mut server).await;
}

#[track_caller]
fn start() -> Server {
    Server::start(&["node", "tests/interop/oidc-provider/server.mjs"])
}

async fn halves(server: &Server, resource: &str) -> Halves {
    let resource = resource_url(resource);
    let grant = grant(server).resource(&resource);
    Halves::new(grant, &server.url(""), &resource).await
}

/// By another client, so that the token in hand stays.
async fn fresh_token(server: &Server, halves: &Halves) -> Arc<Token> {
    let grant = grant(server).resource(resource_url("es256"));
    rotator(grant, &halves.clock).token().await.unwrap()
}

fn grant(server: &Server) -> ClientCredentials {
    ClientCredentials::new(&server.url("/token"), "svc-basic", "s3cret+/=&% :x")
        .unwrap()
        .scope("read write")
}

fn resource_url(resource: &str) -> String {
    format!("https://rs.example/{resource}")
}
