//! Tokens and keys that others made, in the directory that STEADFAST_VECTORS names.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tokens;
mod vectors;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use steadfast::jose::{AlgorithmSet, KeySet};
use steadfast::verifier::{Error, Trust, Verified, Verifier};

use tokens::{NOW, Stopped};
use vectors::folder;

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn keys(folder: &Path, name: &str) -> KeySet {
    KeySet::from_json(read(folder, name).as_bytes()).unwrap()
}

/// Whatever issuer and audience, at `now`.
fn anyone(keys: KeySet, now: i64) -> Verifier {
    let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
    Verifier::fixed(Trust::any_issuer().any_audience(), keys)
        .algorithms(all)
        .clock(Arc::new(Stopped(now)))
}

fn code<C>(verdict: &Result<Verified<C>, Error>) -> &'static str {
    match verdict {
        Ok(_) => "valid",
        Err(error) => error.code().as_str(),
    }
}

#[track_caller]
fn check(keys: KeySet, now: i64, token: &str, expected: &str) {
    assert_eq!(code(&anyone(keys, now).verify(token.trim())), expected);
}

#[test]
fn istio() {
    let Some(folder) = folder("istio") else {
        return;
    };
    let samples = keys(&folder, "jwks.json");
    check(samples.clone(), NOW, &read(&folder, "demo.jwt"), "valid");
    check(
        samples.clone(),
        NOW,
        &read(&folder, "groups-scope.jwt"),
        "valid",
    );
    let list = anyone(samples, NOW);
    let scopes = list
        .verify(read(&folder, "groups-scope.jwt").trim())
        .unwrap();
    assert!(scopes.scope().contains("scope2"));

    let common = keys(&folder, "tests-common-jwks.json");
    let tokens: Vec<Value> =
        serde_json::from_str(&read(&folder, "tests-common-tokens.json")).unwrap();
    assert_eq!(tokens.len(), 13);
    for token in tokens {
        let name = token["name"].as_str().unwrap();
        let expected = if name == "TokenExpired" {
            "expired"
        } else {
            "valid"
        };
        let verdict = anyone(common.clone(), NOW).verify(token["jwt"].as_str().unwrap());
        assert_eq!(code(&verdict), expected, "{name}");
    }
}

#[test]
fn istio_for_its_audience() {
    let Some(folder) = folder("istio") else {
        return;
    };
    let tokens: Vec<Value> =
        serde_json::from_str(&read(&folder, "tests-common-tokens.json")).unwrap();
    let trust = || Trust::issuer("test-issuer-1@istio.io").audience("buzz");
    let verifier = Verifier::fixed(trust(), keys(&folder, "tests-common-jwks.json"))
        .clock(Arc::new(Stopped(NOW)));
    for (name, expected) in [
        ("TokenIssuer1WithAudList", "valid"),
        ("TokenIssuer1WithAud", "wrong_audience"),
        ("TokenIssuer1", "missing_claim"),
        ("TokenIssuer2", "wrong_issuer"),
        ("TokenExpired", "expired"),
    ] {
        let token = tokens.iter().find(|it| it["name"] == name).unwrap();
        let verdict = verifier.verify(token["jwt"].as_str().unwrap());
        assert_eq!(code(&verdict), expected, "{name}");
    }
}

#[test]
fn google_jwt_verify_lib() {
    let Some(folder) = folder("google-jwt-verify-lib") else {
        return;
    };
    let pairs: Vec<Value> = serde_json::from_str(&read(&folder, "corpus.json")).unwrap();
    let of = |name: &str| {
        let pair = pairs.iter().find(|it| it["name"] == name).unwrap();
        let text = |member: &str| pair[member].as_str().unwrap().to_owned();
        (text("jwt"), text("jwks_text"))
    };
    for (name, as_jwt, as_jws) in [
        ("jwks_rsa", "valid", "valid"),
        ("jwks_hmac", "valid", "valid"),
        ("jwks_ec", "missing_claim", "valid"),
        ("jwks_okp", "missing_claim", "valid"),
    ] {
        let (token, document) = of(name);
        let keys = KeySet::from_json_with_symmetric(document.as_bytes()).unwrap();
        let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
        let found = keys.verify_jws(&token, all);
        assert_eq!(found.is_ok(), as_jws == "valid", "{name}: {found:?}");
        let verdict = anyone(keys, NOW).verify(&token);
        assert_eq!(code(&verdict), as_jwt, "{name}");
    }
    // ES512, which ring does not verify.
    let (token, pem) = of("jwks_pem");
    if WITH_AWS_LC {
        let keys = KeySet::from_pem(&pem).unwrap();
        assert!(keys.verify_jws(&token, AlgorithmSet::ASYMMETRIC).is_ok());
        check(keys, NOW, &token, "missing_claim");
    } else {
        assert!(KeySet::from_pem(&pem).is_err());
        check(keys_of_nobody(), NOW, &token, "unsupported_algorithm");
    }
    let (_, document) = of("jwks_hmac");
    assert!(KeySet::from_json(document.as_bytes()).is_err());
    let (_, document) = of("jwks_x509");
    assert!(KeySet::from_json(document.as_bytes()).is_err());
}

/// The backend that has P-521.
const WITH_AWS_LC: bool = cfg!(feature = "aws-lc-rs");

fn keys_of_nobody() -> KeySet {
    tokens::Issuer::new().keys()
}

#[test]
fn sap() {
    let Some(folder) = folder("sap-xsuaa-ias") else {
        return;
    };
    let ias = "iasJsonWebTokenKeys.json";
    // The same material without a kid: tried for every kid.
    let any_kid = "iasJsonWebTokenKeys_noKid.json";
    for (file, set, expected) in [
        ("iasOidcTokenRSA256.txt", ias, "valid"),
        ("iasTokenWithCnfRSA256.txt", ias, "unconfirmed"),
        ("iasTokenInvalidCnfRSA256.txt", ias, "unconfirmed"),
        ("uaaAccessTokenRSA256.txt", any_kid, "valid"),
        ("uaaAccessTokenRSA256.txt", ias, "unknown_key"),
        ("xsuaaJwtBearerTokenRSA256.txt", any_kid, "valid"),
        ("xsuaaCCAccessTokenRSA256.txt", any_kid, "expired"),
        (
            "xsuaaXsaAccessTokenRSA256_signedWithVerificationKey.txt",
            any_kid,
            "expired",
        ),
        // Its parts are padded.
        (
            "xsuaaAccessTokenRSA256_signedWithVerificationKey.txt",
            any_kid,
            "malformed",
        ),
    ] {
        let verdict = anyone(keys(&folder, set), NOW).verify(read(&folder, file).trim());
        assert_eq!(code(&verdict), expected, "{file} under {set}");
    }
    // Expired is a hint before the signature: in its own time it is told as forged.
    let file = "xsuaaCCAccessTokenRSA256.txt";
    check(
        keys(&folder, any_kid),
        1_572_060_000,
        &read(&folder, file),
        "bad_signature",
    );
}

#[test]
fn rfc_7515_and_7520() {
    let Some(folder) = folder("latchset-jose") else {
        return;
    };
    // The RFC's own time: its tokens expire a second later.
    const THEN: i64 = 1_300_819_379;
    let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
    for (name, as_jws, as_jwt) in [
        ("rfc7515_A.1", "valid", "valid"),
        ("rfc7515_A.2", "valid", "valid"),
        ("rfc7515_A.3", "valid", "valid"),
        ("rfc7520_4.1", "valid", "malformed"),
        ("rfc7520_4.2", "valid", "malformed"),
        ("rfc7520_4.4", "valid", "malformed"),
        ("rfc7520_4.5", "bad_signature", "malformed"),
    ] {
        let jwk: Value = serde_json::from_str(&read(&folder, &format!("{name}.jwk"))).unwrap();
        let document = json!({"keys": [jwk]}).to_string();
        let keys = KeySet::from_json_with_symmetric(document.as_bytes()).unwrap();
        let token = read(&folder, &format!("{name}.jwsc"));
        let jws = keys.verify_jws(token.trim(), all);
        let found = jws.map_or_else(
            |error| Error::from_jws(error, all, 0).code().as_str(),
            |_| "valid",
        );
        assert_eq!(found, as_jws, "{name}");
        assert_eq!(
            code(&anyone(keys.clone(), THEN).verify(token.trim())),
            as_jwt,
            "{name}"
        );
        if as_jwt == "valid" {
            check(keys, THEN + 61, &token, "expired");
        }
    }
    // The first two are ES512 with a payload that is no JSON object, the last is not signed.
    for (name, with_aws_lc) in [
        ("rfc7515_A.4", "malformed"),
        ("rfc7520_4.3", "malformed"),
        ("rfc7515_A.5", "unsupported_algorithm"),
    ] {
        let token = read(&folder, &format!("{name}.jwsc"));
        let expected = if WITH_AWS_LC {
            with_aws_lc
        } else {
            "unsupported_algorithm"
        };
        check(keys_of_nobody(), THEN, &token, expected);
    }
    for (name, of) in [
        ("rfc7515_A.7.jwsf", "malformed"),
        ("rfc7515_A.6.jwsg", "malformed"),
    ] {
        check(keys_of_nobody(), THEN, &read(&folder, name), of);
    }
}

#[test]
fn proofs_of_rfc_9449_are_no_bearer_tokens() {
    let Some(folder) = folder("rfc9449-dpop") else {
        return;
    };
    let proofs: Value = serde_json::from_str(&read(&folder, "dpop_proofs.json")).unwrap();
    let mut found = 0;
    for_each_token(&proofs, &mut |token| {
        found += 1;
        check(keys_of_nobody(), 1_562_262_616, token, "wrong_type");
    });
    assert_eq!(found, 2);
}

fn for_each_token(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if text.starts_with("eyJ") => take(text),
        Value::Array(items) => items.iter().for_each(|it| for_each_token(it, take)),
        Value::Object(members) => members.values().for_each(|it| for_each_token(it, take)),
        _ => {}
    }
}
