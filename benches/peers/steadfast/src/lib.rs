//! steadfast, on whichever backend the binary switches on.

use common::{AUDIENCE, Case, ISSUER, NineClaims, cases};
use steadfast::jose::{AlgorithmSet, KeySet};
use steadfast::verifier::{Trust, Verifier};

/// Takes part under this name.
pub fn contend(name: &str) {
    for case in &cases() {
        let verifier = || verifier(case).without_token_cache();
        let own = verifier();
        common::contend(
            name,
            "first",
            case,
            |token| own.verify(token).ok(),
            |it| it.claims().jti.as_deref().unwrap_or_default(),
        );
        let custom = verifier().claims::<NineClaims>();
        let custom_name = format!("{name}, own struct");
        common::contend(
            &custom_name,
            "first",
            case,
            |token| custom.verify(token).ok(),
            |it| &it.claims().jti,
        );
    }
    for case in &cases() {
        let known = verifier(case);
        common::contend(
            name,
            "known",
            case,
            |token| known.verify(token).ok(),
            |it| it.claims().jti.as_deref().unwrap_or_default(),
        );
    }
}

fn verifier(case: &Case) -> Verifier {
    let keys = KeySet::from_json_with_symmetric(case.jwks.to_string().as_bytes());
    let algorithm = case.algorithm.parse().expect("known by name");
    let trust = Trust::issuer(ISSUER).audience(AUDIENCE);
    Verifier::fixed(trust, keys.expect("usable")).algorithms(AlgorithmSet::one(algorithm))
}
