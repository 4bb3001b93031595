//! Middleware that lets a request pass with a good bearer token (RFC 6750 2.1), for axum, hyper,
//! tonic and whatever else is built on tower.
//!
//! The token is taken from the `Authorization` header, never from query or body, and verified at
//! once: nothing here waits or calls out. What passes carries [`Verified`] in its extensions. What
//! does not pass is answered:
//!
//! | request | status | `WWW-Authenticate` |
//! |---|---|---|
//! | no token, or another scheme | 401 | a challenge that names no error |
//! | two `Authorization` headers, or one that cannot be read | 400 | `invalid_request` |
//! | a bad token | 401 | `invalid_token`, and why in constant words |
//! | a good token without a scope that is required | 403 | `insufficient_scope` and what is required |
//! | no keys to tell | 503 with `Retry-After` | |
//!
//! A gRPC request (`content-type: application/grpc`) is answered as gRPC demands: status 200 and
//! `grpc-status` 16 (unauthenticated), 3 (invalid argument), 16, 7 (permission denied) or 14
//! (unavailable); `www-authenticate` and `retry-after` then come as metadata.
//!
//! Bodies are empty and all words are constant. Why a token was refused is told through `tracing`,
//! at level debug.
//!
//! ```
//! # fn run(document: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use steadfast::jose::KeySet;
//! use steadfast::verifier::challenge::Challenge;
//! use steadfast::verifier::{KeyCache, Trust, Verified, Verifier, VerifyLayer};
//! use tower::{ServiceBuilder, service_fn};
//!
//! let keys = KeyCache::fixed(KeySet::from_json(document)?);
//! let trust = Trust::issuer("https://login.example").audience("https://orders.example");
//! let verifier: Verifier = Verifier::new(trust, keys);
//!
//! async fn orders(request: Request<String>) -> Result<Response<String>, Infallible> {
//!     let token = request.extensions().get::<Verified>();
//!     let subject = token.and_then(|it| it.claims().sub.as_deref());
//!     Ok(Response::new(format!("orders of {subject:?}")))
//! }
//!
//! let service = ServiceBuilder::new()
//!     .layer(
//!         VerifyLayer::new(verifier)
//!             .challenge(Challenge::default().realm("orders"))
//!             .require_scope("orders:read"),
//!     )
//!     .service(service_fn(orders));
//! # Ok(())
//! # }
//! ```
//!
//! A token that is bound to a client's certificate (RFC 8705) passes if a [`Proof`] is in the
//! request's extensions, put there by whatever ends TLS, outside of this layer.
//!
//! A browser sends no token with a CORS preflight: a layer that answers those goes outside of this
//! one.
//!
//! With the feature `axum`, [`Verified`] is an extractor; with `http`, `rotator::layer` sends such
//! tokens.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::challenge::{Answer, Challenge, bearer};
use super::{Proof, Verified, Verifier};
use crate::claims::Claims;

/// Wraps services in [`Verify`]. See the [module](self).
pub struct VerifyLayer<C = Claims> {
    verifier: Arc<Verifier<C>>,
    terms: Arc<Terms>,
}

impl<C> VerifyLayer<C> {
    /// Lets pass what `verifier` finds to be good. Takes a [`Verifier`] or an `Arc` of one.
    pub fn new(verifier: impl Into<Arc<Verifier<C>>>) -> Self {
        Self {
            verifier: verifier.into(),
            terms: Arc::default(),
        }
    }

    /// Words its challenges so: `realm`, `resource_metadata`.
    #[must_use]
    pub fn challenge(self, challenge: Challenge) -> Self {
        self.set(|it| it.challenge = challenge)
    }

    /// Requires a scope, or each of a space-delimited list (RFC 6749 3.3). May be repeated.
    #[must_use]
    pub fn require_scope(self, scope: &str) -> Self {
        let scopes = scope.split(' ').filter(|it| !it.is_empty());
        self.set(|it| it.scopes.extend(scopes.map(str::to_owned)))
    }

    /// Lets a request without a token pass, too, then without [`Verified`] in its extensions. A
    /// credential for another scheme counts as no token. A bad token is refused all the same, and so
    /// is one without a required scope.
    #[must_use]
    pub fn allow_anonymous(self) -> Self {
        self.set(|it| it.absent = Absent::Passes)
    }

    fn set(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        change(Arc::make_mut(&mut self.terms));
        self
    }

    /// What the request has: a token that is good, or none where none is needed.
    fn admit<B>(&self, request: &Request<B>) -> Result<Option<Verified<C>>, Answer>
    where
        C: 'static,
    {
        let challenge = &self.terms.challenge;
        let authorization = request.headers().get_all(AUTHORIZATION);
        let token = match bearer(authorization.iter().map(HeaderValue::as_bytes)) {
            Ok(Some(token)) => token,
            Ok(None) if self.terms.absent == Absent::Passes => return Ok(None),
            Ok(None) => return Err(challenge.no_token()),
            Err(error) => {
                tracing::debug!(%error, "request refused");
                return Err(challenge.invalid_request());
            }
        };
        let verified = match request.extensions().get::<Proof>() {
            Some(proof) => self.verifier.verify_with_proof(token, proof),
            None => self.verifier.verify(token),
        };
        let verified = verified.map_err(|error| {
            tracing::debug!(code = %error.code(), %error, "token refused");
            challenge.refused(&error)
        })?;
        self.terms.check_scope(&verified)?;
        Ok(Some(verified))
    }
}

impl<C> Clone for VerifyLayer<C> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            terms: Arc::clone(&self.terms),
        }
    }
}

impl<C> fmt::Debug for VerifyLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyLayer")
            .field("verifier", &self.verifier)
            .field("terms", &self.terms)
            .finish()
    }
}

impl<S, C> Layer<S> for VerifyLayer<C> {
    type Service = Verify<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Verify {
            inner,
            layer: self.clone(),
        }
    }
}

/// On what terms a request passes, beside a good token.
#[derive(Clone, Debug, Default)]
struct Terms {
    challenge: Challenge,
    scopes: Vec<String>,
    absent: Absent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Absent {
    #[default]
    Refused,
    Passes,
}

impl Terms {
    fn check_scope<C: 'static>(&self, verified: &Verified<C>) -> Result<(), Answer> {
        let granted = verified.registered();
        let missing = self.scopes.iter().find(|scope| !granted.has_scope(scope));
        let Some(missing) = missing else {
            return Ok(());
        };
        tracing::debug!(scope = missing, "token without a scope that is required");
        Err(self.challenge.insufficient_scope(&self.scopes.join(" ")))
    }
}

/// Lets a request pass to the inner service with a good bearer token. See the [module](self).
pub struct Verify<S, C = Claims> {
    inner: S,
    layer: VerifyLayer<C>,
}

impl<S, C, RequestBody, ResponseBody> Service<Request<RequestBody>> for Verify<S, C>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    C: Send + Sync + 'static,
    ResponseBody: Default,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        match self.layer.admit(&request) {
            Ok(Some(verified)) => request.extensions_mut().insert(verified).map(drop),
            Ok(None) => {
                let absent = NoToken::<C>::new(&self.layer.terms);
                request.extensions_mut().insert(absent).map(drop)
            }
            Err(answer) => return ResponseFuture::refused(answer, is_grpc(request.headers())),
        };
        ResponseFuture::admitted(self.inner.call(request))
    }
}

impl<S: Clone, C> Clone for Verify<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Verify<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

/// In the extensions of a request that passed without a token.
pub(super) struct NoToken<C> {
    terms: Arc<Terms>,
    claims: PhantomData<fn() -> C>,
}

impl<C> NoToken<C> {
    fn new(terms: &Arc<Terms>) -> Self {
        Self {
            terms: Arc::clone(terms),
            claims: PhantomData,
        }
    }

    /// For whoever needs a token after all.
    #[cfg(feature = "axum")]
    pub(super) fn answer(&self) -> Answer {
        self.terms.challenge.no_token()
    }
}

impl<C> Clone for NoToken<C> {
    fn clone(&self) -> Self {
        Self::new(&self.terms)
    }
}

pin_project! {
    /// What [`Verify`] returns: the inner service's future, or an answer of its own.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Admitted { #[pin] inner: F },
        Refused { answer: Answer, grpc: bool },
    }
}

impl<F> ResponseFuture<F> {
    fn admitted(inner: F) -> Self {
        Self {
            state: State::Admitted { inner },
        }
    }

    fn refused(answer: Answer, grpc: bool) -> Self {
        Self {
            state: State::Refused { answer, grpc },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Admitted { inner } => inner.poll(cx),
            StateProjection::Refused { answer, grpc: true } => {
                Poll::Ready(Ok(answer.to_grpc_response()))
            }
            StateProjection::Refused { answer, .. } => Poll::Ready(Ok(answer.to_response())),
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl Answer {
    /// As an HTTP response with an empty body.
    pub fn to_response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        self.add_headers(response.headers_mut());
        response
    }

    /// As a gRPC response that is trailers only: the status is 200, whatever happened, and the
    /// headers tell.
    pub fn to_grpc_response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        self.add_headers(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, HeaderValue::from(self.grpc_status()));
        headers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.message));
        response
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code whose HTTP mapping it is, in google.rpc.Code; else that of an internal error.
    fn grpc_status(&self) -> u16 {
        match self.status {
            400 => 3,
            401 => 16,
            403 => 7,
            503 => 14,
            _ => 13,
        }
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        let challenge = self.www_authenticate.as_ref();
        if let Some(challenge) = challenge.and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, after.as_secs().into());
        }
    }
}

/// gRPC over HTTP/2; a client of gRPC-Web understands HTTP's answers.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match content_type.and_then(|it| it.strip_prefix(b"application/grpc")) {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';')),
        None => false,
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
