//! A secret that is replaced.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use steadfast::rotator::store::{CredentialTag, StoreKey};
use steadfast::rotator::{Client, ClientCredentials, Grant, Requesting, Rotator, Try};
use steadfast::testing::ManualClock;

use crate::script::{MINUTE, SECOND, Script, error, grant, name, policy, settle};

/// A grant whose secret is replaced.
struct Replaced {
    grant: ClientCredentials,
    secret: Arc<Mutex<&'static str>>,
}

impl Grant for Replaced {
    fn client(&self) -> &Client {
        self.grant.client()
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        self.grant.facts()
    }

    fn credential(&self, key: &StoreKey) -> CredentialTag {
        CredentialTag::of(key, self.secret.lock().unwrap().as_bytes())
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        self.grant.request(this)
    }
}

#[tokio::test]
async fn a_secret_that_is_replaced() {
    let script = Script::of([error(401, "invalid_client"), error(401, "invalid_client")]);
    let (clock, secret) = (ManualClock::default(), Arc::new(Mutex::new("wrong")));
    let replaced = Replaced {
        grant: grant(),
        secret: secret.clone(),
    };
    let rotator = Rotator::new(replaced, policy(0))
        .transport(script.clone())
        .clock(Arc::new(clock.clone()));
    let _task = tokio::spawn(rotator.clone().run());
    settle().await;
    clock.advance(72 * SECOND);
    settle().await;
    assert_eq!(script.requests(), 2);
    // A pause of two minutes has begun; the background task looks again within one.
    *secret.lock().unwrap() = "right";
    clock.advance(MINUTE);
    settle().await;
    assert_eq!(name(&rotator).await, "token-1");
    // The token of a secret that was replaced is replaced, too.
    *secret.lock().unwrap() = "newer";
    clock.advance(MINUTE);
    settle().await;
    assert_eq!(name(&rotator).await, "token-2");
}

#[tokio::test]
async fn a_corrected_secret_is_tried_at_the_next_call() {
    let script = Script::of([error(401, "invalid_client")]);
    let secret = Arc::new(Mutex::new("wrong"));
    let replaced = Replaced {
        grant: grant(),
        secret: secret.clone(),
    };
    let rotator = Rotator::new(replaced, policy(0)).transport(script.clone());
    assert!(rotator.token().await.unwrap_err().is_refusal());
    assert!(rotator.token().await.unwrap_err().is_refusal());
    assert_eq!(script.requests(), 1, "the pause holds");
    *secret.lock().unwrap() = "right";
    assert_eq!(name(&rotator).await, "token-1");
}
