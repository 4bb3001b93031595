//! A resource server on loopback that writes down what it was asked, and answers as it is told.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it was asked: the `Authorization` header and the body.
pub type Asked = (Option<String>, String);

/// What it answers to a request with this `Authorization` header, which is its nth.
type Rule = dyn Fn(Option<&str>, usize) -> Reply + Send + Sync;

pub enum Reply {
    Fine,
    /// 401 with these challenges.
    Refused(&'static [&'static str]),
    SeeOther(String),
}

pub struct Resource {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Resource {
    pub async fn start(
        rule: impl Fn(Option<&str>, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let rule: Arc<Rule> = Arc::new(rule);
        let seen = asked.clone();
        let router = Router::new().fallback(move |request| answer(request, seen.clone(), rule));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, task }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The `Authorization` headers of that.
    pub fn authorizations(&self) -> Vec<Option<String>> {
        self.asked().into_iter().map(|it| it.0).collect()
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request, asked: Arc<Mutex<Vec<Asked>>>, rule: Arc<Rule>) -> Response {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization.map(|it| it.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20)
        .await
        .unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let mut asked = asked.lock().unwrap();
    asked.push((authorization.clone(), body));
    let reply = rule(authorization.as_deref(), asked.len());
    let response = Response::builder();
    let response = match reply {
        Reply::Fine => response,
        Reply::SeeOther(location) => response.status(302).header(LOCATION, location),
        Reply::Refused(challenges) => {
            let with = |response: http::response::Builder, it: &&str| {
                response.header(WWW_AUTHENTICATE, *it)
            };
            challenges.iter().fold(response.status(401), with)
        }
    };
    response.body(axum::body::Body::empty()).unwrap()
}

/// A client for plain `http`, which follows redirects.
pub fn http_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    // It is built with TLS where the crate is, and wants a provider then.
    #[cfg(feature = "tls")]
    let builder = {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(ring);
        let tls = tls.with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty());
        builder.tls_backend_preconfigured(tls.with_no_client_auth())
    };
    builder.build().unwrap()
}
