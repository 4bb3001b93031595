//! What the verifier accepts, jsonwebtoken accepts as well, for the algorithms that it knows and
//! headers of `alg`, `kid` and `typ`: it may be laxer, never stricter. It runs on this crate's
//! provider, so this is about tokens and claims; Wycheproof's vectors judge the signatures.
//!
//! jsonwebtoken's provider is one for the whole process, so these tests have a process of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::cell::Cell;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::errors::Error;
use jsonwebtoken::jwk::{EllipticCurve, Jwk};
use jsonwebtoken::{DecodingKey, EncodingKey, TokenData, Validation, get_current_timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use steadfast::jose::{Algorithm, AlgorithmSet, KeySet, sign};
use steadfast::verifier::{Trust, Verifier};

const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "https://orders.example";

static WORLD: LazyLock<World> = LazyLock::new(World::new);

struct World {
    keys: Vec<(Algorithm, EncodingKey, Value)>,
    verifier: Verifier,
}

impl World {
    fn new() -> Self {
        sign::provider().install_default().ok().unwrap();
        let keys: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|it| jsonwebtoken::Algorithm::try_from(*it).is_ok())
            .map(|algorithm| {
                let private = private(algorithm);
                let public = public(algorithm, &private);
                (algorithm, private, public)
            })
            .collect();
        let set: Vec<_> = keys.iter().map(|(_, _, jwk)| jwk).collect();
        let set = json!({ "keys": set }).to_string();
        let keys_of_set = KeySet::from_json_with_symmetric(set.as_bytes()).unwrap();
        let verifier = Verifier::fixed(Trust::issuer(ISSUER).audience(AUDIENCE), keys_of_set)
            .algorithms(AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC));
        Self { keys, verifier }
    }

    /// Signed as the header says, whatever the rest of it is.
    fn token(&self, key: usize, header: &Value, claims: &Value) -> String {
        let (algorithm, private, _) = &self.keys[key];
        let base64url = |it: &Value| BASE64_URL_SAFE_NO_PAD.encode(it.to_string());
        let input = format!("{}.{}", base64url(header), base64url(claims));
        let name = (*algorithm).try_into().unwrap();
        let signer = (sign::provider().signer_factory)(&name, private).unwrap();
        let signature = signer.try_sign(input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn ours(&self, token: &str) -> bool {
        self.verifier.verify(token).is_ok()
    }

    fn theirs(&self, key: usize, token: &str) -> Result<TokenData<Value>, Error> {
        let (algorithm, _, jwk) = &self.keys[key];
        let jwk: Jwk = serde_json::from_value(jwk.clone()).unwrap();
        let mut validation = Validation::new((*algorithm).try_into().unwrap());
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        jsonwebtoken::decode(token, &key, &validation)
    }
}

fn private(algorithm: Algorithm) -> EncodingKey {
    let pem = match algorithm {
        Algorithm::ES256 => include_str!("../src/testing/keys/p256.pem"),
        Algorithm::ES384 => include_str!("../src/testing/keys/p384.pem"),
        Algorithm::EdDSA => include_str!("../src/testing/keys/ed25519.pem"),
        _ if algorithm.is_symmetric() => return EncodingKey::from_secret(&[7; 64]),
        _ => include_str!("../src/testing/keys/rsa-0.pem"),
    };
    sign::encoding_key_from_pem(pem).unwrap()
}

fn public(algorithm: Algorithm, private: &EncodingKey) -> Value {
    let base64url = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (der, utils) = (private.as_bytes(), &sign::provider().key_utils);
    let mut jwk = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => {
            let name = algorithm.try_into().unwrap();
            let (crv, x, y) = (utils.ec_pub_components_from_private_key)(der, name).unwrap();
            json!({"kty": "EC", "crv": crv, "x": base64url(&x), "y": base64url(&y)})
        }
        Algorithm::EdDSA => {
            let crv = EllipticCurve::Ed25519;
            let x = (utils.ed_pub_components_from_private_key)(der, &crv).unwrap();
            json!({"kty": "OKP", "crv": crv, "x": base64url(&x)})
        }
        _ if algorithm.is_symmetric() => json!({"kty": "oct", "k": base64url(&[7; 64])}),
        _ => {
            let (n, e) = (utils.rsa_pub_components_from_private_key)(der).unwrap();
            json!({"kty": "RSA", "n": base64url(&n), "e": base64url(&e)})
        }
    };
    jwk["kid"] = algorithm.name().into();
    jwk["alg"] = algorithm.name().into();
    jwk
}

#[test]
fn good_tokens_of_every_algorithm() {
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": get_current_timestamp() + 600});
    for (key, (algorithm, _, _)) in WORLD.keys.iter().enumerate() {
        for header in [
            json!({"alg": algorithm.name()}),
            json!({"alg": algorithm.name(), "kid": algorithm.name()}),
            json!({"alg": algorithm.name(), "kid": algorithm.name(), "typ": "at+jwt"}),
        ] {
            let token = WORLD.token(key, &header, &claims);
            let ours = WORLD.verifier.verify(&token).unwrap().token_data().unwrap();
            let theirs = WORLD.theirs(key, &token).unwrap();
            assert_eq!(ours.claims.iss.as_deref(), theirs.claims["iss"].as_str());
            assert_eq!(ours.header, theirs.header);
        }
    }
}

#[test]
fn what_we_accept_jsonwebtoken_accepts() {
    let (accepted, all) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config::with_cases(2000));
    let cases = (0..WORLD.keys.len(), header(), claims(), damage());
    runner
        .run(&cases, |(key, (mut header, name), claims, damage)| {
            // Most headers say what the signature is.
            if name {
                header["alg"] = WORLD.keys[key].0.name().into();
            }
            let token = damaged(WORLD.token(key, &header, &claims), damage);
            all.set(all.get() + 1);
            if WORLD.ours(&token) {
                accepted.set(accepted.get() + 1);
                let theirs = WORLD.theirs(key, &token);
                prop_assert!(theirs.is_ok(), "{theirs:?}: {header} {claims}");
            }
            Ok(())
        })
        .unwrap();
    assert!(accepted.get() * 20 > all.get(), "{accepted:?} of {all:?}");
}

/// A header, and whether the right `alg` goes into it.
fn header() -> impl Strategy<Value = (Value, bool)> {
    let wrong = prop_oneof![Just("none"), Just("HS256"), Just("RS256"), Just("EdDSA")];
    let kid = prop_oneof![
        4 => Just(None),
        1 => "[A-Za-z0-9]{0,8}".prop_map(|kid| Some(Value::from(kid))),
        1 => Just(Some(json!(5))),
    ];
    let typ = prop_oneof![
        4 => Just(None),
        4 => prop_oneof![Just("JWT"), Just("at+jwt"), Just("application/AT+JWT"), Just("JOSE")]
            .prop_map(|typ| Some(Value::from(typ))),
        1 => "\\PC{0,8}".prop_map(|typ| Some(Value::from(typ))),
    ];
    (wrong, kid, typ, prop::bool::weighted(0.9)).prop_map(|(wrong, kid, typ, right)| {
        let mut header = json!({ "alg": wrong });
        for (name, value) in [("kid", kid), ("typ", typ)] {
            if let Some(value) = value {
                header[name] = value;
            }
        }
        (header, right)
    })
}

/// Claims that are mostly good, at times that no tick of the clock comes near to.
fn claims() -> impl Strategy<Value = Value> {
    let future = prop_oneof![
        6 => (60..4000_i64).prop_map(|it| it.to_string()),
        2 => (60.0..4000.0_f64).prop_map(|it| it.to_string()),
        1 => (-4000..4000_i64).prop_map(|it| it.to_string()),
    ]
    .prop_map(|seconds| Some(time(&seconds)));
    let past = prop_oneof![
        3 => Just(None),
        3 => (-4000..0_i64).prop_map(|it| Some(time(&it.to_string()))),
        1 => (-4000.0..4000.0_f64).prop_map(|it| Some(time(&it.to_string()))),
        1 => prop_oneof![Just(-1.0), Just(0.0), Just(1.5), Just(-0.0)]
            .prop_map(|it| Some(number(it))),
    ];
    let odd = || {
        prop_oneof![
            Just(json!("5")),
            Just(json!(null)),
            Just(json!([])),
            Just(json!(1e300))
        ]
        .prop_map(Some)
    };
    let issuer = prop_oneof![
        8 => Just(json!(ISSUER)),
        1 => Just(json!([ISSUER])),
        1 => Just(json!(format!("{ISSUER}/"))),
        1 => Just(json!(null)),
    ];
    let audience = prop_oneof![
        4 => Just(json!(AUDIENCE)),
        4 => Just(json!([AUDIENCE, "another"])),
        1 => Just(json!([])),
        1 => Just(json!("another")),
        1 => Just(json!([AUDIENCE, 5])),
    ];
    let junk = prop::collection::btree_map("[a-z]{4,9}", "\\PC{0,9}", 0..3);
    (
        prop_oneof![9 => future, 1 => odd()],
        prop_oneof![9 => past.clone(), 1 => odd()],
        prop_oneof![9 => past, 1 => odd()],
        issuer,
        audience,
        junk,
    )
        .prop_map(|(exp, nbf, iat, iss, aud, junk)| {
            let mut claims = json!(junk);
            claims["iss"] = iss;
            claims["aud"] = aud;
            for (name, value) in [("exp", exp), ("nbf", nbf), ("iat", iat)] {
                if let Some(value) = value {
                    claims[name] = value;
                }
            }
            claims
        })
}

/// So many seconds from now, but none within 3 of what the leeway of 60 decides.
fn time(seconds: &str) -> Value {
    let mut seconds: f64 = seconds.parse().unwrap();
    if (seconds.abs() - 60.0).abs() < 3.0 {
        seconds += 7.0;
    }
    let now = get_current_timestamp();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    if seconds.fract() == 0.0 {
        json!(now as i64 + seconds as i64)
    } else {
        number(now as f64 + seconds)
    }
}

/// As it is; or whole, where some crate switched on serde_json's `arbitrary_precision`: jsonwebtoken
/// then reads no fractions.
fn number(seconds: f64) -> Value {
    let digits = serde_json::from_str::<Value>("1.00").unwrap();
    match digits.to_string().as_str() {
        #[expect(clippy::cast_possible_truncation)]
        "1.00" => json!(seconds as i64),
        _ => json!(seconds),
    }
}

/// Where a token is changed, if at all, and to what.
fn damage() -> impl Strategy<Value = Option<(prop::sample::Index, char)>> {
    let change = (any::<prop::sample::Index>(), "[A-Za-z0-9_=.-]");
    prop::option::weighted(0.3, change)
        .prop_map(|it| it.map(|(at, to)| (at, to.chars().next().unwrap())))
}

fn damaged(token: String, damage: Option<(prop::sample::Index, char)>) -> String {
    let mut characters: Vec<_> = token.chars().collect();
    if let Some((at, to)) = damage {
        let at = at.index(characters.len());
        characters[at] = to;
    }
    characters.into_iter().collect()
}
