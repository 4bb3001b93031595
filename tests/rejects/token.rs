//! The token: length, shape, header, keys, signature.

use super::*;

#[test]
fn too_long_or_all_dots() {
    check(&"a".repeat(16 * 1024 + 1), "too_large");
    check(&"a".repeat(16 * 1024), "opaque");
    check(&".".repeat(10_000), "malformed");
    check(
        &format!("eyJhbGciOiJSUzI1NiJ9{}", ".".repeat(10_000)),
        "malformed",
    );
    let token = Issuer::new().token(json!({}));
    check_library(|it| it.longest_token(100), &token, "too_large");
}

#[test]
fn not_a_jws_by_its_shape() {
    for malformed in [
        "",
        " ",
        "a b",
        "a\n",
        "a\u{e9}",
        "\u{7f}",
        "{}",
        "eyJ",
        "eyJhbGciOiJSUzI1NiJ9.e30",
    ] {
        check(malformed, "malformed");
    }
    for opaque in [
        "abc",
        "ory_at_x.y",
        "a.b.c",
        "0123456789abcdef0123456789abcdef",
    ] {
        check(opaque, "opaque");
    }
    let jwe = format!("{}.a.b.c.d", b64(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    check(&jwe, "opaque");
    check(
        &format!("{}.a.b.c.d", b64(r#"{"alg":"RSA-OAEP"}"#)),
        "malformed",
    );
}

#[test]
fn one_spelling_of_base64url() {
    let token = Issuer::new().token(json!({}));
    check(&format!("{token}="), "malformed");
    check(&format!("{token}=="), "malformed");
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[1].push_str("==");
    check(&parts.join("."), "malformed");
    let with_signature = |signature: &str| {
        let (input, _) = token.rsplit_once('.').unwrap();
        format!("{input}.{signature}")
    };
    check(
        &with_signature(&format!("+{}", "A".repeat(85))),
        "malformed",
    );
    check(
        &with_signature(&format!("/{}", "A".repeat(85))),
        "malformed",
    );
    check(
        &with_signature(&format!("*{}", "A".repeat(85))),
        "malformed",
    );
    // 64 octets leave four spare bits in the last character.
    check(
        &with_signature(&format!("{}B", "A".repeat(85))),
        "malformed",
    );
    check(
        &with_signature(&format!("{}A", "A".repeat(85))),
        "bad_signature",
    );
}

#[test]
fn header_and_payload_are_strict_json_objects() {
    let issuer = Issuer::new();
    let good_header = header(json!({})).to_string();
    let good = claims(json!({})).to_string();
    let inside = good.strip_suffix('}').unwrap();
    let deep = |levels: usize| {
        format!(
            "{inside},\"x\":{}{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    for payload in [
        "".to_owned(),
        "[]".to_owned(),
        format!("[{good}]"),
        "\"x\"".to_owned(),
        "null".to_owned(),
        format!("\u{feff}{good}"),
        format!("{good}{{}}"),
        format!("{good} x"),
        format!("{inside},\"exp\":{}}}", NOW + 1),
        format!("{inside},\"\\u0065xp\":{}}}", NOW + 1),
        format!("{inside},\"x\":1,\"x\":1}}"),
        deep(32),
        format!("{inside},\"x\":1e400}}"),
        format!("{inside},\"x\":[{{\"y\":-1e400}}]}}"),
        format!("{inside},\"x\":\"\\ud800\"}}"),
        format!("{inside},\"\\udfff\":1}}"),
        format!("{inside},\"$serde_json::private::RawValue\":\"{{}}\"}}"),
        format!("{inside},\"x\":{{\"$serde_json::private::Number\":\"1\"}}}}"),
        format!("{inside},\"x\":NaN}}"),
        format!("{inside},\"x\":01}}"),
        format!("{inside},}}"),
    ] {
        check(&issuer.with_payload(payload), "malformed");
    }
    check(&issuer.with_payload(deep(31)), "valid");
    check(&issuer.with_payload(format!(" {good}\r\n")), "valid");
    let mut bytes = good.clone().into_bytes();
    bytes.splice(1..1, *b"\"x\":\"\xff\",");
    check(&issuer.with_payload(bytes), "malformed");

    let inside = good_header.strip_suffix('}').unwrap();
    for header in [
        format!("[{good_header}]"),
        format!("{inside},\"alg\":\"EdDSA\"}}"),
        format!("{inside},\"x\":1,\"x\":2}}"),
        format!("{inside},\"x\":1e400}}"),
        format!("{inside},\"x\":\"\\ud800\"}}"),
        format!("{inside},\"x\":\"{}\"}}", "a".repeat(8 * 1024)),
        format!(
            "{inside}{}}}",
            (0..64)
                .map(|at| format!(",\"x{at}\":0"))
                .collect::<String>()
        ),
        format!("\u{feff}{good_header}"),
    ] {
        check(&issuer.raw(header, &good), "malformed");
    }
}

#[test]
fn the_algorithm_is_one_of_the_key() {
    let issuer = Issuer::new();
    for alg in [
        json!(null),
        json!(1),
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!("eddsa"),
        json!("ed25519"),
        json!("EdDSA "),
        json!(""),
    ] {
        check(
            &issuer.with_header(header(json!({ "alg": alg }))),
            "unsupported_algorithm",
        );
    }
    // Not of the key, and not of the list.
    check(
        &issuer.with_header(header(json!({"alg": "RS256"}))),
        "unsupported_algorithm",
    );
    check(
        &issuer.with_header(header(json!({"alg": "HS256"}))),
        "unsupported_algorithm",
    );
    check_with(
        |it| it.algorithms(AlgorithmSet::one(Algorithm::RS256)),
        &["--algorithm", "RS256"],
        &issuer.token(json!({})),
        "unsupported_algorithm",
    );
    let unsigned = format!(
        "{}.{}.",
        b64(r#"{"alg":"none"}"#),
        b64(claims(json!({})).to_string())
    );
    check(&unsigned, "unsupported_algorithm");
}

#[test]
fn no_extension_is_understood() {
    let issuer = Issuer::new();
    for crit in [
        json!(["exp"]),
        json!([]),
        json!(["b64"]),
        json!("x"),
        json!(false),
    ] {
        let token = issuer.with_header(header(json!({ "crit": crit })));
        check(&token, "unsupported_critical");
    }
    let null = r#"{"alg":"EdDSA","kid":"k1","crit":null}"#;
    check(
        &issuer.raw(null, claims(json!({})).to_string()),
        "unsupported_critical",
    );
    for b64 in ["false", "null", "0", "1", "\"true\"", "[true]"] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"k1","b64":{b64}}}"#);
        check(
            &issuer.raw(header, claims(json!({})).to_string()),
            "unsupported_critical",
        );
    }
    check(&issuer.with_header(header(json!({"b64": true}))), "valid");
}

#[test]
fn keys_and_links_in_the_header_are_ignored() {
    let issuer = Issuer::new();
    let token = issuer.with_header(header(json!({
        "jwk": {"kty": "oct", "k": "AAAA"}, "jku": "https://evil.example/keys", "x5u": "https://evil.example",
        "x5c": ["AAAA"], "zip": "DEF", "whatever": {"a": [1, 2]},
    })));
    check(&token, "valid");
}

#[test]
fn kid_is_a_string() {
    let issuer = Issuer::new();
    for kid in ["null", "1", "[\"k1\"]"] {
        let header = format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#);
        check(
            &issuer.raw(header, claims(json!({})).to_string()),
            "malformed",
        );
    }
}

#[test]
fn kid_absent_or_twice_in_the_set() {
    let issuer = Issuer::new();
    let other = |kid: &str| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let no_kid = issuer.with_header(header(json!({"kid": null})));
    let kid = issuer.token(json!({}));
    check(&no_kid, "valid");
    check_keys(json!({"keys": [other("k1"), issuer.jwk()]}), &kid, "valid");
    check_keys(
        json!({"keys": [other("a"), other("b"), other("c"), issuer.jwk()]}),
        &no_kid,
        "valid",
    );
    check_keys(
        json!({"keys": [other("a"), other("b"), other("c"), other("d"), issuer.jwk()]}),
        &no_kid,
        "unknown_key",
    );
    check_keys(
        json!({"keys": [other("a"), other("b")]}),
        &no_kid,
        "bad_signature",
    );
    let mut anonymous = issuer.jwk();
    anonymous.as_object_mut().unwrap().remove("kid");
    check_keys(json!({"keys": [anonymous]}), &kid, "valid");
    check_keys(json!({"keys": [other("k1"), anonymous]}), &kid, "valid");
}

#[test]
fn kid_unknown() {
    let issuer = Issuer::new();
    check(
        &issuer.with_header(header(json!({"kid": "k2"}))),
        "unknown_key",
    );
    check(
        &issuer.with_header(header(json!({"kid": ""}))),
        "unknown_key",
    );
}

#[test]
fn a_key_that_names_its_issuer() {
    let issuer = Issuer::new();
    let of = |name: &str| {
        let mut jwk = issuer.jwk();
        jwk["issuer"] = json!(name);
        json!({ "keys": [jwk] })
    };
    let token = issuer.token(json!({}));
    check_keys(of(ISSUER), &token, "valid");
    check_keys(of("https://login.other"), &token, "unknown_key");
    // The keys of others are not among the candidates, so they do not use up tries.
    let no_kid = issuer.with_header(header(json!({"kid": null})));
    for kid in [None, Some("k1")] {
        let mut keys = Vec::new();
        for at in 0..6 {
            let mut jwk = issuer.jwk();
            jwk["issuer"] = json!(format!("https://{at}.example"));
            keys.push(jwk);
        }
        keys[5]["issuer"] = json!(ISSUER);
        for jwk in &mut keys {
            jwk["kid"] = json!(kid.unwrap_or("k2"));
        }
        check_keys(json!({ "keys": keys }), &no_kid, "valid");
        let named = if kid.is_some() {
            "valid"
        } else {
            "unknown_key"
        };
        check_keys(json!({ "keys": keys }), &token, named);
    }
}

/// Nothing is read recursively before its depth is known.
#[test]
fn however_deep() {
    let issuer = Issuer::new();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(1000), close.repeat(1000));
        let header = format!("{{\"alg\":\"EdDSA\",\"x\":{deep}}}");
        check(
            &issuer.raw(header, claims(json!({})).to_string()),
            "malformed",
        );
        check(
            &issuer.with_payload(format!("{{\"x\":{deep}}}")),
            "malformed",
        );
        check(&issuer.with_payload(open.repeat(1500)), "malformed");
        let open = open.repeat(500_000 / open.len());
        for text in [open.clone(), format!("{{\"keys\":[{open}")] {
            assert_eq!(
                KeySet::from_json(text.as_bytes()).unwrap_err(),
                KeySetError::Json("nested too deep")
            );
        }
    }
}

#[test]
fn an_ecdsa_signature_is_64_octets() {
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    let pem = include_str!("../../src/testing/keys/p256.pem");
    let random = ring::rand::SystemRandom::new();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der(pem), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), "kid": "k1"});
    let header = header(json!({"alg": "ES256"})).to_string();
    let input = format!("{}.{}", b64(header), b64(claims(json!({})).to_string()));
    let asn1 = pair.sign(&random, input.as_bytes()).unwrap();
    let keys = json!({ "keys": [jwk] });
    for signature in [asn1.as_ref(), &[1; 63], &[1; 65], &[0; 64], &[]] {
        let token = format!("{input}.{}", b64(signature));
        check_keys(keys.clone(), &token, "bad_signature");
    }
}

#[test]
fn an_ecdsa_signature_with_either_s() {
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let pem = include_str!("../../src/testing/keys/p256.pem");
    let random = ring::rand::SystemRandom::new();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(pem), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), "kid": "k1"});
    let header = header(json!({"alg": "ES256"})).to_string();
    let input = format!("{}.{}", b64(header), b64(claims(json!({})).to_string()));
    let signature = pair.sign(&random, input.as_bytes()).unwrap();
    let (r, s) = signature.as_ref().split_at(32);
    let mut other = [0; 32];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(s[at]) - borrow;
        other[at] = difference.rem_euclid(256) as u8;
        borrow = i16::from(difference < 0);
    }
    for s in [s, &other] {
        let token = format!("{input}.{}", b64([r, s].concat()));
        check_keys(json!({ "keys": [jwk] }), &token, "valid");
    }
}

/// Signed with our own test key `rsa-1`, by a library that lets one choose the salt.
#[test]
fn an_rsa_pss_salt_is_as_long_as_the_hash() {
    let vectors: Value = serde_json::from_str(include_str!("pss_salts.json")).unwrap();
    let keys = json!({"keys": vectors["keys"]});
    for vector in vectors["tokens"].as_array().unwrap() {
        let good = vector["salt"] == 32;
        let expected = if good { "valid" } else { "bad_signature" };
        check_keys(keys.clone(), vector["token"].as_str().unwrap(), expected);
    }
}

#[test]
fn typ_of_the_header() {
    let issuer = Issuer::new();
    for typ in [
        json!(null),
        json!("JWT"),
        json!("jwt"),
        json!("at+jwt"),
        json!("application/at+JWT"),
        json!("Application/jwt"),
        json!("JOSE"),
    ] {
        check(&issuer.with_header(header(json!({ "typ": typ }))), "valid");
    }
    for typ in [
        "dpop+jwt",
        "logout+jwt",
        "",
        "application/",
        "JWT ",
        "application/application/jwt",
    ] {
        check(
            &issuer.with_header(header(json!({ "typ": typ }))),
            "wrong_type",
        );
    }
    check(&issuer.with_header(header(json!({"typ": 1}))), "malformed");
    let null = r#"{"alg":"EdDSA","kid":"k1","typ":null}"#;
    check(
        &issuer.raw(null, claims(json!({})).to_string()),
        "malformed",
    );
    let own = issuer.with_header(header(json!({"typ": "application/x+jwt"})));
    check_library(|it| it.also_type("X+JWT"), &own, "valid");
    check_library(|it| it.also_type("application/x+jwt"), &own, "valid");
}

#[test]
fn id_tokens_by_their_marks() {
    let issuer = Issuer::new();
    for mark in [
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "Offline"}),
        json!({"typ": "Logout"}),
        json!({"token_use": "id"}),
        json!({"token_use": 1}),
        json!({"at_hash": "x"}),
        json!({"c_hash": "x"}),
    ] {
        let token = issuer.token(mark);
        check(&token, "wrong_type");
        check_library(Verifier::accept_id_tokens, &token, "valid");
    }
    check(
        &issuer.token(json!({"typ": "Bearer", "token_use": "access"})),
        "valid",
    );
}

#[test]
fn profile_at_jwt() {
    let issuer = Issuer::new();
    let full = json!({"client_id": "app", "jti": "1"});
    let at_jwt = |changes: Value| {
        let header = header(json!({"typ": "at+jwt"})).to_string();
        let mut all = full.clone();
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        issuer.raw(header, claims(all).to_string())
    };
    let profile = |it: Verifier| it.profile(Profile::AtJwt);
    let flags = ["--profile", "at+jwt"];
    check_with(profile, &flags, &at_jwt(json!({})), "valid");
    check_with(profile, &flags, &issuer.token(full.clone()), "wrong_type");
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let token = at_jwt(json!({ claim: null }));
        check_with(profile, &flags, &token, "missing_claim");
        let error = profile(verifier(issuer.keys())).verify(&token).unwrap_err();
        assert_eq!(error.to_string(), format!("the claim {claim} is missing"));
        // The profile's own demand, whoever else is content without.
        let anyone = Verifier::fixed(Trust::any_issuer().any_audience(), issuer.keys());
        let anyone = anyone.clock(std::sync::Arc::new(Stopped(NOW)));
        assert_eq!(code(&profile(anyone), &token), "missing_claim", "{claim}");
    }
}

#[test]
fn both_names_of_ed25519() {
    let issuer = Issuer::new();
    check(
        &issuer.with_header(header(json!({"alg": "Ed25519"}))),
        "valid",
    );
    let only = |it: Verifier| it.algorithms(AlgorithmSet::one(Algorithm::EdDSA));
    let token = issuer.with_header(header(json!({"alg": "Ed25519"})));
    check_with(only, &["--algorithm", "EdDSA"], &token, "valid");
    check_with(
        only,
        &["--algorithm", "Ed25519"],
        &issuer.token(json!({})),
        "valid",
    );
}

#[test]
fn a_signature_by_someone_else_or_none() {
    let token = Issuer::new().token(json!({}));
    let (input, signature) = token.rsplit_once('.').unwrap();
    check(&format!("{input}."), "bad_signature");
    check(
        &format!("{input}.{}", &signature[..signature.len() - 2]),
        "bad_signature",
    );
    let other = Issuer::new().token(json!({"sub": "other"}));
    let (_, signature) = other.rsplit_once('.').unwrap();
    check(&format!("{input}.{signature}"), "bad_signature");
}

#[test]
fn a_payload_that_is_a_jwt() {
    let issuer = Issuer::new();
    let inner = issuer.token(json!({}));
    check(&issuer.with_payload(&inner), "malformed");
    let header = header(json!({"cty": "JWT"})).to_string();
    check(&issuer.raw(header, &inner), "malformed");
}
