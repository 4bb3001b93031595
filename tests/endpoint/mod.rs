//! A token endpoint that writes down who asks, and for what. It issues `token-1`, `token-2`, … The key
//! pairs in tests/tls are no secret, and those of the authorities are nowhere.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

pub(crate) type Texts = BTreeMap<String, String>;

/// One request.
pub(crate) struct Asked {
    certificate: Option<CertificateDer<'static>>,
    pub(crate) headers: Texts,
    pub(crate) form: Texts,
}

pub(crate) struct Service {
    pub(crate) url: String,
    asked: Arc<Mutex<Log>>,
}

/// What was asked, and how many tokens are out.
#[derive(Default)]
struct Log(Vec<Asked>, u32);

impl Service {
    /// Over plain HTTP.
    pub(crate) fn plain() -> Self {
        Self::on("http", |socket, asked| answer(socket, |_| None, asked))
    }

    /// Over TLS, with or without a client certificate.
    pub(crate) fn start(demands: bool) -> Self {
        let config = config(demands);
        Self::on("https", move |socket, asked| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let peer = |it: &StreamOwned<ServerConnection, TcpStream>| {
                let chain = it.conn.peer_certificates();
                chain.map(|chain| chain[0].clone())
            };
            answer(StreamOwned::new(session, socket), peer, asked)
        })
    }

    fn on(
        scheme: &str,
        serve: impl Fn(TcpStream, &Mutex<Log>) -> Option<()> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Log::default()));
        let service = Self {
            url: format!("{scheme}://localhost:{port}/token"),
            asked: Arc::clone(&asked),
        };
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (serve, asked) = (serve.clone(), Arc::clone(&asked));
                thread::spawn(move || serve(socket.unwrap(), &asked));
            }
        });
        service
    }

    /// Who asked, by the files' names.
    pub(crate) fn seen(&self) -> Vec<&'static str> {
        let asked = self.asked.lock().unwrap();
        let name = |it: &Asked| match &it.certificate {
            None => "nobody",
            Some(it) if *it == certificate("client-1.pem") => "client-1",
            Some(it) if *it == certificate("client-2.pem") => "client-2",
            Some(_) => "a stranger",
        };
        asked.0.iter().map(name).collect()
    }

    /// What was asked since this was last called.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap().0)
    }
}

fn config(demands: bool) -> Arc<ServerConfig> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate("client-ca.pem")).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&ring));
    let verifier = if demands {
        verifier
    } else {
        verifier.allow_unauthenticated()
    };
    let key = PrivateKeyDer::from_pem_file(file("server.key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate("server.pem")], key);
    Arc::new(config.unwrap())
}

/// Answers request after request on one connection, each with a token of its own.
fn answer<S: Read + Write>(
    stream: S,
    peer: fn(&S) -> Option<CertificateDer<'static>>,
    asked: &Mutex<Log>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = Texts::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.trim_end().split_once(": ") {
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
        stream.read_exact(&mut body).ok()?;
        let form = url::form_urlencoded::parse(&body).into_owned().collect();
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.0.push(Asked {
                certificate: peer(stream.get_ref()),
                headers,
                form,
            });
            asked.1 += 1;
            asked.1
        };
        let body = format!(
            r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":43200}}"#
        );
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
        stream.get_mut().flush().ok()?;
    }
}
