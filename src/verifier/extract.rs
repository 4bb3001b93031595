//! [`Verified`] as an extractor of axum 0.8, out of what a [`VerifyLayer`](super::VerifyLayer)
//! verified.
//!
//! ```
//! # fn app(verifier: steadfast::Verifier) -> axum::Router {
//! use axum::{Router, routing::get};
//! use steadfast::verifier::{Verified, VerifyLayer};
//!
//! async fn orders(token: Verified) -> String {
//!     format!("orders of {:?}", token.claims().sub)
//! }
//!
//! async fn greeting(token: Option<Verified>) -> &'static str {
//!     match token {
//!         Some(_) => "hello again",
//!         None => "hello, stranger",
//!     }
//! }
//!
//! Router::new()
//!     .route("/orders", get(orders))
//!     .route("/greeting", get(greeting))
//!     .layer(VerifyLayer::new(verifier).allow_anonymous())
//! # }
//! ```
//!
//! `Verified` asks for a token: where the layer lets anonymous requests pass, one without a token is
//! answered with 401 and a challenge. `Option<Verified>` is `None` for such a request only; a bad
//! token never gets past the layer. On a route without the layer, or with one for another claims
//! type, both are answered with 500 and an event of level error: a layer that was forgotten makes
//! nobody anonymous.

use std::fmt;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::Verified;
use super::challenge::Answer;
use super::layer::NoToken;

impl<S, C> FromRequestParts<S> for Verified<C>
where
    S: Sync,
    C: Send + Sync + 'static,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        verified(parts)
    }
}

impl<S, C> OptionalFromRequestParts<S> for Verified<C>
where
    S: Sync,
    C: Send + Sync + 'static,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        match verified(parts) {
            Ok(verified) => Ok(Some(verified)),
            Err(Rejection::NoToken(_)) => Ok(None),
            Err(misuse) => Err(misuse),
        }
    }
}

fn verified<C: Send + Sync + 'static>(parts: &Parts) -> Result<Verified<C>, Rejection> {
    if let Some(verified) = parts.extensions.get::<Verified<C>>() {
        return Ok(verified.clone());
    }
    match parts.extensions.get::<NoToken<C>>() {
        Some(absent) => Err(Rejection::NoToken(absent.answer())),
        None => {
            tracing::error!("{}", Rejection::NoLayer);
            Err(Rejection::NoLayer)
        }
    }
}

/// Why there is no [`Verified`] to extract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The request came without a token, and the layer let it pass: 401, in the layer's words.
    NoToken(Answer),
    /// A mistake in the server: no [`VerifyLayer`](super::VerifyLayer) around this route, or one
    /// whose verifier reads other claims. 500.
    NoLayer,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken(answer) => answer.message,
            Self::NoLayer => "no layer for these claims verifies tokens on this route",
        })
    }
}

impl std::error::Error for Rejection {}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::NoToken(answer) => answer.into_response(),
            Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// So that a handler may answer, say with
/// [`insufficient_scope`](super::challenge::Challenge::insufficient_scope).
impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.to_response()
    }
}
