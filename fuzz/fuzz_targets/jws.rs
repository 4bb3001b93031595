//! A token that can be decoded has one spelling, and the shape of a JWS.
#![no_main]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use libfuzzer_sys::fuzz_target;
use steadfast::jose::{Shape, Unverified, shape, with_scratch};

fuzz_target!(|input: &str| {
    one_spelling(input);
    one_spelling(&format!("{}.e30.AAAA", BASE64URL.encode(input)));
});

fn one_spelling(token: &str) {
    with_scratch(token.len(), |scratch| {
        let parsed = Unverified::parse(token, scratch);
        if let Ok(jws) = parsed.and_then(Unverified::decode) {
            assert_eq!(shape(token), Shape::Jws);
            let header = token.split('.').next().unwrap();
            let [payload, signature] = [jws.payload, jws.signature].map(|it| BASE64URL.encode(it));
            assert_eq!(format!("{header}.{payload}.{signature}"), token);
        }
    });
}
