//! A resource server on axum, which verifies bearer tokens without ever waiting for their issuer.
//!
//! ```sh
//! cargo run --features axum --example axum -- https://login.example https://orders.example
//! ```
//!
//! takes the issuer and the audience, and listens on 127.0.0.1:3000.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use steadfast::verifier::challenge::{Answer, Challenge};
use steadfast::verifier::{KeyCache, Refresher, Trust, Verified, Verifier, VerifyLayer};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(issuer), Some(audience)) = (arguments.next(), arguments.next()) else {
        return Err("usage: axum ISSUER AUDIENCE".into());
    };
    // Until the first keys are here, tokens are answered with 503.
    let keys = KeyCache::empty();
    tokio::spawn(Refresher::discover(&issuer, keys.clone())?.run());
    let verifier = Verifier::new(Trust::issuer(issuer).audience(audience), keys);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(verifier)).await?;
    Ok(())
}

/// The server's routes.
pub fn app(verifier: Verifier) -> Router {
    let verifier = Arc::new(verifier);
    let verified = VerifyLayer::new(verifier).challenge(challenge());
    let orders = Router::new()
        .route("/orders", get(read_orders).post(place_order))
        .layer(verified.clone().require_scope("orders:read"));
    let greeting = Router::new()
        .route("/greeting", get(greet))
        .layer(verified.allow_anonymous());
    orders.merge(greeting)
}

/// What the server says of itself where it refuses.
pub fn challenge() -> Challenge {
    Challenge::default()
        .realm("orders")
        .resource_metadata("https://orders.example/.well-known/oauth-protected-resource")
}

async fn read_orders(token: Verified) -> String {
    format!("orders of {}", subject(&token))
}

/// Asks for one more scope than the layer does.
async fn place_order(token: Verified) -> Result<String, Answer> {
    if !token.scope().contains("orders:write") {
        return Err(challenge().insufficient_scope("orders:read orders:write"));
    }
    Ok(format!("ordered by {}", subject(&token)))
}

/// Knows who asks, if they say so.
async fn greet(token: Option<Verified>) -> String {
    match token {
        Some(token) => format!("hello, {}", subject(&token)),
        None => "hello, stranger".to_owned(),
    }
}

fn subject(token: &Verified) -> &str {
    token.claims().sub.as_deref().unwrap_or("nobody")
}
