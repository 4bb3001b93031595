//! Client authentication by `private_key_jwt` (RFC 7523 2.2 and 3, OpenID Connect Core 9).

use serde::Deserialize;

use super::config::{Registered, RegisteredClient};
use super::faults::Endpoint;
use super::state::State;
use crate::jose::{AlgorithmSet, KeySet};

/// The client that signed `assertion`, if it is one that may be accepted. It never is again.
pub(super) fn signer<'a>(state: &'a State, assertion: &str) -> Option<&'a RegisteredClient> {
    let mut clients = state.config.clients.iter();
    let (client, claims) = clients.find_map(|client| match &client.proof {
        Registered::Keys(keys) => Some((client, verified(keys, assertion, &client.id)?)),
        Registered::Secret(_) => None,
    })?;
    let now = state.wall_secs();
    let is_for_us = claims.aud == state.issuer() || claims.aud == state.url_of(Endpoint::Token);
    let is_timely = now < claims.exp
        && claims.exp <= now + LONGEST
        && claims.iat.is_none_or(|iat| iat <= now + LEEWAY)
        && claims.nbf.is_none_or(|nbf| nbf <= now);
    let is_good = is_for_us && is_timely && state.spend(&client.id, claims.jti, claims.exp);
    is_good.then_some(client)
}

fn verified(keys: &KeySet, assertion: &str, id: &str) -> Option<Claims> {
    let jws = keys.verify_jws(assertion, AlgorithmSet::ASYMMETRIC).ok()?;
    let claims: Claims = serde_json::from_slice(&jws.payload).ok()?;
    (claims.iss == id && claims.sub == id).then_some(claims)
}

/// `aud` is a single text, as OpenID Connect Core 9 has come to require.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    jti: String,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
}

/// From now to `exp`, in seconds: 5 min, as Auth0 has it.
const LONGEST: i64 = 300;
/// How far in the future `iat` may lie, in seconds.
const LEEWAY: i64 = 10;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Timestamp;
    use crate::jose::Algorithm;
    use crate::testing::keys::jwk_set;
    use crate::testing::{ManualClock, ServiceConfig, TestKey};

    const NOW: i64 = 1_795_570_010;
    const URL: &str = "http://127.0.0.1:1";

    fn state() -> State {
        let set = jwk_set(&[TestKey::of(Algorithm::ES256), TestKey::rsa(0)]);
        let keys = KeySet::from_json(set.to_string().as_bytes()).unwrap();
        let config = ServiceConfig::default()
            .clock(ManualClock::new(Timestamp::from_secs(NOW)))
            .client(RegisteredClient::new("other", "secret"))
            .client(RegisteredClient::with_keys("orders", keys));
        State::new(config, URL.to_owned())
    }

    /// A good assertion but for these members; null takes one away.
    fn assertion(key: &TestKey, but: Value) -> String {
        let mut claims = json!({
            "iss": "orders", "sub": "orders", "aud": URL, "jti": "1", "iat": NOW - 5, "exp": NOW + 55,
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(but.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        key.sign_as("JWT", &claims).unwrap()
    }

    #[test]
    fn good_ones() {
        let key = TestKey::of(Algorithm::ES256);
        for (jti, but) in [
            json!({}),
            json!({ "aud": format!("{URL}/oauth2/token") }),
            json!({ "iat": null }),
            json!({ "nbf": NOW, "exp": NOW + 1 }),
            json!({ "exp": NOW + 300, "iat": NOW + 10 }),
        ]
        .into_iter()
        .enumerate()
        {
            let state = state();
            let mut but = but;
            but["jti"] = jti.to_string().into();
            let signed = assertion(&key, but);
            assert_eq!(signer(&state, &signed).unwrap().id, "orders");
        }
    }

    #[test]
    fn bad_ones() {
        let key = TestKey::of(Algorithm::ES256);
        for but in [
            json!({ "iss": "other" }),
            json!({ "sub": "other" }),
            json!({ "iss": "other", "sub": "other" }),
            json!({ "aud": "https://login.example" }),
            json!({ "aud": [URL] }),
            json!({ "jti": null }),
            json!({ "exp": NOW }),
            json!({ "exp": NOW + 301 }),
            json!({ "exp": null }),
            json!({ "iat": NOW + 11 }),
            json!({ "nbf": NOW + 1 }),
        ] {
            assert!(
                signer(&state(), &assertion(&key, but.clone())).is_none(),
                "{but}"
            );
        }
        let stranger = TestKey::of(Algorithm::EdDSA);
        assert!(signer(&state(), &assertion(&stranger, json!({}))).is_none());
        assert!(signer(&state(), "no.jwt.here").is_none());
    }

    #[test]
    fn once_only() {
        let (state, key) = (state(), TestKey::of(Algorithm::ES256));
        let signed = assertion(&key, json!({}));
        assert!(signer(&state, &signed).is_some());
        assert!(signer(&state, &signed).is_none());
        let again = assertion(&TestKey::rsa(0), json!({}));
        assert!(signer(&state, &again).is_none(), "the same jti");
        let next = assertion(&key, json!({ "jti": "2" }));
        assert!(signer(&state, &next).is_some());
    }
}
