//! Refresh tokens that the service replaces at each use, and what may come between a replacement and
//! the store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::clock::{Clock as _, SystemClock};
use steadfast::rotator::error::Reason;
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{Claim, MemoryStore, SealKey, Sealed, Store, StoreKey, Storing};
use steadfast::rotator::{Client, ClientCertificate, Grant as _, RefreshTokenGrant, Rotator};
use steadfast::testing::ManualClock;
use steadfast::transport::{Endpoint, Sending, Transport, TransportError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::script::{HOUR, SECOND, name, policy, settle};

/// Issues `token-1` and `r-1` to the first request, and so on, and takes its time for it.
#[derive(Clone, Default)]
struct Service(Arc<Served>);

#[derive(Default)]
struct Served {
    takes: AtomicU64,
    sent: std::sync::Mutex<Vec<String>>,
}

impl Service {
    fn takes(&self, seconds: u64) {
        self.0.takes.store(seconds, Ordering::Relaxed);
    }

    /// The refresh tokens that came.
    fn sent(&self) -> Vec<String> {
        self.0.sent.lock().unwrap().clone()
    }

    fn received(&self, form: &[u8]) -> usize {
        let mut pairs = url::form_urlencoded::parse(form);
        let (_, token) = pairs.find(|(name, _)| name == "refresh_token").unwrap();
        let mut sent = self.0.sent.lock().unwrap();
        sent.push(token.into_owned());
        sent.len()
    }
}

impl Transport for Service {
    fn send<'a>(
        &'a self,
        _: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        _: usize,
    ) -> Sending<'a> {
        let number = self.received(request.body());
        let takes = Duration::from_secs(self.0.takes.load(Ordering::Relaxed));
        Box::pin(async move {
            SystemClock.sleep(takes).await;
            let body = format!(
                r#"{{"access_token":"token-{number}","expires_in":43200,"refresh_token":"r-{number}"}}"#
            );
            Ok(http::Response::new(body.into_bytes()))
        })
    }
}

fn client(secret: &str) -> Client {
    Client::new("https://login.example/token", "orders", secret).unwrap()
}

fn grant() -> RefreshTokenGrant {
    RefreshTokenGrant::new(client("s3cret"), "alice", "r-0")
}

/// What one process has: all but the store is its own.
fn process(service: &Service, clock: &ManualClock, store: impl Store) -> Rotator {
    Rotator::new(grant(), policy(0))
        .transport(service.clone())
        .clock(Arc::new(clock.clone()))
        .store(store)
}

async fn stored(store: &dyn Store, rotator: &Rotator) -> Record {
    store.read(&rotator.store_key()).await.unwrap().unwrap()
}

async fn successor(store: &dyn Store, rotator: &Rotator) -> String {
    let record = stored(store, rotator).await;
    record.successors[0].refresh_token.expose().to_owned()
}

// Processes that end after one call

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_waits_for_the_refresh_token_on_its_way() {
    let (service, clock, store) = (
        Service::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let once = async || {
        let rotator = process(&service, &clock, store.clone());
        let began = Instant::now();
        let token = rotator.token_once(Duration::ZERO).await.unwrap();
        let successor = successor(&store, &rotator).await;
        (
            token.expose().to_owned(),
            successor,
            began.elapsed().as_secs(),
        )
    };
    assert_eq!(once().await, ("token-1".into(), "r-1".into(), 0));
    // Due: a client credentials grant would be gone after 5 s.
    clock.advance(2 * HOUR);
    service.takes(8);
    assert_eq!(once().await, ("token-2".into(), "r-2".into(), 8));
    // In the last second of the token's life: it would be gone after half of that.
    clock.advance(12 * HOUR - SECOND);
    assert_eq!(once().await, ("token-3".into(), "r-3".into(), 8));
    // A request that is never answered is given up in the end, and the token lives.
    clock.advance(2 * HOUR);
    service.takes(3600);
    assert_eq!(once().await, ("token-3".into(), "r-3".into(), 21));
    assert_eq!(service.sent(), ["r-0", "r-1", "r-2", "r-3"]);
}

/// Nobody listens.
#[derive(Clone, Default)]
struct Nobody(Arc<AtomicU64>);

impl Transport for Nobody {
    fn send<'a>(&'a self, _: &'a Endpoint, _: http::Request<Vec<u8>>, _: usize) -> Sending<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            SystemClock.sleep(3 * SECOND).await;
            Err(TransportError::Connect)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_nobody_reaches_costs_five_seconds() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let service = Service::default();
    name(&process(&service, &clock, store.clone())).await;
    clock.advance(2 * HOUR);
    let nobody = Nobody::default();
    let rotator = Rotator::new(grant(), policy(2))
        .transport(nobody.clone())
        .clock(Arc::new(clock.clone()))
        .store(store);
    let began = Instant::now();
    let token = rotator.token_once(Duration::ZERO).await.unwrap();
    assert_eq!(token.expose(), "token-1");
    assert!(began.elapsed() <= 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(nobody.0.load(Ordering::Relaxed), 1);
}

// The store comes first

/// A store that stands still at the write that has a token: before it or after it.
#[derive(Clone)]
struct Halting {
    store: MemoryStore,
    after: bool,
    reached: Arc<Notify>,
}

impl Store for Halting {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        self.store.read(key)
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            let claim = self.store.try_claim(key).await?;
            Ok(claim.map(|claim| {
                let halting = self.clone();
                Box::new(HaltingClaim { halting, claim }) as Box<dyn Claim>
            }))
        })
    }

    fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        panic!("never without the claim")
    }
}

struct HaltingClaim {
    halting: Halting,
    claim: Box<dyn Claim>,
}

impl Claim for HaltingClaim {
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()> {
        Box::pin(async {
            let halts = record.token.is_some();
            if !halts || self.halting.after {
                self.claim.write(record).await?;
            }
            if halts {
                self.halting.reached.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn killed_at_the_write_no_token_was_handed_out_before() {
    for (after, successor_stored) in [(false, None), (true, Some("r-1"))] {
        let (service, clock) = (Service::default(), ManualClock::default());
        let halting = Halting {
            store: MemoryStore::new(),
            after,
            reached: Arc::default(),
        };
        let rotator = process(&service, &clock, halting.clone());
        let call = tokio::spawn({
            let rotator = rotator.clone();
            async move { rotator.token().await }
        });
        halting.reached.notified().await;
        settle().await;
        assert!(!call.is_finished(), "it waits for the store");
        assert_eq!(rotator.health().expires_at, None);
        let record = stored(&halting.store, &rotator).await;
        let successor = record.successors.first();
        let successor = successor.map(|it| it.refresh_token.expose());
        assert_eq!(successor, successor_stored);
        call.abort();
    }
}

#[tokio::test]
async fn the_next_process_goes_on_where_a_killed_one_wrote() {
    let (service, clock) = (Service::default(), ManualClock::default());
    let halting = Halting {
        store: MemoryStore::new(),
        after: true,
        reached: Arc::default(),
    };
    // A runtime of its own, which takes the renewal and its claim along when it goes.
    let (mine, of_clock, of_service) = (halting.clone(), clock.clone(), service.clone());
    let killed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        runtime.block_on(async {
            let rotator = process(&of_service, &of_clock, mine.clone());
            tokio::select! {
                token = rotator.token() => panic!("{token:?} before it was written"),
                () = mine.reached.notified() => {}
            }
        });
    });
    killed.join().unwrap();
    let next = process(&service, &clock, halting.store.clone());
    let token = next.token().await.unwrap();
    assert_eq!(token.expose(), "token-1", "out of the store");
    clock.advance(2 * SECOND);
    assert_eq!(next.reject(&token).await.unwrap().expose(), "token-2");
    assert_eq!(service.sent(), ["r-0", "r-1"]);
}

// The claim comes first

#[tokio::test(start_paused = true)]
async fn a_silent_holder_of_the_claim_is_not_passed_by() {
    let (service, clock) = (Service::default(), ManualClock::default());
    // Its `claim_anyway` panics.
    let halting = Halting {
        store: MemoryStore::new(),
        after: true,
        reached: Arc::default(),
    };
    let rotator = process(&service, &clock, halting.clone());
    let key = rotator.store_key();
    let held = halting.store.try_claim(&key).await.unwrap().unwrap();
    rotator.token().await.unwrap_err();
    clock.advance(HOUR);
    SystemClock.sleep(60 * SECOND).await;
    let failing = rotator.health().failing.unwrap();
    assert_eq!((failing.reason, failing.attempts), (Reason::StoreBusy, 1));
    assert_eq!(service.sent(), [""; 0]);
    drop(held);
}

// The chain

#[tokio::test]
async fn a_changed_client_secret_keeps_the_chain() {
    let (service, clock, store) = (
        Service::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    for (number, secret) in [(1, "leaked"), (2, "replaced")] {
        let grant = RefreshTokenGrant::new(client(secret), "alice", "r-0");
        let rotator = Rotator::new(grant, policy(0))
            .transport(service.clone())
            .clock(Arc::new(clock.clone()))
            .store(store.clone());
        let token = rotator.token_once(Duration::ZERO).await.unwrap();
        assert_eq!(token.expose(), format!("token-{number}"), "{secret}");
        clock.advance(2 * SECOND);
    }
    assert_eq!(service.sent(), ["r-0", "r-1"]);
}

/// As in a roll-out, or where a process was not told of the new consent. The service would take a
/// second use of either for theft.
#[tokio::test(start_paused = true)]
async fn processes_with_different_initial_tokens_go_on_with_the_chain_of_their_own() {
    let (service, clock, store) = (
        Service::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let process = |initial: &str| {
        let grant = RefreshTokenGrant::new(client("s3cret"), "alice", initial);
        Rotator::new(grant, policy(0))
            .transport(service.clone())
            .clock(Arc::new(clock.clone()))
            .store(store.clone())
    };
    let stays = process("r-0");
    stays.token().await.unwrap();
    for _ in 0..2 {
        clock.advance(3 * HOUR);
        process("q-0").token_once(Duration::ZERO).await.unwrap();
        clock.advance(3 * HOUR);
        name(&stays).await;
        SystemClock.sleep(SECOND).await;
        clock.advance(3 * HOUR);
    }
    process("r-0").token_once(Duration::ZERO).await.unwrap();
    // The first use of either brought r-1 and r-2, and so on.
    let sent = service.sent();
    assert_eq!(sent, ["r-0", "q-0", "r-1", "r-2", "r-3", "r-5"]);
}

/// Both read it from one file, and one of them is faster.
#[tokio::test(start_paused = true)]
async fn a_new_consent_is_used_once_by_those_who_share_the_store() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-consent");
    std::fs::write(&path, "r-0").unwrap();
    let (service, clock, store) = (
        Service::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let process = || {
        let grant = RefreshTokenGrant::new(client("s3cret"), "alice", path.clone());
        Rotator::new(grant, policy(0))
            .transport(service.clone())
            .clock(Arc::new(clock.clone()))
            .store(store.clone())
    };
    let (one, other) = (process(), process());
    assert_eq!(name(&one).await, name(&other).await);
    std::fs::write(&path, "q-0").unwrap();
    for _ in 0..2 {
        for rotator in [&one, &other] {
            clock.advance(3 * HOUR);
            name(rotator).await;
            SystemClock.sleep(SECOND).await;
        }
    }
    assert_eq!(service.sent(), ["r-0", "q-0", "r-2", "r-3", "r-4"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_keeps_the_chain() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spending-tls");
    std::fs::create_dir_all(&folder).unwrap();
    let paths = ["client.pem", "client.key"].map(|name| folder.join(name));
    let renew = |texts: [&str; 2]| {
        for (path, text) in paths.iter().zip(texts) {
            std::fs::write(path, text).unwrap();
        }
    };
    renew([
        include_str!("../tls/client-1.pem"),
        include_str!("../tls/client-1.key.pem"),
    ]);
    let [certificate, key] = paths.clone();
    let credential = ClientCertificate::new(certificate, key);
    let client = Client::new("https://login.example/token", "orders", credential).unwrap();
    let (service, clock) = (Service::default(), ManualClock::default());
    let rotator = Rotator::new(RefreshTokenGrant::new(client, "alice", "r-0"), policy(0))
        .transport(service.clone())
        .clock(Arc::new(clock.clone()));
    name(&rotator).await;
    renew([
        include_str!("../tls/client-2.pem"),
        include_str!("../tls/client-2.key.pem"),
    ]);
    clock.advance(3 * HOUR);
    name(&rotator).await;
    SystemClock.sleep(SECOND).await;
    assert_eq!(service.sent(), ["r-0", "r-1"]);
}

#[tokio::test]
async fn an_initial_token_that_is_replaced_while_a_request_is_on_its_way() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("initial-refresh-token");
    std::fs::write(&path, "r-0\n").unwrap();
    let grant = RefreshTokenGrant::new(client("s3cret"), "alice", path.clone());
    let key = StoreKey::of([]);
    let before = grant.credential(&key);
    /// Puts another consent into the file before it answers.
    struct Consenting(Service, std::path::PathBuf);
    impl Transport for Consenting {
        fn send<'a>(
            &'a self,
            endpoint: &'a Endpoint,
            request: http::Request<Vec<u8>>,
            max_body: usize,
        ) -> Sending<'a> {
            std::fs::write(&self.1, "q-0\n").unwrap();
            self.0.send(endpoint, request, max_body)
        }
    }
    let (service, clock) = (Service::default(), ManualClock::default());
    let rotator = Rotator::new(grant.clone(), policy(0))
        .transport(Consenting(service.clone(), path))
        .clock(Arc::new(clock.clone()));
    let token = rotator.token().await.unwrap();
    assert_ne!(grant.credential(&key), before);
    clock.advance(2 * SECOND);
    rotator.reject(&token).await.unwrap();
    assert_eq!(service.sent(), ["r-0", "q-0"], "the new consent counts");
}

#[tokio::test]
async fn sealed_it_is_nowhere_to_be_read() {
    let (service, clock, beneath) = (
        Service::default(),
        ManualClock::default(),
        MemoryStore::new(),
    );
    let sealed = || Sealed::new(beneath.clone(), SealKey::new([7; 32]));
    let rotator = process(&service, &clock, sealed());
    rotator.token().await.unwrap();
    assert_eq!(successor(&sealed(), &rotator).await, "r-1");
    let record = stored(&beneath, &rotator).await;
    assert_eq!(record.successors, []);
    // With its quotes: by chance the rest stands in what is encrypted, too.
    let text = serde_json::to_string(&record).unwrap();
    assert!(!text.contains("\"r-1\""), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_carries_it_to_the_next_process() {
    use steadfast::rotator::store::FileStore;

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spending");
    let _ = std::fs::remove_dir_all(&folder);
    let open = || FileStore::open(folder.join("tokens.json")).unwrap();
    let (service, clock) = (Service::default(), ManualClock::default());
    for _ in 0..3 {
        let rotator = process(&service, &clock, open());
        rotator.token_once(Duration::ZERO).await.unwrap();
        clock.advance(2 * HOUR);
    }
    assert_eq!(service.sent(), ["r-0", "r-1", "r-2"]);
}

/// What an earlier version wrote, byte for byte.
#[test]
fn records_without_a_successor_can_be_read() {
    let text = r#"{"generation":3,"token":{"access_token":"abc","format":"opaque","issued_at":1795570010000,"expires_at":1795613210000,"lifetime_source":"expires-in","fraction":0.25,"credential":7},"former":null,"failed":null,"gate":null,"requested_at":1795570010000}"#;
    let record: Record = serde_json::from_str(text).unwrap();
    assert_eq!(record.generation, 3);
    let token = &record.token.as_ref().unwrap().token;
    assert_eq!((token.expose(), token.lifetime()), ("abc", 12 * HOUR));
    assert_eq!(record.successors, []);
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
}
