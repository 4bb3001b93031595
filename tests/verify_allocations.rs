//! A known token, and a refusal before the signature, allocate nothing.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

mod tokens;

use serde_json::{Value, json};
use steadfast::verifier::Verifier;

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
    assert!(verifier.verify("opaque").is_err());
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
