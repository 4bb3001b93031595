//! A known token, and a refusal before the signature, allocate nothing.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

mod tokens;

use std::sync::Arc;

use serde_json::{Value, json};
use steadfast::jose::KeySet;
use steadfast::verifier::{Denials, Denylist, KeyCache, Proof, Trust, Verifier};

use tokens::{Issuer, b64, claims, header, verifier};

#[track_caller]
fn allocates_nothing(f: impl FnOnce()) {
    assert_eq!(allocation_counter::measure(f).count_total, 0);
}

#[test]
fn a_known_token() {
    let issuer = Issuer::new();
    let verifier = verifier(issuer.keys());
    let token = issuer.token(json!({"scope": "orders:read", "groups": ["a", "b"]}));
    let new = verifier.verify(&token).unwrap();
    let known = verifier.verify(&token).unwrap();
    allocates_nothing(|| {
        let again = verifier.verify(&token).unwrap();
        assert!(again.scope().contains("orders:read"));
        drop(again.clone());
    });
    drop((new, known));
    allocates_nothing(|| drop(verifier.verify(&token).unwrap()));
}

/// Two sources, one of a template, a denylist, and a token that is bound to a certificate.
fn with_all_that_a_verifier_can_be_told() -> (Verifier, String, Proof) {
    let issuer = Issuer::new();
    let entra = "https://login.microsoftonline.com/{tid}/v2.0";
    let denylist = Denylist::new(Denials::new().token("i", "t"));
    let template = Trust::issuer_template(entra)
        .unwrap()
        .audience_in("azp", "app")
        .require("ver", ["2.0"]);
    let mut jwk = issuer.jwk();
    jwk["issuer"] = json!(entra);
    let keys = KeySet::from_json(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    let verifier = Verifier::several([
        (tokens::trust(), KeyCache::fixed(issuer.keys())),
        (template, KeyCache::fixed(keys)),
    ])
    .denylist(denylist)
    .clock(Arc::new(tokens::Stopped(tokens::NOW)));
    let thumbprint = b64(ring::digest::digest(&ring::digest::SHA256, b"der"));
    let token = issuer.token(json!({
        "iss": entra.replace("{tid}", "a-1"), "tid": "a-1", "azp": "app", "ver": "2.0",
        "cnf": {"x5t#S256": thumbprint}, "jti": "t",
    }));
    (verifier, token, Proof::certificate(b"der"))
}

#[test]
fn a_known_token_with_all_that_a_verifier_can_be_told() {
    let (verifier, token, proof) = with_all_that_a_verifier_can_be_told();
    verifier.verify_with_proof(&token, &proof).unwrap();
    drop(verifier.verify_with_proof(&token, &proof).unwrap());
    allocates_nothing(|| drop(verifier.verify_with_proof(&token, &proof).unwrap()));
    allocates_nothing(|| assert!(verifier.verify(&token).is_err()));
}

#[test]
fn a_forged_token_with_all_that_a_verifier_can_be_told() {
    let (verifier, token, proof) = with_all_that_a_verifier_can_be_told();
    // A thread's first load of a snapshot allocates what that thread keeps.
    verifier.verify_with_proof(&token, &proof).unwrap();
    let (input, _) = token.rsplit_once('.').unwrap();
    refused(
        &verifier,
        &format!("{input}.{}", b64([0; 64])),
        "bad_signature",
    );
}

#[track_caller]
fn refused(verifier: &Verifier, token: &str, code: &str) {
    allocates_nothing(|| {
        let error = verifier.verify(token).unwrap_err();
        assert_eq!(error.code().as_str(), code);
    });
}

#[test]
fn refusals() {
    let issuer = Issuer::new();
    let verifier = verifier(issuer.keys());
    let with_header = |changes: Value| issuer.with_header(header(changes));
    let long_list: Vec<_> = (0..500).map(|it| it.to_string()).collect();
    // A thread's first load of a snapshot may allocate: arc-swap's bookkeeping for that thread.
    verifier.verify(&issuer.token(json!({}))).unwrap();
    refused(&verifier, &"a".repeat(20_000), "too_large");
    refused(&verifier, "opaque", "opaque");
    refused(&verifier, "eyJ.a.b", "malformed");
    refused(
        &verifier,
        &with_header(json!({"alg": "none"})),
        "unsupported_algorithm",
    );
    refused(
        &verifier,
        &with_header(json!({"typ": "dpop+jwt"})),
        "wrong_type",
    );
    refused(&verifier, &with_header(json!({"kid": "k2"})), "unknown_key");
    refused(
        &verifier,
        &issuer.token(json!({"iss": "stranger"})),
        "wrong_issuer",
    );
    refused(&verifier, &issuer.token(json!({"exp": 1})), "expired");
    for changes in [
        json!({}),
        json!({"aud": long_list.clone()}),
        json!({"aud": ["a", "b"], "scp": long_list, "x": {"y": [1, 2.5, null, "z"]}}),
    ] {
        let token = issuer.raw(header(json!({})).to_string(), claims(changes).to_string());
        let (input, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{input}.{}", b64([0; 64]));
        refused(&verifier, &forged, "bad_signature");
    }
}
