//! What verifications allocate: a known token and a refusal before the signature nothing, a new
//! token what its claims are kept in.
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
    allocates_at_most(0, f);
}

#[track_caller]
fn allocates_at_most(count: u64, f: impl FnOnce()) {
    let counted = allocation_counter::measure(f).count_total;
    assert!(counted <= count, "{counted} allocations");
}

/// Nine claims, six of which are strings.
fn nine_claims(jti: &str) -> Value {
    json!({
        "jti": jti, "nbf": tokens::NOW - 60, "client_id": "orders", "scope": "orders:read orders:write",
    })
}

/// One for each string, and one for all that is known of the token.
#[test]
fn a_new_token() {
    let issuer = Issuer::new();
    let verifier = verifier(issuer.keys()).without_token_cache();
    let token = issuer.token(nine_claims("one"));
    drop(verifier.verify(&token).unwrap());
    allocates_at_most(7, || drop(verifier.verify(&token).unwrap()));
}

/// The text of the claims is kept beside a type of the caller.
#[test]
fn a_new_token_with_a_claims_type_of_the_caller() {
    #[derive(serde::Deserialize)]
    struct Mine {
        iss: String,
        scope: String,
    }

    let issuer = Issuer::new();
    let verifier = verifier(issuer.keys()).claims::<Mine>();
    let verifier = verifier.without_token_cache();
    let token = issuer.token(nine_claims("one"));
    drop(verifier.verify(&token).unwrap());
    allocates_at_most(4, || {
        let verified = verifier.verify(&token).unwrap();
        let Mine { iss, scope } = verified.claims();
        assert!(iss == tokens::ISSUER && scope.starts_with("orders:read"));
    });
}

/// On top of that the token, and its entry in the token cache.
#[test]
fn a_new_token_into_the_token_cache() {
    let issuer = Issuer::new();
    let verifier = verifier(issuer.keys());
    drop(verifier.verify(&issuer.token(nine_claims("one"))).unwrap());
    let token = issuer.token(nine_claims("two"));
    allocates_at_most(9, || drop(verifier.verify(&token).unwrap()));
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
    let forged = |changes: Value| {
        let token = issuer.raw(header(json!({})).to_string(), claims(changes).to_string());
        let (input, _) = token.rsplit_once('.').unwrap();
        format!("{input}.{}", b64([0; 64]))
    };
    let short_list: Vec<_> = (0..16).map(|it| it.to_string()).collect();
    for changes in [
        json!({}),
        json!({"aud": short_list.clone()}),
        json!({"aud": ["a", "b"], "scp": short_list, "x": {"y": [1, 2.5, null, "z"]}}),
    ] {
        refused(&verifier, &forged(changes), "bad_signature");
    }
    // A list that is longer has one buffer for the rest, which grows as it is read.
    let long_list: Vec<_> = (0..500).map(|it| it.to_string()).collect();
    let token = forged(json!({"aud": long_list}));
    let count = allocation_counter::measure(|| {
        assert!(verifier.verify(&token).is_err());
    });
    assert_eq!(count.count_current, 0, "nothing of it is kept");
    assert!(count.count_total <= 8, "{}", count.count_total);
}
