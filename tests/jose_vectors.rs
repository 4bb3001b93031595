//! Tokens and keys that others made, at the JWS layer. They lie in the folder that the environment
//! variable `STEADFAST_VECTORS` names; without it these tests are left out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod vectors;

use std::path::PathBuf;

use serde_json::{Value, json};
use steadfast::jose::{AlgorithmSet, JwsError, KeyError, KeySet, KeySetError, NoKey, VerifyingKey};

/// The folder `name` of the vectors; none if there are none at all.
fn folder(name: &str) -> Option<Folder> {
    vectors::folder(name).map(Folder)
}

struct Folder(PathBuf);

impl Folder {
    #[track_caller]
    fn text(&self, file: &str) -> String {
        let path = self.0.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    #[track_caller]
    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.text(file)).unwrap()
    }

    #[track_caller]
    fn usable(&self, file: &str, expected: usize, of: usize) {
        let document = self.text(file);
        let (usable, skipped) = match KeySet::from_json(document.as_bytes()) {
            Ok(set) => (set.keys().len(), set.skipped().len()),
            Err(KeySetError::NoUsableKey(skipped)) => (0, skipped.len()),
            Err(error) => panic!("{file}: {error}"),
        };
        assert_eq!((usable, usable + skipped), (expected, of), "{file}");
    }
}

/// The backend that has P-521 and ML-DSA.
const WITH_AWS_LC: bool = cfg!(feature = "aws-lc-rs");

/// What that backend can do and ring cannot.
fn with_aws_lc<E>(on_ring: E) -> Result<(), E> {
    if WITH_AWS_LC { Ok(()) } else { Err(on_ring) }
}

fn set_of(key: &Value) -> Result<KeySet, KeySetError> {
    KeySet::from_json_with_symmetric(json!({ "keys": [key] }).to_string().as_bytes())
}

fn verify(keys: &KeySet, token: &str) -> Result<Vec<u8>, JwsError> {
    let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
    keys.verify_jws(token, all).map(|jws| jws.payload)
}

/// A key of a kind that the token is not for, so that what is wrong with the token shows.
fn any_keys() -> KeySet {
    set_of(&json!({"kty": "oct", "k": "A".repeat(86)})).unwrap()
}

#[test]
fn rfc_7515_and_7520_compact() {
    let Some(folder) = folder("latchset-jose") else {
        return;
    };
    let token = |name: &str| folder.text(&format!("{name}.jwsc")).trim().to_owned();
    for name in [
        "rfc7515_A.1",
        "rfc7515_A.2",
        "rfc7515_A.3",
        "rfc7520_4.1",
        "rfc7520_4.2",
        "rfc7520_4.4",
    ] {
        let keys = set_of(&folder.json(&format!("{name}.jwk"))).unwrap();
        let payload = verify(&keys, &token(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(payload.len() > 50, "{name}");
    }
    for name in ["rfc7515_A.4", "rfc7520_4.3"] {
        if WITH_AWS_LC {
            let keys = set_of(&folder.json(&format!("{name}.jwk"))).unwrap();
            assert!(verify(&keys, &token(name)).is_ok(), "{name}");
            continue;
        }
        let key = set_of(&folder.json(&format!("{name}.jwk")));
        let Err(KeySetError::NoUsableKey(skipped)) = key else {
            panic!("{name}: P-521 is usable");
        };
        assert_eq!(skipped[0].reason, KeyError::UnsupportedCurve);
        let refused = verify(&any_keys(), &token(name));
        assert_eq!(refused, Err(JwsError::UnsupportedAlgorithm), "{name}");
    }
    let none = verify(&any_keys(), &token("rfc7515_A.5"));
    assert_eq!(none, Err(JwsError::UnsupportedAlgorithm));
    let keys = set_of(&folder.json("rfc7520_4.5.jwk")).unwrap();
    let detached = verify(&keys, &token("rfc7520_4.5"));
    assert_eq!(detached, Err(JwsError::BadSignature));
}

#[test]
fn json_serializations() {
    let Some(folder) = folder("latchset-jose") else {
        return;
    };
    let json_forms = ["rfc7515_A.6.jwsg", "rfc7515_A.7.jwsf", "rfc7520_4.1.jwsg"];
    for file in json_forms {
        let refused = verify(&any_keys(), folder.text(file).trim());
        assert!(matches!(refused, Err(JwsError::Malformed(_))), "{file}");
    }
}

#[test]
fn rfc_7517_key_sets() {
    let Some(folder) = folder("latchset-jose") else {
        return;
    };
    // The EC keys of the first two say `use: enc`, and A.2 holds private members as well.
    folder.usable("rfc7517_A.1.jwkset", 1, 2);
    folder.usable("rfc7517_A.2.jwkset", 1, 2);
    folder.usable("rfc7517_A.3.jwkset", 0, 2);
    folder.usable("rfc7520_4.8.jwkset", 1 + usize::from(WITH_AWS_LC), 3);
    let set = KeySet::from_json(folder.text("rfc7517_A.2.jwkset").as_bytes()).unwrap();
    let private = folder.json("rfc7517_A.2.jwkset")["keys"][1]["d"].clone();
    let private = private.as_str().unwrap();
    assert!(!format!("{set:?}").contains(private));
}

#[test]
fn rfc_7638_thumbprint() {
    let Some(folder) = folder("latchset-jose") else {
        return;
    };
    let key = VerifyingKey::from_jwk(&folder.text("rfc7638_3.1.jwk")).unwrap();
    let expected = folder.text("rfc7638_3.1.thp");
    assert_eq!(key.thumbprint().to_string(), expected.trim());
}

#[test]
fn jose_cookbook() {
    let Some(folder) = folder("jose-cookbook") else {
        return;
    };
    for (file, expected) in [
        ("jws/4_1.rsa_v15_signature.json", Ok(())),
        ("jws/4_2.rsa-pss_signature.json", Ok(())),
        (
            "jws/4_3.ecdsa_signature.json",
            with_aws_lc(JwsError::UnsupportedAlgorithm),
        ),
        ("jws/4_4.hmac-sha2_integrity_protection.json", Ok(())),
        (
            "jws/4_5.signature_with_detached_content.json",
            Err(JwsError::BadSignature),
        ),
        ("curve25519/jws.json", Ok(())),
        // Its payload stands there as it is, with a dot in it.
        (
            "rfc7797/hmac-sha2_b64_false.json",
            Err(JwsError::Malformed("not a JWS in compact form")),
        ),
    ] {
        let example = folder.json(file);
        let keys = set_of(&example["input"]["key"]).unwrap_or_else(|_| any_keys());
        let token = example["output"]["compact"].as_str().unwrap();
        let payload = verify(&keys, token);
        let input = example["input"]["payload"].as_str().unwrap();
        if let Ok(payload) = &payload {
            assert_eq!(payload, input.as_bytes(), "{file}");
        }
        assert_eq!(payload.map(|_| ()), expected, "{file}");
    }
}

#[test]
fn google_jwt_verify_lib() {
    let Some(folder) = folder("google-jwt-verify-lib") else {
        return;
    };
    let corpus = folder.json("corpus.json");
    let mut outcomes = Vec::new();
    for pair in corpus.as_array().unwrap() {
        let text = |name: &str| pair[name].as_str().unwrap().to_owned();
        let keys = KeySet::from_json_with_symmetric(text("jwks_text").as_bytes());
        let outcome = match keys {
            Ok(keys) => match verify(&keys, &text("jwt")) {
                Ok(_) => "verifies".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        outcomes.push((text("name"), outcome));
    }
    outcomes.sort();
    let not_json = "the key set is malformed: not a strict JSON object";
    let expected = [
        ("jwks_ec", "verifies"),
        ("jwks_hmac", "verifies"),
        ("jwks_okp", "verifies"),
        ("jwks_pem", not_json),
        ("jwks_rsa", "verifies"),
        ("jwks_x509", not_json),
    ];
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|(name, outcome)| (name.as_str(), outcome.as_str()))
        .collect();
    assert_eq!(outcomes, expected);
}

/// Two dpop+jwt proofs are good JWS under the key that they carry, which no key set holds.
#[test]
fn dpop_proofs() {
    let Some(folder) = folder("rfc9449-dpop") else {
        return;
    };
    let proofs = folder.json("dpop_proofs.json").to_string();
    let tokens: Vec<_> = proofs
        .split('"')
        .filter(|it| it.starts_with("eyJ") && it.matches('.').count() == 2)
        .collect();
    assert!(tokens.len() >= 2);
    for token in tokens {
        let refused = verify(&any_keys(), token);
        assert_eq!(refused, Err(JwsError::UnknownKey(NoKey::Unknown)));
    }
}

#[test]
fn provider_key_sets() {
    let Some(folder) = folder("provider-jwks-2022") else {
        return;
    };
    for (provider, usable, of) in [
        ("auth0", 2, 2),
        ("azure", 10, 10),
        ("cognito", 2, 2),
        ("google", 2, 2),
        ("keycloak", 1, 2),
        ("okta", 2, 2),
        ("onelogin", 1, 1),
        ("vault", 2, 2),
    ] {
        let recorded = folder.json(&format!("{provider}_jwks.json"));
        let document = body(&recorded);
        let set = KeySet::from_json(document.as_bytes()).unwrap();
        let counts = (set.keys().len(), set.keys().len() + set.skipped().len());
        assert_eq!(counts, (usable, of), "{provider}");
    }
}

/// The document as it was recorded, with or without the answer round it.
fn body(recorded: &Value) -> String {
    match recorded.get("keys") {
        Some(_) => recorded.to_string(),
        None => ["body", "response", "content"]
            .iter()
            .find_map(|name| recorded.get(name))
            .map(|body| {
                body.as_str()
                    .map_or_else(|| body.to_string(), str::to_owned)
            })
            .unwrap_or_else(|| panic!("{:?}", recorded.as_object().unwrap().keys())),
    }
}

#[test]
fn quirky_key_sets() {
    let Some(folder) = folder("jwks-quirks") else {
        return;
    };
    for (file, usable, of) in [
        ("php-jwt_ec-jwkset.json", 3, 4),
        ("php-jwt_ed25519-jwkset.json", 1, 1),
        ("php-jwt_octet-jwkset.json", 0, 3),
        ("php-jwt_rsa-jwkset.json", 2, 2),
        ("php-jwt_rsa-jwkset-2.json", 1, 1),
        ("json-jwt_mock_jwks.json", 2, 2),
        ("authlib_jwks_public.json", 2, 2),
        ("pyjwt_jwk_keyset_only_unknown_alg.json", 0, 1),
        ("pyjwt_jwk_keyset_with_unknown_alg.json", 1, 2),
        ("smallrye_publicKeySet.jwk.json", 2, 2),
        ("smallrye_publicSingleKeySetWithoutKid.jwk.json", 1, 1),
        ("smallrye_signatureJwkSet.jwk.json", 2, 2),
        ("smart-health-cards_jwks.json", 2, 2),
    ] {
        folder.usable(file, usable, of);
    }
}

#[test]
fn bare_keys() {
    let Some(folder) = folder("jwks-quirks") else {
        return;
    };
    for (file, expected) in [
        ("authlib_thumbprint_example.json", Ok(())),
        ("pyjwt_jwk_ec_pub_P-256.json", Ok(())),
        ("pyjwt_jwk_ec_pub_P-384.json", Ok(())),
        ("pyjwt_jwk_okp_pub_Ed25519.json", Ok(())),
        ("pyjwt_jwk_rsa_pub.json", Ok(())),
        ("smallrye_edEcPublicKey.jwk.json", Ok(())),
        (
            "authlib_secp521r1-public.json",
            with_aws_lc(KeyError::UnsupportedCurve),
        ),
        (
            "pyjwt_jwk_ec_pub_P-521.json",
            with_aws_lc(KeyError::UnsupportedCurve),
        ),
        (
            "pyjwt_jwk_ec_pub_secp256k1.json",
            Err(KeyError::UnsupportedCurve),
        ),
        (
            "pyjwt_jwk_okp_pub_Ed448.json",
            Err(KeyError::UnsupportedCurve),
        ),
        ("pyjwt_jwk_hmac.json", Err(KeyError::Symmetric)),
    ] {
        let text = folder.text(file);
        let key = VerifyingKey::from_jwk(&text).map(|_| ());
        assert_eq!(key, expected, "{file}");
        let set = KeySet::from_json(text.as_bytes()).map(|_| ());
        assert_eq!(set, Err(KeySetError::NotAKeySet), "{file}");
    }
}

#[test]
fn sap_key_sets() {
    let Some(folder) = folder("sap-xsuaa-ias") else {
        return;
    };
    folder.usable("iasJsonWebTokenKeys.json", 2, 2);
    folder.usable("iasJsonWebTokenKeys_noKid.json", 1, 1);
    folder.usable("mockServer_jwks.json", 1, 1);
    folder.usable("token_keys_template.json", 3, 4);
    let trailing_comma = KeySet::from_json(folder.text("jsonWebTokenKeys.json").as_bytes());
    assert_eq!(
        trailing_comma.map(|_| ()),
        Err(KeySetError::Json("not a strict JSON object"))
    );
}

#[test]
fn ml_dsa() {
    let Some(folder) = folder("rfc9964-draft-ml-dsa") else {
        return;
    };
    for file in [
        "ML_DSA_44.jose.json",
        "ML_DSA_65.jose.json",
        "ML_DSA_87.jose.json",
    ] {
        let example = folder.json(file);
        let key = find_key(&example).unwrap_or_else(|| panic!("{file} has no key"));
        let read = VerifyingKey::from_jwk(&key.to_string());
        assert_eq!(
            read.as_ref().map(|_| ()).map_err(Clone::clone),
            with_aws_lc(KeyError::UnsupportedType),
            "{file}"
        );
        if let Ok(found) = read {
            // The examples' kid is the thumbprint.
            assert_eq!(found.kid(), Some(&*found.thumbprint().to_string()));
            let token = example["jws"].as_str().unwrap();
            let keys = set_of(key).unwrap();
            assert!(verify(&keys, token).is_ok(), "{file}");
            let forged = token.replacen(".SXT", ".SXU", 1);
            assert!(verify(&keys, &forged).is_err(), "{file}");
        }
    }
}

/// The first object in `json` that looks like a JWK.
fn find_key(json: &Value) -> Option<&Value> {
    match json {
        Value::Object(members) if members.contains_key("kty") => Some(json),
        Value::Object(members) => members.values().find_map(find_key),
        Value::Array(elements) => elements.iter().find_map(find_key),
        _ => None,
    }
}
