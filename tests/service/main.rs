//! The embedded OAuth service over real sockets.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod faults;
mod http;
mod issuing;
mod keys;
#[cfg(all(feature = "cli", unix))]
mod serve;

use std::time::Duration;

use steadfast::clock::Timestamp;
use steadfast::policy::IssuancePolicy;
use steadfast::testing::{ManualClock, OAuthService, RegisteredClient, ServiceConfig};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

/// `client` with the secret `secret`, 24 h validity and the scopes `read` and `write`.
fn config() -> (ServiceConfig, ManualClock) {
    let clock = ManualClock::new(now());
    let policy = IssuancePolicy::new(24 * HOUR, HOUR..=2 * HOUR).unwrap();
    let client = RegisteredClient::new("client", "secret")
        .scopes(["read", "write"])
        .policy(policy);
    let config = ServiceConfig::default().clock(clock.clone()).client(client);
    (config, clock)
}

async fn start() -> (OAuthService, ManualClock) {
    let (config, clock) = config();
    (OAuthService::start(config).await.unwrap(), clock)
}
