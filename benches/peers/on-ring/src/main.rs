//! steadfast on ring; with `cases` as the argument it prints what all contenders verify.

use std::collections::BTreeMap;
use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use common::{AUDIENCE, Case, ISSUER, NineClaims};
use steadfast::jose::Algorithm;
use steadfast::testing::{TestKey, keys::jwk_set};

fn main() {
    if env::args().nth(1).as_deref() == Some("cases") {
        let cases = ALGORITHMS.map(case);
        println!("{}", serde_json::to_string(&cases).expect("JSON"));
        return;
    }
    steadfast_contender::contend("steadfast (ring)");
}

fn case(algorithm: Algorithm) -> Case {
    let key = TestKey::of(algorithm);
    let sign = |claims: &NineClaims| key.sign(claims).expect("signed");
    let good = filled(claims(), |claims| sign(claims).len());
    let changed = |change: fn(&mut NineClaims)| {
        let mut claims = good.clone();
        change(&mut claims);
        sign(&claims)
    };
    let signed = sign(&good);
    let refused = BTreeMap::from([
        (
            "bad signature".to_owned(),
            with_other_signature(&signed, &changed(|it| it.sub.push('x'))),
        ),
        ("expired".to_owned(), changed(|it| it.exp -= 2 * VALIDITY)),
        ("not yet valid".to_owned(), changed(|it| it.nbf += 3600)),
        ("wrong issuer".to_owned(), changed(|it| it.iss.push('x'))),
        ("wrong audience".to_owned(), changed(|it| it.aud.push('x'))),
        (
            "unknown key".to_owned(),
            TestKey::of(algorithm)
                .with_kid("unknown")
                .sign(&good)
                .expect("signed"),
        ),
    ]);
    Case {
        algorithm: algorithm.name().into(),
        // A set as a service has it in the middle of a rotation.
        jwks: jwk_set([&TestKey::rsa(0), &key, &TestKey::rsa(1)]),
        good: signed,
        jti: good.jti,
        refused,
    }
}

/// With a scope that makes the token 800 bytes long, or a few less.
fn filled(claims: NineClaims, length: impl Fn(&NineClaims) -> usize) -> NineClaims {
    let missing = 800 - length(&claims);
    let scope = "orders:read "
        .chars()
        .cycle()
        .take(missing * 3 / 4)
        .collect();
    NineClaims { scope, ..claims }
}

fn claims() -> NineClaims {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    NineClaims {
        iss: ISSUER.into(),
        sub: "5b1c7d0e-orders-client".into(),
        aud: AUDIENCE.into(),
        exp: now + VALIDITY,
        nbf: now - 10,
        iat: now - 10,
        jti: "f0f4a4c2-6f0e-4d52-9f6b-1f2f7a3f3f10".into(),
        client_id: "orders-client".into(),
        scope: String::new(),
    }
}

fn with_other_signature(token: &str, other: &str) -> String {
    let (input, _) = token.rsplit_once('.').expect("three parts");
    let (_, signature) = other.rsplit_once('.').expect("three parts");
    format!("{input}.{signature}")
}

const VALIDITY: u64 = 12 * 3600;

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
    Algorithm::HS256,
];
