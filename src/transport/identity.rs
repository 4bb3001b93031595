//! Who a client is to a TLS server: a certificate and the private key to it (RFC 8705 2).

use std::fmt;
#[cfg(feature = "tls")]
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// A certificate with its private key, to be presented when a service asks for one.
///
/// A [`Transport`](super::Transport) finds it among the extensions of a request:
/// [`HttpTransport`](super::HttpTransport) opens the connection with it then. What it holds is
/// never printed.
#[derive(Clone)]
pub struct ClientIdentity {
    thumbprint: [u8; 32],
    /// Over certificates and key, which tells one identity from another.
    digest: [u8; 32],
    #[cfg(feature = "tls")]
    pub(super) certified: Arc<rustls::sign::CertifiedKey>,
}

impl ClientIdentity {
    /// From PEM: the certificate with those that lead to its authority, if any, after it; and the
    /// first private key of another text, or of the same one.
    ///
    /// # Errors
    ///
    /// If either is missing, or the key is not that of the certificate or none that can be used.
    /// Without feature `tls` the key is not looked at any closer, since nothing can come of it.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::NoCertificate)?;
        let certificate = chain.first().ok_or(IdentityError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = Zeroizing::new(key.map_err(|_| IdentityError::NoKey)?);
        Ok(Self {
            thumbprint: sha256([&**certificate]),
            digest: sha256(chain.iter().map(|it| &**it).chain([key.secret_der()])),
            #[cfg(feature = "tls")]
            certified: certified(chain, &key).ok_or(IdentityError::Unusable)?,
        })
    }

    /// SHA-256 of the certificate: `x5t#S256` (RFC 8705 3.1).
    pub fn thumbprint(&self) -> [u8; 32] {
        self.thumbprint
    }
}

/// Whether the same certificates and the same key are presented.
impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ClientIdentity {}

#[cfg(feature = "tls")]
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
) -> Option<Arc<rustls::sign::CertifiedKey>> {
    let ring = rustls::crypto::ring::default_provider();
    let certified = rustls::sign::CertifiedKey::from_der(chain, key.clone_key(), &ring);
    certified.ok().map(Arc::new)
}

/// SHA-256 of the first certificate in a PEM text; `None` if there is none.
pub(crate) fn thumbprint_of_pem(certificates: &str) -> Option<[u8; 32]> {
    let certificate = CertificateDer::from_pem_slice(certificates.as_bytes()).ok()?;
    Some(sha256([&*certificate]))
}

fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.into_iter().for_each(|part| context.update(part));
    context.finish().as_ref().try_into().unwrap_or_default()
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(redacted)")
    }
}

/// Why there is no [`ClientIdentity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no certificate in the PEM text, or a broken one.
    NoCertificate,
    /// There is no private key in the PEM text; an encrypted one is none.
    NoKey,
    /// The private key cannot be used, or is not that of the certificate.
    Unusable,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "there is no certificate in the PEM text",
            Self::NoKey => "there is no private key in the PEM text",
            Self::Unusable => "the private key cannot be used with the certificate",
        })
    }
}

impl std::error::Error for IdentityError {}
