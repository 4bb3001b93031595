//! jwt-simple on BoringSSL: the key by its id, then `verify_token`.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{AUDIENCE, Case, FurtherClaims, ISSUER, LEEWAY};
use jwt_simple::prelude::*;
use serde_json::Value;

type Verify = Box<dyn Fn(&str, VerificationOptions) -> Option<JWTClaims<FurtherClaims>>>;

pub fn contend(cases: &[Case]) {
    for case in cases {
        let keys: HashMap<String, Verify> = case.jwks["keys"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|jwk| (text(jwk, "kid").to_owned(), key(jwk)))
            .collect();
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([ISSUER.to_owned()])),
            allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
            time_tolerance: Some(Duration::from_secs(LEEWAY)),
            ..VerificationOptions::default()
        };
        let verify = |token: &str| {
            let metadata = Token::decode_metadata(token).ok()?;
            keys.get(metadata.key_id()?)?(token, options.clone())
        };
        common::contend("jwt-simple (BoringSSL)", "first", case, verify, |it| {
            it.jwt_id.as_deref().unwrap_or_default()
        });
    }
}

fn key(jwk: &Value) -> Verify {
    let bytes = |name| URL_SAFE_NO_PAD.decode(text(jwk, name)).expect("base64url");
    macro_rules! verify {
        ($key:expr) => {{
            let key = $key;
            Box::new(move |token, options| key.verify_token(token, Some(options)).ok())
        }};
    }
    match text(jwk, "alg") {
        "RS256" => {
            verify!(RS256PublicKey::from_components(&bytes("n"), &bytes("e")).expect("a key"))
        }
        "PS256" => {
            verify!(PS256PublicKey::from_components(&bytes("n"), &bytes("e")).expect("a key"))
        }
        "ES256" => {
            let point = [vec![4], bytes("x"), bytes("y")].concat();
            verify!(ES256PublicKey::from_bytes(&point).expect("a key"))
        }
        "EdDSA" => verify!(Ed25519PublicKey::from_bytes(&bytes("x")).expect("a key")),
        "HS256" => verify!(HS256Key::from_bytes(&bytes("k"))),
        other => panic!("{other}"),
    }
}

fn text<'a>(jwk: &'a Value, name: &str) -> &'a str {
    jwk[name].as_str().expect("a text")
}
