//! The layer before a service: who passes, who does not, and in which words.

#![cfg(feature = "tower")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tokens;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Request, Response};
use serde::Deserialize;
use serde_json::json;
use steadfast::jose::KeySet;
use steadfast::verifier::challenge::Challenge;
use steadfast::verifier::{KeyCache, Proof, Verified, Verifier, VerifyLayer};
use tokens::{Issuer, NOW};
use tower::{Layer, Service, ServiceExt, service_fn};

const METADATA: &str = "https://orders.example/.well-known/oauth-protected-resource";

fn layer() -> VerifyLayer {
    VerifyLayer::new(tokens::verifier(Issuer::new().keys()))
}

/// Of a verifier that knows no keys.
fn layer_in_the_dark() -> VerifyLayer {
    let verifier: Verifier = Verifier::new(tokens::trust(), KeyCache::empty());
    VerifyLayer::new(verifier)
}

fn bearer(token: &str) -> Request<String> {
    request(&[("authorization", &format!("Bearer {token}"))])
}

fn request(headers: &[(&str, &str)]) -> Request<String> {
    let request = Request::get("https://orders.example/orders");
    let with = |request: http::request::Builder, &(name, value)| request.header(name, value);
    let request = headers.iter().fold(request, with);
    request.body(String::new()).unwrap()
}

/// A service that names the subject it was told of.
async fn greet(request: Request<String>) -> Result<Response<String>, Infallible> {
    let token = request.extensions().get::<Verified>();
    let subject = token.map(|it| it.claims().sub.clone().unwrap());
    let subject = subject.unwrap_or_else(|| "nobody".to_owned());
    Ok(Response::new(format!("hello, {subject}")))
}

fn send(layer: &VerifyLayer, request: Request<String>) -> Response<String> {
    let service = layer.layer(service_fn(greet));
    now(service.oneshot(request)).unwrap()
}

/// What a future says that waits for nothing.
#[track_caller]
fn now<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(it) => it,
        Poll::Pending => panic!("it waits"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|it| it.to_str().unwrap())
}

#[track_caller]
fn passes(layer: &VerifyLayer, request: Request<String>, body: &str) {
    let response = send(layer, request);
    assert_eq!(
        (response.status().as_u16(), response.body().as_str()),
        (200, body)
    );
}

#[track_caller]
fn refused(layer: &VerifyLayer, request: Request<String>, status: u16, challenge: &str) {
    let response = send(layer, request);
    assert_eq!(response.status(), status);
    assert_eq!(
        text(response.headers(), "www-authenticate"),
        Some(challenge)
    );
    assert_eq!(text(response.headers(), "retry-after"), None);
    assert_eq!(response.body(), "");
}

#[test]
fn a_good_token_passes_and_is_told_of() {
    let token = Issuer::new().token(json!({}));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {token}");
        passes(
            &layer(),
            request(&[("authorization", &header)]),
            "hello, app",
        );
    }
}

#[test]
fn five_answers() {
    let issuer = Issuer::new();
    let layer = layer().require_scope("orders:read orders:list");
    refused(&layer, request(&[]), 401, "Bearer");
    refused(
        &layer,
        request(&[("authorization", "Bearer")]),
        400,
        r#"Bearer error="invalid_request""#,
    );
    refused(
        &layer,
        bearer(&issuer.token(json!({"exp": NOW - 3600}))),
        401,
        r#"Bearer error="invalid_token", error_description="the access token expired""#,
    );
    refused(
        &layer,
        bearer(&issuer.token(json!({"scope": "orders:read"}))),
        403,
        r#"Bearer error="insufficient_scope", scope="orders:read orders:list""#,
    );
    let response = send(&layer_in_the_dark(), bearer(&issuer.token(json!({}))));
    assert_eq!(response.status(), 503);
    assert_eq!(text(response.headers(), "retry-after"), Some("30"));
    assert_eq!(text(response.headers(), "www-authenticate"), None);
    assert_eq!(response.body(), "");
}

#[test]
fn a_challenge_names_realm_and_metadata_where_they_are_stated() {
    let challenge = Challenge::default()
        .realm("orders")
        .resource_metadata(METADATA);
    let layer = layer().challenge(challenge).require_scope("orders:read");
    let token = Issuer::new().token(json!({}));
    for (request, error) in [
        (request(&[]), ""),
        (
            request(&[("authorization", "Bearer =")]),
            r#", error="invalid_request""#,
        ),
        (
            bearer("a.b"),
            r#", error="invalid_token", error_description="the access token is not a JWT""#,
        ),
        (
            bearer(&token),
            r#", error="insufficient_scope", scope="orders:read""#,
        ),
    ] {
        let response = send(&layer, request);
        let expected = format!(r#"Bearer realm="orders", resource_metadata="{METADATA}"{error}"#);
        assert_eq!(
            text(response.headers(), "www-authenticate"),
            Some(&*expected)
        );
    }
}

#[test]
fn a_token_elsewhere_is_no_token() {
    let token = Issuer::new().token(json!({}));
    let query = format!("https://orders.example/orders?access_token={token}");
    let form = Request::post(&query)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", format!("access_token={token}"))
        .header("proxy-authorization", format!("Bearer {token}"))
        .body(format!("access_token={token}"))
        .unwrap();
    refused(&layer(), form, 401, "Bearer");
    for other in ["Basic YTpi", "DPoP a.b.c", "Negotiate"] {
        refused(
            &layer(),
            request(&[("authorization", other)]),
            401,
            "Bearer",
        );
    }
}

#[test]
fn what_cannot_be_read_is_no_bad_token() {
    let good = format!("Bearer {}", Issuer::new().token(json!({})));
    let two = |first, second| request(&[("authorization", first), ("authorization", second)]);
    for request in [
        two(&good, &good),
        two(&good, "Basic YTpi"),
        two("Basic YTpi", &good),
        request(&[("authorization", "")]),
        request(&[("authorization", "Bearer a b")]),
        request(&[("authorization", &good.replacen(' ', "\t", 1))]),
        request(&[("authorization", &format!("{good}, {good}"))]),
    ] {
        for layer in [layer(), layer().allow_anonymous(), layer_in_the_dark()] {
            let request = request.clone();
            refused(&layer, request, 400, r#"Bearer error="invalid_request""#);
        }
    }
}

#[test]
fn every_required_scope_is_needed() {
    let issuer = Issuer::new();
    let layer = layer().require_scope("read").require_scope("a write");
    for (claims, status) in [
        (json!({"scope": "a read write"}), 200),
        (json!({"scope": ["write", "a", "read"]}), 200),
        (json!({"scp": ["a", "read", "write"]}), 200),
        (json!({"scope": "a read"}), 403),
        (json!({"scope": "a read writer"}), 403),
        (json!({"scope": ["a read write"]}), 403),
        (json!({}), 403),
        (json!({"scope": "a read write", "exp": NOW - 3600}), 401),
        (json!({"scope": 7}), 401),
    ] {
        let response = send(&layer, bearer(&issuer.token(claims.clone())));
        assert_eq!(response.status(), status, "{claims}");
    }
    passes(
        &self::layer().require_scope(""),
        bearer(&issuer.token(json!({}))),
        "hello, app",
    );
}

#[test]
fn anonymous_is_not_invalid() {
    let issuer = Issuer::new();
    let layer = layer().require_scope("read").allow_anonymous();
    passes(&layer, request(&[]), "hello, nobody");
    passes(
        &layer,
        request(&[("authorization", "Basic YTpi")]),
        "hello, nobody",
    );
    let read = bearer(&issuer.token(json!({"scope": "read"})));
    passes(&layer, read, "hello, app");
    for (request, status) in [
        (bearer("opaque"), 401),
        (bearer(&issuer.token(json!({"exp": NOW - 3600}))), 401),
        (bearer(&issuer.token(json!({}))), 403),
    ] {
        assert_eq!(send(&layer, request).status(), status);
    }
    let dark = layer_in_the_dark().allow_anonymous();
    passes(&dark, request(&[]), "hello, nobody");
    assert_eq!(send(&dark, bearer(&issuer.token(json!({})))).status(), 503);
}

#[test]
fn a_bound_token_passes_with_its_certificate() {
    let bound = |certificate: &[u8]| {
        let hash = ring::digest::digest(&ring::digest::SHA256, certificate);
        json!({"cnf": {"x5t#S256": tokens::b64(hash)}})
    };
    let token = Issuer::new().token(bound(b"certificate"));
    let with = |certificate: &[u8]| {
        let mut request = bearer(&token);
        let proof = Proof::certificate(certificate);
        request.extensions_mut().insert(proof);
        request
    };
    let challenge = r#"Bearer error="invalid_token", error_description="the access token needs a proof of possession""#;
    refused(&layer(), bearer(&token), 401, challenge);
    refused(&layer(), with(b"another"), 401, challenge);
    passes(&layer(), with(b"certificate"), "hello, app");
}

#[test]
fn an_answer_holds_no_text_of_the_token() {
    let issuer = Issuer::new();
    for token in [
        issuer.token(json!({"iss": "https://other.example/secret"})),
        issuer.token(json!({"aud": "secret"})),
        issuer.token(json!({"exp": NOW - 3600, "jti": "secret"})),
        issuer.with_header(json!({"alg": "EdDSA", "kid": "secret"})),
        issuer.with_header(json!({"alg": "secret", "kid": "k1"})),
        "secret.secret".to_owned(),
    ] {
        let response = send(&layer(), bearer(&token));
        assert_eq!(response.status(), 401);
        let answer = format!("{response:?}");
        assert!(
            !answer.contains("secret") && !answer.contains(&token),
            "{answer}"
        );
        for inside in [tokens::ISSUER, tokens::AUDIENCE, "2026"] {
            assert!(!answer.contains(inside), "{answer}");
        }
    }
}

/// What stands in the headers of the five answers to a gRPC client.
#[test]
fn five_answers_in_grpc() {
    let issuer = Issuer::new();
    let good = format!("Bearer {}", issuer.token(json!({})));
    let layer = layer().require_scope("orders:read");
    let dark = layer_in_the_dark();
    for (layer, authorization, status, message) in [
        (&layer, "Basic YTpi", "16", "an access token is needed"),
        (
            &layer,
            "Bearer",
            "3",
            "the authorization header cannot be read",
        ),
        (&layer, "Bearer eyJ", "16", "the access token is malformed"),
        (&layer, &good, "7", "the access token lacks a scope"),
        (
            &dark,
            &good,
            "14",
            "the access token cannot be verified now",
        ),
    ] {
        for content_type in ["application/grpc", "application/grpc+proto"] {
            let headers = [
                ("content-type", content_type),
                ("authorization", authorization),
            ];
            let grpc = send(layer, request(&headers));
            let plain = send(layer, request(&[("authorization", authorization)]));
            assert_eq!(grpc.status(), 200);
            let told = |name| text(grpc.headers(), name);
            assert_eq!(told("content-type"), Some("application/grpc"));
            assert_eq!(told("grpc-status"), Some(status));
            assert_eq!(told("grpc-message"), Some(message));
            assert_eq!(grpc.body(), "");
            for same in ["www-authenticate", "retry-after"] {
                assert_eq!(told(same), text(plain.headers(), same));
            }
        }
    }
}

#[test]
fn only_grpc_is_answered_as_grpc() {
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/json",
    ] {
        let request = request(&[("content-type", content_type)]);
        refused(&layer(), request, 401, "Bearer");
    }
}

#[test]
fn the_inner_service_sees_only_what_passes() {
    let calls = Arc::new(AtomicU32::new(0));
    let inner = service_fn(|_: Request<String>| {
        calls.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let mut service = layer().layer(inner);
    for request in [request(&[]), request(&[("authorization", "")]), bearer("a")] {
        now(service.call(request)).unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    now(service.call(bearer(&Issuer::new().token(json!({}))))).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn the_layer_is_ready_when_the_inner_service_is() {
    #[derive(Clone)]
    struct Closed;

    impl Service<Request<String>> for Closed {
        type Response = Response<String>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Err("closed"))
        }

        fn call(&mut self, _: Request<String>) -> Self::Future {
            panic!("it is not ready")
        }
    }

    let refused = now(layer().layer(Closed).oneshot(request(&[])));
    assert_eq!(refused.unwrap_err(), "closed");
}

#[test]
fn errors_of_the_inner_service_pass() {
    let inner = service_fn(|_: Request<String>| async { Err::<Response<String>, _>("broken") });
    let good = bearer(&Issuer::new().token(json!({})));
    assert_eq!(
        now(layer().layer(inner).oneshot(good)).unwrap_err(),
        "broken"
    );
}

#[test]
fn claims_of_ones_own() {
    #[derive(Deserialize)]
    struct Tenant {
        tenant: String,
    }

    let issuer = Issuer::new();
    let keys: KeySet = issuer.keys();
    let verifier = Arc::new(tokens::verifier(keys).claims::<Tenant>());
    let layer = VerifyLayer::new(verifier).require_scope("read");
    let inner = service_fn(|request: Request<()>| async move {
        let token = request.extensions().get::<Verified<Tenant>>().unwrap();
        Ok::<_, Infallible>(Response::new(token.claims().tenant.clone()))
    });
    let ask = |claims| {
        let token = format!("Bearer {}", issuer.token(claims));
        let request = Request::get("/").header("authorization", token).body(());
        now(layer.layer(inner).oneshot(request.unwrap())).unwrap()
    };
    assert_eq!(ask(json!({"tenant": "a", "scope": "read"})).body(), "a");
    assert_eq!(ask(json!({"tenant": "a"})).status(), 403);
    assert_eq!(ask(json!({"tenant": 7, "scope": "read"})).status(), 401);
}
