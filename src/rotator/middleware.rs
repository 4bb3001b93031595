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

use super::outbound::{Outbound, present};
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
        let Some(asked) = outbound.asked(&request) else {
            return next.run(request, extensions).await;
        };
        let token = outbound
            .token()
            .await
            .map_err(reqwest_middleware::Error::middleware)?;
        let copy = request.try_clone();
        present(&token, request.headers_mut());
        let response = next.clone().run(request, extensions).await?;
        let Some(again) = outbound.judge(&asked, &token, &response, copy) else {
            return Ok(response);
        };
        let Some(again) = outbound.renewed(&token, again).await else {
            return Ok(response);
        };
        // Its connection is of use for the replay.
        drop(response);
        next.run(again, extensions).await
    }
}
