//! The rules that every store is held against.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::clock::Timestamp;
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::error::{Class, Reason};
use steadfast::rotator::state::{Failed, Gate, Issued, Record, Successor};
use steadfast::rotator::store::{Claim, CredentialTag, Store, StoreKey};
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::token::{AccessToken, LifetimeSource, RefreshToken, Token, TokenFormat};
use steadfast::transport::{Endpoint, Sending, Transport};

/// Where a store keeps its records. Each handle is what another process would have.
pub(crate) struct Place(Box<dyn Fn() -> Arc<dyn Store>>);

impl Place {
    pub(crate) fn new<S: Store>(open: impl Fn() -> S + 'static) -> Self {
        Self(Box::new(move || Arc::new(open())))
    }

    fn handle(&self) -> Arc<dyn Store> {
        (self.0)()
    }
}

/// A test for every rule, each in a place of its own.
#[macro_export]
macro_rules! every_rule {
    ($place:path) => {
        $crate::every_rule! { $place:
            keeps_records
            has_one_claim_at_a_time
            a_claim_that_is_dropped_is_free
            a_claim_that_is_given_back_is_free_at_once
            can_be_written_without_the_claim_but_not_over_what_is_newer
            a_late_answer_does_not_replace_a_rivals
            knows_one_answer_again
            many_clients_share_one_budget_of_attempts
            many_clients_share_one_token
        }
    };
    ($place:path: $($rule:ident)*) => {
        mod rules {
            $(
                #[tokio::test]
                async fn $rule() {
                    $crate::suite::$rule(&$place(stringify!($rule)).await).await;
                }
            )*
        }
    };
}

pub(crate) fn key(name: &str) -> StoreKey {
    StoreKey::of([("client", name)])
}

pub(crate) fn issued_at() -> Timestamp {
    Timestamp::from_secs(1_795_570_010)
}

pub(crate) fn record(generation: u64, token: &str) -> Record {
    let token = Token {
        access_token: AccessToken::new(token).unwrap(),
        format: TokenFormat::Opaque,
        issued_at: issued_at(),
        expires_at: issued_at().plus(Duration::from_secs(3600)),
        lifetime_source: LifetimeSource::ExpiresIn,
        scope: Some("read write".into()),
    };
    Record {
        generation,
        token: Some(Issued {
            token: Arc::new(token),
            fraction: 0.25,
            rotate_in: Some(Duration::from_secs(900)),
            credential: CredentialTag::of(&key("a"), b"secret"),
        }),
        requested_at: Some(issued_at()),
        ..Record::default()
    }
}

/// A record with all that a record can have.
fn full(generation: u64, token: &str) -> Record {
    let at = |seconds| issued_at().plus(Duration::from_secs(seconds));
    Record {
        former: record(1, "former").token,
        failed: Some(Failed {
            since: at(100),
            attempts: 3,
            reason: Reason::Deadline,
            class: Class::Transient,
            written_at: at(200),
            next_attempt: at(300),
            credential: CredentialTag::of(&key("a"), b"secret"),
            without_format: true,
        }),
        gate: Some(Gate {
            opens_at: at(400),
            closed_for: 30,
        }),
        successors: vec![Successor {
            refresh_token: RefreshToken::new("refresh-token 2").unwrap(),
            number: 2,
            since: at(200),
            initial: CredentialTag::of(&key("a"), b"refresh-token 0"),
        }],
        ..record(generation, token)
    }
}

pub(crate) async fn claim(store: &dyn Store, name: &str) -> Option<Box<dyn Claim>> {
    store.try_claim(&key(name)).await.unwrap()
}

pub(crate) async fn read(store: &dyn Store, name: &str) -> Option<Record> {
    store.read(&key(name)).await.unwrap()
}

pub(crate) async fn write(store: &dyn Store, name: &str, record: &Record) {
    let mut claim = claim(store, name).await.unwrap();
    claim.write(record).await.unwrap();
    claim.release().await.unwrap();
}

/// Asks again until it is so.
pub(crate) async fn soon<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    for _ in 0..1000 {
        if so().await {
            return;
        }
        tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
    panic!("not within ten seconds: {what}");
}

pub(crate) async fn keeps_records(place: &Place) {
    let (one, other) = (place.handle(), place.handle());
    assert_eq!(read(&one, "a").await, None);
    write(&one, "a", &record(1, "first")).await;
    write(&other, "b", &record(7, "other")).await;
    assert_eq!(read(&other, "a").await, Some(record(1, "first")));
    write(&other, "a", &full(2, "second")).await;
    assert_eq!(read(&one, "a").await, Some(full(2, "second")));
    assert_eq!(read(&one, "b").await, Some(record(7, "other")));
    assert_eq!(read(&one, "c").await, None);
}

pub(crate) async fn has_one_claim_at_a_time(place: &Place) {
    let (one, other) = (place.handle(), place.handle());
    let mut held = claim(&one, "a").await.unwrap();
    assert!(claim(&one, "a").await.is_none());
    assert!(claim(&other, "a").await.is_none());
    held.write(&record(1, "stamp")).await.unwrap();
    assert!(
        claim(&other, "a").await.is_none(),
        "a write does not end it"
    );
    assert_eq!(read(&other, "a").await, Some(record(1, "stamp")));
    held.write(&record(2, "answer")).await.unwrap();
    assert_eq!(read(&other, "a").await, Some(record(2, "answer")));
}

pub(crate) async fn a_claim_that_is_dropped_is_free(place: &Place) {
    let (one, other) = (place.handle(), place.handle());
    drop(claim(&one, "a").await.unwrap());
    soon("a free claim", async || claim(&other, "a").await.is_some()).await;
}

pub(crate) async fn a_claim_that_is_given_back_is_free_at_once(place: &Place) {
    let (one, other) = (place.handle(), place.handle());
    for store in [&one, &other, &one] {
        let mut held = claim(store, "a").await.unwrap();
        held.write(&record(1, "first")).await.unwrap();
        held.release().await.unwrap();
        drop(held);
    }
    let _another = claim(&other, "a").await.unwrap();
    assert!(claim(&one, "a").await.is_none(), "it was given back once");
}

pub(crate) async fn can_be_written_without_the_claim_but_not_over_what_is_newer(place: &Place) {
    let (one, other) = (place.handle(), place.handle());
    write(&one, "a", &record(1, "old")).await;
    let stopped = claim(&one, "a").await.unwrap();
    let key = key("a");
    let mut anyway = other.claim_anyway(&key).await.unwrap();
    anyway.write(&record(3, "newer")).await.unwrap();
    assert_eq!(read(&one, "a").await, Some(record(3, "newer")));
    anyway.write(&record(2, "late")).await.unwrap();
    assert_eq!(read(&one, "a").await, Some(record(3, "newer")));
    anyway.release().await.unwrap();
    drop(anyway);
    assert!(claim(&other, "a").await.is_none(), "it is still held");
    drop(stopped);
}

pub(crate) async fn a_late_answer_does_not_replace_a_rivals(place: &Place) {
    let (one, other) = (place.handle(), place.handle());
    let key = key("a");
    write(&one, "a", &record(1, "first")).await;
    let mut slow = one.try_claim(&key).await.unwrap().unwrap();
    let mut fast = other.claim_anyway(&key).await.unwrap();
    fast.write(&record(2, "fast")).await.unwrap();
    slow.write(&record(2, "slow")).await.unwrap();
    assert_eq!(read(&one, "a").await, Some(record(2, "fast")));
    slow.write(&record(1, "slower")).await.unwrap();
    assert_eq!(read(&one, "a").await, Some(record(2, "fast")));
    slow.write(&record(3, "next")).await.unwrap();
    assert_eq!(read(&other, "a").await, Some(record(3, "next")));
}

/// What comes after the token, such as a failure, is written over the same token.
pub(crate) async fn knows_one_answer_again(place: &Place) {
    let store = place.handle();
    write(&store, "a", &record(4, "same")).await;
    write(&store, "a", &full(4, "same")).await;
    assert_eq!(read(&store, "a").await, Some(full(4, "same")));
}

/// Answers with a status and counts.
pub(crate) struct Service {
    answer: http::StatusCode,
    requests: AtomicUsize,
}

impl Service {
    pub(crate) fn well() -> Arc<Self> {
        Self::new(http::StatusCode::OK)
    }

    fn new(answer: http::StatusCode) -> Arc<Self> {
        let requests = AtomicUsize::new(0);
        Arc::new(Self { answer, requests })
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

struct Asking(Arc<Service>);

impl Transport for Asking {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":43200}}"#);
        let answer = http::Response::builder().status(self.0.answer);
        Box::pin(async { Ok(answer.body(body.into_bytes()).unwrap()) })
    }
}

pub(crate) fn rotator(store: impl Store, service: &Arc<Service>) -> Rotator {
    let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret").unwrap();
    let policy = IssuancePolicy::default().with_retries(0).unwrap();
    Rotator::new(grant, policy)
        .store(store)
        .transport(Asking(Arc::clone(service)))
}

pub(crate) async fn many_clients_share_one_budget_of_attempts(place: &Place) {
    let down = Service::new(http::StatusCode::BAD_REQUEST);
    for _ in 0..10 {
        rotator(place.handle(), &down)
            .token_once(Duration::ZERO)
            .await
            .unwrap_err();
    }
    // The pause after a transient failure without a token is of a second or so.
    assert!(down.requests() < 4, "{} requests", down.requests());
}

pub(crate) async fn many_clients_share_one_token(place: &Place) {
    let well = Service::well();
    for _ in 0..5 {
        let rotator = rotator(place.handle(), &well);
        let token = rotator.token_once(Duration::ZERO).await.unwrap();
        assert_eq!(token.expose(), "token-0");
        assert_eq!(rotator.health().store, None);
    }
    assert_eq!(well.requests(), 1);
}
