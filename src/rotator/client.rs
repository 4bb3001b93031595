//! A client as the token endpoint knows it (RFC 6749 2): what the requests of every grant share.

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::header::{self, ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Method, Request, Response};

use super::answer::read_with_view;
use super::auth::{Applicant, Credential, Drafted};
use super::client_auth::{ClientAuth, Form};
use super::error::{IssueError, Reason};
use super::preset::Preset;
use super::store::{CredentialTag, StoreKey};
use super::{Answer, Try};
use crate::transport::{Endpoint, EndpointError};

/// A client with its token endpoint, and what it asks for whatever the grant.
///
/// ```
/// use http::{HeaderName, HeaderValue};
/// use steadfast::rotator::{Client, ClientCredentials, Preset};
///
/// let client = Client::new("https://login.example/oauth2/token", "orders", "s3cret")?
///     .preset(Preset::Xsuaa)
///     .parameter("app_tid", "7f3e")
///     .header(HeaderName::from_static("x-zid"), HeaderValue::from_static("7f3e"));
/// let grant = ClientCredentials::from(client);
/// # Ok::<(), steadfast::transport::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    id: String,
    /// None: a public client (RFC 6749 2.1).
    credential: Option<Credential>,
    preset: Preset,
    authentication: ClientAuth,
    scope: String,
    audience: Option<String>,
    resources: Vec<String>,
    jwt_parameter: Option<(String, String)>,
    parameters: Vec<(String, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Facts as [`Grant::facts`](super::Grant::facts) has them.
pub(super) type Facts<'a> = Vec<(&'static str, Cow<'a, str>)>;

impl Client {
    /// A client at `token_url` that asks for nothing in particular. A secret is given as a text, or
    /// as the path of a file that is read for each try, and sent by HTTP Basic; a
    /// [`PrivateKeyJwt`](super::PrivateKeyJwt) or a
    /// [`ClientCertificate`](super::ClientCertificate) does as well. See [`Credential`].
    ///
    /// # Errors
    ///
    /// If the URL is none that may be asked, see [`Endpoint::new`].
    pub fn new(
        token_url: &str,
        client_id: impl Into<String>,
        credential: impl Into<Credential>,
    ) -> Result<Self, EndpointError> {
        Ok(Self::at(Endpoint::new(token_url)?, client_id, credential))
    }

    /// Like [`Self::new`] for an endpoint that was checked before.
    pub fn at(
        endpoint: Endpoint,
        client_id: impl Into<String>,
        credential: impl Into<Credential>,
    ) -> Self {
        let public = Self::public_at(endpoint, client_id);
        Self {
            credential: Some(credential.into()),
            ..public
        }
    }

    /// A public client (RFC 6749 2.1): it proves nothing, and names itself by `client_id` in the
    /// body. An empty id is not sent: RFC 7521 4.1 wants none beside an assertion.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn public(token_url: &str, client_id: impl Into<String>) -> Result<Self, EndpointError> {
        Ok(Self::public_at(Endpoint::new(token_url)?, client_id))
    }

    /// Like [`Self::public`] for an endpoint that was checked before.
    pub fn public_at(endpoint: Endpoint, client_id: impl Into<String>) -> Self {
        Self {
            endpoint,
            id: client_id.into(),
            credential: None,
            preset: Preset::default(),
            authentication: ClientAuth::default(),
            scope: String::new(),
            audience: None,
            resources: Vec::new(),
            jwt_parameter: None,
            parameters: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Sets all that is particular to a provider, client authentication and the parameter that asks
    /// for a JWT among it.
    #[must_use]
    pub fn preset(self, preset: Preset) -> Self {
        Self {
            preset,
            authentication: preset.authentication(),
            jwt_parameter: preset
                .jwt_parameter()
                .map(|(name, value)| (name.into(), value.into())),
            ..self
        }
    }

    /// Sets where the client's secret goes.
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

    /// Adds a parameter of the provider's own to the body, such as `app_tid`. No place for secrets:
    /// it is part of what `Debug` shows. One with the name of a parameter that the grant, the client's
    /// authentication or the setting for JWTs may send is passed by.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Adds a header of the provider's own, such as `x-zid`; a later one of the same name replaces
    /// it. Those that the request needs for itself (`Authorization`, `Content-Type`, `Accept`, and
    /// what belongs to the connection) are passed by. Its value is never printed.
    #[must_use]
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        // It may be a gateway's key.
        value.set_sensitive(true);
        if !OWN_HEADERS.contains(&name) {
            self.headers.retain(|(it, _)| *it != name);
            self.headers.push((name, value));
        }
        self
    }

    /// The token endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn facts(&self, grant: &'static str) -> Facts<'_> {
        let mut facts = vec![
            ("endpoint", Cow::from(self.endpoint.as_str())),
            ("grant", grant.into()),
            ("client", (&*self.id).into()),
            ("scope", sorted(self.scope.split(' ')).into()),
        ];
        facts.extend(self.audience.iter().map(|it| ("audience", it.into())));
        let resources: BTreeSet<&String> = self.resources.iter().collect();
        facts.extend(resources.into_iter().map(|it| ("resource", it.into())));
        if let Some((name, value)) = &self.jwt_parameter {
            facts.extend([("jwt_parameter", name.into()), ("jwt_value", value.into())]);
        }
        if let Some(credential) = &self.credential {
            facts.extend(credential.fact());
        }
        let parameters: BTreeSet<_> = self.own_parameters().collect();
        for (name, value) in parameters {
            facts.extend([("parameter", name.into()), ("value", value.into())]);
        }
        let headers: BTreeSet<_> = self.headers.iter().map(header_text).collect();
        for (name, value) in headers {
            facts.extend([("header", name.into()), ("value", value)]);
        }
        facts
    }

    pub(super) fn credential(&self, key: &StoreKey) -> CredentialTag {
        match &self.credential {
            Some(credential) => credential.tag(key),
            None => CredentialTag::of(key, b""),
        }
    }

    /// Whether the provider wants an audience for a token in the client's own name, and none is named.
    pub(super) fn lacks_audience(&self) -> bool {
        self.preset.requires_audience() && self.audience.is_none()
    }

    pub(super) fn asked_scope(&self) -> Option<&str> {
        (!self.scope.is_empty()).then_some(&*self.scope)
    }

    pub(super) fn can_ask_for_jwt(&self) -> bool {
        self.jwt_parameter.is_some()
    }

    /// The request of one try: `own` are the grant's parameters, `grant_type` the first among them.
    pub(super) fn request(
        &self,
        this: &Try,
        own: &[(&str, &str)],
    ) -> Result<Request<Vec<u8>>, IssueError> {
        let mut headers: HeaderMap = self.headers.iter().cloned().collect();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let mut draft = Drafted {
            headers,
            form: self.form(own, this.ask_for_jwt),
            extensions: Extensions::new(),
        };
        self.authenticate(this, &mut draft)?;
        let mut request = Request::new(draft.form.finish().into_bytes());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri();
        *request.headers_mut() = draft.headers;
        *request.extensions_mut() = draft.extensions;
        Ok(request)
    }

    fn form(&self, own: &[(&str, &str)], ask_for_jwt: bool) -> Form {
        let length: usize = own
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        // Room for all of it, each byte of a secret encoded: a buffer that grows leaves copies behind.
        let mut form = Form::new(String::with_capacity(3 * length + FOR_THE_REST));
        form.extend_pairs(own);
        if !self.scope.is_empty() {
            form.append_pair("scope", &self.scope);
        }
        if let Some(audience) = &self.audience {
            form.append_pair("audience", audience);
        }
        for resource in &self.resources {
            form.append_pair("resource", resource);
        }
        form.extend_pairs(self.own_parameters());
        if let (true, Some((name, value))) = (ask_for_jwt, &self.jwt_parameter) {
            form.append_pair(name, value);
        }
        form
    }

    fn own_parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let asks_for_jwt = |name: &str| self.jwt_parameter.as_ref().is_some_and(|it| it.0 == name);
        let all = self
            .parameters
            .iter()
            .map(|(name, value)| (&**name, &**value));
        all.filter(move |(name, _)| !GRANTS_PARAMETERS.contains(name) && !asks_for_jwt(name))
    }

    fn authenticate(&self, this: &Try, draft: &mut Drafted) -> Result<(), IssueError> {
        let Some(credential) = &self.credential else {
            if !self.id.is_empty() {
                draft.form.append_pair("client_id", &self.id);
            }
            return Ok(());
        };
        let applicant = Applicant {
            id: &self.id,
            endpoint: &self.endpoint,
            authentication: self.authentication,
            preset: self.preset,
            now: this.asked_at,
        };
        credential
            .apply(&applicant, draft)
            .map_err(|_| IssueError::transient(Reason::NoCredential))
    }

    /// Reads the answer; no error repeats the client's secret.
    pub(super) fn read(
        &self,
        this: &Try,
        response: &Response<Vec<u8>>,
    ) -> Result<Answer, IssueError> {
        let secret = self.credential.as_ref().and_then(Credential::secret);
        read_with_view(response, this, self.preset.token_view(), secret.as_ref())
    }
}

const FOR_THE_REST: usize = 4096;

const FORM: &str = "application/x-www-form-urlencoded";

const OWN_HEADERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::HOST,
    HeaderName::from_static("x-cf-encoded-credentials"),
];

/// RFC 6749, RFC 7521 4, RFC 8693 2.1, RFC 8707 2.
const GRANTS_PARAMETERS: [&str; 16] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "refresh_token",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "scope",
    "audience",
    "resource",
    "code",
];

fn header_text((name, value): &(HeaderName, HeaderValue)) -> (&str, Cow<'_, str>) {
    (name.as_str(), String::from_utf8_lossy(value.as_bytes()))
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<&str> = words.collect();
    Vec::from_iter(words).join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::token::FormatPreference;

    #[test]
    fn a_form_is_written_into_one_buffer() {
        let this = Try {
            asked_at: Timestamp::EPOCH,
            format: FormatPreference::Opaque,
            ask_for_jwt: false,
            last_lifetime: None,
            wanted_lifetime: Duration::ZERO,
            successors: Vec::new(),
        };
        let client = Client::new("https://login.example/token", "orders", "s3cret").unwrap();
        let client = client.authentication(ClientAuth::Body);
        let encoded_whole = "/".repeat(10_000);
        let request = client.request(&this, &[("assertion", &encoded_whole)]);
        let body = request.unwrap().into_body();
        assert!(body.len() > 30_000);
        assert_eq!(
            body.capacity(),
            3 * (10_000 + "assertion".len()) + FOR_THE_REST
        );
    }
}
