//! A refresh token that is replaced at each use.

use super::*;

/// What is stored for a grant, after one token was had with these answers.
async fn successor(
    store: &MemoryStore,
    grant: RefreshTokenGrant,
    script: &Script,
) -> Option<String> {
    let rotator = rotator(grant, script).store(store.clone());
    let _ = rotator.token().await;
    let record = store.read(&rotator.store_key()).await.unwrap().unwrap();
    assert!(!format!("{record:?} {record:#?} {rotator:?}").contains("r-"));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    let latest = record.successors.first();
    latest.map(|it| it.refresh_token.expose().to_owned())
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_used_from_then_on() {
    let store = MemoryStore::new();
    // The access tokens are of no use, so that the next rotator asks again; a refused one replaces
    // the refresh token all the same.
    let next =
        |token: &str| format!(r#"{{"access_token":"a","expires_in":0,"refresh_token":"{token}"}}"#);
    let (one, two) = (next("r-1"), next("r-2"));
    let script = Script::of([Ok((200, &one))]);
    assert_eq!(
        successor(&store, refresh("r-0"), &script).await.as_deref(),
        Some("r-1")
    );
    script.assert_refreshed_with(&["r-0"]);
    // The pause after the failure binds the credential that failed; a second consent is another one,
    // and its chain begins anew.
    let script = Script::of([Ok((200, &two))]);
    assert_eq!(
        successor(&store, refresh("q-0"), &script).await.as_deref(),
        Some("r-2")
    );
    script.assert_refreshed_with(&["q-0"]);
}

#[tokio::test]
async fn a_replaced_refresh_token_outlives_its_process() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let body = r#"{"access_token":"a","expires_in":43200,"refresh_token":"r-1"}"#;
    let script = Script::of([Ok((200, body)), PLAIN_B]);
    let process = || {
        rotator(refresh("r-0"), &script)
            .store(store.clone())
            .clock(Arc::new(clock.clone()))
    };
    let token = process().token().await.unwrap();
    clock.advance(Duration::from_secs(2));
    let other = process();
    assert_eq!(other.token().await.unwrap().expose(), "a");
    assert_eq!(other.reject(&token).await.unwrap().expose(), "b");
    script.assert_refreshed_with(&["r-0", "r-1"]);
    let record = store.read(&other.store_key()).await.unwrap().unwrap();
    assert_eq!(
        record.successors[0].refresh_token.expose(),
        "r-1",
        "it stays in force"
    );
}

const PLAIN_B: Result<(u16, &str), TransportError> =
    Ok((200, r#"{"access_token":"b","expires_in":43200}"#));

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_sent_again_only_if_nothing_was_sent() {
    let script = Script::of([Err(TransportError::Connect), PLAIN]);
    rotator(refresh("r-0"), &script).token().await.unwrap();
    assert_eq!(script.sent().len(), 2);
    for answer in [
        Err(TransportError::Timeout),
        Err(TransportError::Broken),
        Ok((503, "")),
        Ok((400, r#"{"error":"invalid_grant"}"#)),
    ] {
        let script = Script::of([answer]);
        rotator(refresh("r-0"), &script).token().await.unwrap_err();
        assert_eq!(script.sent().len(), 1);
    }
}

#[tokio::test]
async fn an_opaque_token_where_a_jwt_is_required_costs_no_refresh_token() {
    let store = MemoryStore::new();
    let body = r#"{"access_token":"a","refresh_token":"r-1"}"#;
    let policy = IssuancePolicy::default().with_format(FormatPreference::RequireJwt);
    let rotator = Rotator::new(refresh("r-0"), policy)
        .transport(Script::of([Ok((200, body))]))
        .store(store.clone());
    rotator.token().await.unwrap_err();
    let record = store.read(&rotator.store_key()).await.unwrap().unwrap();
    assert_eq!(record.successors[0].refresh_token.expose(), "r-1");
}

/// Refuses every claim, or every write but the first.
#[derive(Clone)]
struct Failing {
    claims: bool,
    writes: Arc<Mutex<u32>>,
}

fn unusable() -> StoreError {
    StoreError::Unusable("full".into())
}

impl Store for Failing {
    fn read<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async { Ok(None) })
    }

    fn try_claim<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        let claim: Box<dyn Claim> = Box::new(self.clone());
        Box::pin(async {
            if self.claims {
                Ok(Some(claim))
            } else {
                Err(unusable())
            }
        })
    }

    fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        panic!("never without the claim")
    }
}

impl Claim for Failing {
    fn write<'a>(&'a mut self, _: &'a Record) -> Storing<'a, ()> {
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        let first = *writes == 1;
        Box::pin(async move { if first { Ok(()) } else { Err(unusable()) } })
    }
}

#[tokio::test]
async fn without_a_store_no_refresh_token_is_sent() {
    let script = Script::default();
    let store = Failing {
        claims: false,
        writes: Arc::default(),
    };
    let rotator = rotator(refresh("r-0"), &script).store(store);
    let error = rotator.token().await.unwrap_err();
    assert_eq!(error.failing().unwrap().reason, Reason::NoStore);
    assert!(script.sent().is_empty());
}

#[tokio::test]
async fn a_store_that_fails_after_the_answer_costs_no_token() {
    let script = Script::of([PLAIN]);
    let store = Failing {
        claims: true,
        writes: Arc::default(),
    };
    let rotator = rotator(refresh("r-0"), &script).store(store.clone());
    assert_eq!(rotator.token().await.unwrap().expose(), "a");
    assert_eq!(
        *store.writes.lock().unwrap(),
        4,
        "a stamp, two writes before, one at the end"
    );
    assert_eq!(rotator.health().store, Some(unusable()));
}

#[tokio::test]
async fn a_service_that_replaces_refresh_tokens_and_takes_none_twice() {
    let registered = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(registered);
    let service = OAuthService::start(config).await.unwrap();
    let client = Client::new(&service.token_url(), "orders", "s3cret").unwrap();
    let initial = service.grant_refresh_token("orders");
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let process = |store: &MemoryStore| {
        let grant = RefreshTokenGrant::new(client.clone(), "alice", initial.as_str());
        Rotator::new(grant, IssuancePolicy::default())
            .store(store.clone())
            .clock(Arc::new(clock.clone()))
    };
    for issued in 1..=3 {
        let rotator = process(&store);
        let token = rotator.token().await.unwrap();
        clock.advance(Duration::from_secs(1200));
        rotator.reject(&token).await.unwrap();
        assert_eq!(service.counters().tokens_issued, issued + 1);
        clock.advance(Duration::from_secs(1200));
    }
    let forgetful = process(&MemoryStore::new());
    assert!(forgetful.token().await.unwrap_err().is_refusal());
}
