//! An outbound layer for whatever client is built on tower: hyper's, tonic's channels, reqwest's.
//!
//! It adds `Authorization: Bearer …` to requests to the [`Origins`] that it was told, and to no
//! others, so that no redirect carries the token elsewhere. A request whose URI names no origin, as
//! behind something that adds it later, gets none, and one that has an `Authorization` already keeps
//! it.
//!
//! A resource may refuse the token with 401 before its time. If the answer blames the token (a
//! Bearer challenge with `invalid_token` or no error, or no challenge at all) it is rejected as with
//! [`Rotator::reject`], and the request is sent once more, *if* another token could be had and the
//! request could be copied (see [`Replay`]); and if it was redirected before, only if its method is
//! idempotent, since whoever redirected it may have done what it asks for. A token that was issued less than a second ago is not
//! rejected: the request is sent once more after a second, for a resource that did not know it yet.
//! In any other case the caller gets the 401.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use steadfast::policy::IssuancePolicy;
//! use steadfast::rotator::{ClientCredentials, Origins, Rotator, RotatorLayer};
//! use tower::{ServiceBuilder, service_fn};
//!
//! let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders", "secret")?;
//! let rotator = Rotator::new(grant, IssuancePolicy::default());
//!
//! # async fn send(_: Request<String>) -> Result<Response<String>, Infallible> { unreachable!() }
//! let client = ServiceBuilder::new()
//!     .layer(RotatorLayer::new(rotator, Origins::new("https://orders.example")?))
//!     .service(service_fn(send));
//! # let _ = client;
//! # Ok(())
//! # }
//! ```
//!
//! A client that follows redirects by itself, as reqwest does, has to strip the header on the way to
//! another origin; reqwest does.
//!
//! With the feature `reqwest-middleware`, `rotator::middleware` does the same for clients built with
//! that crate; what lets requests in at the other end is [`verifier::layer`](crate::verifier::layer).

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::message::{Outgoing, Returning};
use super::outbound::{Outbound, present};
use super::{Error, Origins, Rotator};

/// Wraps clients in [`RotatorService`]. See the [module](self).
pub struct RotatorLayer<R = ReplayCopies> {
    outbound: Outbound,
    replay: PhantomData<fn() -> R>,
}

impl RotatorLayer {
    /// Sends `rotator`'s token to `origins`. Requests are copied for a replay; one that does not
    /// allow that takes [`Self::without_replay`].
    pub fn new(rotator: Rotator, origins: Origins) -> Self {
        Self {
            outbound: Outbound::new(rotator, origins),
            replay: PhantomData,
        }
    }

    /// For requests that cannot be copied, such as those with a stream for a body: none is sent
    /// twice. A token that is refused is rejected all the same, for later requests.
    #[must_use]
    pub fn without_replay(self) -> RotatorLayer<ReplayNothing> {
        self.replay_by()
    }

    /// Copies requests in another way.
    #[must_use]
    pub fn replay_by<R>(self) -> RotatorLayer<R> {
        RotatorLayer {
            outbound: self.outbound,
            replay: PhantomData,
        }
    }
}

/// How a request is copied before it is sent, so that it can be sent again.
pub trait Replay<Request> {
    /// A copy; `None` if this one cannot be sent again.
    fn copy(request: &Request) -> Option<Request>;
}

/// Copies requests of [`http`] by `Clone`, so that their body has to be `Clone`; and those of reqwest,
/// unless their body is a stream.
#[derive(Clone, Copy, Debug)]
pub struct ReplayCopies;

impl<B: Clone> Replay<http::Request<B>> for ReplayCopies {
    fn copy(request: &http::Request<B>) -> Option<http::Request<B>> {
        Some(request.clone())
    }
}

impl Replay<reqwest::Request> for ReplayCopies {
    fn copy(request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

/// Copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct ReplayNothing;

impl<Request> Replay<Request> for ReplayNothing {
    fn copy(_: &Request) -> Option<Request> {
        None
    }
}

impl<S, R> Layer<S> for RotatorLayer<R> {
    type Service = RotatorService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RotatorService {
            inner,
            layer: self.clone(),
        }
    }
}

impl<R> Clone for RotatorLayer<R> {
    fn clone(&self) -> Self {
        Self {
            outbound: self.outbound.clone(),
            replay: PhantomData,
        }
    }
}

impl<R> fmt::Debug for RotatorLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatorLayer")
            .field("outbound", &self.outbound)
            .finish()
    }
}

/// Sends requests with the latest token. See the [module](self).
pub struct RotatorService<S, R = ReplayCopies> {
    inner: S,
    layer: RotatorLayer<R>,
}

/// What [`RotatorService`] returns.
pub type RotatorFuture<T, E> =
    Pin<Box<dyn Future<Output = Result<T, OutboundError<E>>> + Send + 'static>>;

impl<S, R, Request> Service<Request> for RotatorService<S, R>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Response: Returning + Send,
    S::Future: Send,
    R: Replay<Request> + 'static,
    Request: Outgoing + Send + 'static,
{
    type Response = S::Response;
    type Error = OutboundError<S::Error>;
    type Future = RotatorFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(OutboundError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was polled is the one that is ready; its clone need not be.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let outbound = self.layer.outbound.clone();
        Box::pin(send::<S, R, Request>(outbound, ready, request))
    }
}

async fn send<S, R, Request>(
    outbound: Outbound,
    mut service: S,
    mut request: Request,
) -> Result<S::Response, OutboundError<S::Error>>
where
    S: Service<Request>,
    S::Response: Returning,
    R: Replay<Request>,
    Request: Outgoing,
{
    let Some(asked) = outbound.asked(&request) else {
        return service.call(request).await.map_err(OutboundError::Inner);
    };
    let token = outbound.token().await.map_err(OutboundError::NoToken)?;
    let copy = R::copy(&request);
    present(&token, request.headers_mut());
    let answered = service.call(request).await.map_err(OutboundError::Inner);
    let response = answered?;
    let Some(again) = outbound.judge(&asked, &token, &response, copy) else {
        return Ok(response);
    };
    let Some(again) = outbound.renewed(&token, again).await else {
        return Ok(response);
    };
    // Its connection is of use for the replay.
    drop(response);
    let ready = poll_fn(|cx| service.poll_ready(cx)).await;
    ready.map_err(OutboundError::Inner)?;
    service.call(again).await.map_err(OutboundError::Inner)
}

impl<S: Clone, R> Clone for RotatorService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for RotatorService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatorService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundError<E> {
    /// There is no token to send it with, so it was not sent.
    NoToken(Error),
    /// The client failed.
    Inner(E),
}

impl<E> fmt::Display for OutboundError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken(_) => "there is no token to send the request with",
            Self::Inner(_) => "the request failed",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for OutboundError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoToken(error) => Some(error),
            Self::Inner(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sources() {
        let no_token = OutboundError::<std::fmt::Error>::NoToken(Error::Pending);
        let failed = OutboundError::Inner(std::fmt::Error);
        for (error, words) in [
            (no_token, "there is no token to send the request with"),
            (failed, "the request failed"),
        ] {
            assert_eq!(error.to_string(), words);
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}
