//! What the layer tells through `tracing`, and to nobody else. One test to a process: whether anyone
//! listens is remembered process-wide.

#![cfg(feature = "tower")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod listening;
mod tokens;

use std::convert::Infallible;

use http::{Request, Response};
use listening::Events;
use serde_json::json;
use steadfast::verifier::VerifyLayer;
use tokens::{Issuer, NOW};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn the_operator_is_told_why() {
    let issuer = Issuer::new();
    let (events, _listening) = Events::listen();
    let layer = VerifyLayer::new(tokens::verifier(issuer.keys())).require_scope("read");
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    for authorization in [
        None,
        Some("Bearer".to_owned()),
        Some(format!(
            "Bearer {}",
            issuer.token(json!({"aud": "elsewhere"}))
        )),
        Some(format!(
            "Bearer {}",
            issuer.token(json!({"exp": NOW - 3600}))
        )),
        Some(format!(
            "Bearer {}",
            issuer.token(json!({"scope": "secret"}))
        )),
        Some(format!("Bearer {}", issuer.token(json!({"scope": "read"})))),
    ] {
        let mut request = Request::new(());
        if let Some(value) = authorization {
            let value = value.parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        layer.layer(inner).oneshot(request).await.unwrap();
    }
    let told = events.take();
    assert_eq!(
        told,
        [
            "DEBUG message=request refused error=the authorization header is malformed",
            "DEBUG message=token refused code=wrong_audience error=the token is for another audience; expected is https://orders.example",
            "DEBUG message=token refused code=expired error=the token expired at 2026-11-25T00:26:50Z, it is 2026-11-25T01:26:50Z, leeway 60 s",
            "DEBUG message=token without a scope that is required scope=\"read\"",
        ]
    );
}
