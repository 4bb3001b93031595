//! This crate: a rotator on the client's side, a verifier and a refresher on the resource server's.

use std::sync::Arc;

use super::chronicle::{Failure, Strategy};
use super::resource::{Admission, Gate, Resource};
use super::setting::Setting;
use super::wire::Side;
use super::work::Client;
use crate::policy::IssuancePolicy;
use crate::rotator::{self, ClientCredentials, Preset, Rotator};
use crate::verifier::{KeyCache, Refresher, Trust, Verifier};

const THIS: Strategy = Strategy::Steadfast;

/// The client.
pub(super) struct Steadfast(Rotator);

impl Steadfast {
    /// Makes the client, and starts its background task.
    pub(super) fn start(setting: &Setting) -> Self {
        let url = setting.token_url.clone();
        let grant = ClientCredentials::at(url, THIS.client_id(), Setting::SECRET)
            .audience(Setting::AUDIENCE)
            .preset(Preset::Neo);
        let rotator = Rotator::new(grant, IssuancePolicy::default())
            .clock(Arc::new(setting.scribe().clock()))
            .transport(setting.wire(THIS, Side::Client));
        tokio::spawn(rotator.clone().run());
        Self(rotator)
    }
}

impl Client for Steadfast {
    async fn work(&self, resource: &Resource) -> Result<(), Failure> {
        let token = self.0.token().await.map_err(no_token)?;
        match resource.use_with(token.expose()).await {
            Err(Failure::Refused(401)) => {
                let latest = self.0.reject(&token).await.map_err(no_token)?;
                resource.use_with(latest.expose()).await
            }
            outcome => outcome,
        }
    }
}

fn no_token(why: rotator::Error) -> Failure {
    Failure::NoToken(why.to_string())
}

impl Gate for Verifier {
    async fn admit(&self, token: &str) -> Admission {
        match self.verify(token) {
            Ok(_) => Admission::Granted,
            Err(error) if error.is_unavailable() => Admission::Unavailable,
            Err(_) => Admission::Refused,
        }
    }
}

/// Makes the resource server's verifier, starts the refresher that feeds it, and waits until it
/// has keys.
pub(super) async fn verifier(setting: &Setting) -> Result<Verifier, Box<dyn std::error::Error>> {
    let keys = KeyCache::empty();
    let refresher = Refresher::discover(setting.issuer(), keys.clone())?
        .transport(setting.wire(THIS, setting.resource_side(THIS)))
        .clock(Arc::new(setting.scribe().clock()));
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    handle.ready().await?;
    let trust = Trust::issuer(setting.issuer()).audience(Setting::AUDIENCE);
    Ok(Verifier::new(trust, keys).clock(Arc::new(setting.scribe().clock())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::chronicle::{Answer, Caller, Wanted};
    use super::super::setting::tests::Stage;
    use super::super::story::Turn;
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_call_and_an_outage_goes_unnoticed() {
        let mut stage = Stage::set().await;
        let gate = verifier(&stage.setting).await.unwrap();
        let client = Steadfast::start(&stage.setting);
        let resource = stage.setting.open(THIS, gate).await.unwrap();
        assert_eq!(client.work(&resource).await, Ok(()));
        stage.setting.take(Turn::Down);
        assert_eq!(client.work(&resource).await, Ok(()));
        let calls = stage.calls();
        assert!(calls.contains(&(Wanted::Keys, Caller::Background, Answer::Given)));
        let waited = |(_, caller, _): &(_, Caller, _)| *caller == Caller::WaitedFor;
        assert!(!calls.iter().any(waited), "{calls:?}");
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        struct Nobody;
        impl Gate for Nobody {
            async fn admit(&self, _token: &str) -> Admission {
                Admission::Refused
            }
        }
        let mut stage = Stage::set().await;
        let client = Steadfast::start(&stage.setting);
        client.0.token().await.unwrap();
        // A rotator lets a second go by between two issues.
        stage.setting.scribe().sleep(Duration::from_secs(2)).await;
        let outcome = stage.operation(THIS, &client, Nobody).await;
        assert_eq!(outcome, Err(Failure::Refused(401)));
        let calls = stage.calls();
        let issued = calls.iter().filter(|(wanted, ..)| *wanted == Wanted::Token);
        assert_eq!(issued.count(), 2, "{calls:?}");
    }
}
