//! What goes wrong when it is told to, and what is counted.

use std::io::ErrorKind;
use std::time::Duration;

use ::http::StatusCode;
use steadfast::testing::{Endpoint, Fault, OAuthService};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::http::{ask, end_of, get, outcome, send, token};
use crate::{HOUR, config, start};

const RESET: Result<u16, ErrorKind> = Err(ErrorKind::ConnectionReset);

#[tokio::test]
async fn down_resets_every_connection_and_keeps_the_port() {
    let (service, clock) = start().await;
    let mut idle = ask("GET", &service.jwks_url(), &[], "").await.unwrap();
    let mut answer = [0; 4096];
    assert!(idle.read(&mut answer).await.unwrap() > 0);

    service.fault(Fault::down().lasting(8 * HOUR));
    assert_eq!(end_of(idle).await, ErrorKind::ConnectionReset);
    for endpoint in Endpoint::ALL {
        assert_eq!(outcome("GET", &service.url_of(endpoint)).await, RESET);
    }
    clock.advance(8 * HOUR - Duration::from_millis(1));
    assert_eq!(outcome("GET", &service.jwks_url()).await, RESET);
    let taken = TcpListener::bind(service.address()).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    clock.advance(Duration::from_millis(1));
    assert_eq!(outcome("GET", &service.jwks_url()).await, Ok(200));

    let counters = service.counters();
    assert_eq!((counters.connections, counters.connections_reset), (8, 7));
    assert_eq!(counters.received(Endpoint::Jwks), 2);
}

#[tokio::test]
async fn down_at_one_endpoint() {
    let (service, _) = start().await;
    service.fault(Fault::down().at(Endpoint::Token).times(1));
    assert_eq!(outcome("GET", &service.jwks_url()).await, Ok(200));
    assert_eq!(outcome("POST", &service.token_url()).await, RESET);
    assert_eq!(token(&service, "").await.status, 200);
    let counters = service.counters();
    assert_eq!(counters.connections_reset, 1);
    assert_eq!(counters.received(Endpoint::Token), 2);
    assert_eq!(counters.succeeded(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_request_that_hangs_ends_with_the_outage() {
    let (service, _) = start().await;
    service.fault(Fault::hang().at(Endpoint::Token).times(1));
    let hanging = ask("POST", &service.token_url(), &[], "").await.unwrap();
    while service.counters().received(Endpoint::Token) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(token(&service, "").await.status, 200);
    service.fault(Fault::down());
    assert_eq!(end_of(hanging).await, ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn slow_on_the_clock_of_the_service() {
    let (service, clock) = start().await;
    service.fault(Fault::slow(HOUR));
    let url = service.jwks_url();
    let waiting = tokio::spawn(async move { get(&url).await.status });
    clock.until_sleepers(1).await;
    assert_eq!(clock.next_wakeup(), Some(HOUR));
    assert_eq!(service.counters().succeeded(Endpoint::Jwks), 0);
    clock.advance(HOUR);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(service.counters().succeeded(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn answers_of_a_proxy_and_a_rate_limiter() {
    let (service, _) = start().await;
    service.fault(Fault::bad_gateway().times(1));
    let page = token(&service, "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (502, Some("text/html"))
    );
    assert!(page.body.starts_with("<html>"));

    service.fault(Fault::too_many_requests(2 * HOUR).at(Endpoint::Token));
    let limited = token(&service, "").await;
    assert_eq!(
        (limited.status, limited.header("retry-after")),
        (429, Some("7200"))
    );
    assert_eq!(get(&service.jwks_url()).await.status, 200);
    service.clear_faults();

    let odd = Fault::answer(
        StatusCode::OK,
        "application/json",
        r#"{"error":"slow_down"}"#,
    );
    service.fault(odd.times(1));
    let reply = token(&service, "").await;
    assert_eq!(
        (reply.status, reply.text("error").as_str()),
        (200, "slow_down")
    );
    assert_eq!(token(&service, "").await.status, 200);
    let counters = service.counters();
    assert_eq!(counters.received(Endpoint::Token), 4);
    assert_eq!(
        (counters.succeeded(Endpoint::Token), counters.tokens_issued),
        (1, 1)
    );
    assert_eq!(counters.connections_reset, 0);
}

#[tokio::test]
async fn orders_by_http() {
    let (config, clock) = config();
    let service = OAuthService::start(config.control_port(0)).await.unwrap();
    let control = service.control_url().unwrap();
    let order = async |path: &str| {
        let url = format!("{control}{path}");
        send("POST", &url, &[], "").await.unwrap()
    };
    assert_eq!(order("/fault?kind=down&for=8h").await.status, 200);
    assert_eq!(outcome("GET", &service.jwks_url()).await, RESET);
    assert_eq!(order("/clear").await.status, 200);
    assert_eq!(outcome("GET", &service.jwks_url()).await, Ok(200));
    order("/fault?kind=429&retry_after=9s&endpoint=token&times=1").await;
    assert_eq!(token(&service, "").await.header("retry-after"), Some("9"));
    clock.advance(HOUR);

    let opaque = token(&service, "").await.text("access_token");
    assert_eq!(order("/expire").await.status, 200);
    let told = crate::http::introspect(&service, &opaque).await;
    assert_eq!(told.body, r#"{"active":false}"#);

    assert_eq!(order("/keys?do=publish").await.text("kid"), "rsa-1");
    assert_eq!(service.signing_key().kid(), "rsa-0");
    assert_eq!(order("/keys?do=sign&kid=rsa-1").await.status, 200);
    assert_eq!(order("/keys?do=withdraw&kid=rsa-0").await.status, 200);
    assert_eq!(service.signing_key().kid(), "rsa-1");
    assert_eq!(
        order("/keys?do=replace&kid=rsa-1").await.text("kid"),
        "rsa-1"
    );
    assert_eq!(order("/keys?do=replace").await.text("kid"), "rsa-3");
    assert_eq!(service.published_keys().len(), 1);

    for (path, error) in [
        ("/fault?kind=x", "kind must be down, hang, slow, 502 or 429"),
        ("/keys?do=sign&kid=x", "no published key has this kid"),
        (
            "/keys",
            "do must be publish, sign, withdraw or replace, with kid",
        ),
    ] {
        let reply = order(path).await;
        assert_eq!(
            (reply.status, reply.text("error").as_str()),
            (400, error),
            "{path}"
        );
    }
    assert_eq!(order("/x").await.status, 404);
    let counters = get(&format!("{control}/counters")).await.json();
    assert_eq!(
        counters["token"],
        serde_json::json!({ "received": 2, "succeeded": 1 })
    );
    assert_eq!(counters["connections_reset"], 1);
    assert_eq!(counters["connections"], service.counters().connections);
}

#[tokio::test]
async fn stopping_frees_the_port() {
    let (service, _) = start().await;
    let (address, url) = (service.address(), service.jwks_url());
    service.fault(Fault::hang());
    let hanging = tokio::spawn(async move { outcome("GET", &url).await });
    while service.counters().received(Endpoint::Jwks) == 0 {
        tokio::task::yield_now().await;
    }
    service.stop().await;
    TcpListener::bind(address).await.unwrap();
    hanging.abort();
}

#[tokio::test]
async fn dropping_stops() {
    let (service, _) = start().await;
    let address = service.address();
    drop(service);
    while TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
}
