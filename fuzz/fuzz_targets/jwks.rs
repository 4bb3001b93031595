//! Each entry of a key set is a key that verifies something, or skipped; and symmetric ones are
//! never keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use steadfast::jose::{AlgorithmSet, KeySet, KeySetError};

fuzz_target!(|document: &[u8]| {
    let (keys, skipped) = match KeySet::from_json(document) {
        Ok(set) => (set.keys().to_vec(), set.skipped().to_vec()),
        Err(KeySetError::NoUsableKey(skipped)) => (Vec::new(), skipped),
        Err(_) => return,
    };
    let json: Value = serde_json::from_slice(document).unwrap();
    assert_eq!(
        keys.len() + skipped.len(),
        json["keys"].as_array().unwrap().len()
    );
    for key in keys {
        assert!(!key.algorithms().is_empty());
        assert!(
            key.algorithms()
                .intersection(AlgorithmSet::SYMMETRIC)
                .is_empty()
        );
    }
});
