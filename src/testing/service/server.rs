//! The sockets: connections are accepted, answered and, in an outage, reset.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::ALLOW;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{self, Answer};
use super::faults::{Endpoint, FaultKind};
use super::received::Received;
use super::state::State;
use super::{control, documents, token};
use crate::clock::{Clock, SystemClock};

/// Which port a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Service,
    Control,
}

/// Accepts and answers for ever. Its connections end with it.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, door: Door) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some((stream, resets)) = admit(stream, &state, door) {
                        connections.spawn(connection(stream, state.clone(), door, resets));
                    }
                }
                // Out of descriptors, most likely: some connection must close first.
                Err(_) => SystemClock.sleep(BREATH).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

const BREATH: Duration = Duration::from_millis(10);

/// Resets the connection, or says what will reset it later.
fn admit(stream: TcpStream, state: &State, door: Door) -> Option<(TcpStream, watch::Receiver<()>)> {
    // Enrolled before the script is asked: an outage that begins in between is not missed.
    let resets = state.resets.subscribe();
    if door == Door::Service && state.refuses_connection() {
        reset(stream);
        return None;
    }
    Some((stream, resets))
}

async fn connection(
    stream: TcpStream,
    state: Arc<State>,
    door: Door,
    mut resets: watch::Receiver<()>,
) {
    let service = service_fn(|request| respond(&state, door, request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let end_by_reset = tokio::select! {
        biased;
        // The whole service goes down, whatever this connection is doing.
        Ok(()) = resets.changed(), if door == Door::Service => {
            state.count_reset();
            true
        }
        // An error of the service function is `Reset`; all others are the client's.
        ended = &mut connection => ended.is_err_and(|error| error.is_user()),
    };
    if end_by_reset {
        reset(connection.into_parts().io.into_inner());
    }
}

/// Closes with RST instead of FIN: with a linger of zero what is unsent is thrown away.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

/// The connection is to be reset instead of answered.
#[derive(Debug)]
struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service is down")
    }
}

impl std::error::Error for Reset {}

async fn respond(state: &State, door: Door, request: Request<Incoming>) -> Result<Answer, Reset> {
    let mut answer = match door {
        Door::Service => serve_request(state, request).await?,
        Door::Control => match Received::read(request).await {
            Ok(received) => control::answer(state, &received),
            Err(error) => error,
        },
    };
    answer::date(&mut answer, state.wall());
    Ok(answer)
}

async fn serve_request(state: &State, request: Request<Incoming>) -> Result<Answer, Reset> {
    let Some(endpoint) = Endpoint::at(request.uri().path()) else {
        return Ok(answer::text(StatusCode::NOT_FOUND, "there is nothing here"));
    };
    match state.receive(endpoint) {
        None => {}
        Some(FaultKind::Down) => return Err(Reset),
        Some(FaultKind::Hang) => match std::future::pending::<Infallible>().await {},
        Some(FaultKind::Slow(by)) => state.clock().sleep(by).await,
        Some(FaultKind::Answer(fault)) => return Ok(answer::fault(fault)),
    }
    let answer = match Received::read(request).await {
        Ok(received) => at_endpoint(state, endpoint, &received),
        Err(error) => error,
    };
    if answer.status().is_success() || answer.status() == StatusCode::NOT_MODIFIED {
        state.count_success(endpoint);
    }
    Ok(answer)
}

fn at_endpoint(state: &State, endpoint: Endpoint, request: &Received) -> Answer {
    let allowed: &[Method] = match endpoint {
        // RFC 6749 3.2, RFC 7662 2.1.
        Endpoint::Token | Endpoint::Introspection => &[Method::POST],
        _ => &[Method::GET, Method::HEAD],
    };
    if !allowed.contains(&request.method) {
        let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
        let mut answer = answer::text(StatusCode::METHOD_NOT_ALLOWED, "another method is needed");
        answer::set(&mut answer, ALLOW, &names.join(", "));
        return answer;
    }
    match endpoint {
        Endpoint::Token => token::answer(state, request).unwrap_or_else(Answer::from),
        Endpoint::Introspection => token::introspect(state, request).unwrap_or_else(Answer::from),
        Endpoint::Jwks => documents::jwks(state, &request.headers),
        Endpoint::OpenIdConfiguration | Endpoint::ServerMetadata => documents::metadata(state),
    }
}
