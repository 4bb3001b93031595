//! jwt-authorizer on jsonwebtoken 9: its own key set, asynchronous by its shape and never waiting here.

use common::{AUDIENCE, Case, ISSUER, LEEWAY, NineClaims};
use futures_executor::block_on;
use jwt_authorizer::{JwtAuthorizer, Validation};

pub fn contend(cases: &[Case]) {
    for case in cases {
        let validation = Validation::new()
            .iss(&[ISSUER])
            .aud(&[AUDIENCE])
            .nbf(true)
            .leeway(LEEWAY);
        let built = JwtAuthorizer::<NineClaims>::from_jwks_text(&case.jwks.to_string())
            .validation(validation)
            .build();
        let authorizer = block_on(built).expect("usable keys");
        let verify = |token: &str| Some(block_on(authorizer.check_auth(token)).ok()?.claims);
        common::contend("jwt-authorizer (ring)", "first", case, verify, |it| &it.jti);
    }
}
