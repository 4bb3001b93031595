use std::sync::{Arc, OnceLock};
#[cfg(feature = "tls")]
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
#[cfg(feature = "tls")]
use rustls::client::WantsClientCert;
#[cfg(feature = "tls")]
use rustls::{ClientConfig, ConfigBuilder};
use tokio::time::timeout;
use zeroize::Zeroizing;

#[cfg(feature = "tls")]
use super::tls::{CaError, roots_of, tls_config};
use super::{
    CONNECT_DEADLINE, ClientIdentity, Endpoint, READ_DEADLINE, REQUEST_DEADLINE, Sending,
    Transport, TransportError,
};

/// [`Transport`] over reqwest.
///
/// Clients are built when they are first needed: one without TLS and without a proxy for `http`,
/// one with rustls on ring and the platform's trust anchors for `https` (feature `tls`). Nothing is
/// installed process-wide.
///
/// A request with a [`ClientIdentity`] among its extensions goes over connections on which that
/// certificate is presented, never over others; plain `http` presents none. There is one client for
/// the latest such identity: another one, as after a renewal of the certificate, has it built anew.
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
        let (head, body) = request.into_parts();
        // It may hold secrets, and is wiped once it is sent, or was not.
        let body = Bytes::from_owner(Zeroizing::new(body));
        Box::pin(async move {
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
