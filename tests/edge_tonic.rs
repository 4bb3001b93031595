//! The example service on tonic, over real sockets: what a gRPC client is told.

#![cfg(all(feature = "tower", feature = "http"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../examples/tonic.rs"]
#[allow(dead_code, unreachable_pub)]
mod example;
mod tokens;

use serde_json::json;
use steadfast::verifier::{KeyCache, Verifier};
use tokens::{Issuer, NOW};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

async fn serve(verifier: Verifier) -> HealthClient<Channel> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", incoming.local_addr().unwrap());
    tokio::spawn(example::app(verifier).serve_with_incoming(incoming));
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    HealthClient::new(channel)
}

/// Whom the service was told of.
async fn check(
    client: &mut HealthClient<Channel>,
    authorization: &[&str],
) -> Result<String, Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    for value in authorization {
        let metadata = request.metadata_mut();
        metadata.append("authorization", value.parse().unwrap());
    }
    let response = client.check(request).await?;
    let subject = response.metadata().get("subject").unwrap();
    Ok(subject.to_str().unwrap().to_owned())
}

#[track_caller]
fn refused(result: Result<String, Status>, code: Code, message: &str, challenge: Option<&str>) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), (code, message));
    let challenged = status.metadata().get("www-authenticate");
    assert_eq!(challenged.map(|it| it.to_str().unwrap()), challenge);
}

#[tokio::test]
async fn five_answers() {
    let issuer = Issuer::new();
    let scoped = |scope| format!("Bearer {}", issuer.token(json!({"scope": scope})));
    let mut client = serve(tokens::verifier(issuer.keys())).await;
    let good = scoped("health:read");
    assert_eq!(check(&mut client, &[&good]).await.unwrap(), "app");

    refused(
        check(&mut client, &[]).await,
        Code::Unauthenticated,
        "an access token is needed",
        Some(r#"Bearer realm="health""#),
    );
    refused(
        check(&mut client, &[&good, &good]).await,
        Code::InvalidArgument,
        "the authorization header cannot be read",
        Some(r#"Bearer realm="health", error="invalid_request""#),
    );
    let expired = issuer.token(json!({"scope": "health:read", "exp": NOW - 3600}));
    refused(
        check(&mut client, &[&format!("Bearer {expired}")]).await,
        Code::Unauthenticated,
        "the access token expired",
        Some(
            r#"Bearer realm="health", error="invalid_token", error_description="the access token expired""#,
        ),
    );
    refused(
        check(&mut client, &[&scoped("orders:read")]).await,
        Code::PermissionDenied,
        "the access token lacks a scope",
        Some(r#"Bearer realm="health", error="insufficient_scope", scope="health:read""#),
    );

    let dark = Verifier::new(tokens::trust(), KeyCache::empty());
    let mut dark = serve(dark).await;
    let unavailable = check(&mut dark, &[&good]).await;
    let told = unavailable.as_ref().unwrap_err().metadata();
    assert_eq!(told.get("retry-after").unwrap(), "30");
    refused(
        unavailable,
        Code::Unavailable,
        "the access token cannot be verified now",
        None,
    );
    // A refusal ends the call, not the connection.
    assert_eq!(check(&mut client, &[&good]).await.unwrap(), "app");
}

/// A refusal comes before the method is looked at, and before a stream is opened.
#[tokio::test]
async fn a_stream_is_refused_as_a_call_is() {
    let mut client = serve(tokens::verifier(Issuer::new().keys())).await;
    let refusal = client.watch(HealthCheckRequest::default()).await;
    assert_eq!(refusal.unwrap_err().code(), Code::Unauthenticated);
}
