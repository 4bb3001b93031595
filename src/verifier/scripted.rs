//! A transport for tests that answers from a script and writes down what it was asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};

use crate::transport::{Endpoint, Sending, Transport, TransportError};

#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: HashMap<String, Answer>,
    asked: Vec<(String, HeaderMap)>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Reply(u16, Vec<(&'static str, String)>, String),
    Fails(TransportError),
    Panics,
    Hangs,
}

impl Script {
    /// From now on `url` answers so; what has no answer answers 404.
    pub(super) fn put(&self, url: &str, answer: Answer) {
        let mut inner = self.0.lock().unwrap();
        inner.answers.insert(url.to_owned(), answer);
    }

    /// The URLs that were asked since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|(url, _)| url).collect()
    }

    pub(super) fn requests(&self) -> Vec<(String, HeaderMap)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

impl Transport for Script {
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: Request<Vec<u8>>,
        _max_body: usize,
    ) -> Sending<'a> {
        assert_eq!(request.uri(), endpoint.as_str());
        let mut inner = self.0.lock().unwrap();
        let url = endpoint.as_str().to_owned();
        let answer = inner.answers.get(&url).cloned();
        inner.asked.push((url, request.headers().clone()));
        Box::pin(async move {
            match answer.unwrap_or_else(|| reply(404, "")) {
                Answer::Fails(error) => Err(error),
                Answer::Panics => panic!("as the script says"),
                Answer::Hangs => std::future::pending().await,
                Answer::Reply(status, headers, body) => {
                    let mut answer = Response::builder().status(status);
                    for (name, value) in headers {
                        answer = answer.header(name, value);
                    }
                    Ok(answer.body(body.into_bytes()).unwrap())
                }
            }
        })
    }
}

pub(super) fn reply(status: u16, body: impl Into<String>) -> Answer {
    Answer::Reply(status, Vec::new(), body.into())
}

/// A key set of one key of this kid.
pub(super) fn key_set(kid: &str) -> String {
    let x = "LQ3FvJSPPtbaP_x78I9OsdQnmBQrrlhtxYgaUFodslQ";
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}]}}"#)
}

pub(super) fn document(issuer: &str, jwks_uri: &str) -> Answer {
    let body = serde_json::json!({ "issuer": issuer, "jwks_uri": jwks_uri });
    reply(200, body.to_string())
}

/// A folder of one test, gone when it ends.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("steadfast-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
