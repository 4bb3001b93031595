//! Where the story takes place: the embedded OAuth service, and what everyone knows of it.

use std::error::Error;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::chronicle::{Strategy, What};
use super::resource::{Gate, Resource};
use super::scribe::Scribe;
use super::story::Turn;
use super::wire::{Side, Waiting, Wire};
use crate::policy::IssuancePolicy;
use crate::testing::{Fault, OAuthService, RegisteredClient, ServiceConfig};
use crate::transport::Endpoint;

/// The OAuth service, and the pen that the story is written with.
pub(super) struct Setting {
    service: OAuthService,
    scribe: Scribe,
    /// Who waits for the resource server of each strategy.
    waiting: [Waiting; Strategy::ALL.len()],
    /// The token endpoint.
    pub(super) token_url: Endpoint,
    /// The key set.
    pub(super) keys_url: Endpoint,
    /// Introspection.
    pub(super) introspection_url: Endpoint,
    /// HTTP Basic credentials of the resource server that introspects tokens.
    pub(super) introspector: HeaderValue,
}

impl Setting {
    /// What the resource servers are called in tokens.
    pub(super) const AUDIENCE: &str = "https://orders.example";
    /// Every client's secret.
    pub(super) const SECRET: &str = "not-a-secret";

    /// Starts the service, on the clock of the story. Each strategy is a client of its own there.
    pub(super) async fn start(scribe: Scribe) -> Result<Self, Box<dyn Error>> {
        let mut config = ServiceConfig::default()
            .clock(scribe.clock())
            .client(RegisteredClient::new(INTROSPECTOR, Self::SECRET));
        for strategy in Strategy::ALL {
            let client = RegisteredClient::new(strategy.client_id(), Self::SECRET);
            config = config.client(match strategy {
                Strategy::CachedUntilExpiry => client.policy(one_hour()?),
                // 12 h, opaque or JWT.
                Strategy::TokenPerOperation | Strategy::Steadfast => client,
            });
        }
        let service = OAuthService::start(config).await?;
        Ok(Self {
            token_url: Endpoint::new(&service.token_url())?,
            keys_url: Endpoint::new(&service.jwks_url())?,
            introspection_url: Endpoint::new(&service.introspection_url())?,
            introspector: basic(INTROSPECTOR)?,
            service,
            scribe,
            waiting: Strategy::ALL.map(|_| Waiting::default()),
        })
    }

    /// The issuer that tokens name.
    pub(super) fn issuer(&self) -> &str {
        self.service.issuer()
    }

    /// The pen.
    pub(super) fn scribe(&self) -> Scribe {
        self.scribe.clone()
    }

    /// A new way to the service.
    pub(super) fn wire(&self, strategy: Strategy, side: Side) -> Wire {
        Wire::new(strategy, side, self.scribe())
    }

    /// The side of the resource server of `strategy`.
    pub(super) fn resource_side(&self, strategy: Strategy) -> Side {
        Side::Resource(self.waiting(strategy))
    }

    /// Starts the resource server of `strategy`.
    pub(super) async fn open(&self, strategy: Strategy, gate: impl Gate) -> io::Result<Resource> {
        Resource::open(gate, self.waiting(strategy)).await
    }

    fn waiting(&self, strategy: Strategy) -> Waiting {
        let [per_operation, until_expiry, ours] = &self.waiting;
        match strategy {
            Strategy::TokenPerOperation => per_operation.clone(),
            Strategy::CachedUntilExpiry => until_expiry.clone(),
            Strategy::Steadfast => ours.clone(),
        }
    }

    /// How many tokens the service issued to one strategy.
    pub(super) fn tokens_issued(&self, strategy: Strategy) -> u64 {
        self.service.tokens_issued_to(strategy.client_id())
    }

    /// Lets the story take its turns, to its end.
    pub(super) async fn unfold(&self) {
        for turn in Turn::ALL {
            self.scribe.sleep_until(turn.at()).await;
            self.take(turn);
            self.scribe.note(What::Turn(turn));
        }
    }

    /// Lets the story take one turn.
    pub(super) fn take(&self, turn: Turn) {
        let service = &self.service;
        match turn {
            Turn::Start | Turn::End => {}
            Turn::KeyPublished => service.publish_key(service.fresh_key()),
            Turn::KeyUsed => {
                if let Some(newest) = service.published_keys().last() {
                    service.sign_with(newest.kid());
                }
            }
            Turn::Down => service.fault(Fault::down()),
            Turn::Up => service.clear_faults(),
        }
    }
}

/// HTTP Basic credentials (RFC 7617 2).
pub(super) fn basic(client_id: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let credentials = STANDARD.encode(format!("{client_id}:{}", Setting::SECRET));
    HeaderValue::try_from(format!("Basic {credentials}"))
}

/// Tokens that live for an hour; what else is in it is for clients that read it.
fn one_hour() -> Result<IssuancePolicy, crate::policy::PolicyError> {
    let half = Duration::from_secs(1800);
    IssuancePolicy::new(2 * half, half..=half)
}

const INTROSPECTOR: &str = "orders-server";

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    use super::super::chronicle::{Answer, Caller, Event, Failure, Wanted};
    use super::super::work::Client;
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::testing::ScaledClock;

    /// A setting, and all that is written there.
    pub(in super::super) struct Stage {
        pub(in super::super) setting: Setting,
        events: UnboundedReceiver<Event>,
    }

    impl Stage {
        pub(in super::super) async fn set() -> Self {
            let (pen, events) = mpsc::unbounded_channel();
            // Fast enough for retries, slow enough for nothing to expire meanwhile.
            let clock = ScaledClock::new(SystemClock.wall(), 60);
            let setting = Setting::start(Scribe::new(clock, pen)).await.unwrap();
            Self { setting, events }
        }

        /// The calls since the last time.
        pub(in super::super) fn calls(&mut self) -> Vec<(Wanted, Caller, Answer)> {
            let mut calls = Vec::new();
            while let Ok(event) = self.events.try_recv() {
                if let What::Call(_, call) = event.what {
                    calls.push((call.wanted, call.caller, call.answer));
                }
            }
            calls
        }

        /// One operation of `client`, at a resource server behind `gate`.
        pub(in super::super) async fn operation(
            &self,
            strategy: Strategy,
            client: &impl Client,
            gate: impl Gate,
        ) -> Result<(), Failure> {
            let resource = self.setting.open(strategy, gate).await.unwrap();
            client.work(&resource).await
        }
    }

    #[tokio::test]
    async fn keys_are_published_before_they_are_used() {
        let stage = Stage::set().await;
        let service = &stage.setting.service;
        let first = service.signing_key().kid().to_owned();
        stage.setting.take(Turn::KeyPublished);
        assert_eq!(service.signing_key().kid(), first);
        assert_eq!(service.published_keys().len(), 2);
        stage.setting.take(Turn::KeyUsed);
        assert_ne!(service.signing_key().kid(), first);
        assert_eq!(service.published_keys().len(), 2, "old tokens live on");
    }
}
