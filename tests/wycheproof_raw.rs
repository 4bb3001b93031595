//! Wycheproof's raw signatures: each key through JWK and through PEM, each signature as the label
//! says. `acceptable` is one PKCS#1 signature a file, without the NULL in its DigestInfo: refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use steadfast::jose::{Algorithm, VerifyingKey};

/// The counts of one file.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    good: usize,
    refused: usize,
}

const fn counts(good: usize, refused: usize) -> Counts {
    Counts { good, refused }
}

fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The key from the JWK, which is the one in the PEM text, too.
#[track_caller]
fn key(jwk: &Value, pem: &str) -> VerifyingKey {
    let key = VerifyingKey::from_jwk(&jwk.to_string()).unwrap();
    let same = VerifyingKey::from_pem(pem).unwrap();
    assert_eq!(key.thumbprint(), same.thumbprint());
    key
}

/// Runs a file; the caller says what the JWK of a group is. The types of the families are alike by
/// their members alone.
macro_rules! run {
    ($family:path, $name:ident, $algorithm:ident, $jwk:expr) => {{
        use $family as family;
        let set = family::TestSet::load(family::TestName::$name).unwrap();
        let (mut good, mut refused) = (0, 0);
        for group in set.test_groups {
            let jwk: fn(&family::TestGroup) -> Value = $jwk;
            let key = key(&jwk(&group), &group.pem);
            for test in group.tests {
                let valid = is_valid(test.result);
                let verified = key.verify(Algorithm::$algorithm, &test.msg, &test.sig);
                assert_eq!(verified.is_ok(), valid, "{}", test.tc_id);
                if verified.is_ok() {
                    good += 1
                } else {
                    refused += 1
                }
            }
        }
        counts(good, refused)
    }};
}

/// `acceptable` is not.
fn is_valid(label: impl std::fmt::Debug) -> bool {
    format!("{label:?}") == "Valid"
}

fn rsa(n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) })
}

macro_rules! pkcs1 {
    ($name:ident, $algorithm:ident) => {
        run!(
            wycheproof_ng_rsa_signature::rsa_pkcs1_verify,
            $name,
            $algorithm,
            |group| rsa(&group.key.n, &group.key.e)
        )
    };
}

macro_rules! pss {
    ($name:ident, $algorithm:ident) => {
        run!(
            wycheproof_ng_rsa_signature::rsa_pss_verify,
            $name,
            $algorithm,
            |group| rsa(&group.key.n, &group.key.e)
        )
    };
}

macro_rules! ecdsa {
    ($name:ident, $algorithm:ident, $curve:literal) => {
        run!(wycheproof_ng_ecdsa, $name, $algorithm, |group| {
            let point = &group.key.key[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": $curve, "x": base64url(x), "y": base64url(y) })
        })
    };
}

#[test]
fn rsa_pkcs1() {
    assert_eq!(pkcs1!(Rsa2048Sha256, RS256), counts(9, 250));
    assert_eq!(pkcs1!(Rsa2048Sha384, RS384), counts(7, 251));
    assert_eq!(pkcs1!(Rsa2048Sha512, RS512), counts(8, 251));
    assert_eq!(pkcs1!(Rsa3072Sha256, RS256), counts(8, 251));
    assert_eq!(pkcs1!(Rsa4096Sha512, RS512), counts(7, 252));
}

#[test]
fn rsa_pss() {
    assert_eq!(pss!(RsaPss2048Sha256Mgf1SaltLen32, PS256), counts(63, 45));
    assert_eq!(pss!(RsaPss2048Sha384Mgf1SaltLen48, PS384), counts(95, 46));
    assert_eq!(pss!(RsaPss4096Sha512Mgf1SaltLen64, PS512), counts(132, 47));
}

#[test]
fn ecdsa_p1363() {
    let p256 = ecdsa!(EcdsaSecp256r1Sha256P1363, ES256, "P-256");
    assert_eq!(p256, counts(173, 89));
    let p384 = ecdsa!(EcdsaSecp384r1Sha384P1363, ES384, "P-384");
    assert_eq!(p384, counts(193, 87));
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn ecdsa_p1363_of_p521() {
    let p521 = ecdsa!(EcdsaSecp521r1Sha512P1363, ES512, "P-521");
    assert_eq!(p521, counts(231, 87));
}

#[test]
fn ed25519() {
    let ed25519 = run!(wycheproof_ng_eddsa, Ed25519, EdDSA, |group| {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&group.key.pk) })
    });
    assert_eq!(ed25519, counts(88, 63));
}

/// A salt of another length than the hash's is refused (RFC 7518 3.5), so nothing that is labelled
/// valid verifies. One that is labelled invalid has a salt of 32 octets, and so is good here.
#[test]
fn rsa_pss_without_a_salt() {
    use wycheproof_ng_rsa_signature::rsa_pss_verify::{TestName, TestSet};
    let set = TestSet::load(TestName::RsaPss2048Sha256Mgf1SaltLen0).unwrap();
    let (mut refused, mut good) = (counts(0, 0), 0);
    for group in set.test_groups {
        let key = key(&rsa(&group.key.n, &group.key.e), &group.pem);
        for test in group.tests {
            let verified = key.verify(Algorithm::PS256, &test.msg, &test.sig).is_ok();
            match (verified, test.result.must_fail()) {
                (true, labelled_invalid) => {
                    assert!(labelled_invalid, "{}", test.tc_id);
                    good += 1;
                }
                (false, false) => refused.good += 1,
                (false, true) => refused.refused += 1,
            }
        }
    }
    assert_eq!((refused, good), (counts(61, 41), 1));
}

/// JOSE's context is empty (RFC 9964), so a signature with another one is refused.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn ml_dsa() {
    use wycheproof_ng_mldsa::mldsa_verify::{TestName, TestSet};
    for (name, algorithm, total) in [
        (TestName::MlDsa44Verify, Algorithm::MlDsa44, 180),
        (TestName::MlDsa65Verify, Algorithm::MlDsa65, 210),
        (TestName::MlDsa87Verify, Algorithm::MlDsa87, 241),
    ] {
        let mut tests = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            let public = base64url(&group.pubkey);
            let jwk = json!({ "kty": "AKP", "alg": algorithm.name(), "pub": public });
            let key = VerifyingKey::from_jwk(&jwk.to_string());
            for test in group.tests {
                let empty = test.ctx.as_ref().is_none_or(|context| context.is_empty());
                let verified = key
                    .as_ref()
                    .is_ok_and(|key| key.verify(algorithm, &test.msg, &test.sig).is_ok());
                let expected = !test.result.must_fail() && empty;
                assert_eq!(verified, expected, "{algorithm} {}", test.tc_id);
                tests += 1;
            }
        }
        assert_eq!(tests, total, "{algorithm}");
    }
}
