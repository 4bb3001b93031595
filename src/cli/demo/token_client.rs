//! What the two common strategies share: a plain client of the token endpoint.

use std::time::Duration;

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use url::form_urlencoded;

use super::chronicle::{Failure, Strategy};
use super::setting::{Setting, basic};
use super::wire::{Side, Wire, lifetime};
use crate::token::{AccessToken, TokenFormat};
use crate::transport::Endpoint;

/// Asks the token endpoint by client credentials (RFC 6749 4.4) whenever it is told to, with the
/// usual one retry.
pub(super) struct TokenClient {
    wire: Wire,
    endpoint: Endpoint,
    credentials: HeaderValue,
    form: String,
}

impl TokenClient {
    /// A client whose tokens are for the resource servers, of this format.
    pub(super) fn new(
        setting: &Setting,
        strategy: Strategy,
        format: TokenFormat,
    ) -> Result<Self, InvalidHeaderValue> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("audience", Setting::AUDIENCE);
        if format == TokenFormat::Jwt {
            form.append_pair("token_format", "jwtrfc");
        }
        Ok(Self {
            wire: setting.wire(strategy, Side::Client),
            endpoint: setting.token_url.clone(),
            credentials: basic(strategy.client_id())?,
            form: form.finish(),
        })
    }

    /// Gets a new token, and how long it lives.
    pub(super) async fn issue(&self) -> Result<(AccessToken, Duration), Failure> {
        let answer = self
            .wire
            .post(&self.endpoint, &self.credentials, &self.form);
        let body = answer.await.map_err(Failure::NoToken)?;
        read(&body).ok_or_else(|| Failure::NoToken("the answer cannot be read".into()))
    }
}

fn read(body: &[u8]) -> Option<(AccessToken, Duration)> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let token = answer.get("access_token")?.as_str()?;
    Some((AccessToken::new(token)?, lifetime(body)?))
}
