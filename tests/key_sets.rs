//! What holds for any key set.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};
use steadfast::jose::{KeySet, VerifyingKey};

fn good() -> [Value; 2] {
    let x = "vzTtle-0RhA0-9pRtpT46eZtVrSRWarC80QbrfGNM_o";
    let first = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "first"});
    let y = "xx-JmcUwrExaEoeI4-xxg4geB2fbLM7T4fZlWpHKfzo";
    let x = "IG6mAhEVENLymW1PVchiBiaOU8uQ5eTt6iCavan9gHU";
    let second = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "second"});
    [first, second]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|it| json!(it)),
        "\\PC{0,12}".prop_map(Value::from),
        "[A-Za-z0-9_=-]{0,90}".prop_map(Value::from),
        prop_oneof![
            Just("RSA"),
            Just("EC"),
            Just("OKP"),
            Just("oct"),
            Just("AKP"),
            Just("P-256"),
            Just("P-521"),
            Just("Ed25519"),
            Just("X25519"),
            Just("sig"),
            Just("ML-DSA-44"),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|it| json!(it)),
        ]
    })
}

/// Whatever may stand among the keys: any JSON, any members of a JWK, a good key with one other
/// member, a member twice.
fn any_entry() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("kty"),
        Just("crv"),
        Just("x"),
        Just("y"),
        Just("n"),
        Just("e"),
        Just("k"),
        Just("alg"),
        Just("use"),
        Just("key_ops"),
        Just("kid"),
        Just("issuer"),
        Just("pub"),
        Just("d"),
        Just("x5c"),
        Just("other"),
    ];
    let changed = (any::<bool>(), name.clone(), any_json()).prop_map(|(first, name, value)| {
        let [ed25519, p256] = good();
        let mut key = if first { ed25519 } else { p256 };
        key[name] = value;
        key.to_string()
    });
    prop_oneof![
        any_json().prop_map(|it| it.to_string()),
        prop::collection::btree_map(name.clone(), any_json(), 0..9)
            .prop_map(|it| json!(it).to_string()),
        changed,
        name.prop_map(|name| {
            let key = good()[0].to_string();
            key.replacen('{', &format!(r#"{{"{name}":1,"{name}":2,"#), 1)
        }),
    ]
}

proptest! {
    #[test]
    fn one_odd_key_leaves_the_good_ones(entry in any_entry(), place in 0..3_usize) {
        let mut entries = good().map(|it| it.to_string()).to_vec();
        entries.insert(place, entry);
        let document = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        for read in [KeySet::from_json, KeySet::from_json_with_symmetric] {
            let set = read(document.as_bytes()).unwrap();
            prop_assert_eq!(set.keys().len() + set.skipped().len(), 3);
            for good in good() {
                let good = VerifyingKey::from_jwk(&good.to_string()).unwrap();
                let found = set.keys().iter().any(|key| {
                    key.kid() == good.kid() && key.thumbprint() == good.thumbprint()
                });
                prop_assert!(found, "{} of {document}", good.thumbprint());
            }
            if let [skipped] = set.skipped() {
                prop_assert_eq!(skipped.index, place);
            }
        }
    }

    #[test]
    fn no_document_panics(document in any::<Vec<u8>>(), entry in any_entry()) {
        let _ = KeySet::from_json(&document);
        let _ = KeySet::from_json(entry.as_bytes());
        let _ = VerifyingKey::from_jwk(&entry);
        let _ = VerifyingKey::from_jwk(&String::from_utf8_lossy(&document));
    }
}
