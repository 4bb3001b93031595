//! Resources that answer 401 whatever comes, and a service that counts what that costs it.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::Arc;
use std::time::Duration;

use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Preset, Rotator};
use steadfast::testing::{Endpoint, ManualClock, OAuthService, RegisteredClient, ServiceConfig};
use tokio::task::JoinSet;

const SECOND: Duration = Duration::from_secs(1);
const CALLERS: usize = 100;

/// With a token that is a minute old: a JWT, or an opaque one, where the one before is offered again.
async fn start(preset: Preset) -> (OAuthService, ManualClock, Rotator) {
    let clock = ManualClock::default();
    let client = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().clock(clock.clone()).client(client);
    let service = OAuthService::start(config).await.unwrap();
    let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant.preset(preset), IssuancePolicy::default())
        .clock(Arc::new(clock.clone()));
    rotator.token().await.unwrap();
    clock.advance(60 * SECOND);
    (service, clock, rotator)
}

fn requests(service: &OAuthService) -> u64 {
    service.counters().received(Endpoint::Token)
}

/// Waits until whoever is left waits for the clock.
async fn settle(callers: &mut JoinSet<()>, clock: &ManualClock) {
    let settled = async {
        loop {
            while let Some(ended) = callers.try_join_next() {
                ended.unwrap();
            }
            if callers.len() <= clock.sleepers() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(30 * SECOND, settled).await.unwrap();
}

#[tokio::test]
async fn a_hundred_callers_reject_the_same_token_for_a_minute() {
    let (service, clock, rotator) = start(Preset::Neo).await;
    let token = rotator.token().await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..60 {
        for _ in 0..CALLERS {
            let (rotator, token) = (rotator.clone(), token.clone());
            callers.spawn(async move {
                let other = rotator.reject(&token).await.unwrap();
                assert_ne!(other.access_token, token.access_token);
            });
        }
        settle(&mut callers, &clock).await;
        clock.advance(SECOND);
    }
    assert_eq!(requests(&service), 2);
}

#[tokio::test]
async fn a_hundred_callers_reject_whatever_comes_for_a_minute() {
    for preset in [Preset::Neo, Preset::Generic] {
        let (service, clock, rotator) = start(preset).await;
        let mut callers = JoinSet::new();
        for _ in 0..60 {
            for _ in 0..CALLERS {
                let rotator = rotator.clone();
                callers.spawn(async move {
                    let token = rotator.token().await.unwrap();
                    rotator.reject(&token).await.unwrap();
                });
            }
            settle(&mut callers, &clock).await;
            clock.advance(SECOND);
        }
        // The first token, one at once, and one more when the gate opens after 30 s.
        assert_eq!(requests(&service), 3, "{preset:?}");
    }
}

#[tokio::test]
async fn a_resource_refuses_every_token_for_a_day() {
    for preset in [Preset::Neo, Preset::Generic] {
        let (service, clock, rotator) = start(preset).await;
        for _ in 0..24 * 60 * 6 {
            let token = rotator.token().await.unwrap();
            rotator.reject(&token).await.unwrap();
            clock.advance(10 * SECOND);
        }
        a_days_worth(&service);
    }
}

/// Enough that a resource which forgets its tokens is served again within the hour, and no more.
#[track_caller]
fn a_days_worth(service: &OAuthService) {
    let requests = requests(service);
    assert!((25..=40).contains(&requests), "{requests}");
}

#[cfg(feature = "tower")]
mod through_the_layer {
    use std::convert::Infallible;
    use std::future::ready;
    use std::sync::atomic::{AtomicU64, Ordering};

    use http::{Request, Response};
    use steadfast::rotator::{Origins, RotatorLayer};
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    /// Sends a request to a resource that refuses every token, and counts the requests there.
    async fn send(rotator: Rotator, asked: Arc<AtomicU64>) {
        let resource = service_fn(move |_: Request<()>| {
            asked.fetch_add(1, Ordering::Relaxed);
            let response = Response::builder().status(401).body(());
            ready(Ok::<_, Infallible>(response.unwrap()))
        });
        let origins = Origins::new("https://orders.example").unwrap();
        let request = Request::get("https://orders.example/open")
            .body(())
            .unwrap();
        let client = RotatorLayer::new(rotator, origins).layer(resource);
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 401);
    }

    #[tokio::test]
    async fn a_hundred_callers_for_a_minute() {
        let (service, clock, rotator) = start(Preset::Neo).await;
        let (mut callers, asked) = (JoinSet::new(), Arc::default());
        for _ in 0..60 {
            for _ in 0..CALLERS {
                callers.spawn(send(rotator.clone(), Arc::clone(&asked)));
            }
            settle(&mut callers, &clock).await;
            clock.advance(SECOND);
        }
        assert_eq!(requests(&service), 3);
        // Each once, and at most once more.
        let (asked, sent) = (asked.load(Ordering::Relaxed), 60 * CALLERS as u64);
        assert!((sent..=2 * sent).contains(&asked), "{asked}");
    }

    #[tokio::test]
    async fn for_a_day() {
        let (service, clock, rotator) = start(Preset::Neo).await;
        let asked = Arc::default();
        for _ in 0..24 * 60 * 6 {
            send(rotator.clone(), Arc::clone(&asked)).await;
            clock.advance(10 * SECOND);
        }
        a_days_worth(&service);
        // One each, and one replay with each token that came of it.
        let sent = 24 * 60 * 6;
        let asked = asked.load(Ordering::Relaxed);
        assert!((sent + 1..=sent + 40).contains(&asked), "{asked}");
    }
}
