//! What the OAuth service hands out, and the secrets that go with it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// An access token (RFC 6749 1.4), as it goes into an `Authorization` header.
///
/// Cheap to clone, wiped when the last clone goes, and never printed: `Debug` is redacted and there
/// is no `Display`.
#[derive(Clone)]
pub struct AccessToken(Arc<Zeroizing<String>>);

impl AccessToken {
    /// Takes a token as the service sent it; `None` if it is empty or cannot stand in a header
    /// (RFC 6750 2.1 allows no white space, no control and no non-ASCII characters).
    pub fn new(token: impl Into<String>) -> Option<Self> {
        let token = Zeroizing::new(token.into());
        let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Arc::new(token)))
    }

    /// The token itself. Whoever has it can act with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

impl Eq for AccessToken {}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// A client's secret (RFC 6749 2.3.1): wiped on drop and never printed.
#[derive(Clone)]
pub struct ClientSecret(Arc<Zeroizing<String>>);

impl ClientSecret {
    /// Takes a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(secret.into())))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// A refresh token (RFC 6749 1.5): wiped on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(Arc<Zeroizing<String>>);

impl RefreshToken {
    /// Takes a refresh token as the service sent it; `None` if it is empty.
    pub fn new(token: impl Into<String>) -> Option<Self> {
        let token = Zeroizing::new(token.into());
        (!token.is_empty()).then(|| Self(Arc::new(token)))
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(redacted)")
    }
}

/// An assertion (RFC 7521 3), or a token to exchange (RFC 8693 2.1): wiped on drop and never printed.
#[derive(Clone)]
pub struct Assertion(Arc<Zeroizing<String>>);

impl Assertion {
    /// Takes an assertion: a JWT, or the XML of SAML.
    pub fn new(assertion: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(assertion.into())))
    }

    /// The assertion itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion(redacted)")
    }
}

/// What a token is to those who hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// A signed JWT (RFC 7519): a resource server can verify it by itself.
    Jwt,
    /// Anything else: only the service knows what it means.
    Opaque,
}

impl fmt::Display for TokenFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        })
    }
}

/// Which format a client asks for, and what it accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormatPreference {
    /// Ask for a JWT and take what comes.
    #[default]
    PreferJwt,
    /// Ask for a JWT and refuse anything else.
    RequireJwt,
    /// Ask for nothing and take what comes.
    Opaque,
}

impl FromStr for FormatPreference {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "prefer-jwt" => Ok(Self::PreferJwt),
            "require-jwt" => Ok(Self::RequireJwt),
            "opaque" => Ok(Self::Opaque),
            _ => Err(UnknownFormat),
        }
    }
}

/// The text names no [`FormatPreference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected prefer-jwt, require-jwt or opaque")
    }
}

impl std::error::Error for UnknownFormat {}

/// Where the lifetime of a [`Token`] was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifetimeSource {
    /// `expires_in` of the answer (RFC 6749 5.1).
    ExpiresIn,
    /// The `exp` claim of the JWT itself.
    Claims,
    /// Nowhere: it is what the last token of this client had.
    LastKnown,
    /// Nowhere: it is the smaller of the policy's validity and 12 h.
    Assumed,
}

/// An access token and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub access_token: AccessToken,
    /// What it is, told from its shape.
    pub format: TokenFormat,
    /// Wall time at the start of the request that got it.
    pub issued_at: Timestamp,
    /// `issued_at` plus the lifetime that was granted.
    pub expires_at: Timestamp,
    /// How that lifetime is known.
    pub lifetime_source: LifetimeSource,
    /// The scopes granted, space-delimited; `None` if the answer named none, which means "as asked"
    /// (RFC 6749 5.1).
    pub scope: Option<Box<str>>,
}

impl Token {
    /// The token itself, for an `Authorization` header.
    pub fn expose(&self) -> &str {
        self.access_token.expose()
    }

    /// How long it was granted for.
    pub fn lifetime(&self) -> std::time::Duration {
        self.expires_at.since(self.issued_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_printed() {
        let token = Token {
            access_token: AccessToken::new("s3cret-token").unwrap(),
            format: TokenFormat::Opaque,
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::from_secs(60),
            lifetime_source: LifetimeSource::ExpiresIn,
            scope: Some("read".into()),
        };
        let secret = ClientSecret::new("s3cret-client");
        for text in [
            format!("{token:?} {secret:?}"),
            format!("{token:#?} {secret:#?}"),
        ] {
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_token_must_fit_a_header() {
        for bad in ["", "a b", "a\nb", "a\u{e9}", "\u{7f}"] {
            assert!(AccessToken::new(bad).is_none(), "{bad:?}");
        }
        assert_eq!(
            AccessToken::new("ory_at_x.y").unwrap().expose(),
            "ory_at_x.y"
        );
    }
}
