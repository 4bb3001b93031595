//! What a client asks with: its grant, and what goes with the request whatever the grant.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::credential::{Method, file, named};
use super::error::{ConfigError, bad, missing, wrong};
use super::{Proof, Settings};
use crate::rotator::{
    AssertionFile, Client, ClientCredentials, Grant, JwtBearer, Preset, RefreshTokenGrant,
    SamlBearer, TokenExchange, TokenType,
};
use crate::transport::Endpoint;

impl Settings {
    pub(super) fn grant(&self, proof: Proof) -> Result<Arc<dyn Grant>, ConfigError> {
        let kind = self.kind()?;
        self.check_settings_of(kind)?;
        let client = self.asking_client(kind, proof)?;
        let grant: Arc<dyn Grant> = match kind {
            Kind::ClientCredentials => Arc::new(ClientCredentials::from(client)),
            Kind::SamlBearer => {
                let assertion = assertion(&self.assertion_file, "assertion-file")?;
                Arc::new(SamlBearer::new(client, self.subject()?, assertion))
            }
            Kind::JwtBearer => {
                let assertion = assertion(&self.assertion_file, "assertion-file")?;
                Arc::new(JwtBearer::new(client, self.subject()?, assertion))
            }
            Kind::TokenExchange => Arc::new(self.exchange(client)?),
            Kind::RefreshToken => {
                let path = named(&self.refresh_token_file, "refresh-token-file")?;
                let initial = file(path, proof)?;
                Arc::new(RefreshTokenGrant::new(client, self.subject()?, initial))
            }
        };
        self.check_sent(&*grant)?;
        Ok(grant)
    }

    /// Files that are written anew all the time, so that one may be missing for a moment.
    pub(super) fn assertions(&self) -> Vec<PathBuf> {
        let files = [
            &self.assertion_file,
            &self.subject_token_file,
            &self.actor_token_file,
        ];
        files.into_iter().flatten().cloned().collect()
    }

    fn kind(&self) -> Result<Kind, ConfigError> {
        match self.grant.as_deref() {
            None | Some("client_credentials") => Ok(Kind::ClientCredentials),
            Some("saml2-bearer") => Ok(Kind::SamlBearer),
            Some("jwt-bearer") => Ok(Kind::JwtBearer),
            Some("token-exchange") => Ok(Kind::TokenExchange),
            Some("refresh_token") => Ok(Kind::RefreshToken),
            Some(_) => Err(bad("grant", UNKNOWN_GRANT)),
        }
    }

    /// A setting of another grant would be without effect, which nobody who writes it expects.
    fn check_settings_of(&self, kind: Kind) -> Result<(), ConfigError> {
        use Kind::{JwtBearer, RefreshToken, SamlBearer, TokenExchange};
        let with_subject: &[Kind] = &[SamlBearer, JwtBearer, TokenExchange, RefreshToken];
        let (assertion, exchange) = (&[SamlBearer, JwtBearer][..], &[TokenExchange][..]);
        for (setting, given, kinds) in [
            ("subject", self.subject.is_some(), with_subject),
            ("assertion-file", self.assertion_file.is_some(), assertion),
            (
                "subject-token-file",
                self.subject_token_file.is_some(),
                exchange,
            ),
            (
                "subject-token-type",
                self.subject_token_type.is_some(),
                exchange,
            ),
            ("actor", self.actor.is_some(), exchange),
            (
                "actor-token-file",
                self.actor_token_file.is_some(),
                exchange,
            ),
            (
                "actor-token-type",
                self.actor_token_type.is_some(),
                exchange,
            ),
            (
                "requested-token-type",
                self.requested_token_type.is_some(),
                exchange,
            ),
            (
                "refresh-token-file",
                self.refresh_token_file.is_some(),
                &[RefreshToken],
            ),
        ] {
            if given && !kinds.contains(&kind) {
                let grant = self.grant.as_deref().unwrap_or("client_credentials");
                return Err(bad(setting, format_args!("not for the grant {grant}")));
            }
        }
        Ok(())
    }

    fn asking_client(&self, kind: Kind, proof: Proof) -> Result<Client, ConfigError> {
        let url = self.token_url.as_deref().ok_or(missing("token-url"))?;
        let endpoint = Endpoint::new(url).map_err(|it| bad("token-url", it))?;
        let method = self.method()?;
        if (kind, method) == (Kind::ClientCredentials, Method::None) {
            return Err(bad("client-auth", NOT_PUBLIC));
        }
        // RFC 7521 4.1: whoever brings an assertion may be nobody in particular.
        let id = match (&self.client_id, method) {
            (Some(id), _) => id,
            (None, Method::None) => "",
            (None, _) => return Err(missing("client-id")),
        };
        let client = match self.credential(method, proof)? {
            Some(credential) => Client::at(endpoint, id, credential),
            None => Client::public_at(endpoint, id),
        };
        let client = client.preset(self.preset(kind)?);
        self.asking(match method {
            Method::Secret(Some(way)) => client.authentication(way),
            _ => client,
        })
    }

    fn preset(&self, kind: Kind) -> Result<Preset, ConfigError> {
        let preset = match &self.provider {
            Some(name) => Preset::from_str(name).map_err(|it| bad("provider", it))?,
            None => Preset::default(),
        };
        let in_its_own_name = kind == Kind::ClientCredentials;
        if in_its_own_name && preset.requires_audience() && self.audience.is_none() {
            return Err(missing("audience"));
        }
        Ok(preset)
    }

    fn asking(&self, mut client: Client) -> Result<Client, ConfigError> {
        for scope in &self.scope {
            client = client.scope(scope);
        }
        for resource in &self.resource {
            client = client.resource(resource);
        }
        if let Some(audience) = &self.audience {
            client = client.audience(audience);
        }
        for (name, value) in &self.parameters {
            client = client.parameter(name, value);
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_str(name).map_err(|it| wrong("[headers]", it))?;
            let value = HeaderValue::from_str(value).map_err(|it| wrong("[headers]", it))?;
            client = client.header(name, value);
        }
        Ok(client)
    }

    /// Names that the request needs for itself are passed by, which must not go unnoticed.
    fn check_sent(&self, grant: &dyn Grant) -> Result<(), ConfigError> {
        let facts = grant.facts();
        for (fact, table, given) in [
            ("parameter", "[parameters]", &self.parameters),
            ("header", "[headers]", &self.headers),
        ] {
            let is_sent = |name: &String| {
                let mut sent = facts.iter().filter(|(it, _)| *it == fact);
                sent.any(|(_, it)| it.eq_ignore_ascii_case(name))
            };
            if let Some(name) = given.keys().find(|name| !is_sent(name)) {
                return Err(wrong(table, format_args!("{name} is not for you to set")));
            }
        }
        Ok(())
    }

    fn subject(&self) -> Result<&str, ConfigError> {
        self.subject.as_deref().ok_or(missing("subject"))
    }

    fn exchange(&self, client: Client) -> Result<TokenExchange, ConfigError> {
        let subject_token = assertion(&self.subject_token_file, "subject-token-file")?;
        let its_type = token_type(&self.subject_token_type, "subject-token-type")?;
        let its_type = its_type.unwrap_or(TokenType::AccessToken);
        let mut grant = TokenExchange::new(client, self.subject()?, its_type, subject_token);
        if let Some(wanted) = token_type(&self.requested_token_type, "requested-token-type")? {
            grant = grant.requested_token_type(wanted);
        }
        self.acting(grant)
    }

    /// A name without its token proves nothing, and a token without a name may be anybody's.
    fn acting(&self, grant: TokenExchange) -> Result<TokenExchange, ConfigError> {
        if (&self.actor, &self.actor_token_file, &self.actor_token_type) == (&None, &None, &None) {
            return Ok(grant);
        }
        let actor = self.actor.as_deref().ok_or(missing("actor"))?;
        let actor_token = assertion(&self.actor_token_file, "actor-token-file")?;
        let its_type = token_type(&self.actor_token_type, "actor-token-type")?;
        let its_type = its_type.unwrap_or(TokenType::AccessToken);
        Ok(grant.actor(actor, its_type, actor_token))
    }
}

/// By the names of the IANA registry of grant types, of a URN the last word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ClientCredentials,
    SamlBearer,
    JwtBearer,
    TokenExchange,
    RefreshToken,
}

const UNKNOWN_GRANT: &str =
    "expected client_credentials, saml2-bearer, jwt-bearer, token-exchange or refresh_token";

/// RFC 6749 4.4
const NOT_PUBLIC: &str = "a client without a credential has no client_credentials";

/// Read again at each try; there or not, a token that lives is served.
fn assertion(path: &Option<PathBuf>, setting: &'static str) -> Result<AssertionFile, ConfigError> {
    Ok(AssertionFile::new(named(path, setting)?))
}

/// By the last word of its URN (RFC 8693 3), or by its URI.
fn token_type(
    name: &Option<String>,
    setting: &'static str,
) -> Result<Option<TokenType>, ConfigError> {
    Ok(Some(match name.as_deref() {
        None => return Ok(None),
        Some("access_token") => TokenType::AccessToken,
        Some("refresh_token") => TokenType::RefreshToken,
        Some("id_token") => TokenType::IdToken,
        Some("saml1") => TokenType::Saml1,
        Some("saml2") => TokenType::Saml2,
        Some("jwt") => TokenType::Jwt,
        Some(uri) if uri.contains(':') => TokenType::Other(uri.into()),
        Some(_) => return Err(bad(setting, UNKNOWN_TYPE)),
    }))
}

const UNKNOWN_TYPE: &str =
    "expected access_token, refresh_token, id_token, saml1, saml2, jwt or a URI";
