//! Keys from a service with a certificate authority of its own. The key pair here is no secret, and
//! that of the authority is nowhere.
#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use steadfast::transport::{CaError, HttpTransport, TransportError};
use steadfast::verifier::{FetchError, KeyCache, Refresher};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

/// A service that answers each of `connections` with a key set; returns its URL.
fn serve(connections: usize) -> String {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/jwks",
        listener.local_addr().unwrap().port()
    );
    thread::spawn(move || {
        for _ in 0..connections {
            let (socket, _) = listener.accept().unwrap();
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            answer(StreamOwned::new(session, socket));
        }
    });
    url
}

/// A client that does not trust us ends here.
fn answer(mut stream: impl Read + Write) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"LQ3FvJSPPtbaP_x78I9OsdQnmBQrrlhtxYgaUFodslQ"}]}"#;
    let length = set.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{set}").as_bytes()).ok()?;
    stream.flush().ok()
}

async fn fetch(url: &str, ca: &str) -> Result<(), FetchError> {
    let transport = HttpTransport::with_ca_file(file(ca)).unwrap();
    let refresher = Refresher::jwks(url, KeyCache::empty()).unwrap();
    let handle = refresher.handle();
    tokio::spawn(refresher.transport(transport).run());
    let answer = handle.refresh().await;
    handle.stop();
    answer
}

#[tokio::test]
async fn only_the_given_authority_is_trusted() {
    let url = serve(2);
    let refused = FetchError::Transport(TransportError::Connect);
    assert_eq!(fetch(&url, "other-ca.pem").await, Err(refused));
    assert_eq!(fetch(&url, "ca.pem").await, Ok(()));
}

#[test]
fn files_that_give_none() {
    let error = |path| HttpTransport::with_ca_file(path).map(drop).unwrap_err();
    let absent = error(file("absent.pem"));
    assert_eq!(absent, CaError::Unreadable(ErrorKind::NotFound));
    let text = "the certificates cannot be read: entity not found";
    assert_eq!(absent.to_string(), text);
    let none = error(file("server.key.pem"));
    assert_eq!(none, CaError::NoCertificate);
    assert_eq!(none.to_string(), "no certificate that can be used");
}
