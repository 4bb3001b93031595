//! huskarl's validator, the part under its resource server, on a fixed key set.

use std::time::Duration;

use common::{AUDIENCE, Case, FurtherClaims, ISSUER, LEEWAY};
use futures_executor::block_on;
use huskarl_core::crypto::verifier::MultiKeyVerifier;
use huskarl_core::jwk::{PublicJwk, PublicJwks};
use huskarl_core::jwt::validator::JwtValidator;
use huskarl_crypto_native::NativeVerifierPlatform;
use serde_json::Value;

pub fn contend(cases: &[Case]) {
    // It has no shared secrets in key sets.
    for case in cases.iter().filter(|case| case.algorithm != "HS256") {
        let keys = case.jwks["keys"].as_array().into_iter().flatten();
        let keys =
            keys.filter_map(|jwk: &Value| serde_json::from_value::<PublicJwk>(jwk.clone()).ok());
        let set = PublicJwks::new(keys.collect());
        let keys = block_on(MultiKeyVerifier::from_jwks(&set, &NativeVerifierPlatform));
        let validator = JwtValidator::builder()
            .verifier(keys.expect("usable keys"))
            .iss(ISSUER)
            .aud(AUDIENCE)
            .require_exp(true)
            .clock_leeway(Duration::from_secs(LEEWAY))
            .allowed_algorithms([case.algorithm.clone()])
            .build();
        let verify = |token: &str| block_on(validator.validate::<FurtherClaims>(token)).ok();
        common::contend("huskarl (RustCrypto)", "first", case, verify, |it| {
            it.jti.as_deref().unwrap_or_default()
        });
    }
}
