//! The JWK Set, and rotations; tokens are checked by a library that is not ours.

use jsonwebtoken9::jwk::JwkSet;
use jsonwebtoken9::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use steadfast::jose;
use steadfast::testing::keys::jwk_set;
use steadfast::testing::{OAuthService, TestKey};

use crate::http::{get, send, token};
use crate::{config, start};

async fn jwt(service: &OAuthService) -> String {
    token(service, "&token_format=jwtrfc")
        .await
        .text("access_token")
}

async fn keys(service: &OAuthService) -> JwkSet {
    serde_json::from_str(&get(&service.jwks_url()).await.body).unwrap()
}

fn kids(keys: &JwkSet) -> Vec<&str> {
    let kids = keys
        .keys
        .iter()
        .filter_map(|key| key.common.key_id.as_deref());
    kids.collect()
}

fn verifies(token: &str, keys: &JwkSet) -> bool {
    let header = decode_header(token).unwrap();
    let Some(key) = keys.find(&header.kid.unwrap()) else {
        return false;
    };
    let algorithm: Algorithm = key
        .common
        .key_algorithm
        .unwrap()
        .to_string()
        .parse()
        .unwrap();
    let mut validation = Validation::new(algorithm);
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_jwk(key).unwrap();
    decode::<Value>(token, &key, &validation).is_ok()
}

#[tokio::test]
async fn publish_before_use() {
    let (service, _) = start().await;
    let (old_token, old_keys) = (jwt(&service).await, keys(&service).await);
    assert!(verifies(&old_token, &old_keys));

    let key = service.fresh_key();
    service.publish_key(key.clone());
    let keys_in_between = keys(&service).await;
    assert_eq!(kids(&keys_in_between), ["rsa-0", "rsa-1"]);
    assert!(
        verifies(&jwt(&service).await, &old_keys),
        "still the old key"
    );

    assert!(service.sign_with(key.kid()));
    let new_token = jwt(&service).await;
    assert!(verifies(&new_token, &keys_in_between) && !verifies(&new_token, &old_keys));
    assert!(verifies(&old_token, &keys(&service).await));

    assert!(service.withdraw_key("rsa-0"));
    let new_keys = keys(&service).await;
    assert!(verifies(&new_token, &new_keys) && !verifies(&old_token, &new_keys));
    assert_eq!(service.signing_key().kid(), "rsa-1");
}

#[tokio::test]
async fn abruptly_under_the_same_kid() {
    let (service, _) = start().await;
    let (old_token, old_keys) = (jwt(&service).await, keys(&service).await);
    service.replace_keys(service.fresh_key().with_kid("rsa-0"));
    let (new_token, new_keys) = (jwt(&service).await, keys(&service).await);
    assert_eq!(kids(&new_keys), ["rsa-0"]);
    assert!(verifies(&new_token, &new_keys) && !verifies(&old_token, &new_keys));
    assert!(!verifies(&new_token, &old_keys));
}

#[tokio::test]
async fn entity_tags() {
    let (config, _) = config();
    let config = config.keys_cache_control("max-age=15");
    let service = OAuthService::start(config).await.unwrap();
    let reply = get(&service.jwks_url()).await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(reply.header("cache-control"), Some("max-age=15"));
    let tag = ("if-none-match", reply.header("etag").unwrap());
    let again = send("GET", &service.jwks_url(), &[tag], "").await.unwrap();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(tag.1));
    service.publish_key(service.fresh_key());
    let changed = send("GET", &service.jwks_url(), &[tag], "").await.unwrap();
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag.1));
}

/// Every key signs what its public half verifies, for jsonwebtoken 9 as for this crate.
#[test]
fn every_test_key() {
    for key in TestKey::all() {
        let token = key.sign(&json!({ "sub": "a" })).unwrap();
        let document = jwk_set([&key]);
        let set = serde_json::from_value(document.clone()).unwrap();
        assert!(verifies(&token, &set), "{}", key.algorithm());
        let other = jwk_set([&TestKey::rsa(3).with_kid(key.kid())]);
        let other = serde_json::from_value(other).unwrap();
        assert!(!verifies(&token, &other), "{}", key.algorithm());

        let keys = jose::KeySet::from_json_with_symmetric(document.to_string().as_bytes());
        let jws = keys
            .unwrap()
            .verify_jws(&token, jose::AlgorithmSet::one(key.algorithm()));
        assert_eq!(jws.unwrap().payload, br#"{"sub":"a"}"#);
    }
}
