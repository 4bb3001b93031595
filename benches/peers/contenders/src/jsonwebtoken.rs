//! jsonwebtoken 9, which runs on ring, and 11 on either of its backends: the key by its id, then
//! `decode`. To a user both look the same.

use std::collections::HashMap;

use common::{AUDIENCE, Case, ISSUER, LEEWAY, NineClaims};
use jsonwebtoken::crypto::{aws_lc, rust_crypto};

pub fn version_9(cases: &[Case]) {
    contend_9("jsonwebtoken 9 (ring)", cases);
}

pub fn version_11_on_aws_lc_rs(cases: &[Case]) {
    let installed = aws_lc::DEFAULT_PROVIDER.install_default();
    installed.expect("the first");
    contend_11("jsonwebtoken 11 (aws-lc-rs)", cases);
}

pub fn version_11_on_rust_crypto(cases: &[Case]) {
    let installed = rust_crypto::DEFAULT_PROVIDER.install_default();
    installed.expect("the first");
    contend_11("jsonwebtoken 11 (rust_crypto)", cases);
}

macro_rules! contend {
    ($contend:ident, $library:ident) => {
        fn $contend(name: &str, cases: &[Case]) {
            use $library::jwk::JwkSet;
            use $library::{DecodingKey, Validation, decode, decode_header};

            for case in cases {
                let set: JwkSet = serde_json::from_value(case.jwks.clone()).expect("a key set");
                let key = |jwk| DecodingKey::from_jwk(jwk).ok();
                let keys: HashMap<String, DecodingKey> = set
                    .keys
                    .iter()
                    .filter_map(|jwk| Some((jwk.common.key_id.clone()?, key(jwk)?)))
                    .collect();
                let algorithm = case.algorithm.parse().expect("known by name");
                let mut validation = Validation::new(algorithm);
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
    };
}

contend!(contend_9, jsonwebtoken9);
contend!(contend_11, jsonwebtoken);
