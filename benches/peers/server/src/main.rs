//! An axum server to put load on: `server bare` or `server layer` prints where it listens, and
//! `server tokens COUNT` prints so many tokens that it accepts, one a line.

use std::env;
use std::io::{BufWriter, Write as _, stdout};

use axum::Router;
use axum::routing::get;
use common::{AUDIENCE, ISSUER};
use serde_json::json;
use steadfast::clock::{Clock as _, SystemClock};
use steadfast::jose::{Algorithm, KeySet};
use steadfast::testing::{TestKey, keys::jwk_set};
use steadfast::verifier::{KeyCache, Trust, Verified, Verifier, VerifyLayer};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let app = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare"] => Router::new().route("/", get(|| async { ORDERS })),
        ["layer"] => Router::new()
            .route("/", get(orders))
            .layer(VerifyLayer::new(verifier())),
        ["tokens", count] => return print_tokens(count.parse().expect("a number")),
        _ => panic!("usage: server bare | layer | tokens COUNT"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}/", listener.local_addr().expect("an address"));
    axum::serve(listener, app).await.expect("served");
}

async fn orders(_: Verified) -> &'static str {
    ORDERS
}

const ORDERS: &str = "orders";

/// RS256 is what most services sign with.
fn key() -> TestKey {
    TestKey::of(Algorithm::RS256)
}

fn verifier() -> Verifier {
    let keys = KeySet::from_json(jwk_set([&key()]).to_string().as_bytes()).expect("usable");
    Verifier::new(
        Trust::issuer(ISSUER).audience(AUDIENCE),
        KeyCache::fixed(keys),
    )
}

fn print_tokens(count: u64) {
    let (key, now) = (key(), SystemClock.wall().as_secs());
    let mut out = BufWriter::new(stdout().lock());
    for number in 0..count {
        let claims = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "5b1c7d0e-orders-client",
            "exp": now + 12 * 3600,
            "iat": now,
            "jti": number.to_string(),
            "client_id": "orders-client",
            "scope": "orders:read orders:write".repeat(6),
        });
        writeln!(out, "{}", key.sign(&claims).expect("signed")).expect("written");
    }
}
