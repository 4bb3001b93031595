//! A resource: a server on loopback that asks for a bearer token, and its clients' way to it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::chronicle::Failure;
use super::wire::Waiting;
use crate::transport::{Endpoint, HttpTransport, Transport};
use crate::verifier::challenge::bearer;

/// What decides on the tokens that a resource server is shown.
pub(super) trait Gate: Send + Sync + 'static {
    /// Decides on one token, while the caller waits.
    fn admit(&self, token: &str) -> impl Future<Output = Admission> + Send;
}

/// What a [`Gate`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Come in.
    Granted,
    /// The token is bad.
    Refused,
    /// Nobody knows.
    Unavailable,
}

/// A resource server, as its clients see it.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    endpoint: Endpoint,
    http: HttpTransport,
}

impl Resource {
    /// Starts a resource server behind `gate`, which runs as long as the runtime does; `waiting`
    /// knows who waits for the gate.
    pub(super) async fn open(gate: impl Gate, waiting: Waiting) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/orders", listener.local_addr()?);
        tokio::spawn(listen(listener, Arc::new((gate, waiting))));
        Ok(Self {
            endpoint: Endpoint::new(&url).map_err(io::Error::other)?,
            http: HttpTransport::new(),
        })
    }

    /// Does what a client has to do here.
    pub(super) async fn use_with(&self, token: &str) -> Result<(), Failure> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = self.endpoint.uri();
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::NoToken("it cannot stand in a header".into()))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        let answer = self.http.send(&self.endpoint, request, LARGEST).await;
        match answer.map_err(Failure::Unreached)?.status() {
            StatusCode::OK => Ok(()),
            status => Err(Failure::Refused(status.as_u16())),
        }
    }
}

async fn listen(listener: TcpListener, door: Arc<(impl Gate, Waiting)>) {
    loop {
        // What can fail here is the peer's doing, or passes.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, Arc::clone(&door)));
        }
    }
}

async fn talk(stream: TcpStream, door: Arc<(impl Gate, Waiting)>) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(answer(&request, &door.0, &door.1).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away in the middle is no concern of the server.
    let _ = connection.await;
}

async fn answer(
    request: &Request<Incoming>,
    gate: &impl Gate,
    waiting: &Waiting,
) -> Response<Full<Bytes>> {
    let headers = request.headers().get_all(AUTHORIZATION);
    let admission = match bearer(headers.iter().map(HeaderValue::as_bytes)) {
        Ok(Some(token)) => {
            let _entered = waiting.enter();
            gate.admit(token).await
        }
        Ok(None) | Err(_) => Admission::Refused,
    };
    let mut response = Response::new(Full::from(ORDERS));
    let (status, name, value) = match admission {
        Admission::Granted => (StatusCode::OK, CONTENT_TYPE, "application/json"),
        Admission::Refused => (StatusCode::UNAUTHORIZED, WWW_AUTHENTICATE, "Bearer"),
        Admission::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, "30"),
    };
    if admission != Admission::Granted {
        *response.body_mut() = Full::default();
    }
    *response.status_mut() = status;
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

const ORDERS: &[u8] = br#"{"orders":[1,2,3]}"#;
const LARGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(Admission, Waiting);

    impl Gate for Always {
        async fn admit(&self, _token: &str) -> Admission {
            assert!(self.1.anyone());
            self.0
        }
    }

    async fn always(admission: Admission) -> (Resource, Waiting) {
        let waiting = Waiting::default();
        let gate = Always(admission, waiting.clone());
        let resource = Resource::open(gate, waiting.clone()).await.unwrap();
        (resource, waiting)
    }

    #[tokio::test]
    async fn answers() {
        for (admission, outcome) in [
            (Admission::Granted, Ok(())),
            (Admission::Refused, Err(Failure::Refused(401))),
            (Admission::Unavailable, Err(Failure::Refused(503))),
        ] {
            let (resource, waiting) = always(admission).await;
            assert_eq!(resource.use_with("abc").await, outcome);
            assert!(!waiting.anyone());
        }
    }

    #[tokio::test]
    async fn no_bearer_token_no_entry() {
        let (resource, _) = always(Admission::Granted).await;
        assert_eq!(resource.use_with("a b").await, Err(Failure::Refused(401)));
        let outcome = resource.use_with("a\nb").await;
        assert!(matches!(outcome, Err(Failure::NoToken(_))), "{outcome:?}");
    }
}
