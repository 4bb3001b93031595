//! Rotators that share a Redis, and a service that counts.

use std::sync::Arc;
use std::time::Duration;

use steadfast::policy::IssuancePolicy;
use steadfast::rotator::store::{SealKey, Sealed, Store};
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::testing::{Fault, ManualClock, OAuthService, RegisteredClient, ServiceConfig};

use super::*;
use crate::suite::issued_at;

async fn service() -> OAuthService {
    let client = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(client);
    OAuthService::start(config).await.unwrap()
}

fn rotator(service: &OAuthService, store: impl Store) -> Rotator {
    let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
    Rotator::new(grant, IssuancePolicy::default()).store(store)
}

/// The tokens that they get, all at once.
async fn tokens(rotators: Vec<Rotator>) -> Vec<String> {
    let calls = rotators.into_iter().map(|rotator| {
        tokio::spawn(async move { rotator.token().await.unwrap().expose().to_owned() })
    });
    let calls: Vec<_> = calls.collect();
    let mut tokens = Vec::new();
    for call in calls {
        tokens.push(call.await.unwrap());
    }
    tokens
}

#[tokio::test]
async fn twenty_rotators_issue_one_token() {
    let (server, service) = (Server::start(&[]), service().await);
    service.fault(Fault::slow(Duration::from_millis(300)));
    let fleet = (0..20).map(|_| rotator(&service, store(&server)));
    let tokens = tokens(fleet.collect()).await;
    assert_eq!(tokens.len(), 20);
    assert!(tokens.iter().all(|it| *it == tokens[0]));
    assert_eq!(service.tokens_issued_to("orders"), 1);
}

#[tokio::test]
async fn twenty_sealed_rotators_issue_one_token() {
    let (server, service) = (Server::start(&[]), service().await);
    let sealed = || Sealed::new(store(&server), SealKey::new([7; 32]));
    let fleet = (0..20).map(|_| rotator(&service, sealed()));
    let tokens = tokens(fleet.collect()).await;
    assert!(tokens.iter().all(|it| *it == tokens[0]));
    assert_eq!(service.tokens_issued_to("orders"), 1);
}

#[tokio::test]
async fn the_token_in_memory_outlives_the_server() {
    let (mut server, service) = (Server::start(&[]), service().await);
    let clock = ManualClock::new(issued_at());
    let rotator = rotator(&service, store(&server)).clock(Arc::new(clock.clone()));
    let token = rotator.token().await.unwrap();
    server.stop();
    assert_eq!(rotator.token().await.unwrap(), token);

    // Refused by a resource: without its store nothing is issued, since nobody would learn of it.
    clock.advance(Duration::from_secs(1));
    assert_eq!(rotator.reject(&token).await.unwrap(), token);
    let gone = StoreError::Unusable("connection refused".into());
    assert_eq!(rotator.health().store, Some(gone));
    assert_eq!(service.tokens_issued_to("orders"), 1);

    // Back, and empty.
    server.start_again();
    clock.advance(Duration::from_secs(10));
    soon("another token", async || {
        let another = rotator.token().await.unwrap() != token;
        another && rotator.health().store.is_none()
    })
    .await;
    assert_eq!(service.tokens_issued_to("orders"), 2);
    let stored = store(&server).read(&rotator.store_key()).await.unwrap();
    let stored = stored.unwrap().token.unwrap().token;
    assert_eq!(stored, rotator.token().await.unwrap());
}

#[tokio::test]
async fn without_a_server_a_token_is_had_all_the_same() {
    let (mut server, service) = (Server::start(&[]), service().await);
    server.stop();
    let rotator = rotator(&service, store(&server));
    rotator.token().await.unwrap();
    assert!(rotator.health().store.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_says_nothing_costs_seconds() {
    let (server, service) = (Server::start(&[]), service().await);
    let rotator = rotator(&service, store(&server));
    let paused = server.pause();
    let token = rotator.token_once(Duration::ZERO).await.unwrap();
    assert_eq!(rotator.token().await.unwrap(), token);
    let silent = StoreError::Unusable("no answer in time".into());
    assert_eq!(rotator.health().store, Some(silent));
    drop(paused);
}
