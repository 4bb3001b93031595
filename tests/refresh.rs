//! The refresher and the verifier against a service that runs, rotates and fails, over real HTTP.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use steadfast::clock::{Clock, LONGEST_SLEEP};
use steadfast::testing::{Endpoint, Fault, ManualClock, OAuthService, ServiceConfig, TestKey};
use steadfast::transport::TransportError;
use steadfast::verifier::{
    Error, ErrorCode, FetchError, KeyCache, Refresher, RefresherHandle, Trust, Verifier,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const AUDIENCE: &str = "https://orders.example";

/// A service, and a resource server that trusts in it, on one clock.
struct World {
    clock: ManualClock,
    service: OAuthService,
    keys: KeyCache,
    handle: RefresherHandle,
    verifier: Verifier,
}

impl World {
    async fn begin() -> Self {
        let clock = ManualClock::default();
        let config = ServiceConfig::default().clock(clock.clone());
        Self::on(clock, OAuthService::start(config).await.unwrap())
    }

    fn on(clock: ManualClock, service: OAuthService) -> Self {
        Self::with(clock, service, |it| it)
    }

    fn with(
        clock: ManualClock,
        service: OAuthService,
        settings: impl FnOnce(Refresher) -> Refresher,
    ) -> Self {
        let keys = KeyCache::empty();
        let refresher = Refresher::discover(service.issuer(), keys.clone()).unwrap();
        let refresher = settings(refresher).clock(Arc::new(clock.clone()));
        let handle = refresher.handle();
        tokio::spawn(refresher.run());
        let trust = Trust::issuer(service.issuer()).audience(AUDIENCE);
        let verifier = Verifier::new(trust, keys.clone()).clock(Arc::new(clock.clone()));
        Self {
            clock,
            service,
            keys,
            handle,
            verifier,
        }
    }

    async fn ready() -> Self {
        let world = Self::begin().await;
        assert_eq!(world.handle.ready().await, Ok(()));
        assert_eq!(world.fetches(), 1);
        world
    }

    /// A token that lives for a week, signed by `key`.
    fn token(&self, key: &TestKey) -> String {
        let now = self.clock.wall().as_secs();
        let claims = json!({
            "iss": self.service.issuer(), "aud": AUDIENCE, "iat": now, "exp": now + 7 * 86_400,
        });
        key.sign(&claims).unwrap()
    }

    fn code(&self, token: &str) -> Result<(), ErrorCode> {
        self.verify(token).map_err(|error| error.code())
    }

    fn verify(&self, token: &str) -> Result<(), Error> {
        self.verifier.verify(token).map(drop)
    }

    fn fetches(&self) -> u64 {
        self.service.counters().received(Endpoint::Jwks)
    }

    /// Time passes in steps that no timer oversleeps, until a fetch has ended; at most `within`.
    async fn until_fetched(&self, within: Duration) -> Result<(), FetchError> {
        let fetched = self.handle.refresh();
        let mut fetched = std::pin::pin!(fetched);
        for _ in 0..=within.as_secs() {
            // Room for a bell to wake the refresher.
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                answer = &mut fetched => return answer,
                () = self.clock.until_sleepers(1) => self.clock.advance(Duration::from_secs(1)),
            }
        }
        panic!("no fetch within {within:?}");
    }
}

/// Lets the other tasks run until `done`, on a clock that stands still.
#[track_caller]
fn eventually(mut done: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let waiting = async move {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    let caller = std::panic::Location::caller();
    async move {
        let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(ended.is_ok(), "waited in vain at {caller}");
    }
}

const GATE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_rotation_is_picked_up_by_the_bell() {
    let world = World::ready().await;
    let old = world.token(&world.service.signing_key());
    assert_eq!(world.code(&old), Ok(()));
    world.service.replace_keys(world.service.fresh_key());
    let new = world.token(&world.service.signing_key());
    world.clock.advance(GATE);
    assert_eq!(world.code(&new), Err(ErrorCode::UnknownKey));
    // The bell has rung, and its gate is open: no time need pass.
    eventually(|| world.code(&new).is_ok()).await;
    assert_eq!(world.code(&old), Err(ErrorCode::UnknownKey));
    assert_eq!(world.fetches(), 2);
    assert_eq!(world.keys.health().generation, 2);
}

#[tokio::test]
async fn a_key_replaced_under_its_kid_is_picked_up_by_the_bell() {
    let world = World::ready().await;
    let key = TestKey::rsa(1).with_kid(world.service.signing_key().kid());
    world.service.replace_keys(key);
    let new = world.token(&world.service.signing_key());
    world.clock.advance(GATE);
    assert_eq!(world.code(&new), Err(ErrorCode::BadSignature));
    eventually(|| world.code(&new).is_ok()).await;
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_stops_verifying_in_the_very_next_call() {
    let world = World::ready().await;
    let old = world.service.signing_key();
    let new = world.service.fresh_key();
    world.service.publish_key(new.clone());
    world.until_fetched(GATE).await.unwrap();
    let (of_old, of_new) = (world.token(&old), world.token(&new));
    // Twice, so that both are in the token cache.
    for _ in 0..2 {
        assert_eq!([&of_old, &of_new].map(|it| world.code(it)), [Ok(()); 2]);
    }
    assert!(world.service.sign_with(new.kid()));
    assert!(world.service.withdraw_key(old.kid()));
    assert_eq!(world.code(&of_old), Ok(()), "nobody knows yet");
    world.until_fetched(GATE).await.unwrap();
    assert_eq!(world.code(&of_old), Err(ErrorCode::UnknownKey));
    assert_eq!(world.code(&of_new), Ok(()));
    assert_eq!(world.code(&world.token(&old)), Err(ErrorCode::UnknownKey));
}

/// Two services and a resource server that trusts in both.
#[tokio::test]
async fn one_service_that_fails_is_no_matter_for_another() {
    let one = World::ready().await;
    let other = World::ready().await;
    let trust = |world: &World| Trust::issuer(world.service.issuer()).audience(AUDIENCE);
    let verifier: Verifier = Verifier::several([
        (trust(&one), one.keys.clone()),
        (trust(&other), other.keys.clone()),
    ])
    .clock(Arc::new(one.clock.clone()));
    let code = |token: &str| verifier.verify(token).map(drop).map_err(|it| it.code());
    let fresh = one.service.fresh_key();
    one.service.publish_key(fresh.clone());
    other.service.fault(Fault::down());
    // Only the source of the unknown key is asked again, and the other one's tokens go on.
    assert_eq!(code(&one.token(&fresh)), Err(ErrorCode::UnknownKey));
    let rung = [&one, &other].map(|it| it.keys.health().bells_rung);
    assert_eq!(rung, [1, 0]);
    one.until_fetched(GATE).await.unwrap();
    other.until_fetched(GATE).await.unwrap_err();
    assert_eq!(code(&one.token(&fresh)), Ok(()));
    assert_eq!(code(&other.token(&other.service.signing_key())), Ok(()));
    // The keys of one do not sign for the other, whatever their tokens say.
    let claims = |world: &World| {
        let exp = world.clock.wall().as_secs() + 3600;
        json!({"iss": world.service.issuer(), "aud": AUDIENCE, "exp": exp})
    };
    let confused = fresh.sign(&claims(&other)).unwrap();
    assert_eq!(code(&confused), Err(ErrorCode::UnknownKey));
    let same_kid = fresh.with_kid(other.service.signing_key().kid());
    let confused = same_kid.sign(&claims(&other)).unwrap();
    assert!(code(&confused).is_err());
}

#[tokio::test]
async fn a_service_that_is_down_takes_no_key_away() {
    let world = World::ready().await;
    let token = world.token(&world.service.signing_key());
    let unknown = world.token(&TestKey::rsa(3).with_kid("unknown"));
    let error = world.verify(&unknown).unwrap_err();
    assert!(!error.is_unavailable(), "the source is well: {error}");
    for fault in [
        Fault::down(),
        Fault::bad_gateway(),
        Fault::too_many_requests(GATE),
        Fault::answer(StatusCode::OK, "text/html", "<html>welcome</html>"),
        Fault::answer(StatusCode::OK, "application/json", r#"{"keys":[]}"#),
        Fault::answer(StatusCode::NOT_MODIFIED, "application/json", "").at(Endpoint::Jwks),
        Fault::answer(StatusCode::OK, "application/json", " ".repeat(600 * 1024)),
    ] {
        let is_304 = format!("{fault:?}").contains("304");
        world.service.fault(fault);
        let fetched = world.until_fetched(GATE).await;
        assert_eq!(
            fetched.is_ok(),
            is_304,
            "304 to an entity tag of ours is no failure"
        );
        assert_eq!(world.code(&token), Ok(()));
        let error = world.verify(&unknown).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnknownKey);
        assert_eq!(error.is_unavailable(), !is_304, "nobody can know: {error}");
        world.service.clear_faults();
    }
    assert_eq!(world.until_fetched(GATE).await, Ok(()));
    assert!(!world.keys.health().is_failing);
    assert_eq!(world.keys.health().generation, 1);
}

#[tokio::test]
async fn keys_past_max_stale_are_unavailable_until_the_service_is_back() {
    let world = World::ready().await;
    let token = world.token(&world.service.signing_key());
    world.service.fault(Fault::down());
    world.clock.suspend(Duration::from_secs(86_400));
    assert_eq!(world.code(&token), Ok(()));
    world.clock.suspend(Duration::from_secs(1));
    let error = world.verify(&token).unwrap_err();
    assert_eq!(error.code(), ErrorCode::KeysUnavailable);
    assert!(error.is_unavailable());
    assert!(world.until_fetched(LONGEST_SLEEP).await.is_err());
    assert_eq!(world.code(&token), Err(ErrorCode::KeysUnavailable));
    world.service.clear_faults();
    assert_eq!(world.until_fetched(LONGEST_SLEEP).await, Ok(()));
    assert_eq!(world.code(&token), Ok(()));
}

#[tokio::test]
async fn a_server_that_starts_without_its_service_recovers_by_itself() {
    let clock = ManualClock::default();
    let config = ServiceConfig::default().clock(clock.clone());
    let service = OAuthService::start(config).await.unwrap();
    service.fault(Fault::down());
    let world = World::on(clock, service);
    let token = world.token(&world.service.signing_key());
    assert_eq!(world.code(&token), Err(ErrorCode::KeysUnavailable));
    assert!(world.until_fetched(GATE).await.is_err());
    world.service.clear_faults();
    assert_eq!(world.until_fetched(GATE).await, Ok(()));
    assert_eq!(world.code(&token), Ok(()));
}

#[tokio::test]
async fn a_cold_start_from_the_key_file_verifies_at_once_while_the_service_is_down() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("refresh-cold-start/keys.json");
    let _ = std::fs::remove_file(&path);
    let clock = ManualClock::default();
    let config = ServiceConfig::default().clock(clock.clone());
    let service = OAuthService::start(config).await.unwrap();
    let world = World::with(clock.clone(), service, |it| it.key_file(&path));
    assert_eq!(world.handle.ready().await, Ok(()));
    let token = world.token(&world.service.signing_key());
    world.handle.stop();
    world.service.fault(Fault::down());
    // The server is started again ten hours on, and the service is still down.
    clock.advance(Duration::from_secs(10 * 3600));
    let world = World::with(clock.clone(), world.service, |it| it.key_file(&path));
    assert_eq!(world.handle.ready().await, Ok(()));
    assert_eq!(world.code(&token), Ok(()));
    assert_eq!(world.fetches(), 1, "by the first server");
    assert!(world.until_fetched(GATE).await.is_err());
    assert_eq!(world.code(&token), Ok(()));
    let unknown = world.token(&TestKey::rsa(3).with_kid("unknown"));
    assert!(world.verify(&unknown).unwrap_err().is_unavailable());
    // For 24 h since the keys were fetched, not since the start.
    clock.suspend(Duration::from_secs(14 * 3600 - 40));
    assert_eq!(world.code(&token), Ok(()));
    clock.suspend(Duration::from_secs(41));
    assert_eq!(world.code(&token), Err(ErrorCode::KeysUnavailable));
    world.service.clear_faults();
    assert_eq!(world.until_fetched(LONGEST_SLEEP).await, Ok(()));
    assert_eq!(world.code(&token), Ok(()));
}

#[tokio::test]
async fn a_withdrawn_key_dies_in_the_very_next_call() {
    let world = World::ready().await;
    let old = world.token(&world.service.signing_key());
    for _ in 0..3 {
        assert_eq!(world.code(&old), Ok(()), "remembered from the second on");
    }
    world.service.replace_keys(world.service.fresh_key());
    assert_eq!(world.until_fetched(GATE).await, Ok(()));
    assert_eq!(world.code(&old), Err(ErrorCode::UnknownKey));
}

#[tokio::test]
async fn an_hour_of_a_dead_service_leaves_every_good_token_verifying() {
    for (bells, most) in [(false, 16), (true, 121)] {
        let world = World::ready().await;
        let token = world.token(&world.service.signing_key());
        let bogus = world.token(&TestKey::rsa(3).with_kid("bogus"));
        // Failures of discovery are no matter: it is read once a day.
        let down = Fault::bad_gateway().at(Endpoint::Jwks);
        world.service.fault(down);
        for _ in 0..3600 {
            world.clock.advance(Duration::from_secs(1));
            assert_eq!(world.code(&token), Ok(()));
            if bells {
                assert_eq!(world.code(&bogus), Err(ErrorCode::UnknownKey));
            }
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            world.clock.until_sleepers(1).await;
        }
        let fetches = world.fetches() - 1;
        assert!(fetches <= most, "{fetches}");
        assert!(fetches + 6 > most, "{fetches}");
    }
}

#[tokio::test]
async fn keys_that_have_moved_are_found_by_discovery() {
    let world = World::ready().await;
    let discoveries = || {
        let counters = world.service.counters();
        counters.received(Endpoint::OpenIdConfiguration)
    };
    assert_eq!(discoveries(), 1);
    assert_eq!(world.until_fetched(GATE).await, Ok(()));
    assert_eq!(discoveries(), 1, "not read each time");
    let gone = Fault::answer(StatusCode::GONE, "text/plain", "").at(Endpoint::Jwks);
    world.service.fault(gone.times(1));
    assert_eq!(world.until_fetched(GATE).await, Ok(()));
    assert_eq!(discoveries(), 2, "read again at once");
}

#[tokio::test]
async fn a_thousand_bogus_kids_cause_one_fetch() {
    let world = World::ready().await;
    world.clock.advance(GATE);
    for bogus in 0..1000 {
        let key = TestKey::of(steadfast::jose::Algorithm::EdDSA).with_kid(format!("bogus-{bogus}"));
        assert_eq!(world.code(&world.token(&key)), Err(ErrorCode::UnknownKey));
    }
    eventually(|| world.fetches() == 2).await;
    world.clock.until_sleepers(1).await;
    for _ in 0..100 {
        world.clock.advance(Duration::from_secs(1));
        world.clock.until_sleepers(1).await;
    }
    assert_eq!(world.fetches(), 2);
    let health = world.keys.health();
    assert_eq!((health.bells_rung, health.bells_held), (1000, 999));
}

#[tokio::test]
async fn an_issuer_that_is_not_the_expected_one_gives_no_keys() {
    let config = ServiceConfig::default().issuer("https://other.example");
    let service = OAuthService::start(config).await.unwrap();
    let keys = KeyCache::empty();
    let refresher = Refresher::discover(service.url(), keys.clone()).unwrap();
    let handle = refresher.handle();
    let task = tokio::spawn(refresher.run());
    assert_eq!(handle.refresh().await, Err(FetchError::WrongIssuer));
    assert_eq!(keys.health().usable_keys, 0);
    handle.stop();
    task.await.unwrap();
}

#[tokio::test]
async fn a_key_url_is_enough() {
    let service = OAuthService::start(ServiceConfig::default()).await.unwrap();
    let keys = KeyCache::empty();
    let refresher = Refresher::jwks(&service.jwks_url(), keys.clone()).unwrap();
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    assert_eq!(handle.ready().await, Ok(()));
    assert_eq!(keys.health().usable_keys, 1);
    assert_eq!(
        service.counters().received(Endpoint::OpenIdConfiguration),
        0
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let service = OAuthService::start(ServiceConfig::default()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let keys = KeyCache::empty();
    let refresher = Refresher::jwks(&url, keys.clone()).unwrap();
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
        let place = service.jwks_url();
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let (fetched, _stream) = tokio::join!(handle.refresh(), answer);
    assert_eq!(fetched, Err(FetchError::Status(302)));
    assert_eq!(service.counters().received(Endpoint::Jwks), 0);
    assert_eq!(keys.health().usable_keys, 0);
}

#[tokio::test]
async fn nobody_listens() {
    let service = OAuthService::start(ServiceConfig::default()).await.unwrap();
    let url = service.jwks_url();
    service.stop().await;
    let keys = KeyCache::empty();
    let refresher = Refresher::jwks(&url, keys.clone()).unwrap();
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    let refused = FetchError::Transport(TransportError::Connect);
    assert_eq!(handle.refresh().await, Err(refused));
}
