//! A token per operation: opaque, and introspected by the resource server while the caller waits.

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use url::form_urlencoded;

use super::chronicle::{Failure, Strategy};
use super::resource::{Admission, Gate, Resource};
use super::setting::Setting;
use super::token_client::TokenClient;
use super::wire::Wire;
use super::work::Client;
use crate::token::TokenFormat;
use crate::transport::Endpoint;

const THIS: Strategy = Strategy::TokenPerOperation;

/// The client.
pub(super) struct PerOperation(TokenClient);

impl PerOperation {
    pub(super) fn new(setting: &Setting) -> Result<Self, InvalidHeaderValue> {
        TokenClient::new(setting, THIS, TokenFormat::Opaque).map(Self)
    }
}

impl Client for PerOperation {
    async fn work(&self, resource: &Resource) -> Result<(), Failure> {
        let (token, _) = self.0.issue().await?;
        resource.use_with(token.expose()).await
    }
}

/// The resource server's side: asks the service about every token (RFC 7662).
pub(super) struct Introspection {
    wire: Wire,
    endpoint: Endpoint,
    credentials: HeaderValue,
}

impl Introspection {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            wire: setting.wire(THIS, setting.resource_side(THIS)),
            endpoint: setting.introspection_url.clone(),
            credentials: setting.introspector.clone(),
        }
    }
}

impl Gate for Introspection {
    async fn admit(&self, token: &str) -> Admission {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .finish();
        match self
            .wire
            .post(&self.endpoint, &self.credentials, &form)
            .await
        {
            Ok(answer) if is_active(&answer) => Admission::Granted,
            Ok(_) => Admission::Refused,
            Err(_) => Admission::Unavailable,
        }
    }
}

/// `active` of the answer (RFC 7662 2.2).
fn is_active(answer: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(answer)
        .is_ok_and(|answer| answer.get("active") == Some(&true.into()))
}

#[cfg(test)]
mod tests {
    use super::super::chronicle::{Answer, Caller, Wanted};
    use super::super::setting::tests::Stage;
    use super::super::story::Turn;
    use super::*;

    #[tokio::test]
    async fn every_operation_asks_twice() {
        let mut stage = Stage::set().await;
        let client = PerOperation::new(&stage.setting).unwrap();
        for _ in 0..2 {
            let gate = Introspection::new(&stage.setting);
            assert_eq!(stage.operation(THIS, &client, gate).await, Ok(()));
            let calls = stage.calls();
            assert!(matches!(
                calls.as_slice(),
                [
                    (Wanted::Token, Caller::Client, Answer::Token(_)),
                    (Wanted::Introspection, Caller::WaitedFor, Answer::Given),
                ]
            ));
        }
    }

    #[tokio::test]
    async fn nothing_works_without_the_service() {
        let stage = Stage::set().await;
        let client = PerOperation::new(&stage.setting).unwrap();
        let gate = Introspection::new(&stage.setting);
        assert_eq!(gate.admit("made-up").await, Admission::Refused);
        stage.setting.take(Turn::Down);
        assert_eq!(gate.admit("made-up").await, Admission::Unavailable);
        let outcome = stage.operation(THIS, &client, gate).await;
        assert!(matches!(outcome, Err(Failure::NoToken(_))), "{outcome:?}");
    }
}
