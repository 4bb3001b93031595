//! Against the embedded service.

use std::sync::Arc;

use http::StatusCode;
use steadfast::clock::Clock;
use steadfast::rotator::error::Reason;
use steadfast::rotator::{ClientCredentials, Health, Preset, Rotator};
use steadfast::testing;
use steadfast::testing::{Fault, ManualClock, OAuthService, RegisteredClient, ServiceConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::script::{HOUR, MINUTE, SECOND, policy, reason};

/// Completes once an attempt has failed and is followed by its pause.
async fn landed(rotator: &Rotator, clock: &ManualClock) {
    let paused = |health: Health| {
        health
            .failing
            .is_some_and(|it| it.next_attempt > clock.wall())
    };
    while rotator.health().rotate_at.unwrap() <= clock.wall() && !paused(rotator.health()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_embedded_service_goes_down_and_comes_back() {
    let clock = ManualClock::default();
    let client = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(client).clock(clock.clone());
    let service = OAuthService::start(config).await.unwrap();
    let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant.preset(Preset::Neo), policy(0)).clock(Arc::new(clock.clone()));
    let first = rotator.token().await.unwrap();
    assert_eq!(first.format.to_string(), "jwt");
    assert_eq!(first.lifetime(), 12 * HOUR);
    service.fault(Fault::down());
    for _ in 0..11 * 6 {
        clock.advance(10 * MINUTE);
        assert_eq!(rotator.token().await.unwrap(), first);
        landed(&rotator, &clock).await;
    }
    assert_eq!(service.counters().succeeded(testing::Endpoint::Token), 1);
    service.clear_faults();
    // Inside the margin a call waits for the renewal that is under way.
    clock.advance(HOUR - 10 * SECOND);
    let second = rotator.token().await.unwrap();
    assert_ne!(second, first);
    assert_eq!(service.counters().succeeded(testing::Endpoint::Token), 2);
    service.stop().await;
}

/// A rotator on the system's clock, without retries, and its service.
async fn against_a_service() -> (Rotator, OAuthService) {
    let client = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(client);
    let service = OAuthService::start(config).await.unwrap();
    let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
    (Rotator::new(grant, policy(0)), service)
}

#[tokio::test(start_paused = true)]
async fn one_request_has_ten_seconds() {
    let (rotator, service) = against_a_service().await;
    service.fault(Fault::slow(9 * SECOND).times(1));
    rotator.token().await.unwrap();

    let (rotator, service) = against_a_service().await;
    service.fault(Fault::hang());
    let asked = tokio::time::Instant::now();
    let error = rotator.token().await.unwrap_err();
    assert_eq!(reason(&error), Reason::NoAnswer);
    assert_eq!(asked.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn an_answer_has_a_mebibyte_at_most() {
    const MEBIBYTE: usize = 1024 * 1024;
    for (length, fits) in [(MEBIBYTE, true), (MEBIBYTE + 1, false)] {
        let (rotator, service) = against_a_service().await;
        let token = r#"{"access_token":"a","expires_in":60"#;
        let body = format!("{token}{}}}", " ".repeat(length - token.len() - 1));
        service.fault(Fault::answer(StatusCode::OK, "application/json", body));
        match rotator.token().await {
            Ok(token) => assert!(fits && token.expose() == "a"),
            Err(error) => assert!(!fits && reason(&error) == Reason::Broken),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (_, elsewhere) = against_a_service().await;
    for status in [301, 302, 303, 307, 308] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let grant = ClientCredentials::new(&url, "orders", "s3cret").unwrap();
        let rotator = Rotator::new(grant, policy(0));
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
            let place = elsewhere.token_url();
            // Whatever stands in it is no answer.
            let token = r#"{"access_token":"stolen","expires_in":600}"#;
            let length = token.len();
            let answer = format!(
                "HTTP/1.1 {status} Elsewhere\r\nlocation: {place}\r\ncontent-length: {length}\r\n\r\n{token}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream
        };
        let (token, _stream) = tokio::join!(rotator.token(), answer);
        assert_eq!(reason(&token.unwrap_err()), Reason::Status { status });
    }
    let asked = elsewhere.counters().received(testing::Endpoint::Token);
    assert_eq!(asked, 0);
}
