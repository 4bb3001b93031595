//! Mutual TLS: a client proves itself by a certificate (RFC 8705 2).

use super::{CredentialError, SecretSource};
use crate::transport::{ClientIdentity, thumbprint_of_pem};

/// A client certificate with its private key, both in PEM; read again for each try, so that one
/// that was renewed counts at once.
///
/// Connections to the token endpoint are opened with it by
/// [`HttpTransport`](crate::transport::HttpTransport); a transport of another kind presents
/// certificates of its own.
///
/// Tokens may be bound to the certificate (RFC 8705 3) and be of no use to a client that has
/// another one, so the thumbprint that it has when a rotator is made is part of the rotator's store
/// key. In a process that runs on, a token got by the former certificate is handed out until there
/// is a new one, which is asked for at once.
///
/// ```
/// use std::path::PathBuf;
/// use steadfast::rotator::{ClientCertificate, ClientCredentials};
///
/// let certificate = ClientCertificate::new(
///     PathBuf::from("/run/identity/client.pem"),
///     PathBuf::from("/run/identity/client.key"),
/// );
/// ClientCredentials::new("https://login.example/oauth2/token", "orders", certificate)?;
/// # Ok::<(), steadfast::transport::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    certificates: SecretSource,
    key: SecretSource,
}

impl ClientCertificate {
    /// The certificate, with those that lead to its authority after it, and its private key: PEM
    /// texts, or paths of files, which may be the same one.
    pub fn new(certificates: impl Into<SecretSource>, key: impl Into<SecretSource>) -> Self {
        Self {
            certificates: certificates.into(),
            key: key.into(),
        }
    }

    /// Both as they are now.
    ///
    /// # Errors
    ///
    /// If one is not to be had, or they do not belong together.
    pub fn read(&self) -> Result<ClientIdentity, CredentialError> {
        let (certificates, key) = (self.certificates.read()?, self.key.read()?);
        Ok(ClientIdentity::from_pem(
            certificates.expose(),
            key.expose(),
        )?)
    }

    pub(super) fn thumbprint(&self) -> Option<[u8; 32]> {
        thumbprint_of_pem(self.certificates.read().ok()?.expose())
    }
}
