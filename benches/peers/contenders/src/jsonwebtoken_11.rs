//! jsonwebtoken 11 on either of its backends: the key by its id, then `decode`.

use std::collections::HashMap;

use common::{AUDIENCE, Case, ISSUER, LEEWAY, NineClaims};
use jsonwebtoken::crypto::{aws_lc, rust_crypto};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

pub fn on_aws_lc_rs(cases: &[Case]) {
    aws_lc::DEFAULT_PROVIDER
        .install_default()
        .expect("the first");
    contend("jsonwebtoken 11 (aws-lc-rs)", cases);
}

pub fn on_rust_crypto(cases: &[Case]) {
    rust_crypto::DEFAULT_PROVIDER
        .install_default()
        .expect("the first");
    contend("jsonwebtoken 11 (rust_crypto)", cases);
}

fn contend(name: &str, cases: &[Case]) {
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
        common::contend(name, "first", case, verify, |it| &it.jti);
    }
}
