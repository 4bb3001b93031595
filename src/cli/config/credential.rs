//! How a client proves who it is, by secrets that lie in files or in the environment.

use std::env::{self, VarError};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, SECRET, bad, missing, unreadable, wrong};
use super::{Proof, Settings};
use crate::rotator::{ClientAuth, ClientCertificate, Credential, PrivateKeyJwt, SecretSource};

impl Settings {
    /// By the names of the IANA registry of token endpoint authentication methods.
    pub(super) fn method(&self) -> Result<Method, ConfigError> {
        match self.client_auth.as_deref() {
            // One of them would be without effect, perhaps that of a flag.
            None if self.private_key_file.is_some() && self.client_secret_file.is_some() => {
                Err(bad("client-auth", TWO_CREDENTIALS))
            }
            None if self.private_key_file.is_some() => Ok(Method::PrivateKey),
            None => Ok(Method::Secret(None)),
            Some("client_secret_basic") => Ok(Method::Secret(Some(ClientAuth::Basic))),
            Some("client_secret_post") => Ok(Method::Secret(Some(ClientAuth::Body))),
            Some("private_key_jwt") => Ok(Method::PrivateKey),
            Some("tls_client_auth") => Ok(Method::Certificate),
            Some("none") => Ok(Method::None),
            Some(_) => Err(bad("client-auth", UNKNOWN_METHOD)),
        }
    }

    /// None of a public client.
    pub(super) fn credential(
        &self,
        method: Method,
        proof: Proof,
    ) -> Result<Option<Credential>, ConfigError> {
        Ok(Some(match method {
            Method::Secret(_) => self.secret(proof)?.into(),
            Method::PrivateKey => self.private_key(proof)?.into(),
            Method::Certificate => self.certificate(proof)?.into(),
            Method::None => return Ok(None),
        }))
    }

    fn secret(&self, proof: Proof) -> Result<SecretSource, ConfigError> {
        match (&self.client_secret_file, secret_of_environment()) {
            (Some(path), _) => file(path, proof),
            (None, Some(secret)) => Ok(secret.into()),
            (None, None) if proof == Proof::None => Ok("".into()),
            (None, None) if matches!(env::var(SECRET), Err(VarError::NotUnicode(_))) => {
                Err(wrong(SECRET, "not UTF-8"))
            }
            (None, None) => Err(ConfigError::NoSecret),
        }
    }

    fn private_key(&self, proof: Proof) -> Result<PrivateKeyJwt, ConfigError> {
        let path = named(&self.private_key_file, "private-key-file")?;
        let mut key = PrivateKeyJwt::new(file(path, proof)?);
        if let Some(id) = &self.key_id {
            key = key.key_id(id);
        }
        if let Some(path) = &self.certificate_file {
            key = key.certificate(file(path, proof)?);
        }
        if let Some(audience) = &self.assertion_audience {
            key = key.audience(audience);
        }
        checked(key, proof, "private-key-file")
    }

    /// Tokens are kept under the certificate's thumbprint, so that the certificate is needed whatever
    /// the command does.
    fn certificate(&self, proof: Proof) -> Result<ClientCertificate, ConfigError> {
        let certificate = named(&self.certificate_file, "certificate-file")?;
        let key = named(&self.private_key_file, "private-key-file")?;
        let both = ClientCertificate::new(file(certificate, Proof::Given)?, file(key, proof)?);
        checked(both, proof, "certificate-file")
    }
}

/// How a client proves who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// By a secret, which goes where the provider wants it unless said otherwise.
    Secret(Option<ClientAuth>),
    PrivateKey,
    Certificate,
    /// Not at all: a public client (RFC 6749 2.1).
    None,
}

const TWO_CREDENTIALS: &str = "needed where there are both a secret's file and a private key";

const UNKNOWN_METHOD: &str = "expected client_secret_basic, client_secret_post, private_key_jwt, \
                              tls_client_auth or none";

pub(super) fn named<'a>(
    path: &'a Option<PathBuf>,
    setting: &'static str,
) -> Result<&'a Path, ConfigError> {
    path.as_deref().ok_or(missing(setting))
}

/// A file, which is read again for each try; a mistake in its name is told at once. A pipe, such as
/// a shell makes of `<(pass orders)`, can be read once.
pub(super) fn file(path: &Path, proof: Proof) -> Result<SecretSource, ConfigError> {
    let source = SecretSource::from(path.to_path_buf());
    if proof == Proof::None {
        return Ok(source);
    }
    let secret = source.read().map_err(|it| unreadable(path, &it))?;
    Ok(if path.is_file() {
        source
    } else {
        secret.into()
    })
}

fn checked<T: Clone + Into<Credential>>(
    credential: T,
    proof: Proof,
    setting: &'static str,
) -> Result<T, ConfigError> {
    if proof == Proof::Given {
        let check = credential.clone().into().check();
        check.map_err(|it| bad(setting, it))?;
    }
    Ok(credential)
}

pub(super) fn secret_of_environment() -> Option<String> {
    env::var(SECRET).ok().filter(|secret| !secret.is_empty())
}
