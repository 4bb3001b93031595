//! What a client asks the token endpoint for: a grant as a request. Pure; what comes back is read in
//! [`answer`](super::answer).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response};

use super::answer::read_answer;
use super::auth::{ClientAuth, Form, SecretSource};
use super::error::{IssueError, Reason};
use super::store::{CredentialTag, StoreKey};
use super::{Answer, Grant, Try};
use crate::token::ClientSecret;
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
    endpoint: Endpoint,
    client_id: String,
    secret: SecretSource,
    authentication: ClientAuth,
    scope: String,
    audience: Option<String>,
    resources: Vec<String>,
    jwt_parameter: Option<(String, String)>,
}

impl ClientCredentials {
    /// A grant at `token_url`, with HTTP Basic and nothing else asked for. The secret is given as a
    /// text, or as the path of a file that is read for each try; see [`SecretSource`].
    ///
    /// # Errors
    ///
    /// If the URL is none that may be asked, see [`Endpoint::new`].
    pub fn new(
        token_url: &str,
        client_id: impl Into<String>,
        secret: impl Into<SecretSource>,
    ) -> Result<Self, EndpointError> {
        Ok(Self::at(Endpoint::new(token_url)?, client_id, secret))
    }

    /// Like [`Self::new`] for an endpoint that was checked before.
    pub fn at(
        endpoint: Endpoint,
        client_id: impl Into<String>,
        secret: impl Into<SecretSource>,
    ) -> Self {
        Self {
            endpoint,
            client_id: client_id.into(),
            secret: secret.into(),
            authentication: ClientAuth::default(),
            scope: String::new(),
            audience: None,
            resources: Vec::new(),
            jwt_parameter: None,
        }
    }

    /// Sets client authentication and the parameter that asks for a JWT as the provider has them.
    #[must_use]
    pub fn preset(self, preset: Preset) -> Self {
        Self {
            authentication: preset.authentication(),
            jwt_parameter: preset
                .jwt_parameter()
                .map(|(name, value)| (name.into(), value.into())),
            ..self
        }
    }

    /// Sets how the client authenticates.
    #[must_use]
    pub fn authentication(self, authentication: ClientAuth) -> Self {
        Self {
            authentication,
            ..self
        }
    }

    /// Asks for a scope, or for several with spaces between them (RFC 6749 3.3), besides those
    /// asked for before.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        for scope in scope.split_whitespace() {
            if !self.scope.is_empty() {
                self.scope.push(' ');
            }
            self.scope.push_str(scope);
        }
        self
    }

    /// Names the audience, as Auth0 and others want it.
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self {
            audience: Some(audience.into()),
            ..self
        }
    }

    /// Names a resource (RFC 8707 2), besides those named before.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Sets the parameter that asks for a JWT where the policy wants one, such as
    /// `token_format=jwtrfc`.
    #[must_use]
    pub fn ask_jwt_with(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            jwt_parameter: Some((name.into(), value.into())),
            ..self
        }
    }

    /// The body of the request (RFC 6749 4.4.2).
    fn form(&self, ask_for_jwt: bool) -> Form {
        let mut form = Form::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scope.is_empty() {
            form.append_pair("scope", &self.scope);
        }
        if let Some(audience) = &self.audience {
            form.append_pair("audience", audience);
        }
        for resource in &self.resources {
            form.append_pair("resource", resource);
        }
        if let (true, Some((name, value))) = (ask_for_jwt, &self.jwt_parameter) {
            form.append_pair(name, value);
        }
        form
    }
}

impl Grant for ClientCredentials {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut facts = vec![
            ("endpoint", Cow::from(self.endpoint.as_str())),
            ("grant", "client_credentials".into()),
            ("client", (&*self.client_id).into()),
            ("scope", sorted(self.scope.split(' ')).into()),
        ];
        facts.extend(self.audience.iter().map(|it| ("audience", it.into())));
        let resources: BTreeSet<&String> = self.resources.iter().collect();
        facts.extend(resources.into_iter().map(|it| ("resource", it.into())));
        if let Some((name, value)) = &self.jwt_parameter {
            facts.extend([("jwt_parameter", name.into()), ("jwt_value", value.into())]);
        }
        facts
    }

    fn credential(&self, key: &StoreKey) -> CredentialTag {
        // A secret that is not to be had differs from any that got a token: the next try will tell.
        let secret = self.secret.read().ok();
        CredentialTag::of(
            key,
            secret.as_ref().map_or("", ClientSecret::expose).as_bytes(),
        )
    }

    fn scope(&self) -> Option<&str> {
        (!self.scope.is_empty()).then_some(&*self.scope)
    }

    fn can_ask_for_jwt(&self) -> bool {
        self.jwt_parameter.is_some()
    }

    fn request(&self, this: &Try) -> Result<Request<Vec<u8>>, IssueError> {
        let secret = self.secret.read();
        let secret = secret.map_err(|_| IssueError::transient(Reason::NoCredential))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let mut form = self.form(this.ask_for_jwt);
        self.authentication
            .apply(&self.client_id, &secret, &mut headers, &mut form);
        let mut request = Request::new(form.finish().into_bytes());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri();
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn read(&self, this: &Try, response: &Response<Vec<u8>>) -> Result<Answer, IssueError> {
        read_answer(response, this, self.secret.read().ok().as_ref())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<&str> = words.collect();
    Vec::from_iter(words).join(" ")
}

/// The way of a provider that is known by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// Any RFC 6749 service: HTTP Basic, form-encoded; a JWT is not asked for by a parameter.
    #[default]
    Generic,
    /// SAP BTP Neo: HTTP Basic, raw; `token_format=jwtrfc`.
    Neo,
    /// Cloud Foundry UAA: HTTP Basic, form-encoded and announced so; `token_format=jwt`.
    Uaa,
}

impl Preset {
    fn authentication(self) -> ClientAuth {
        match self {
            Self::Generic => ClientAuth::Basic,
            Self::Neo => ClientAuth::BasicRaw,
            Self::Uaa => ClientAuth::BasicAnnounced,
        }
    }

    fn jwt_parameter(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Generic => None,
            Self::Neo => Some(("token_format", "jwtrfc")),
            Self::Uaa => Some(("token_format", "jwt")),
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "generic" => Ok(Self::Generic),
            "neo" => Ok(Self::Neo),
            "uaa" => Ok(Self::Uaa),
            _ => Err(UnknownPreset),
        }
    }
}

/// The text names no [`Preset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPreset;

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected generic, neo or uaa")
    }
}

impl std::error::Error for UnknownPreset {}
