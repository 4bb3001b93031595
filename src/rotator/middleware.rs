//! What the outbound layer does, for clients that are built with [`reqwest_middleware`]: the latest
//! token goes with requests to the [`Origins`] that were told, and a request whose token a resource
//! refuses is sent once more, with another token and if its body is no stream.
//!
//! ```
//! # fn run(client: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use steadfast::policy::IssuancePolicy;
//! use steadfast::rotator::{ClientCredentials, Origins, Rotator, RotatorMiddleware};
//!
//! let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders", "secret")?;
//! let rotator = Rotator::new(grant, IssuancePolicy::default());
//! let token = RotatorMiddleware::new(rotator, Origins::new("https://orders.example")?);
//!
//! let client = reqwest_middleware::ClientBuilder::new(client).with(token).build();
//! let request = client.get("https://orders.example/open");
//! # let _ = request;
//! # Ok(())
//! # }
//! ```
//!
//! A middleware that retries goes before it, so that each try has the latest token.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

use super::origins::Origin;
use super::outbound::{Outbound, is_refusal, is_repeatable, present};
use super::{Origins, Rotator};

/// Sends requests with the latest token. See the [module](self).
///
/// Where there is no token, the request is not sent, and the error is
/// [`Middleware`](reqwest_middleware::Error::Middleware) over [`Error`](super::Error).
#[derive(Clone, Debug)]
pub struct RotatorMiddleware(Outbound);

impl RotatorMiddleware {
    /// Sends `rotator`'s token to `origins`.
    pub fn new(rotator: Rotator, origins: Origins) -> Self {
        Self(Outbound::new(rotator, origins))
    }
}

#[async_trait]
impl Middleware for RotatorMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let Self(outbound) = self;
        let target = Origin::of_url(request.url());
        if !outbound.concerns(target.as_ref(), request.headers()) {
            return next.run(request, extensions).await;
        }
        let token = outbound.token().await;
        let token = token.map_err(reqwest_middleware::Error::middleware)?;
        let copy = request.try_clone();
        let (method, url) = (request.method().clone(), request.url().clone());
        present(&token, request.headers_mut());
        let response = next.clone().run(request, extensions).await?;
        let answered = Origin::of_url(response.url());
        let (status, headers) = (response.status(), response.headers());
        if !is_refusal(target.as_ref(), answered.as_ref(), status, headers) {
            return Ok(response);
        }
        let repeatable = is_repeatable(&method, Some(&url), Some(response.url()));
        let Some(mut again) = copy.filter(|_| repeatable) else {
            outbound.refused_for_good(&token);
            return Ok(response);
        };
        let Some(other) = outbound.after_refusal(&token).await else {
            return Ok(response);
        };
        // Its connection is of use for the replay.
        drop(response);
        present(&other, again.headers_mut());
        next.run(again, extensions).await
    }
}
