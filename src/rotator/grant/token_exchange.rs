use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::Response;

use super::AssertionSource;
use crate::rotator::client::Client;
use crate::rotator::error::IssueError;
use crate::rotator::{Answer, Grant, Requesting, Try, answer};

/// Token exchange (RFC 8693 2.1): a token about a subject, and perhaps one about who acts for it,
/// against an access token for elsewhere.
#[derive(Clone)]
pub struct TokenExchange {
    client: Client,
    subject: Party,
    actor: Option<Party>,
    requested_token_type: Option<TokenType>,
}

/// Whose token it is, its type, and where it comes from.
#[derive(Clone)]
struct Party {
    name: String,
    token_type: TokenType,
    source: Arc<dyn AssertionSource>,
}

impl Party {
    fn new(name: String, token_type: TokenType, source: impl AssertionSource) -> Self {
        Self {
            name,
            token_type,
            source: Arc::new(source),
        }
    }
}

impl TokenExchange {
    /// A grant for `subject`, whom the tokens of `source` are about; they are of `token_type`. The
    /// name is part of the store key and is not sent: it keeps one subject from getting the token of
    /// another.
    pub fn new(
        client: Client,
        subject: impl Into<String>,
        token_type: TokenType,
        source: impl AssertionSource,
    ) -> Self {
        Self {
            client,
            subject: Party::new(subject.into(), token_type, source),
            actor: None,
            requested_token_type: None,
        }
    }

    /// Names who acts for the subject, as the tokens of `source` prove (`actor_token`).
    #[must_use]
    pub fn actor(
        self,
        actor: impl Into<String>,
        token_type: TokenType,
        source: impl AssertionSource,
    ) -> Self {
        Self {
            actor: Some(Party::new(actor.into(), token_type, source)),
            ..self
        }
    }

    /// Asks for a type of token (`requested_token_type`). Whatever comes is handed out as an access
    /// token, or refused.
    #[must_use]
    pub fn requested_token_type(self, token_type: TokenType) -> Self {
        Self {
            requested_token_type: Some(token_type),
            ..self
        }
    }
}

impl Grant for TokenExchange {
    fn client(&self) -> &Client {
        &self.client
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut facts = self.client.facts("token_exchange");
        facts.push(("subject", (&*self.subject.name).into()));
        facts.push(("subject_token_type", self.subject.token_type.uri().into()));
        if let Some(actor) = &self.actor {
            facts.push(("actor", (&*actor.name).into()));
            facts.push(("actor_token_type", actor.token_type.uri().into()));
        }
        if let Some(requested) = &self.requested_token_type {
            facts.push(("requested_token_type", requested.uri().into()));
        }
        facts
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        Box::pin(async move {
            let subject = self.subject.source.assertion().await?;
            let actor = match &self.actor {
                Some(actor) => Some((actor.source.assertion().await?, actor.token_type.uri())),
                None => None,
            };
            let mut own = vec![
                ("grant_type", GRANT_TYPE),
                ("subject_token", subject.expose()),
                ("subject_token_type", self.subject.token_type.uri()),
            ];
            if let Some((token, token_type)) = &actor {
                own.extend([
                    ("actor_token", token.expose()),
                    ("actor_token_type", token_type),
                ]);
            }
            if let Some(requested) = &self.requested_token_type {
                own.push(("requested_token_type", requested.uri()));
            }
            self.client.request(this, &own)
        })
    }

    fn read(&self, this: &Try, response: &Response<Vec<u8>>) -> Result<Answer, IssueError> {
        let read = self.client.read(this, response)?;
        answer::check_issued_type(response)?;
        Ok(read)
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("client", &self.client)
            .field("subject", &self.subject.name)
            .field("actor", &self.actor.as_ref().map(|it| &it.name))
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What a token is (RFC 8693 3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// An access token of the service that is asked.
    AccessToken,
    /// A refresh token of the service that is asked.
    RefreshToken,
    /// An ID Token (OpenID Connect Core 2).
    IdToken,
    /// A SAML 1.1 assertion, in base64url.
    Saml1,
    /// A SAML 2.0 assertion, in base64url.
    Saml2,
    /// A JWT.
    Jwt,
    /// Another one: its URI.
    Other(String),
}

impl TokenType {
    /// As it is sent.
    pub fn uri(&self) -> &str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Saml1 => "urn:ietf:params:oauth:token-type:saml1",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::Other(uri) => uri,
        }
    }
}
