//! What is particular to a provider.

use std::fmt;
use std::str::FromStr;

use super::client_auth::ClientAuth;
use crate::jose::Algorithm;
use crate::transport::Endpoint;

/// The way of a provider that is known by name: how a client with a secret authenticates, how a JWT
/// is asked for, and whether a client may look into the token that came.
///
/// | name | a secret goes | a JWT by | assertions are for | JWTs are read for their lifetime |
/// |---|---|---|---|---|
/// | `generic` | HTTP Basic, form-encoded | | the token endpoint | yes |
/// | `neo` | HTTP Basic, raw | `token_format=jwtrfc` | the token endpoint | yes |
/// | `uaa` | HTTP Basic, form-encoded and announced so | `token_format=jwt` | the token endpoint | yes |
/// | `xsuaa` | as `uaa` | always | the token endpoint | yes |
/// | `ias` | body | `token_format=jwt` | the token endpoint | yes |
/// | `auth0` | body | `audience`, required | the issuer: the origin and a slash | yes |
/// | `keycloak` | HTTP Basic, form-encoded | always | the realm | yes |
/// | `entra` | body | always | the token endpoint, PS256 | no |
/// | `okta` | HTTP Basic, form-encoded | always | the token endpoint | yes |
/// | `okta-org` | `private_key_jwt` wanted | never: opaque, whatever they look like | the token endpoint | no |
/// | `cognito` | HTTP Basic, form-encoded | always | none | yes |
/// | `hydra` | HTTP Basic, form-encoded | a setting of the client | the token endpoint | yes |
/// | `oidc-provider` | HTTP Basic, form-encoded | `resource` | the token endpoint | yes |
///
/// A client with a key or a certificate authenticates with that, whatever the preset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// Any RFC 6749 service.
    #[default]
    Generic,
    /// SAP BTP Neo. By its documents it takes no other way of client authentication; the id must
    /// hold no colon.
    Neo,
    /// Cloud Foundry UAA. By its source it decodes HTTP Basic only with the header
    /// `X-CF-ENCODED-CREDENTIALS: true`.
    Uaa,
    /// SAP XSUAA, a UAA whose documents ask for the same header. A tenant other than the client's own
    /// is named by a header `x-zid`.
    Xsuaa,
    /// SAP Cloud Identity Services, Identity Authentication. SAP's own libraries send id and secret
    /// in the body; the documents name HTTP Basic, form-encoded, as well.
    Ias,
    /// Auth0. By its documents a token for an API of one's own needs an audience, and `aud` of an
    /// assertion is the issuer with its slash.
    Auth0,
    /// Keycloak. By its upgrading guide for 26.2 `aud` of an assertion is to be the issuer, as a
    /// single text.
    Keycloak,
    /// Microsoft Entra ID, version 2.0. It wants one scope: that of the resource, ending in
    /// `/.default`. By its documents a client with a key signs PS256 for the token endpoint and names
    /// the key by the thumbprint of its certificate
    /// ([`PrivateKeyJwt::certificate`](super::PrivateKeyJwt::certificate)), and no client looks into
    /// tokens that are for others.
    Entra,
    /// Okta, a custom authorization server.
    Okta,
    /// Okta, the org authorization server. By its documents its tokens are for Okta alone, opaque to
    /// everyone else, and it grants its scopes only to clients that sign
    /// ([`PrivateKeyJwt`](super::PrivateKeyJwt)) for the token endpoint.
    OktaOrg,
    /// Amazon Cognito. By its documents a client authenticates with its secret.
    Cognito,
    /// Ory Hydra.
    Hydra,
    /// npm's `oidc-provider`. This crate's tests run against it.
    OidcProvider,
}

impl Preset {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Generic,
        Self::Neo,
        Self::Uaa,
        Self::Xsuaa,
        Self::Ias,
        Self::Auth0,
        Self::Keycloak,
        Self::Entra,
        Self::Okta,
        Self::OktaOrg,
        Self::Cognito,
        Self::Hydra,
        Self::OidcProvider,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Neo => "neo",
            Self::Uaa => "uaa",
            Self::Xsuaa => "xsuaa",
            Self::Ias => "ias",
            Self::Auth0 => "auth0",
            Self::Keycloak => "keycloak",
            Self::Entra => "entra",
            Self::Okta => "okta",
            Self::OktaOrg => "okta-org",
            Self::Cognito => "cognito",
            Self::Hydra => "hydra",
            Self::OidcProvider => "oidc-provider",
        }
    }

    /// Where id and secret go.
    pub fn authentication(self) -> ClientAuth {
        match self {
            Self::Neo => ClientAuth::BasicRaw,
            Self::Uaa | Self::Xsuaa => ClientAuth::BasicAnnounced,
            Self::Ias | Self::Auth0 | Self::Entra => ClientAuth::Body,
            Self::Generic
            | Self::Keycloak
            | Self::Okta
            | Self::OktaOrg
            | Self::Cognito
            | Self::Hydra
            | Self::OidcProvider => ClientAuth::Basic,
        }
    }

    /// The parameter that asks for a JWT, where it takes one.
    pub fn jwt_parameter(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Neo => Some(("token_format", "jwtrfc")),
            Self::Uaa | Self::Ias => Some(("token_format", "jwt")),
            _ => None,
        }
    }

    /// Whether a client that asks in its own name gets no token without an audience.
    pub fn requires_audience(self) -> bool {
        self == Self::Auth0
    }

    /// What a client may see in a token.
    pub fn token_view(self) -> TokenView {
        match self {
            Self::Entra => TokenView::Shape,
            Self::OktaOrg => TokenView::Nothing,
            _ => TokenView::Times,
        }
    }

    /// What the service behind `endpoint` is called in the `aud` of a client's assertion: its issuer
    /// identifier, where the provider insists on it and the endpoint tells it; else the URL of the
    /// token endpoint, without its query (OpenID Connect Core 9).
    pub fn assertion_audience(self, endpoint: &Endpoint) -> String {
        let mut url = endpoint.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        match self {
            Self::Auth0 => url.set_path("/"),
            Self::Keycloak => {
                let realm = url.path().strip_suffix("/protocol/openid-connect/token");
                if let Some(realm) = realm.map(str::to_owned) {
                    url.set_path(&realm);
                }
            }
            _ => {}
        }
        url.into()
    }

    /// What an RSA key signs assertions with.
    pub(super) fn rsa_algorithm(self) -> Algorithm {
        match self {
            Self::Entra => Algorithm::PS256,
            _ => Algorithm::RS256,
        }
    }
}

/// What a client may see in a token that it was issued for the use of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenView {
    /// Its format, and the lifetime that a JWT tells.
    #[default]
    Times,
    /// Its format only.
    Shape,
    /// Nothing: it is opaque, even if it looks like a JWT.
    Nothing,
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.iter().copied();
        all.find(|it| it.name() == text).ok_or(UnknownPreset)
    }
}

/// The text names no [`Preset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPreset;

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Preset::ALL.iter().map(|it| it.name()).collect();
        write!(f, "expected one of {}", names.join(", "))
    }
}

impl std::error::Error for UnknownPreset {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for &preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        assert_eq!("Neo".parse::<Preset>(), Err(UnknownPreset));
        assert_eq!(
            UnknownPreset.to_string(),
            "expected one of generic, neo, uaa, xsuaa, ias, auth0, keycloak, entra, okta, okta-org, \
             cognito, hydra, oidc-provider"
        );
    }

    #[test]
    fn whom_assertions_are_for() {
        let endpoint = "https://login.example/realms/a/protocol/openid-connect/token?x=1";
        let bare = "https://login.example/realms/a/protocol/openid-connect/token";
        let audience =
            |preset: Preset, url| preset.assertion_audience(&Endpoint::new(url).unwrap());
        for &preset in Preset::ALL {
            let expected = match preset {
                Preset::Auth0 => "https://login.example/",
                Preset::Keycloak => "https://login.example/realms/a",
                _ => bare,
            };
            assert_eq!(audience(preset, endpoint), expected, "{preset}");
        }
        let elsewhere = "https://login.example/token";
        assert_eq!(audience(Preset::Keycloak, elsewhere), elsewhere);
    }
}
