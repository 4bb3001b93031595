//! An outage that is longer than the rotation's range and shorter than the token's life: it costs no
//! operation, in any shell, and the service has the counters to tell.
#![cfg(all(feature = "blocking", feature = "testing", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast::clock::{Clock as _, Timestamp};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::store::FileStore;
use steadfast::rotator::{ClientCredentials, Error, Health, Rotator, blocking};
use steadfast::testing::{
    Endpoint, Fault, ManualClock, OAuthService, RegisteredClient, ServiceConfig,
};
use steadfast::token::Token;
use tokio::runtime::Runtime;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A shell's call, and its view of how things stand.
type Call<'a> = &'a dyn Fn() -> (Result<Arc<Token>, Error>, Health);

struct Case {
    runtime: Runtime,
    clock: ManualClock,
    service: OAuthService,
}

impl Case {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let clock = ManualClock::new(Timestamp::from_secs(1_795_570_010));
        let config = ServiceConfig::default()
            .clock(clock.clone())
            .client(RegisteredClient::new("orders", "s3cret"));
        let service = runtime.block_on(OAuthService::start(config)).unwrap();
        Self {
            runtime,
            clock,
            service,
        }
    }

    /// Without retries, which would wait for a clock that stands still.
    fn rotator(&self) -> Rotator {
        let grant = ClientCredentials::new(&self.service.token_url(), "orders", "s3cret").unwrap();
        let policy = IssuancePolicy::default().with_retries(0).unwrap();
        Rotator::new(grant, policy).clock(Arc::new(self.clock.clone()))
    }

    fn issued(&self) -> u64 {
        self.service.counters().succeeded(Endpoint::Token)
    }

    /// Calls until no renewal is under way or owed, and returns the last token.
    #[track_caller]
    fn settled(&self, call: Call<'_>) -> Arc<Token> {
        loop {
            let (token, health) = call();
            let now = self.clock.wall();
            let paused = health.failing.is_some_and(|it| it.next_attempt > now);
            if paused || health.rotate_at.unwrap() > now {
                return token.expect("an operation was lost");
            }
            std::thread::yield_now();
        }
    }

    #[track_caller]
    fn lives_through_an_outage(&self, call: Call<'_>) {
        let first = self.settled(call);
        // The worst moment: the service goes down just before the next rotation.
        self.clock.advance(HOUR - Duration::from_secs(1));
        let before = self.service.counters();
        self.service.fault(Fault::down());
        for minute in 0..10 * 60 {
            assert_eq!(self.settled(call), first, "minute {minute}");
            self.clock.advance(MINUTE);
        }
        let after = self.service.counters();
        assert_eq!(self.issued(), 1, "the service was down");
        // An attempt every ten minutes, once the pause has grown.
        let tried = after.connections_reset - before.connections_reset;
        assert!((40..=80).contains(&tried), "{tried} attempts");

        self.service.clear_faults();
        self.clock.advance(12 * MINUTE);
        // Due tokens are served, and renewed behind.
        while self.settled(call) == first {}
        assert_eq!(self.issued(), 2);
    }
}

#[test]
fn async_calls() {
    let case = Case::new();
    let rotator = case.rotator();
    case.lives_through_an_outage(&|| {
        let token = case.runtime.block_on(rotator.token());
        (token, rotator.health())
    });
}

#[test]
fn blocking_calls() {
    let case = Case::new();
    let rotator = blocking::Rotator::from(case.rotator());
    case.lives_through_an_outage(&|| (rotator.token(), rotator.health()));
}

#[test]
fn one_shot_processes() {
    let case = Case::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outage");
    let _ = std::fs::remove_dir_all(&folder);
    case.lives_through_an_outage(&|| {
        // All that outlives a process is its file.
        let store = FileStore::open(folder.join("tokens.json")).unwrap();
        let rotator = case.rotator().store(store);
        let token = case.runtime.block_on(rotator.token_once(Duration::ZERO));
        (token, rotator.health())
    });
}
