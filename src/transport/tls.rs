//! TLS on ring, named as its provider and installed nowhere, and whom it trusts.

use std::fmt;
use std::sync::Arc;

use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};

/// Why a file gives no certificate authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaError {
    /// It cannot be read.
    Unreadable(std::io::ErrorKind),
    /// It holds no certificate that can be used.
    NoCertificate,
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "the certificates cannot be read: {kind}"),
            Self::NoCertificate => f.write_str("no certificate that can be used"),
        }
    }
}

impl std::error::Error for CaError {}

/// Trusts whom the platform trusts.
#[cfg(feature = "redis")]
pub(crate) fn platform_tls() -> Option<ClientConfig> {
    use rustls_platform_verifier::BuilderVerifierExt;

    let trusting = tls_config()?.with_platform_verifier().ok()?;
    Some(trusting.with_no_client_auth())
}

/// Trusts the authorities of a PEM file, and nobody else.
#[cfg(feature = "redis")]
pub(crate) fn ca_file_tls(path: &std::path::Path) -> Result<Option<ClientConfig>, CaError> {
    let roots = roots_of(path)?;
    Ok(tls_config().map(|config| config.with_root_certificates(roots).with_no_client_auth()))
}

pub(super) fn roots_of(path: &std::path::Path) -> Result<rustls::RootCertStore, CaError> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    let pem = crate::disk::read(path).map_err(|error| CaError::Unreadable(error.kind()))?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if roots.is_empty() {
        return Err(CaError::NoCertificate);
    }
    Ok(roots)
}

pub(super) fn tls_config() -> Option<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .ok()
}
