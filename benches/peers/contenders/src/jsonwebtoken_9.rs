//! jsonwebtoken 9, which runs on ring: the key by its id, then `decode`.

use std::collections::HashMap;

use common::{AUDIENCE, Case, ISSUER, LEEWAY, NineClaims};
use jsonwebtoken9::jwk::JwkSet;
use jsonwebtoken9::{DecodingKey, Validation, decode, decode_header};

pub fn contend(cases: &[Case]) {
    for case in cases {
        let set: JwkSet = serde_json::from_value(case.jwks.clone()).expect("a key set");
        let keys: HashMap<String, DecodingKey> = set
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)))
            .collect();
        let mut validation = Validation::new(case.algorithm.parse().expect("known by name"));
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let verify = |token: &str| {
            let key = keys.get(&decode_header(token).ok()?.kid?)?;
            Some(decode::<NineClaims>(token, key, &validation).ok()?.claims)
        };
        common::contend("jsonwebtoken 9 (ring)", "first", case, verify, |it| &it.jti);
    }
}
