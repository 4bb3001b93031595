//! Client certificates over real TLS (RFC 8705 2).

#![cfg(all(feature = "testing", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod endpoint;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use endpoint::{Service, file};
use http::Request;
use steadfast::clock::Timestamp;
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::error::Reason;
use steadfast::rotator::{ClientCertificate, ClientCredentials, Credential, Rotator};
use steadfast::testing::ManualClock;
use steadfast::transport::{
    ClientIdentity, Endpoint, HttpTransport, Transport as _, TransportError,
};

fn transport() -> HttpTransport {
    HttpTransport::with_ca_file(file("ca.pem")).unwrap()
}

fn rotator(service: &Service, credential: impl Into<Credential>) -> (Rotator, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_secs(1_795_570_010));
    let grant = ClientCredentials::new(&service.url, "orders", credential).unwrap();
    let policy = IssuancePolicy::default().with_retries(0).unwrap();
    let rotator = Rotator::new(grant, policy).transport(transport());
    (rotator.clock(Arc::new(clock.clone())), clock)
}

/// What a process that asks once gets, a second later.
async fn token((rotator, clock): &(Rotator, ManualClock)) -> String {
    clock.advance(Duration::from_secs(1));
    let token = rotator.token_once(Duration::ZERO).await.unwrap();
    token.expose().to_owned()
}

/// Files that can be replaced, with what is in those of a client.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(test: &str) -> Self {
        let path = |what| {
            let name = format!("mutual-tls-{test}-{what}.pem");
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
        };
        Self {
            certificate: path("certificate"),
            key: path("key"),
        }
    }

    fn certificate(&self, client: &str) {
        fs::copy(file(&format!("{client}.pem")), &self.certificate).unwrap();
    }

    fn key(&self, client: &str) {
        fs::copy(file(&format!("{client}.key.pem")), &self.key).unwrap();
    }

    fn credential(&self) -> ClientCertificate {
        ClientCertificate::new(self.certificate.clone(), self.key.clone())
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_presented_and_gets_a_token_at_once() {
    let service = Service::start(true);
    let files = Files::new("renewed");
    files.certificate("client-1");
    files.key("client-1");
    let rotator = rotator(&service, files.credential());
    assert_eq!(token(&rotator).await, "token-1");
    assert_eq!(token(&rotator).await, "token-1");
    files.certificate("client-2");
    files.key("client-2");
    assert_eq!(token(&rotator).await, "token-2");
    assert_eq!(token(&rotator).await, "token-2");
    assert_eq!(service.seen(), ["client-1", "client-2"]);
}

/// The certificate is new and the key not yet: nothing is sent, and the token in hand stays.
#[tokio::test]
async fn a_renewal_of_the_certificate_that_is_half_done_costs_nothing() {
    let service = Service::start(true);
    let files = Files::new("half");
    files.certificate("client-1");
    files.key("client-1");
    let rotator = rotator(&service, files.credential());
    assert_eq!(token(&rotator).await, "token-1");
    files.certificate("client-2");
    assert_eq!(token(&rotator).await, "token-1");
    let failing = rotator.0.health().failing.unwrap();
    assert_eq!(failing.reason, Reason::NoCredential);
    assert_eq!(service.seen(), ["client-1"]);
}

#[tokio::test]
async fn without_a_certificate_there_is_no_token_where_one_is_demanded() {
    let service = Service::start(true);
    let error = rotator(&service, "secret").0.token().await.unwrap_err();
    let reason = &error.failing().unwrap().reason;
    let refused = matches!(reason, Reason::NoConnection | Reason::Broken);
    assert!(refused, "{reason}");
    assert_eq!(service.seen(), [""; 0]);
}

/// Connections stay open, and none is used for another identity than the one that it was opened with.
#[tokio::test]
async fn every_identity_has_its_own_connections() {
    let service = Service::start(false);
    let (transport, endpoint) = (transport(), Endpoint::new(&service.url).unwrap());
    let order = [
        "client-1", "client-1", "client-2", "nobody", "client-1", "nobody",
    ];
    for client in order {
        let mut request = Request::new(Vec::new());
        *request.method_mut() = http::Method::POST;
        if client != "nobody" {
            let text = |name: String| fs::read_to_string(file(&name)).unwrap();
            let (chain, key) = (format!("{client}.pem"), format!("{client}.key.pem"));
            let identity = ClientIdentity::from_pem(&text(chain), &text(key)).unwrap();
            request.extensions_mut().insert(identity);
        }
        let answer = transport.send(&endpoint, request, 1000).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(service.seen(), order);
}

/// No platform trusts the authority of this service, whoever asks.
#[tokio::test]
async fn a_client_with_a_certificate_looks_at_the_services() {
    let service = Service::start(true);
    let files = Files::new("stranger");
    files.certificate("client-1");
    files.key("client-1");
    let mut request = Request::new(Vec::new());
    let identity = files.credential().read().unwrap();
    request.extensions_mut().insert(identity);
    let transport = HttpTransport::with_ca_file(file("other-ca.pem")).unwrap();
    let endpoint = Endpoint::new(&service.url).unwrap();
    let error = transport.send(&endpoint, request, 1000).await.unwrap_err();
    assert_eq!(error, TransportError::Connect);
    assert_eq!(service.seen(), [""; 0]);
}
