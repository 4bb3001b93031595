//! HTTP as both halves need it: short deadlines, small bodies, no redirects, and errors that name
//! neither URL nor body.
//!
//! [`Transport`] is the seam: [`HttpTransport`] does it with reqwest, tests and users may bring
//! their own. Deadlines here run in real time, whatever clock the rest uses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
#[cfg(feature = "tls")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, DATE, HeaderMap, RETRY_AFTER};
#[cfg(feature = "tls")]
use rustls::client::WantsClientCert;
#[cfg(feature = "tls")]
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use tokio::time::timeout;
use url::{Host, Url};

use crate::clock::Timestamp;

mod identity;

pub(crate) use identity::thumbprint_of_pem;
pub use identity::{ClientIdentity, IdentityError};

/// The longest that a connection may take to open: 3 s.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// The longest silence in the middle of an answer: 5 s.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);
/// The longest that one request may take in all: 10 s.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// A future that a [`Transport`] returns.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, TransportError>> + Send + 'a>>;

/// Sends one request and reads one answer.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` to `endpoint` and returns the whole answer, whatever its status; a redirect
    /// is an answer, too, and is not followed. The URI of `request` is that of `endpoint`.
    ///
    /// # Errors
    ///
    /// If no answer came, or its body, decompressed, is larger than `max_body` bytes.
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a> {
        (**self).send(endpoint, request, max_body)
    }
}

/// A URL that may be asked: `https`, or `http` to this machine or to a host that was allowed by
/// name.
///
/// Never printed whole, since URLs may hold secrets: `Debug` shows scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Takes an `https` URL, or an `http` one on loopback (`localhost`, 127.0.0.0/8, ::1).
    ///
    /// # Errors
    ///
    /// If the text is no such URL, or holds a user name or password.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        Self::parse(url, None)
    }

    /// Like [`Self::new`], and takes `http` to `host` as well: for a mesh that encrypts underneath.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn allowing_http_to(host: &str, url: &str) -> Result<Self, EndpointError> {
        Self::parse(url, Some(host))
    }

    fn parse(url: &str, trusted_host: Option<&str>) -> Result<Self, EndpointError> {
        let url = Url::parse(url).map_err(|_| EndpointError::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::HasCredentials);
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => Ok(Self(url)),
            ("http", Some(host)) if is_loopback(&host) => Ok(Self(url)),
            ("http", Some(_)) if trusted_host.is_some() && url.host_str() == trusted_host => {
                Ok(Self(url))
            }
            ("http", Some(_)) => Err(EndpointError::Insecure),
            _ => Err(EndpointError::NotAUrl),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL's parts.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether requests go over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(|host| is_loopback(&host))
    }

    /// Whether requests go over a network without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// The request line's target as an [`http::Uri`]; the default of `http` where it has no such.
    pub fn uri(&self) -> http::Uri {
        self.0.as_str().parse().unwrap_or_default()
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.0.origin().ascii_serialization())
    }
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL.
    NotAUrl,
    /// `http` to another machine.
    Insecure,
    /// A user name or a password in the URL.
    HasCredentials,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "not an absolute https URL",
            Self::Insecure => "plain http is for loopback and for hosts allowed by name only",
            Self::HasCredentials => "credentials do not belong into a URL",
        })
    }
}

impl std::error::Error for EndpointError {}

/// Why no answer came. What went wrong, never where or with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, so nothing was sent: refused, unreachable, unknown host, TLS failure.
    Connect,
    /// A deadline passed.
    Timeout,
    /// The connection broke, or what came was not HTTP.
    Broken,
    /// The body is larger than allowed.
    TooLarge,
    /// TLS is not to be had: no such feature, or no trust anchors on this machine.
    NoTls,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Timeout => "no answer in time",
            Self::Broken => "the connection broke",
            Self::TooLarge => "the answer is too large",
            Self::NoTls => "TLS is not available",
        })
    }
}

impl std::error::Error for TransportError {}

/// [`Transport`] over reqwest.
///
/// Clients are built when they are first needed: one without TLS and without a proxy for `http`,
/// one with rustls on ring and the platform's trust anchors for `https` (feature `tls`). Nothing is
/// installed process-wide.
///
/// A request with a [`ClientIdentity`] among its extensions goes over connections on which that
/// certificate is presented, never over others; plain `http` presents none. There is one client for the latest such identity:
/// another one, as after a renewal of the certificate, has it built anew.
#[derive(Clone, Debug, Default)]
pub struct HttpTransport(Arc<Clients>);

#[derive(Debug, Default)]
struct Clients {
    given: Option<reqwest::Client>,
    /// The platform's, where there are none of its own.
    #[cfg(feature = "tls")]
    roots: Option<Arc<rustls::RootCertStore>>,
    plain: OnceLock<Option<reqwest::Client>>,
    tls: OnceLock<Option<reqwest::Client>>,
    #[cfg(feature = "tls")]
    presenting: Mutex<Option<(ClientIdentity, reqwest::Client)>>,
}

impl HttpTransport {
    /// A transport with clients of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// A transport over a client of yours, for every URL. It should neither follow redirects nor
    /// retry. The certificates that it presents are its own: those of requests are passed by.
    pub fn with_client(client: reqwest::Client) -> Self {
        Self(Arc::new(Clients {
            given: Some(client),
            ..Clients::default()
        }))
    }

    /// A transport that trusts in the certificate authorities of a PEM file, and in no other, for
    /// `https`: for services with a CA of their own, such as the API server of Kubernetes. Certificates
    /// of the file that cannot be used are passed by.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or holds no certificate that can be used.
    #[cfg(feature = "tls")]
    pub fn with_ca_file(path: impl AsRef<std::path::Path>) -> Result<Self, CaError> {
        let roots = roots_of(path.as_ref())?;
        Ok(Self(Arc::new(Clients {
            roots: Some(Arc::new(roots)),
            ..Clients::default()
        })))
    }

    fn client(
        &self,
        endpoint: &Endpoint,
        identity: Option<&ClientIdentity>,
    ) -> Result<reqwest::Client, TransportError> {
        let clients = &*self.0;
        let client = match (&clients.given, identity) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(identity)) if endpoint.is_https() => clients.presenting(identity),
            (None, _) if endpoint.is_https() => clients.tls.get_or_init(|| clients.tls()).clone(),
            (None, _) => clients.plain.get_or_init(plain_client).clone(),
        };
        client.ok_or(TransportError::NoTls)
    }
}

#[cfg(feature = "tls")]
impl Clients {
    fn tls(&self) -> Option<reqwest::Client> {
        https_client(self.verifying()?.with_no_client_auth())
    }

    /// Built without the lock, since trust anchors are read from files: two that build one at the
    /// same time do it twice.
    fn presenting(&self, identity: &ClientIdentity) -> Option<reqwest::Client> {
        let latest = || {
            let presenting = self.presenting.lock();
            presenting.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((presented, client)) = &*latest()
            && presented == identity
        {
            return Some(client.clone());
        }
        let resolver = rustls::sign::SingleCertAndKey::from(Arc::clone(&identity.certified));
        let tls = self
            .verifying()?
            .with_client_cert_resolver(Arc::new(resolver));
        let client = https_client(tls)?;
        *latest() = Some((identity.clone(), client.clone()));
        Some(client)
    }

    fn verifying(&self) -> Option<ConfigBuilder<ClientConfig, WantsClientCert>> {
        use rustls_platform_verifier::BuilderVerifierExt;

        match &self.roots {
            Some(roots) => Some(tls_config()?.with_root_certificates(Arc::clone(roots))),
            None => tls_config()?.with_platform_verifier().ok(),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl Clients {
    fn tls(&self) -> Option<reqwest::Client> {
        None
    }

    fn presenting(&self, _identity: &ClientIdentity) -> Option<reqwest::Client> {
        None
    }
}

/// Why a file gives no certificate authority.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaError {
    /// It cannot be read.
    Unreadable(std::io::ErrorKind),
    /// It holds no certificate that can be used.
    NoCertificate,
}

#[cfg(feature = "tls")]
impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "the certificates cannot be read: {kind}"),
            Self::NoCertificate => f.write_str("no certificate that can be used"),
        }
    }
}

#[cfg(feature = "tls")]
impl std::error::Error for CaError {}

fn settings() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        // Requests are an hour apart, so no connection is worth keeping; and one that was made before
        // a fork, or on a runtime that is gone, has nobody who reads from it.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(REQUEST_DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
}

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

#[cfg(feature = "tls")]
fn roots_of(path: &std::path::Path) -> Result<rustls::RootCertStore, CaError> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    let pem = std::fs::read(path).map_err(|error| CaError::Unreadable(error.kind()))?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if roots.is_empty() {
        return Err(CaError::NoCertificate);
    }
    Ok(roots)
}

#[cfg(feature = "tls")]
fn https_client(tls: ClientConfig) -> Option<reqwest::Client> {
    settings()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .build()
        .ok()
}

/// reqwest panics where it finds no TLS provider, even if no TLS is wanted. This one trusts nobody,
/// and loads no trust anchors for it.
#[cfg(feature = "tls")]
fn plain_client() -> Option<reqwest::Client> {
    let tls = tls_config()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    settings()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .ok()
}

#[cfg(feature = "tls")]
fn tls_config() -> Option<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .ok()
}

#[cfg(not(feature = "tls"))]
fn plain_client() -> Option<reqwest::Client> {
    settings().no_proxy().build().ok()
}

impl Transport for HttpTransport {
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let client = self.client(endpoint, head.extensions.get())?;
            let answer = client
                .request(head.method, endpoint.url().clone())
                .headers(head.headers)
                .body(body)
                .timeout(REQUEST_DEADLINE)
                .send()
                .await
                .map_err(|error| classify(&error))?;
            read(answer, max_body).await
        })
    }
}

async fn read(
    mut answer: reqwest::Response,
    max_body: usize,
) -> Result<http::Response<Vec<u8>>, TransportError> {
    let mut body = Vec::new();
    // The client's own deadline for reading would count from before the answer, too, and break off
    // one that takes its time.
    loop {
        let chunk = timeout(READ_DEADLINE, answer.chunk()).await;
        let chunk = chunk.map_err(|_| TransportError::Timeout)?;
        let Some(chunk) = chunk.map_err(|error| classify(&error))? else {
            break;
        };
        if body.len() + chunk.len() > max_body {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = http::Response::new(body);
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn classify(error: &reqwest::Error) -> TransportError {
    // A connection that is refused in time is a connect error; one that is not opened in time is
    // both, and nothing was sent either way.
    if error.is_connect() {
        TransportError::Connect
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Broken
    }
}

/// How long the service asks to be left alone: `Retry-After` in seconds or as a date
/// (RFC 9110 10.2.3). `None` without the header or where it cannot be read.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match seconds(text) {
        Some(wait) => Some(wait),
        None => Some(http_date(text)?.since(date(headers).unwrap_or(now))),
    }
}

/// When the service says that it answered: `Date` (RFC 9110 6.6.1).
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// How long an answer stays fresh: `max-age` of `Cache-Control` less `Age` (RFC 9111 4.2), zero for
/// `no-cache` and `no-store`. `None` where nothing is said.
pub fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let mut max_age = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().ok()?.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store") {
                return Some(Duration::ZERO);
            }
            if name.eq_ignore_ascii_case("max-age") {
                max_age = max_age.or(seconds(argument.trim().trim_matches('"')));
            }
        }
    }
    let age = headers
        .get(AGE)
        .and_then(|age| seconds(age.to_str().ok()?.trim()));
    Some(max_age?.saturating_sub(age.unwrap_or_default()))
}

/// Delta-seconds (RFC 9111 1.2.2): digits only; too many of them mean "very long".
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    const NOW: Timestamp = Timestamp::from_secs(1_795_570_010);

    #[test]
    fn endpoints() {
        for good in [
            "https://login.example/oauth2/token",
            "http://127.0.0.1:9911/token",
            "http://[::1]/token",
            "http://localhost:1",
        ] {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://login.example/token", EndpointError::Insecure),
            ("http://localhost.example/", EndpointError::Insecure),
            ("ftp://login.example/", EndpointError::NotAUrl),
            ("login.example", EndpointError::NotAUrl),
            ("https://a:b@login.example/", EndpointError::HasCredentials),
            ("file:///etc/passwd", EndpointError::NotAUrl),
        ] {
            assert_eq!(Endpoint::new(bad).unwrap_err(), why, "{bad}");
        }
        assert!(Endpoint::allowing_http_to("idp.mesh", "http://idp.mesh/token").is_ok());
        assert!(Endpoint::allowing_http_to("idp.mesh", "http://idp.mesh.example/").is_err());
        let endpoint = Endpoint::new("https://login.example/t?key=s3cret").unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint(https://login.example)");
    }

    #[test]
    fn retry_after_in_both_forms() {
        let wait = |pairs: &[_]| retry_after(&headers(pairs), NOW);
        assert_eq!(
            wait(&[("retry-after", "120")]),
            Some(Duration::from_secs(120))
        );
        assert_eq!(
            wait(&[("retry-after", "Wed, 25 Nov 2026 01:27:50 GMT")]),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            wait(&[
                ("retry-after", "Wed, 25 Nov 2026 01:27:50 GMT"),
                ("date", "Wed, 25 Nov 2026 01:27:40 GMT")
            ]),
            Some(Duration::from_secs(10)),
            "by the service's own clock"
        );
        assert_eq!(
            wait(&[("retry-after", "99999999999999999999999")])
                .unwrap()
                .as_secs(),
            4294967295
        );
        assert_eq!(wait(&[("retry-after", "-1")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn freshness_as_found_in_the_world() {
        let fresh = |pairs: &[_]| freshness(&headers(pairs)).map(|it| it.as_secs());
        assert_eq!(
            fresh(&[("cache-control", "public, max-age=15, stale-if-error=86400")]),
            Some(15)
        );
        assert_eq!(
            fresh(&[("cache-control", "public, max-age=21532"), ("age", "532")]),
            Some(21000)
        );
        assert_eq!(
            fresh(&[("cache-control", "max-age=10"), ("age", "11")]),
            Some(0)
        );
        assert_eq!(fresh(&[("cache-control", "no-cache")]), Some(0));
        assert_eq!(
            fresh(&[("cache-control", "No-Store, Max-Age=3600")]),
            Some(0)
        );
        assert_eq!(fresh(&[("cache-control", "private")]), None);
        assert_eq!(fresh(&[("cache-control", "max-age=soon")]), None);
        assert_eq!(fresh(&[]), None);
    }

    #[test]
    fn errors_have_pinned_texts() {
        let texts = [
            TransportError::Connect,
            TransportError::Timeout,
            TransportError::Broken,
            TransportError::TooLarge,
            TransportError::NoTls,
        ]
        .map(|error| error.to_string());
        assert_eq!(
            texts,
            [
                "no connection",
                "no answer in time",
                "the connection broke",
                "the answer is too large",
                "TLS is not available",
            ]
        );
    }
}
