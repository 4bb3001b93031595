//! The outbound layer over clients other than reqwest's: hyper's, and some that are peculiar.

#![cfg(all(feature = "testing", feature = "tower"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod resource;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use resource::{Reply, Resource};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Origins, OutboundError, Rotator, RotatorLayer};
use steadfast::testing::ManualClock;
use steadfast::transport::{Endpoint, Sending, Transport};
use tower::{Layer, Service, ServiceExt, service_fn};

/// Issues `token-1`, `token-2`, …
#[derive(Clone, Default)]
struct Issuer(Arc<Mutex<u32>>);

impl Transport for Issuer {
    fn send<'a>(&'a self, _: &'a Endpoint, _: Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let mut issued = self.0.lock().unwrap();
        *issued += 1;
        let body = format!(r#"{{"access_token":"token-{issued}","expires_in":43200}}"#);
        Box::pin(ready(Ok(Response::new(body.into_bytes()))))
    }
}

/// With a token that is a minute old.
async fn layer(origin: &str) -> RotatorLayer {
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let clock = ManualClock::default();
    let rotator = Rotator::new(grant, IssuancePolicy::default())
        .transport(Issuer::default())
        .clock(Arc::new(clock.clone()));
    rotator.token().await.unwrap();
    clock.advance(Duration::from_secs(60));
    RotatorLayer::new(rotator, Origins::new(origin).unwrap())
}

fn bearers(numbers: &[u32]) -> Vec<Option<String>> {
    let bearer = |it: &u32| Some(format!("Bearer token-{it}"));
    numbers.iter().map(bearer).collect()
}

#[tokio::test]
async fn over_hyper() {
    let resource = Resource::start(|_, nth| match nth {
        1 => Reply::Refused(&["Bearer"]),
        _ => Reply::Fine,
    });
    let resource = resource.await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let client = layer(&resource.url).await.layer(client);
    let request = Request::post(&resource.url)
        .body(Full::from("an order"))
        .unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(resource.authorizations(), bearers(&[1, 2]));
    assert!(resource.asked().iter().all(|it| it.1 == "an order"));
}

/// Answers 401 to its first `refusals` requests, and panics if it was not ready.
struct Strict {
    is_ready: bool,
    refusals: u32,
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            is_ready: false,
            asked: self.asked.clone(),
            ..*self
        }
    }
}

impl<B> Service<Request<B>> for Strict {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready));
        let mut asked = self.asked.lock().unwrap();
        let authorization = request.headers().get(AUTHORIZATION);
        assert!(authorization.is_none_or(|it| it.is_sensitive()));
        asked.push(authorization.map(|it| it.to_str().unwrap().to_owned()));
        let refused = asked.len() <= self.refusals as usize;
        let status = if refused { 401 } else { 200 };
        let response = Response::builder().status(status).body(());
        ready(Ok(response.unwrap()))
    }
}

fn strict(refusals: u32) -> Strict {
    Strict {
        is_ready: false,
        refusals,
        asked: Arc::default(),
    }
}

#[tokio::test]
async fn a_client_is_called_only_when_it_is_ready() {
    let client = strict(1);
    let asked = client.asked.clone();
    let mut client = layer("https://orders.example").await.layer(client);
    for _ in 0..2 {
        let request = Request::get("https://orders.example/open")
            .body(())
            .unwrap();
        let ready = ServiceExt::<Request<()>>::ready(&mut client).await.unwrap();
        let response = ready.call(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(*asked.lock().unwrap(), bearers(&[1, 2, 2]));
}

#[tokio::test]
async fn a_path_alone_names_no_origin() {
    let client = strict(1);
    let asked = client.asked.clone();
    let client = layer("https://orders.example").await.layer(client);
    let request = Request::get("/open").header("host", "orders.example");
    let response = client.oneshot(request.body(()).unwrap()).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &*asked.lock().unwrap()),
        (401, &vec![None])
    );
}

/// A body that cannot be copied.
struct Stream;

#[tokio::test]
async fn without_replay_any_body_will_do() {
    let client = strict(1);
    let asked = client.asked.clone();
    let layer = layer("https://orders.example").await.without_replay();
    let client = layer.layer(client);
    let request = || {
        Request::get("https://orders.example/open")
            .body(Stream)
            .unwrap()
    };
    let response = client.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 401);
    let renewed = async {
        while asked.lock().unwrap().last() != bearers(&[2]).last() {
            tokio::task::yield_now().await;
            client.clone().oneshot(request()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_error_of_the_client_is_passed_on() {
    let client = service_fn(|_: Request<()>| async { Err::<Response<()>, _>(std::fmt::Error) });
    let client = layer("https://orders.example").await.layer(client);
    for url in ["https://orders.example/open", "https://other.example/open"] {
        let sent = client.clone().oneshot(Request::get(url).body(()).unwrap());
        assert_eq!(
            sent.await.unwrap_err(),
            OutboundError::Inner(std::fmt::Error)
        );
    }
}

/// gRPC has a status of its own, in a header where there is nothing but a status.
#[tokio::test]
async fn grpc_says_401_in_its_own_way() {
    let client = service_fn(|request: Request<()>| async move {
        let first = request.headers()[AUTHORIZATION] == "Bearer token-1";
        let response = Response::builder().header("grpc-status", if first { 16 } else { 0 });
        Ok::<_, Infallible>(response.body(()).unwrap())
    });
    let client = layer("https://orders.example").await.layer(client);
    let request = Request::post("https://orders.example/orders.Orders/Open")
        .body(())
        .unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "0");
}
