//! `private_key_jwt`: a client proves itself by a signature (RFC 7523 2.2, OpenID Connect Core 9).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{CredentialError, SecretSource};
use crate::clock::Timestamp;
use crate::jose::Algorithm;
use crate::jose::sign::{SignError, default_algorithm, encoding_key_from_pem, sign};
use crate::transport::{IdentityError, thumbprint_of_pem};

/// A private key with which a client signs an assertion about itself, a new one for each try.
///
/// The assertion names the client as `iss` and `sub` and the service as `aud`, has a `jti` of 128
/// random bits, and is good for a minute, five seconds of which are past already for a service whose
/// clock is behind. Key and certificate are read again for each try.
///
/// ```
/// use std::path::PathBuf;
/// use steadfast::rotator::{ClientCredentials, Preset, PrivateKeyJwt};
///
/// let key = PrivateKeyJwt::new(PathBuf::from("/run/secrets/client.key")).key_id("2026-11");
/// let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders", key)?
///     .preset(Preset::Keycloak);
/// # Ok::<(), steadfast::transport::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrivateKeyJwt {
    key: SecretSource,
    key_id: Option<String>,
    certificate: Option<SecretSource>,
    algorithm: Option<Algorithm>,
    audience: Option<String>,
}

impl PrivateKeyJwt {
    /// By a private key in PEM (PKCS#8, PKCS#1 or SEC1; RSA of 2048 to 4096 bits, P-256, P-384 or
    /// Ed25519): a text, or the path of a file.
    pub fn new(key: impl Into<SecretSource>) -> Self {
        Self {
            key: key.into(),
            key_id: None,
            certificate: None,
            algorithm: None,
            audience: None,
        }
    }

    /// Names the key by `kid`.
    #[must_use]
    pub fn key_id(self, key_id: impl Into<String>) -> Self {
        Self {
            key_id: Some(key_id.into()),
            ..self
        }
    }

    /// Names the key by the thumbprint of its certificate (`x5t#S256`, RFC 7515 4.1.8), as Entra
    /// wants it: the first certificate of a PEM text or file.
    #[must_use]
    pub fn certificate(self, certificate: impl Into<SecretSource>) -> Self {
        Self {
            certificate: Some(certificate.into()),
            ..self
        }
    }

    /// Signs with this algorithm. By default an RSA key signs RS256 (for Entra PS256), the others
    /// ES256, ES384 or EdDSA as their curve has it.
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            ..self
        }
    }

    /// What the service is called in `aud`; its issuer identifier is what OpenID Connect Core and
    /// RFC 7523 have come to ask for. By default it is as the provider wants it, see
    /// [`Preset::assertion_audience`](crate::rotator::Preset::assertion_audience).
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self {
            audience: Some(audience.into()),
            ..self
        }
    }

    /// The assertion of one try.
    pub(super) fn assertion(&self, of: &About<'_>) -> Result<Zeroizing<String>, CredentialError> {
        let key = self.encoding_key()?;
        let header = self.header(&key, of.rsa_algorithm)?;
        let claims = Claims {
            iss: of.client_id,
            sub: of.client_id,
            aud: self.audience.as_deref().unwrap_or(&of.audience),
            jti: &fresh_id()?,
            iat: of.now.minus(PAST).as_secs(),
            exp: of.now.plus(LIFETIME - PAST).as_secs(),
        };
        Ok(Zeroizing::new(sign(&header, &claims, &key)?))
    }

    pub(super) fn check(&self) -> Result<(), CredentialError> {
        let about = About {
            client_id: "",
            audience: String::new(),
            rsa_algorithm: Algorithm::RS256,
            now: Timestamp::EPOCH,
        };
        self.assertion(&about).map(drop)
    }

    /// The key's DER, which stays the same however the text around it is laid out.
    pub(super) fn material(&self) -> Option<Zeroizing<Vec<u8>>> {
        let pem = self.key.read().ok()?;
        let der = Zeroizing::new(PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).ok()?);
        Some(Zeroizing::new(der.secret_der().to_vec()))
    }

    fn encoding_key(&self) -> Result<EncodingKey, CredentialError> {
        let pem = self.key.read()?;
        Ok(encoding_key_from_pem(pem.expose())?)
    }

    fn header(&self, key: &EncodingKey, rsa: Algorithm) -> Result<Header, CredentialError> {
        let algorithm = self
            .algorithm
            .unwrap_or_else(|| match default_algorithm(key) {
                Algorithm::RS256 => rsa,
                other => other,
            });
        let algorithm = algorithm.try_into();
        Ok(Header {
            kid: self.key_id.clone(),
            x5t_s256: self.thumbprint()?,
            ..Header::new(algorithm.map_err(|_| SignError::AlgorithmMismatch)?)
        })
    }

    fn thumbprint(&self) -> Result<Option<String>, CredentialError> {
        let Some(certificate) = &self.certificate else {
            return Ok(None);
        };
        let pem = certificate.read()?;
        let thumbprint = thumbprint_of_pem(pem.expose()).ok_or(IdentityError::NoCertificate)?;
        Ok(Some(URL_SAFE_NO_PAD.encode(thumbprint)))
    }
}

/// Whom an assertion is about, whom it is for, and when.
pub(super) struct About<'a> {
    pub(super) client_id: &'a str,
    pub(super) audience: String,
    /// What an RSA key signs with.
    pub(super) rsa_algorithm: Algorithm,
    pub(super) now: Timestamp,
}

/// In the order of RFC 7523 3. There is no `nbf`: `iat` says enough, and a service whose clock is
/// behind would refuse it. `aud` is a single text, since some services refuse an array.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

/// From `iat` to `exp`.
const LIFETIME: Duration = Duration::from_secs(60);
/// How far back `iat` lies.
const PAST: Duration = Duration::from_secs(5);

/// 128 bits, so that no two assertions of any client have the same.
fn fresh_id() -> Result<String, SignError> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| SignError::Failed)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
