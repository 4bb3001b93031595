//! How a client proves at the token endpoint who it is (RFC 6749 2.3).

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Extensions;
use http::header::HeaderMap;

use super::client_auth::{ClientAuth, Form};
use super::preset::Preset;
use super::store::{CredentialTag, StoreKey};
use crate::clock::Timestamp;
use crate::jose::sign::SignError;
use crate::token::ClientSecret;
use crate::transport::{Endpoint, IdentityError};

mod assertion;
mod certificate;
mod secret;

pub use assertion::PrivateKeyJwt;
pub use certificate::ClientCertificate;
pub use secret::SecretSource;

use assertion::About;

/// What a client proves its identity with. A text or a [`ClientSecret`] is a secret, and a
/// [`PathBuf`] names a file that holds one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A secret that the service knows, too; [`ClientAuth`] says where it goes.
    Secret(SecretSource),
    /// A private key that signs an assertion: `private_key_jwt` (RFC 7523 2.2).
    PrivateKey(PrivateKeyJwt),
    /// A certificate that is presented to TLS: `tls_client_auth` or `self_signed_tls_client_auth`
    /// (RFC 8705 2).
    Certificate(ClientCertificate),
}

impl Credential {
    /// Whether it can be had now, for a program that tells its user at once.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or a key or certificate cannot be used.
    pub fn check(&self) -> Result<(), CredentialError> {
        match self {
            Self::Secret(secret) => Ok(secret.read().map(drop)?),
            Self::PrivateKey(key) => key.check(),
            Self::Certificate(certificate) => certificate.read().map(drop),
        }
    }

    /// Adds the proof to the request of one try.
    pub(super) fn apply(
        &self,
        client: &Applicant<'_>,
        request: &mut Drafted,
    ) -> Result<(), CredentialError> {
        match self {
            Self::Secret(secret) => {
                let (way, secret) = (client.authentication, secret.read()?);
                way.apply(client.id, &secret, &mut request.headers, &mut request.form);
            }
            Self::PrivateKey(key) => {
                let assertion = key.assertion(&About {
                    client_id: client.id,
                    audience: client.preset.assertion_audience(client.endpoint),
                    rsa_algorithm: client.preset.rsa_algorithm(),
                    now: client.now,
                })?;
                let form = &mut request.form;
                form.append_pair("client_id", client.id);
                form.append_pair("client_assertion_type", JWT_BEARER);
                form.append_pair("client_assertion", &assertion);
            }
            Self::Certificate(certificate) => {
                request.extensions.insert(certificate.read()?);
                request.form.append_pair("client_id", client.id);
            }
        }
        Ok(())
    }

    /// Tells it from any other. One that is not to be had differs from any that got a token: the
    /// next try will tell.
    pub(super) fn tag(&self, key: &StoreKey) -> CredentialTag {
        match self {
            Self::Secret(secret) => {
                let secret = secret.read().ok();
                let secret = secret.as_ref().map_or("", ClientSecret::expose);
                CredentialTag::of(key, secret.as_bytes())
            }
            Self::PrivateKey(private) => {
                CredentialTag::of(key, &private.material().unwrap_or_default())
            }
            Self::Certificate(certificate) => {
                CredentialTag::of(key, certificate.thumbprint().as_ref().map_or(&[], |it| it))
            }
        }
    }

    /// What of it changes the token: RFC 8705 3 binds tokens to certificates.
    pub(super) fn fact(&self) -> Option<(&'static str, Cow<'static, str>)> {
        match self {
            Self::Certificate(certificate) => {
                let thumbprint = certificate.thumbprint();
                let thumbprint = thumbprint.map(|it| URL_SAFE_NO_PAD.encode(it));
                Some((CERTIFICATE, thumbprint.unwrap_or_default().into()))
            }
            Self::Secret(_) | Self::PrivateKey(_) => None,
        }
    }

    /// What no error may repeat.
    pub(super) fn secret(&self) -> Option<ClientSecret> {
        match self {
            Self::Secret(secret) => secret.read().ok(),
            Self::PrivateKey(_) | Self::Certificate(_) => None,
        }
    }
}

impl From<SecretSource> for Credential {
    fn from(secret: SecretSource) -> Self {
        Self::Secret(secret)
    }
}

impl From<ClientSecret> for Credential {
    fn from(secret: ClientSecret) -> Self {
        Self::Secret(secret.into())
    }
}

impl From<&str> for Credential {
    fn from(secret: &str) -> Self {
        Self::Secret(secret.into())
    }
}

impl From<String> for Credential {
    fn from(secret: String) -> Self {
        Self::Secret(secret.into())
    }
}

impl From<PathBuf> for Credential {
    fn from(path: PathBuf) -> Self {
        Self::Secret(path.into())
    }
}

impl From<PrivateKeyJwt> for Credential {
    fn from(key: PrivateKeyJwt) -> Self {
        Self::PrivateKey(key)
    }
}

impl From<ClientCertificate> for Credential {
    fn from(certificate: ClientCertificate) -> Self {
        Self::Certificate(certificate)
    }
}

/// What the fact is called that a token may be bound to.
pub(super) const CERTIFICATE: &str = "certificate";

/// RFC 7523 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who proves its identity, to whom and when.
pub(super) struct Applicant<'a> {
    pub(super) id: &'a str,
    pub(super) endpoint: &'a Endpoint,
    pub(super) authentication: ClientAuth,
    pub(super) preset: Preset,
    pub(super) now: Timestamp,
}

/// A request that is being written.
pub(super) struct Drafted {
    pub(super) headers: HeaderMap,
    pub(super) form: Form,
    pub(super) extensions: Extensions,
}

/// Why a credential is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialError {
    /// A file cannot be read, or is empty.
    Unreadable(io::ErrorKind),
    /// The private key does not sign.
    Key(SignError),
    /// There is no certificate, or it does not go with its key.
    Certificate(IdentityError),
}

impl From<io::Error> for CredentialError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.kind())
    }
}

impl From<SignError> for CredentialError {
    fn from(error: SignError) -> Self {
        Self::Key(error)
    }
}

impl From<IdentityError> for CredentialError {
    fn from(error: IdentityError) -> Self {
        Self::Certificate(error)
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "the credential cannot be read: {kind}"),
            Self::Key(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CredentialError {}
