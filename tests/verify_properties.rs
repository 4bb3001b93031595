//! What holds for any token.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

mod tokens;

use proptest::prelude::*;
use serde_json::json;
use steadfast::claims::Claims;
use steadfast::jose::{KeySet, LONGEST_TOKEN};
use steadfast::verifier::{Trust, Verifier};

use tokens::{Issuer, b64, claims, header, verifier};

/// As lenient as can be, but without a key.
fn keyless() -> Verifier {
    Verifier::fixed(Trust::any_issuer().any_audience(), KeySet::default())
        .accept_id_tokens()
        .ignore_confirmation()
}

/// Strings that look like tokens more often than not.
fn token_like() -> impl Strategy<Value = String> {
    let part = || prop_oneof!["[A-Za-z0-9_-]{0,80}", any::<Vec<u8>>().prop_map(b64)];
    let header = prop_oneof![
        Just(b64(r#"{"alg":"EdDSA","kid":"k1"}"#)),
        Just(b64(r#"{"alg":"EdDSA"}"#)),
        part()
    ];
    let payload = prop_oneof![Just(b64(claims(json!({})).to_string())), part()];
    let signature = prop_oneof![
        prop::array::uniform32(any::<u8>()).prop_map(|it| b64([it, it].concat())),
        part()
    ];
    prop_oneof![
        any::<String>(),
        (header, payload, signature).prop_map(|(h, p, s)| format!("{h}.{p}.{s}")),
    ]
}

proptest! {
    #[test]
    fn nothing_verifies_without_a_key(token in token_like()) {
        prop_assert!(keyless().verify(&token).is_err());
    }

    #[test]
    fn nothing_verifies_by_chance(token in token_like()) {
        let found = verifier(Issuer::new().keys()).verify(&token);
        prop_assert!(found.is_err());
        // No message repeats the token.
        let message = found.unwrap_err().to_string();
        prop_assert!(token.len() < 20 || !message.contains(&token));
    }

    #[test]
    fn any_payload_of_the_issuer_is_judged(payload in any::<Vec<u8>>(), junk in "\\PC{0,40}") {
        let issuer = Issuer::new();
        let verifier = verifier(issuer.keys());
        let _ = verifier.verify(&issuer.with_payload(payload));
        let member = claims(json!({"junk": junk}));
        prop_assert!(verifier.verify(&issuer.with_payload(member.to_string())).is_ok());
        let _ = verifier.verify(&issuer.with_payload(member.to_string().replace("junk", &junk)));
    }

    /// What is kept of the one pass over a payload, and what is read of it anew.
    #[test]
    fn own_claims_are_what_serde_reads(
        lists in prop::array::uniform3(prop::collection::vec("[a-c\\\\\"]{0,3}", 0..20)),
        one in any::<bool>(),
        extra in prop::collection::hash_map("[a-z]{4}", any::<Option<i64>>(), 0..4),
    ) {
        let issuer = Issuer::new();
        let [mut aud, scope, scp] = lists;
        aud.push(tokens::AUDIENCE.to_owned());
        let scp = if one { json!(scp.join(" ")) } else { json!(scp) };
        let mut payload = claims(json!({"aud": aud, "scope": scope, "scp": scp}));
        for (name, value) in extra {
            payload[name] = json!({ "x": value });
        }
        let token = issuer.with_payload(payload.to_string());
        let own = verifier(issuer.keys()).verify(&token).unwrap();
        let read = verifier(issuer.keys()).claims::<Claims>().verify(&token).unwrap();
        prop_assert_eq!(own.claims(), read.claims());
        prop_assert_eq!(serde_json::to_value(own.claims()).unwrap(), payload);
    }

    #[test]
    fn any_header_of_the_issuer_is_judged(text in any::<Vec<u8>>()) {
        let issuer = Issuer::new();
        let found = verifier(issuer.keys()).verify(&issuer.raw(text, b"{}"));
        prop_assert!(found.is_err());
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let issuer = Issuer::new();
    let token = issuer.token(json!({"scope": "orders:read"}));
    let verifier = verifier(issuer.keys());
    assert!(verifier.verify(&token).is_ok());
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if let Ok(other) = String::from_utf8(bytes) {
                assert!(verifier.verify(&other).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
    assert!(verifier.verify(&token).is_ok());
}

#[test]
fn any_cut_is_noticed() {
    let issuer = Issuer::new();
    let token = issuer.token(json!({}));
    let verifier = verifier(issuer.keys());
    for at in 0..token.len() {
        assert!(verifier.verify(&token[..at]).is_err(), "{at}");
    }
}

#[test]
fn the_longest_token_is_read() {
    let issuer = Issuer::new();
    let filled = |fill: usize| issuer.token(json!({"x": "a".repeat(fill)}));
    let room = (LONGEST_TOKEN - filled(0).len()) / 4 * 3;
    let longest = filled(room - 2);
    assert!(longest.len() <= LONGEST_TOKEN && longest.len() > LONGEST_TOKEN - 8);
    assert!(verifier(issuer.keys()).verify(&longest).is_ok());
    assert!(verifier(issuer.keys()).verify(&filled(room + 8)).is_err());
    let header = header(json!({"x": "a".repeat(8000)})).to_string();
    assert!(
        verifier(issuer.keys())
            .verify(&issuer.raw(header, claims(json!({})).to_string()))
            .is_ok()
    );
}
