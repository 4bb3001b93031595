//! A call that finds a fresh token allocates nothing.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Error, Rotator};
use steadfast::token::Token;
use steadfast::transport::{Endpoint, Sending, Transport};

/// Grants a token of 12 h.
struct Granting;

impl Transport for Granting {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let body =
            br#"{"access_token":"0123456789abcdef","token_type":"bearer","expires_in":43200}"#;
        Box::pin(async { Ok(http::Response::new(body.to_vec())) })
    }
}

/// Of a call that does not wait.
fn at_once(call: impl Future<Output = Result<Arc<Token>, Error>>) -> Arc<Token> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => token.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

#[tokio::test]
async fn a_fresh_token() {
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let rotator = Rotator::new(grant, IssuancePolicy::default()).transport(Granting);
    let issued = rotator.token().await.unwrap();
    // A thread's first load of a snapshot allocates what that thread keeps.
    at_once(rotator.token());
    let counted = allocation_counter::measure(|| {
        assert!(Arc::ptr_eq(&at_once(rotator.token()), &issued));
    });
    assert_eq!(counted.count_total, 0);
}
