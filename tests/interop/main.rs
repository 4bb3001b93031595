//! Both halves against authorization servers that are not ours; `tests/run.sh` installs those.

#![allow(clippy::unwrap_used, clippy::panic)]

mod glewlwyd;
mod oidc_provider;
mod server;

use std::sync::Arc;
use std::time::Duration;

use steadfast::clock::{Clock, SystemClock};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Rotator};
use steadfast::testing::ManualClock;
use steadfast::token::Token;
use steadfast::verifier::{KeyCache, Profile, Refresher, Trust, Verified, Verifier};

use server::Server;

/// A client and a resource server that meet only on the wire. Their one clock starts at the real
/// time, by which the authorization server issues, and moves only when told.
struct Halves {
    clock: ManualClock,
    rotator: Rotator,
    verifier: Verifier,
}

impl Halves {
    async fn new(grant: ClientCredentials, issuer: &str, audience: &str) -> Self {
        let clock = real_time();
        let keys = KeyCache::empty();
        let refresher = Refresher::discover(issuer, keys.clone())
            .unwrap()
            .clock(Arc::new(clock.clone()));
        let handle = refresher.handle();
        tokio::spawn(refresher.run());
        handle.ready().await.unwrap();
        let trust = Trust::issuer(issuer).audience(audience);
        Self {
            rotator: rotator(grant, &clock),
            verifier: Verifier::new(trust, keys)
                .profile(Profile::AtJwt)
                .clock(Arc::new(clock.clone())),
            clock,
        }
    }

    async fn token(&self) -> Arc<Token> {
        self.rotator.token().await.unwrap()
    }

    #[track_caller]
    fn accept(&self, token: &Token) -> Verified {
        self.verifier.verify(token.expose()).unwrap()
    }

    #[track_caller]
    fn refuse(&self, token: &Token, code: &str) {
        let error = self.verifier.verify(token.expose()).unwrap_err();
        assert_eq!(error.code().as_str(), code, "{error}");
    }

    /// After a token with an unknown key rang the bell.
    async fn accept_once_the_key_is_there(&self, token: &Token) {
        self.clock.advance(MINUTE);
        soon(async || self.verifier.verify(token.expose()).ok()).await;
    }

    async fn live_through_an_outage(&self, server: &mut Server) {
        let before = self.token().await;
        server.stop();
        for _ in 0..OUTAGE_HOURS {
            self.clock.advance(HOUR);
            let token = self.token().await;
            assert_eq!(token.expose(), before.expose());
            self.accept(&token);
        }
        soon(async || self.rotator.health().serving_through_outage.then_some(())).await;

        server.start_again();
        self.clock.advance(HOUR);
        let after = soon(async || {
            let token = self.token().await;
            (token.expose() != before.expose()).then_some(token)
        })
        .await;
        soon(async || self.verifier.verify(after.expose()).ok()).await;
        assert!(!self.rotator.health().serving_through_outage);
    }
}

fn rotator(grant: ClientCredentials, clock: &ManualClock) -> Rotator {
    Rotator::new(grant, IssuancePolicy::default()).clock(Arc::new(clock.clone()))
}

fn real_time() -> ManualClock {
    ManualClock::new(SystemClock.now().wall)
}

/// What `look` finds, once it finds something. What it waits for happens in other tasks, on sockets.
async fn soon<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(MINUTE, search).await.unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const OUTAGE_HOURS: u32 = 8;
