//! HTTP to the OAuth service, with every call written down: what was asked for, what came of it, and
//! whether a caller of a resource server waited meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use super::chronicle::{Answer, Call, Caller, Strategy, Wanted, What};
use super::scribe::Scribe;
use crate::testing::Endpoint as Place;
use crate::transport::{Endpoint, HttpTransport, Sending, Transport, TransportError};

/// Who holds the wire.
#[derive(Clone, Debug)]
pub(super) enum Side {
    /// A client.
    Client,
    /// A resource server, and who waits for it.
    Resource(Waiting),
}

/// How many callers wait for the answer of one resource server. Clones count together.
///
/// A call counts as waited for if anyone waits when it is made *or* when it is over, whichever task
/// makes it: a task that a request spawns for it and a call that a request joins hide nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// One more waits for as long as this is kept.
    pub(super) fn enter(&self) -> impl Drop + Send {
        struct Entered(Waiting);
        impl Drop for Entered {
            fn drop(&mut self) {
                self.0.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        Entered(self.clone())
    }

    /// Whether anyone does.
    pub(super) fn anyone(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

/// A [`Transport`] over real HTTP that writes down each call.
#[derive(Clone)]
pub(super) struct Wire {
    http: HttpTransport,
    strategy: Strategy,
    side: Side,
    scribe: Scribe,
}

impl Wire {
    /// A wire of its own, with connections of its own.
    pub(super) fn new(strategy: Strategy, side: Side, scribe: Scribe) -> Self {
        Self {
            http: HttpTransport::new(),
            strategy,
            side,
            scribe,
        }
    }

    /// Gets `endpoint`, with the usual one retry.
    pub(super) async fn get(&self, endpoint: &Endpoint) -> Result<Vec<u8>, String> {
        self.ask(endpoint, || request(Method::GET, endpoint, ""))
            .await
    }

    /// Posts a form with HTTP Basic credentials, with the usual one retry.
    pub(super) async fn post(
        &self,
        endpoint: &Endpoint,
        credentials: &HeaderValue,
        form: &str,
    ) -> Result<Vec<u8>, String> {
        self.ask(endpoint, || {
            let mut request = request(Method::POST, endpoint, form);
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, credentials.clone());
            headers.insert(CONTENT_TYPE, FORM);
            request
        })
        .await
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        request: impl Fn() -> Request<Vec<u8>>,
    ) -> Result<Vec<u8>, String> {
        let mut answer = self.send(endpoint, request(), LARGEST).await;
        if is_worth_a_retry(&answer) {
            self.scribe.sleep(BEFORE_RETRY).await;
            answer = self.send(endpoint, request(), LARGEST).await;
        }
        good_body(answer)
    }

    /// Who calls right now.
    fn caller(&self) -> Caller {
        match &self.side {
            Side::Client => Caller::Client,
            Side::Resource(waiting) if waiting.anyone() => Caller::WaitedFor,
            Side::Resource(_) => Caller::Background,
        }
    }
}

impl Transport for Wire {
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a> {
        Box::pin(async move {
            let (made, before) = (self.scribe.now(), self.caller());
            let answer = self.http.send(endpoint, request, max_body).await;
            let caller = match before {
                Caller::Background => self.caller(),
                before => before,
            };
            if let Some(wanted) = wanted(endpoint.url().path()) {
                let call = Call {
                    made,
                    wanted,
                    caller,
                    answer: judge(wanted, &answer),
                };
                self.scribe.note(What::Call(self.strategy, call));
            }
            answer
        })
    }
}

fn request(method: Method, endpoint: &Endpoint, body: &str) -> Request<Vec<u8>> {
    let mut request = Request::new(body.as_bytes().to_vec());
    *request.method_mut() = method;
    *request.uri_mut() = endpoint.uri();
    request
}

fn is_worth_a_retry(answer: &Result<Response<Vec<u8>>, TransportError>) -> bool {
    answer
        .as_ref()
        .map_or(true, |answer| answer.status().is_server_error())
}

fn good_body(answer: Result<Response<Vec<u8>>, TransportError>) -> Result<Vec<u8>, String> {
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(answer.into_body()),
        Ok(answer) => Err(format!("the service answered {}", answer.status().as_u16())),
        Err(error) => Err(error.to_string()),
    }
}

fn wanted(path: &str) -> Option<Wanted> {
    let place = Place::ALL.into_iter().find(|it| it.path() == path)?;
    Some(match place {
        Place::Token => Wanted::Token,
        Place::Jwks => Wanted::Keys,
        Place::Introspection => Wanted::Introspection,
        Place::OpenIdConfiguration | Place::ServerMetadata => Wanted::Discovery,
    })
}

fn judge(wanted: Wanted, answer: &Result<Response<Vec<u8>>, TransportError>) -> Answer {
    match answer {
        Ok(answer) if answer.status().is_success() => match wanted {
            Wanted::Token => lifetime(answer.body()).map_or(Answer::Failed, Answer::Token),
            _ => Answer::Given,
        },
        // The keys are still the same.
        Ok(answer) if answer.status() == StatusCode::NOT_MODIFIED => Answer::Given,
        _ => Answer::Failed,
    }
}

/// `expires_in` of a token answer (RFC 6749 5.1).
pub(super) fn lifetime(body: &[u8]) -> Option<Duration> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    answer.get("expires_in")?.as_u64().map(Duration::from_secs)
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const LARGEST: usize = 1024 * 1024;
const BEFORE_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::setting::tests::Stage;
    use std::task::Poll;

    use super::super::story::Turn;
    use super::*;

    #[tokio::test]
    async fn every_call_is_written_down_with_who_waited() {
        let mut stage = Stage::set().await;
        let waiting = Waiting::default();
        let wire = |side| stage.setting.wire(Strategy::Steadfast, side);
        let (client, resource) = (wire(Side::Client), wire(Side::Resource(waiting.clone())));
        let keys = &stage.setting.keys_url.clone();
        resource.get(keys).await.unwrap();
        let entered = waiting.enter();
        // In a task of its own, too.
        let (spawned, url) = (resource.clone(), keys.clone());
        let spawned = tokio::spawn(async move { spawned.get(&url).await });
        spawned.await.unwrap().unwrap();
        client.get(keys).await.unwrap();
        drop(entered);
        resource.get(keys).await.unwrap();
        let given = |caller| (Wanted::Keys, caller, Answer::Given);
        assert_eq!(
            stage.calls(),
            [
                given(Caller::Background),
                given(Caller::WaitedFor),
                given(Caller::Client),
                given(Caller::Background),
            ]
        );
    }

    #[tokio::test]
    async fn a_call_that_a_caller_joins_is_waited_for() {
        let mut stage = Stage::set().await;
        let waiting = Waiting::default();
        let side = Side::Resource(waiting.clone());
        let wire = stage.setting.wire(Strategy::Steadfast, side);
        let keys = stage.setting.keys_url.clone();
        let mut call = std::pin::pin!(wire.get(&keys));
        let begun = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context)));
        assert!(begun.await.is_pending());
        let _entered = waiting.enter();
        call.await.unwrap();
        assert_eq!(
            stage.calls(),
            [(Wanted::Keys, Caller::WaitedFor, Answer::Given)]
        );
    }

    #[tokio::test]
    async fn a_call_without_an_answer_is_tried_twice() {
        let mut stage = Stage::set().await;
        let side = Side::Resource(Waiting::default());
        let resource = stage.setting.wire(Strategy::Steadfast, side);
        let token = &stage.setting.token_url.clone();
        let why = resource.get(token).await.unwrap_err();
        assert_eq!(why, "the service answered 405");
        stage.setting.take(Turn::Down);
        assert!(resource.get(&stage.setting.keys_url).await.is_err());
        let failed = |wanted| (wanted, Caller::Background, Answer::Failed);
        let expected = [Wanted::Token, Wanted::Keys, Wanted::Keys];
        assert_eq!(stage.calls(), expected.map(failed));
    }
}
