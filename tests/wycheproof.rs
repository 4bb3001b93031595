//! Wycheproof's JOSE vectors, at the JWS layer: every outcome is the label's, or stands in a list
//! here with the reason. A listed test that comes out as labelled fails, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use steadfast::jose::{AlgorithmSet, KeySet};
use wycheproof_ng_kdf_jose::json_web::{TestName, TestSet};

/// Why an outcome is not the label's.
type Reasons = [(usize, &'static str)];

#[test]
fn json_web_signature() {
    let contradictory = [
        (346, "the key's alg is PS256, the token's PS384"),
        (347, "the key's alg is ES521, which does not exist"),
        (350, "the key's alg is PS256, the token's PS384"),
        (351, "the key's alg is ES521, which does not exist"),
        (367, "to the byte the same as 357, which is labelled valid"),
        (370, "to the byte the same as 357, which is labelled valid"),
        (372, "a character that is not base64url in the header"),
        (373, "a character that is not base64url in the payload"),
    ];
    let outcomes = run(TestName::JsonWebSignature, |key| json!({ "keys": [key] }));
    assert_eq!(outcomes.len(), 401);
    assert_eq!(outcomes.values().filter(|it| it.as_labelled()).count(), 393);
    check(&outcomes, &contradictory);
}

#[test]
fn json_web_key() {
    let policy = [
        (
            1,
            "symmetric and asymmetric keys in one set are the owner's choice",
        ),
        (4, "of keys under one kid each that fits is tried"),
        (7, "the primes of a modulus cannot be seen, so ROCA is not"),
    ];
    let outcomes = run(TestName::JsonWebKey, Value::clone);
    assert_eq!(outcomes.len(), 26);
    check(&outcomes, &policy);
}

/// The label and what came out.
struct Outcome {
    label: bool,
    accepted: bool,
}

impl Outcome {
    fn as_labelled(&self) -> bool {
        self.label == self.accepted
    }
}

fn run(name: TestName, document: fn(&Value) -> Value) -> BTreeMap<usize, Outcome> {
    let mut outcomes = BTreeMap::new();
    for group in TestSet::load(name).unwrap().test_groups {
        let key = group.public_key.or(group.private_key).unwrap();
        let keys = KeySet::from_json_with_symmetric(document(&key).to_string().as_bytes());
        for test in group.tests {
            let token = match test.jws.unwrap() {
                Value::String(token) => token,
                json_serialization => json_serialization.to_string(),
            };
            let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
            let outcome = Outcome {
                label: !test.result.must_fail(),
                accepted: keys
                    .as_ref()
                    .is_ok_and(|keys| keys.verify_jws(&token, all).is_ok()),
            };
            outcomes.insert(test.tc_id, outcome);
        }
    }
    outcomes
}

#[track_caller]
fn check(outcomes: &BTreeMap<usize, Outcome>, listed: &Reasons) {
    for (id, outcome) in outcomes {
        let reason = listed.iter().find(|(listed, _)| listed == id);
        match (outcome.as_labelled(), reason) {
            (true, None) | (false, Some(_)) => {}
            (true, Some((_, reason))) => panic!("{id} is as labelled, though: {reason}"),
            (false, None) => panic!("{id}: accepted is {}", outcome.accepted),
        }
    }
    assert!(listed.iter().all(|(id, _)| outcomes.contains_key(id)));
}
