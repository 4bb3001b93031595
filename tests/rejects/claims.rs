//! The claims.

use super::*;

#[test]
fn exp() {
    let issuer = Issuer::new();
    let at = |exp: Value| issuer.token(json!({ "exp": exp }));
    check(&at(json!(NOW - 59)), "valid");
    check(&at(json!(NOW - 60)), "expired");
    check(&at(json!(NOW as f64 - 59.5)), "valid");
    check(&at(json!(NOW as f64 - 60.5)), "expired");
    check(&at(json!(253_402_300_799_i64)), "valid");
    for exp in [
        json!("1"),
        json!(NOW.to_string()),
        json!([NOW]),
        json!(true),
        json!({}),
        json!(NOW * 1000),
        json!(1e30),
        json!(253_402_300_800_i64),
        json!(u64::MAX),
        json!(-1),
        json!(-0.5),
    ] {
        check(&at(exp), "malformed_claim");
    }
    let null = claims(json!({"exp": null}))
        .to_string()
        .replacen('{', "{\"exp\":null,", 1);
    check(&issuer.with_payload(null), "malformed_claim");
    check(&at(json!(0)), "expired");
    check(&issuer.token(json!({"exp": null})), "missing_claim");
}

#[test]
fn numbers_however_they_are_spelled() {
    let issuer = Issuer::new();
    let spelled = |exp: &str| {
        let text = claims(json!({ "exp": null })).to_string();
        issuer.with_payload(text.replacen('{', &format!("{{\"exp\":{exp},"), 1))
    };
    for exp in [
        "1.795573610e9",
        "1.795573610E+9",
        "17955736100e-1",
        "1795573610.000",
        "1795573610.0e0",
        "1795573610.00000000000000000000000000000000000000000000000000000000001",
    ] {
        check(&spelled(exp), "valid");
    }
    for exp in ["-0", "-0.0", "0e0", "1.0E+2", "1e-400", "-1e-999999999999"] {
        check(&spelled(exp), "expired");
    }
    for exp in ["1e300", "-1e300", &"1".repeat(300), "18446744073709551616"] {
        check(&spelled(exp), "malformed_claim");
    }
    for exp in [
        "1e999",
        "-1e999",
        "1e999999999999999999999",
        &"1".repeat(400),
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        ".5",
        "1.",
        "1e",
        "00",
        "0x1",
        "--1",
        "-",
        r#"{"$serde_json::private::Number":"1795573610"}"#,
    ] {
        check(&spelled(exp), "malformed");
    }
}

#[test]
fn nbf() {
    let issuer = Issuer::new();
    let at = |nbf: Value| issuer.token(json!({ "nbf": nbf }));
    check(&at(json!(NOW + 60)), "valid");
    check(&at(json!(NOW + 61)), "not_yet_valid");
    check(&at(json!(NOW as f64 + 60.5)), "not_yet_valid");
    check(&at(json!("1")), "malformed_claim");
    check(&at(json!(NOW * 1000)), "malformed_claim");
    check(&at(json!(-5)), "malformed_claim");
    check(&at(json!(-0.0)), "valid");
}

#[test]
fn iat() {
    let issuer = Issuer::new();
    let at = |iat: Value| issuer.token(json!({ "iat": iat }));
    check(&at(json!(NOW + 60)), "valid");
    check(&at(json!(NOW + 61)), "not_yet_valid");
    check(&at(json!("1")), "malformed_claim");
    check(&at(json!(1e30)), "malformed_claim");
    check(&at(json!(-1)), "malformed_claim");
}

#[test]
fn iss() {
    let issuer = Issuer::new();
    for iss in [
        "https://login.example/",
        "https://login.exampl",
        "https://login.example.evil.example",
        "https://LOGIN.example",
        "",
    ] {
        check(&issuer.token(json!({ "iss": iss })), "wrong_issuer");
    }
    check(&issuer.token(json!({ "iss": [ISSUER] })), "malformed_claim");
    check(&issuer.token(json!({ "iss": 1 })), "malformed_claim");
    check(&issuer.token(json!({ "iss": null })), "missing_claim");
    let escaped = claims(json!({}))
        .to_string()
        .replace("https://", "https:\\/\\/");
    check(&issuer.with_payload(escaped), "valid");
    let other = issuer.token(json!({"iss": "https://login.other"}));
    let trust = || {
        Trust::issuer("https://login.other")
            .also_issuer(ISSUER)
            .audience(AUDIENCE)
    };
    let verifier = Verifier::fixed(trust(), issuer.keys()).clock(std::sync::Arc::new(Stopped(NOW)));
    assert_eq!(code(&verifier, &other), "valid");
    assert_eq!(code(&verifier, &issuer.token(json!({}))), "valid");
}

#[test]
fn any_issuer_is_one_of_a_right_type_or_none() {
    let issuer = Issuer::new();
    let trust = Trust::any_issuer().audience(AUDIENCE);
    let any = Verifier::fixed(trust, issuer.keys()).clock(std::sync::Arc::new(Stopped(NOW)));
    for (iss, expected) in [
        (json!("https://login.other"), "valid"),
        (json!(null), "valid"),
        (json!(1), "malformed_claim"),
        (json!([ISSUER]), "malformed_claim"),
    ] {
        assert_eq!(code(&any, &issuer.token(json!({ "iss": iss }))), expected);
    }
}

#[test]
fn aud() {
    let issuer = Issuer::new();
    let at = |aud: Value| issuer.token(json!({ "aud": aud }));
    check(&at(json!([AUDIENCE])), "valid");
    check(&at(json!(["a", "b", "c", "d", "e", AUDIENCE])), "valid");
    for aud in [
        json!("https://orders.example/"),
        json!(""),
        json!([]),
        json!(["a"]),
    ] {
        check(&at(aud), "wrong_audience");
    }
    for aud in [
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!({ AUDIENCE: 1 }),
        json!(1),
    ] {
        check(&at(aud), "malformed_claim");
    }
    check(&at(json!(null)), "missing_claim");
    let any = || {
        let trust = Trust::issuer(ISSUER).any_audience();
        Verifier::fixed(trust, issuer.keys()).clock(std::sync::Arc::new(Stopped(NOW)))
    };
    assert_eq!(code(&any(), &at(json!(null))), "valid");
    assert_eq!(code(&any(), &at(json!("other"))), "valid");
    assert_eq!(code(&any(), &at(json!(1))), "malformed_claim");
}

#[test]
fn names_are_strings() {
    let issuer = Issuer::new();
    for claim in ["sub", "jti", "client_id"] {
        check(&issuer.token(json!({ claim: "x" })), "valid");
        for wrong in [json!(1), json!(["x"]), json!({"x": 1}), json!(false)] {
            check(&issuer.token(json!({ claim: wrong })), "malformed_claim");
        }
    }
}

#[test]
fn scopes() {
    let issuer = Issuer::new();
    for name in ["scope", "scp"] {
        for scope in [
            json!("a b"),
            json!(["a", "b"]),
            json!(["a", "b", "c", "d", "e"]),
        ] {
            let token = issuer.token(json!({ name: scope }));
            check(&token, "valid");
            let verified = verifier(issuer.keys()).verify(&token).unwrap();
            assert!(verified.scope().contains("a") && verified.scope().contains("b"));
            assert!(!verified.scope().contains("a b") && !verified.scope().contains("z"));
        }
        for wrong in [json!(1), json!(["a", 1]), json!({"a": 1}), json!([["a"]])] {
            check(&issuer.token(json!({ name: wrong })), "malformed_claim");
        }
    }
}

#[test]
fn as_many_claims_as_one_likes() {
    let many = (0..1000).map(|it| (format!("c{it}"), json!(0)));
    check(&Issuer::new().token(Value::Object(many.collect())), "valid");
}

#[test]
fn lifetime() {
    let issuer = Issuer::new();
    let lives = |secs: i64| issuer.token(json!({"iat": NOW - 60, "exp": NOW - 60 + secs}));
    let hour = |it: Verifier| it.max_lifetime(Duration::from_secs(3600));
    let flags = ["--max-lifetime", "1h"];
    check_with(hour, &flags, &lives(3600 + 300), "valid");
    check_with(hour, &flags, &lives(3600 + 301), "lifetime_too_long");
    check_with(
        hour,
        &flags,
        &issuer.token(json!({"iat": null})),
        "missing_claim",
    );
    let any = |it: Verifier| it.max_lifetime(Duration::MAX);
    check_library(any, &lives(3600), "valid");
    let policy = |it: Verifier| it.policy(&IssuancePolicy::default());
    check_library(policy, &lives(24 * 3600 + 300), "valid");
    check_library(policy, &lives(24 * 3600 + 301), "lifetime_too_long");
}

#[test]
fn leeway() {
    let issuer = Issuer::new();
    let token = issuer.token(json!({"exp": NOW - 30}));
    check_with(
        |it| it.leeway(Duration::ZERO),
        &["--leeway", "0"],
        &token,
        "expired",
    );
    check_with(
        |it| it.leeway(Duration::from_secs(31)),
        &["--leeway", "31"],
        &token,
        "valid",
    );
    let day = |it: Verifier| it.leeway(Duration::from_secs(86_400));
    check_library(day, &issuer.token(json!({"exp": NOW - 299})), "valid");
    check_library(day, &issuer.token(json!({"exp": NOW - 300})), "expired");
    // Before the leeway has passed since the epoch.
    for now in [0, 59, -1, i64::MIN / 1000] {
        let verifier = verifier(issuer.keys()).clock(std::sync::Arc::new(Stopped(now)));
        let early = issuer.token(json!({"iat": null, "exp": 10, "nbf": 0}));
        let expected = if now < -60 { "not_yet_valid" } else { "valid" };
        assert_eq!(code(&verifier, &early), expected, "{now}");
    }
}

#[test]
fn bound_tokens() {
    let issuer = Issuer::new();
    for cnf in [
        json!({"x5t#S256": "x"}),
        json!({"jkt": "x"}),
        json!({}),
        json!("x"),
        json!([]),
    ] {
        let token = issuer.token(json!({ "cnf": cnf }));
        check(&token, "unconfirmed");
        check_library(Verifier::ignore_confirmation, &token, "valid");
    }
    let null = claims(json!({})).to_string();
    let null = null.replacen('{', "{\"cnf\":null,", 1);
    check(&issuer.with_payload(null), "unconfirmed");
}
