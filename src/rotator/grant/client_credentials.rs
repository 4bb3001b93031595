use std::borrow::Cow;

use http::header::{HeaderName, HeaderValue};

use crate::rotator::auth::Credential;
use crate::rotator::client::Client;
use crate::rotator::client_auth::ClientAuth;
use crate::rotator::error::{IssueError, Reason};
use crate::rotator::preset::Preset;
use crate::rotator::{Grant, Requesting, Try};
use crate::transport::{Endpoint, EndpointError};

/// The client credentials grant (RFC 6749 4.4): a client asks in its own name.
///
/// ```
/// use steadfast::rotator::{ClientCredentials, Preset};
///
/// let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders", "s3cret")?
///     .preset(Preset::Uaa)
///     .scope("orders:read")
///     .resource("https://orders.example");
/// assert!(!format!("{grant:?}").contains("s3cret"));
/// # Ok::<(), steadfast::transport::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    client: Client,
}

impl From<Client> for ClientCredentials {
    fn from(client: Client) -> Self {
        Self { client }
    }
}

impl ClientCredentials {
    /// A grant at `token_url`, with nothing else asked for; see [`Client::new`].
    ///
    /// # Errors
    ///
    /// If the URL is none that may be asked, see [`Endpoint::new`].
    pub fn new(
        token_url: &str,
        client_id: impl Into<String>,
        credential: impl Into<Credential>,
    ) -> Result<Self, EndpointError> {
        Ok(Client::new(token_url, client_id, credential)?.into())
    }

    /// Like [`Self::new`] for an endpoint that was checked before.
    pub fn at(
        endpoint: Endpoint,
        client_id: impl Into<String>,
        credential: impl Into<Credential>,
    ) -> Self {
        Client::at(endpoint, client_id, credential).into()
    }

    /// [`Client::preset`]
    #[must_use]
    pub fn preset(self, preset: Preset) -> Self {
        self.client.preset(preset).into()
    }

    /// [`Client::authentication`]
    #[must_use]
    pub fn authentication(self, authentication: ClientAuth) -> Self {
        self.client.authentication(authentication).into()
    }

    /// [`Client::scope`]
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.client.scope(scope).into()
    }

    /// [`Client::audience`]
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.client.audience(audience).into()
    }

    /// [`Client::resource`]
    #[must_use]
    pub fn resource(self, resource: impl Into<String>) -> Self {
        self.client.resource(resource).into()
    }

    /// [`Client::ask_jwt_with`]
    #[must_use]
    pub fn ask_jwt_with(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.client.ask_jwt_with(name, value).into()
    }

    /// [`Client::parameter`]
    #[must_use]
    pub fn parameter(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.client.parameter(name, value).into()
    }

    /// [`Client::header`]
    #[must_use]
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.client.header(name, value).into()
    }
}

impl Grant for ClientCredentials {
    fn client(&self) -> &Client {
        &self.client
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        self.client.facts("client_credentials")
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        // RFC 6749 4.4.2
        let own = [("grant_type", "client_credentials")];
        Box::pin(async move {
            if self.client.lacks_audience() {
                return Err(IssueError::permanent(Reason::NoAudience));
            }
            self.client.request(this, &own)
        })
    }
}
