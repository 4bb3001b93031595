//! The settings of a client, from flags and from a file: one list for both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::policy::{IssuancePolicy, parse_duration, parse_range};
use crate::rotator::Grant;
use crate::token::FormatPreference;

mod credential;
mod error;
mod file;
mod grant;
mod place;

pub(super) use error::ConfigError;
pub(super) use place::StorePlace;

use error::bad;
use file::one_or_many;

/// What is known of a client. Values are texts here; [`Settings::client`] reads them.
///
/// In TOML the names are those of the flags, with `_` or `-`; `scope` and `resource` are a text or
/// a list of them, and paths are relative to the file. There is no member for a secret itself.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// The same settings as TOML; flags win
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The token endpoint
    #[arg(long, value_name = "URL")]
    #[serde(alias = "token-url")]
    token_url: Option<String>,
    /// The client's id; its secret is in STEADFAST_CLIENT_SECRET or in a file
    #[arg(long, value_name = "ID")]
    #[serde(alias = "client-id")]
    client_id: Option<String>,
    /// A file with the client's secret; one line end is cut
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "client-secret-file")]
    client_secret_file: Option<PathBuf>,
    /// A file with a private key in PEM, which signs assertions about the client (RFC 7523) or goes
    /// with the certificate of tls_client_auth
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "private-key-file")]
    private_key_file: Option<PathBuf>,
    /// What the service calls that key (kid)
    #[arg(long, value_name = "KID")]
    #[serde(alias = "key-id")]
    key_id: Option<String>,
    /// A file with the client's certificate in PEM: assertions name it (x5t#S256), TLS presents it
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "certificate-file")]
    certificate_file: Option<PathBuf>,
    /// What the service is called in assertions, where that is not as the provider has it
    #[arg(long, value_name = "AUD")]
    #[serde(alias = "assertion-audience")]
    assertion_audience: Option<String>,
    /// client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth or none, which is a
    /// public client [default: as the provider has it; with a private key private_key_jwt]
    #[arg(long, value_name = "METHOD")]
    #[serde(alias = "client-auth")]
    client_auth: Option<String>,
    /// What the client asks with: client_credentials, saml2-bearer, jwt-bearer, token-exchange or
    /// refresh_token [default: client_credentials]
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// Whom the tokens are about, by any name that is always the same: needed with every other grant
    /// than client_credentials, as tokens of one subject must not be given to another; not sent
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// A file with an assertion about the subject, read again at each try: for saml2-bearer the XML of
    /// it, for jwt-bearer a JWT
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "assertion-file")]
    assertion_file: Option<PathBuf>,
    /// A file with the token to exchange, read again at each try
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "subject-token-file")]
    subject_token_file: Option<PathBuf>,
    /// access_token, refresh_token, id_token, saml1, saml2, jwt or a URI [default: access_token]
    #[arg(long, value_name = "TYPE")]
    #[serde(alias = "subject-token-type")]
    subject_token_type: Option<String>,
    /// Who acts for the subject in an exchange; not sent
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// A file with the actor's token, read again at each try
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "actor-token-file")]
    actor_token_file: Option<PathBuf>,
    /// Like --subject-token-type [default: access_token]
    #[arg(long, value_name = "TYPE")]
    #[serde(alias = "actor-token-type")]
    actor_token_type: Option<String>,
    /// The type of token to ask for in an exchange, like --subject-token-type
    #[arg(long, value_name = "TYPE")]
    #[serde(alias = "requested-token-type")]
    requested_token_type: Option<String>,
    /// A file with the refresh token that the subject's consent gave; those that replace it are kept
    /// in the store
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "refresh-token-file")]
    refresh_token_file: Option<PathBuf>,
    /// How the service wants to be asked: generic, neo, uaa, xsuaa, ias, auth0, keycloak, entra, okta,
    /// okta-org, cognito, hydra or oidc-provider [default: generic]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// A scope to ask for; may be repeated
    #[arg(long, value_name = "S")]
    #[serde(deserialize_with = "one_or_many")]
    scope: Vec<String>,
    /// The audience to ask for
    #[arg(long, value_name = "A")]
    audience: Option<String>,
    /// A resource to ask for (RFC 8707); may be repeated
    #[arg(long, value_name = "R")]
    #[serde(deserialize_with = "one_or_many")]
    resource: Vec<String>,
    /// prefer-jwt, require-jwt or opaque [default: prefer-jwt]
    #[arg(long)]
    format: Option<String>,
    /// The age at which a token is replaced is drawn from this range [default: 1h..2h]
    #[arg(long, value_name = "RANGE")]
    #[serde(alias = "rotate-every")]
    rotate_every: Option<String>,
    /// How long tokens shall live, at most 24h [default: 12h]
    #[arg(long, value_name = "DURATION")]
    validity: Option<String>,
    /// Tries after the first one, 0 to 2 [default: 1]
    #[arg(long, value_name = "N")]
    retries: Option<u8>,
    /// Renew a token that lives shorter than this, counted to at most half its lifetime
    #[arg(long, value_name = "DURATION")]
    #[serde(alias = "min-validity")]
    min_validity: Option<String>,
    /// The file that tokens are kept in [default: steadfast/tokens.json in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// A file with base64 of 32 random bytes, which tokens are sealed with in the store
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "seal-key-file")]
    seal_key_file: Option<PathBuf>,
    /// A file with the URL of a Redis that tokens are kept in, or else the URL is in
    /// STEADFAST_REDIS_URL; --store wins
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "redis-url-file")]
    redis_url_file: Option<PathBuf>,
    /// Parameters of the provider's own, in TOML only.
    #[arg(skip)]
    parameters: BTreeMap<String, String>,
    /// Headers of the provider's own, in TOML only.
    #[arg(skip)]
    headers: BTreeMap<String, String>,
}

/// Whether a command proves to the service who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It does, so a secret that is missing is a mistake.
    Given,
    /// It asks nobody anything.
    None,
}

/// What a command that acts for a client needs.
pub(super) struct Client {
    pub(super) grant: Arc<dyn Grant>,
    /// Whether all is there that the service wants to see.
    pub(super) can_prove: bool,
    /// Files that may be missing for a moment.
    pub(super) assertions: Vec<PathBuf>,
    pub(super) policy: IssuancePolicy,
    pub(super) min_validity: Duration,
    pub(super) store: StorePlace,
}

impl Settings {
    /// Settings of a policy and of no client.
    pub(super) fn of_policy(
        config: Option<PathBuf>,
        validity: Option<String>,
        rotate_every: Option<String>,
        retries: Option<u8>,
        format: Option<String>,
    ) -> Self {
        Self {
            config,
            validity,
            rotate_every,
            retries,
            format,
            ..Self::default()
        }
    }

    /// Reads the file, lets the flags win, and makes sense of the rest.
    pub(super) fn client(self, proof: Proof) -> Result<Client, ConfigError> {
        let settings = self.with_file()?;
        Ok(Client {
            policy: settings.policy()?,
            min_validity: match &settings.min_validity {
                Some(text) => parse_duration(text).map_err(|it| bad("min-validity", it))?,
                None => Duration::ZERO,
            },
            grant: settings.grant(proof)?,
            can_prove: proof == Proof::Given || settings.grant(Proof::Given).is_ok(),
            assertions: settings.assertions(),
            store: settings.store_place()?,
        })
    }

    /// Reads the file, lets the flags win, and makes sense of what makes a policy.
    pub(super) fn policy_alone(self) -> Result<IssuancePolicy, ConfigError> {
        self.with_file()?.policy()
    }

    fn policy(&self) -> Result<IssuancePolicy, ConfigError> {
        let default = IssuancePolicy::default();
        let validity = match &self.validity {
            Some(text) => parse_duration(text).map_err(|it| bad("validity", it))?,
            None => default.validity(),
        };
        let rotate_every = match &self.rotate_every {
            Some(text) => parse_range(text).map_err(|it| bad("rotate-every", it))?,
            None => default.rotate_every(),
        };
        let format = match &self.format {
            Some(text) => FormatPreference::from_str(text).map_err(|it| bad("format", it))?,
            None => default.format(),
        };
        let policy = IssuancePolicy::new(validity, rotate_every)
            .and_then(|it| it.with_retries(self.retries.unwrap_or(default.retries())))
            .map_err(ConfigError::Policy)?;
        Ok(policy.with_format(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Settings {
        Settings::from_toml(text).unwrap()
    }

    #[test]
    fn policies() {
        let policy = read("validity = '6h'\nrotate_every = '30m..1h'\nformat = 'opaque'").policy();
        let policy = policy.unwrap();
        assert_eq!(policy.validity(), Duration::from_secs(6 * 3600));
        assert_eq!(policy.format(), FormatPreference::Opaque);
        assert_eq!(read("").policy().unwrap(), IssuancePolicy::default());
        for (text, why) in [
            ("validity = '25h'", "validity must be at most 24h"),
            (
                "validity = '2h'",
                "rotation must end within half of the validity",
            ),
            (
                "validity = 'long'",
                "--validity: expected an integer and ms, s, m, h or d, such as 90s",
            ),
            (
                "rotate_every = '1h-2h'",
                "--rotate-every: expected an integer and ms, s, m, h or d, such as 90s",
            ),
            ("retries = 3", "retries must be 0, 1 or 2"),
            (
                "format = 'jwt'",
                "--format: expected prefer-jwt, require-jwt or opaque",
            ),
        ] {
            assert_eq!(read(text).policy().unwrap_err().to_string(), why, "{text}");
        }
    }
}
