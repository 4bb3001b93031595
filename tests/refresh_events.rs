//! What a refresher tells through `tracing`. One test to a process: whether anyone listens is
//! remembered process-wide.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod listening;

use std::sync::{Arc, Mutex};

use http::{HeaderName, HeaderValue};
use listening::Events;
use steadfast::testing::ManualClock;
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};
use steadfast::verifier::{KeyCache, Refresher};

/// Answers with what was put in last.
#[derive(Clone)]
struct Service(Arc<Mutex<Option<String>>>);

impl Transport for Service {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let answer = self.0.lock().unwrap().clone();
        Box::pin(async {
            let body = answer.ok_or(TransportError::Connect)?;
            Ok(http::Response::new(body.into_bytes()))
        })
    }
}

#[track_caller]
fn told(events: &Events, expected: &[&[&str]]) {
    let told = events.take();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (line, parts) in told.iter().zip(expected) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        assert!(!line.contains("s3cret"), "{line}");
    }
}

const SET: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"a","x":"LQ3FvJSPPtbaP_x78I9OsdQnmBQrrlhtxYgaUFodslQ"},
    {"kty":"oct","kid":"b","k":"s3cret"}]}"#;

#[tokio::test]
async fn events_tell_what_came_of_each_fetch() {
    let (events, _listening) = Events::listen();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("refresh-events");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bearer"), "s3cret").unwrap();
    let key_file = folder.join("keys.json");
    std::fs::write(&key_file, "{").unwrap();
    let service = Service(Arc::new(Mutex::new(Some(SET.to_owned()))));
    let clock = ManualClock::default();
    let begin = || {
        let url = "https://keys.example/s3cret/jwks?key=s3cret";
        let refresher = Refresher::jwks(url, KeyCache::empty())
            .unwrap()
            .transport(service.clone())
            .clock(Arc::new(clock.clone()))
            .bearer_file(folder.join("bearer"))
            .header(
                HeaderName::from_static("x-gateway"),
                HeaderValue::from_static("s3cret"),
            )
            .key_file(&key_file);
        let handle = refresher.handle();
        (tokio::spawn(refresher.run()), handle)
    };
    let (task, handle) = begin();
    handle.ready().await.unwrap();
    told(
        &events,
        &[
            &[
                "WARN",
                "keys.example",
                "no use of the key file",
                "the key file is damaged",
            ],
            &[
                "INFO",
                "key skipped",
                "index=1",
                "a symmetric key is not taken from here",
            ],
            &[
                "DEBUG",
                "keys fetched",
                "generation=1",
                "usable_keys=1",
                "bells_rung=0",
            ],
        ],
    );
    handle.stop();
    task.await.unwrap();
    *service.0.lock().unwrap() = None;
    let (_task, handle) = begin();
    handle.refresh().await.unwrap_err();
    told(
        &events,
        &[
            &[
                "INFO",
                "keys restored from the key file",
                "keys.example",
                "age_s=0",
            ],
            &[
                "WARN",
                "keys not fetched",
                "error=no connection",
                "failures=1",
                "generation=1",
                "age_s=0",
                "stale_serves=0",
                "bells_rung=1",
                "bells_held=",
                "next_s=",
            ],
        ],
    );
}
