//! A service by script, and rotators that ask it.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::policy::IssuancePolicy;
use steadfast::rotator::error::Reason;
use steadfast::rotator::{ClientCredentials, Error, Rotator};
use steadfast::testing::ManualClock;
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};
use tokio::sync::Notify;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// What the service does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Status, `Retry-After`, body.
    Answer(u16, Option<u64>, String),
    Fails(TransportError),
    Panics,
    Hangs,
    /// Issues once it is told to.
    Waits(Arc<Notify>),
}

pub(crate) fn issues(token: &str) -> Step {
    Step::Answer(200, None, body_of(token))
}

fn body_of(token: &str) -> String {
    format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":43200}}"#)
}

pub(crate) fn error(status: u16, code: &str) -> Step {
    Step::Answer(status, None, format!(r#"{{"error":"{code}"}}"#))
}

pub(crate) fn busy(retry_after: u64) -> Step {
    Step::Answer(429, Some(retry_after), String::new())
}

pub(crate) const DOWN: Step = Step::Fails(TransportError::Connect);

/// Answers by script; once that is over, issues `token-1`, `token-2`, … or stays down.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Played>>);

#[derive(Default)]
struct Played {
    steps: VecDeque<Step>,
    down: bool,
    requests: Vec<String>,
    issued: u32,
}

impl Script {
    pub(crate) fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().steps.extend(steps);
        script
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    pub(crate) fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }

    pub(crate) fn then(&self, step: Step) {
        self.0.lock().unwrap().steps.push_back(step);
    }

    /// Nothing is left of the script.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().steps.clear();
    }

    fn next(&self, body: String) -> Step {
        let mut played = self.0.lock().unwrap();
        played.requests.push(body);
        match played.steps.pop_front() {
            Some(step) => step,
            None if played.down => DOWN,
            None => {
                played.issued += 1;
                issues(&format!("token-{}", played.issued))
            }
        }
    }
}

impl Transport for Script {
    fn send<'a>(
        &'a self,
        _: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        _: usize,
    ) -> Sending<'a> {
        let step = self.next(String::from_utf8(request.into_body()).unwrap());
        Box::pin(async move {
            match step {
                Step::Answer(status, retry_after, body) => {
                    let mut answer = http::Response::builder().status(status);
                    if let Some(seconds) = retry_after {
                        answer = answer.header("retry-after", seconds);
                    }
                    Ok(answer.body(body.into_bytes()).unwrap())
                }
                Step::Fails(error) => Err(error),
                Step::Panics => panic!("a transport that panics"),
                Step::Hangs => std::future::pending().await,
                Step::Waits(gate) => {
                    gate.notified().await;
                    Ok(http::Response::new(body_of("waited-for").into_bytes()))
                }
            }
        })
    }
}

pub(crate) fn grant() -> ClientCredentials {
    ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap()
}

pub(crate) fn policy(retries: u8) -> IssuancePolicy {
    IssuancePolicy::default().with_retries(retries).unwrap()
}

/// A rotator without retries, so that a failed attempt is one request and needs no waiting.
pub(crate) fn rotator(script: &Script, clock: &ManualClock) -> Rotator {
    Rotator::new(grant(), policy(0))
        .transport(script.clone())
        .clock(Arc::new(clock.clone()))
}

/// Lets everything run that does not wait for a clock: nothing here does I/O.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn name(rotator: &Rotator) -> String {
    rotator.token().await.unwrap().expose().to_owned()
}

pub(crate) fn reason(error: &Error) -> Reason {
    error.failing().unwrap().reason.clone()
}
