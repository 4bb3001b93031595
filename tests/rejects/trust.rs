//! Who may sign for whom, and for whom a token is.

use super::*;

use std::sync::Arc;

use base64::Engine;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use steadfast::clock::Timestamp;
use steadfast::verifier::{Denials, Denylist, KeyCache, Proof};

const ENTRA: &str = "https://login.microsoftonline.com/{tid}/v2.0";
const TENANT: &str = "2f1c9d1e-7c1a-4b43-9d5c-0f3a6f1d2e3b";

fn fixed(trust: Trust, keys: KeySet) -> Verifier {
    Verifier::fixed(trust, keys).clock(Arc::new(Stopped(NOW)))
}

#[track_caller]
fn check_trust(trust: Trust, changes: Value, expected: &str) {
    let issuer = Issuer::new();
    let found = code(&fixed(trust, issuer.keys()), &issuer.token(changes.clone()));
    assert_eq!(found, expected, "{changes}");
}

/// Another issuer, whose one key has the kid of the first one's.
struct Other(Ed25519KeyPair);

impl Other {
    const ISSUER: &str = "https://login.other";

    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn keys(&self) -> KeySet {
        let x = b64(self.0.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1"});
        KeySet::from_json(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
    }

    fn token(&self, changes: Value) -> String {
        let parts = [header(json!({})), claims(changes)].map(|it| b64(it.to_string()));
        let input = parts.join(".");
        format!("{input}.{}", b64(self.0.sign(input.as_bytes())))
    }
}

/// A verifier over both, and both.
fn several() -> (Issuer, Other, Verifier) {
    let (issuer, other) = (Issuer::new(), Other::new());
    let verifier = Verifier::several([
        (trust(), KeyCache::fixed(issuer.keys())),
        (
            Trust::issuer(Other::ISSUER).audience("api://other"),
            KeyCache::fixed(other.keys()),
        ),
    ])
    .clock(Arc::new(Stopped(NOW)));
    (issuer, other, verifier)
}

#[test]
fn keys_of_one_source_never_verify_for_another() {
    let (issuer, other, verifier) = several();
    let theirs = json!({"iss": Other::ISSUER, "aud": "api://other"});
    for _ in 0..2 {
        assert_eq!(code(&verifier, &issuer.token(json!({}))), "valid");
        assert_eq!(code(&verifier, &other.token(theirs.clone())), "valid");
    }
    // CVE-2025-59936: a good key of one source, a token in the name of another.
    assert_eq!(code(&verifier, &issuer.token(theirs)), "bad_signature");
    assert_eq!(code(&verifier, &other.token(json!({}))), "bad_signature");
    let stranger = verifier
        .verify(&issuer.token(json!({"iss": "https://evil.example"})))
        .unwrap_err();
    assert_eq!(
        stranger.to_string(),
        "the issuer is not trusted; expected is https://login.example or https://login.other"
    );
    for (changes, expected) in [
        (json!({"iss": null}), "missing_claim"),
        (json!({"iss": [ISSUER, Other::ISSUER]}), "malformed_claim"),
    ] {
        assert_eq!(code(&verifier, &issuer.token(changes)), expected);
    }
}

#[test]
fn each_source_has_its_own_expectations() {
    let (issuer, other, verifier) = several();
    let theirs = |aud: &str| other.token(json!({"iss": Other::ISSUER, "aud": aud}));
    assert_eq!(code(&verifier, &theirs(AUDIENCE)), "wrong_audience");
    let ours = issuer.token(json!({"aud": "api://other"}));
    assert_eq!(code(&verifier, &ours), "wrong_audience");
}

/// Of several that are trusted with an issuer the first one is asked, and no other.
#[test]
fn sources_that_overlap() {
    let (issuer, other) = (Issuer::new(), Other::new());
    let iss = ENTRA.replace("{tid}", TENANT);
    let exact = || (Trust::issuer(iss.clone()).audience(AUDIENCE), issuer.keys());
    let template = || {
        let trust = Trust::issuer_template(ENTRA).unwrap();
        (trust.audience("api://other"), other.keys())
    };
    let of = |aud: &str| json!({"iss": iss, "tid": TENANT, "aud": aud});
    let (exactly, by_template) = (issuer.token(of(AUDIENCE)), other.token(of("api://other")));
    for (sources, expected) in [
        ([exact(), template()], ["valid", "bad_signature"]),
        ([template(), exact()], ["bad_signature", "valid"]),
    ] {
        let sources = sources.map(|(trust, keys)| (trust, KeyCache::fixed(keys)));
        let verifier = Verifier::several(sources).clock(Arc::new(Stopped(NOW)));
        for _ in 0..2 {
            let found = [&exactly, &by_template].map(|it| code(&verifier, it));
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn no_sources_trust_in_nobody() {
    let verifier = Verifier::several([]).clock(Arc::new(Stopped(NOW)));
    let token = Issuer::new().token(json!({}));
    assert_eq!(code(&verifier, &token), "wrong_issuer");
}

#[test]
fn a_source_without_keys_is_asked_for_its_own_issuers_alone() {
    let issuer = Issuer::new();
    let verifier = Verifier::several([
        (
            Trust::issuer(Other::ISSUER).any_audience(),
            KeyCache::empty(),
        ),
        (trust(), KeyCache::fixed(issuer.keys())),
    ])
    .clock(Arc::new(Stopped(NOW)));
    assert_eq!(code(&verifier, &issuer.token(json!({}))), "valid");
    let theirs = issuer.token(json!({"iss": Other::ISSUER}));
    assert_eq!(code(&verifier, &theirs), "keys_unavailable");
    assert_eq!(
        code(&verifier, &issuer.token(json!({"iss": "x"}))),
        "wrong_issuer"
    );
}

#[test]
fn templates() {
    let trust = || Trust::issuer_template(ENTRA).unwrap().audience(AUDIENCE);
    let iss = |tenant: &str| ENTRA.replace("{tid}", tenant);
    check_trust(trust(), json!({"iss": iss(TENANT), "tid": TENANT}), "valid");
    check_trust(
        trust(),
        json!({"iss": iss("a-B-9"), "tid": "a-B-9"}),
        "valid",
    );
    for (tenant, tid) in [
        // Not what the claim says, or no claim that could say it.
        (TENANT, json!("another")),
        (TENANT, json!(TENANT.to_uppercase())),
        (TENANT, json!(null)),
        (TENANT, json!([TENANT])),
        (TENANT, json!({"tid": TENANT})),
        ("1", json!(1)),
        // What leads elsewhere.
        ("", json!("")),
        ("a/b", json!("a/b")),
        ("..", json!("..")),
        ("a.b", json!("a.b")),
        ("a%2fb", json!("a%2fb")),
        ("a_b", json!("a_b")),
        ("\u{e9}", json!("\u{e9}")),
        ("{tid}", json!("{tid}")),
    ] {
        let changes = json!({"iss": iss(tenant), "tid": tid});
        check_trust(trust(), changes, "wrong_issuer");
    }
    for byte in (0..=0x7f_u8).filter(|it| !it.is_ascii_alphanumeric() && *it != b'-') {
        let tenant = format!("a{}b", char::from(byte));
        let changes = json!({"iss": iss(&tenant), "tid": tenant});
        check_trust(trust(), changes, "wrong_issuer");
    }
    for other in [
        format!("{}/", iss(TENANT)),
        format!("x{}", iss(TENANT)),
        ENTRA.replace("{tid}/", ""),
        iss(TENANT).replace("v2.0", "v1.0"),
        TENANT.to_owned(),
    ] {
        check_trust(
            trust(),
            json!({"iss": other, "tid": TENANT}),
            "wrong_issuer",
        );
    }
    // Spelled with escapes it is the same name.
    let issuer = Issuer::new();
    let escaped = claims(json!({"iss": iss("a1"), "tid": "a1"}))
        .to_string()
        .replace("a1", "\\u0061\\u0031");
    assert_eq!(
        code(
            &fixed(trust(), issuer.keys()),
            &issuer.with_payload(escaped)
        ),
        "valid"
    );
}

#[test]
fn a_template_and_who_of_it_is_meant() {
    let trust = || {
        Trust::issuer_template(ENTRA)
            .unwrap()
            .also_issuer(ISSUER)
            .audience(AUDIENCE)
            .require("tid", [TENANT])
    };
    let of = |tenant: &str| json!({"iss": ENTRA.replace("{tid}", tenant), "tid": tenant});
    check_trust(trust(), of(TENANT), "valid");
    check_trust(trust(), of("other"), "wrong_claim");
    check_trust(trust(), json!({"tid": TENANT}), "valid");
}

#[test]
fn keys_that_name_a_template_of_issuers() {
    let issuer = Issuer::new();
    let of = |name: &str| {
        let mut jwk = issuer.jwk();
        jwk["issuer"] = json!(name);
        KeySet::from_json(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
    };
    // Entra names the part in braces another way than its tokens do.
    let key_issuer = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let iss = ENTRA.replace("{tid}", TENANT);
    let token = issuer.token(json!({"iss": iss, "tid": TENANT}));
    let template = || Trust::issuer_template(ENTRA).unwrap().audience(AUDIENCE);
    let exact = || Trust::issuer(iss.clone()).audience(AUDIENCE);
    for (name, expected) in [
        (key_issuer, "valid"),
        (iss.as_str(), "valid"),
        (
            "https://login.microsoftonline.com/{tenantid}",
            "unknown_key",
        ),
        ("https://login.microsoftonline.com/{a}/{b}", "unknown_key"),
        (
            "https://login.microsoftonline.com/other/v2.0",
            "unknown_key",
        ),
        ("https://sts.windows.net/{tenantid}/", "unknown_key"),
    ] {
        assert_eq!(
            code(&fixed(template(), of(name)), &token),
            expected,
            "{name}"
        );
        assert_eq!(code(&fixed(exact(), of(name)), &token), expected, "{name}");
    }
    let ours = issuer.token(json!({}));
    assert_eq!(code(&fixed(trust(), of(key_issuer)), &ours), "unknown_key");
}

#[test]
fn an_audience_in_another_claim() {
    let cognito = || {
        Trust::issuer(ISSUER)
            .audience_in("client_id", "app")
            .audience("app2")
            .require("token_use", ["access"])
    };
    let of = |client: Value, purpose: Value| json!({"aud": null, "client_id": client, "token_use": purpose});
    let access = || json!("access");
    check_trust(cognito(), of(json!("app"), access()), "valid");
    check_trust(cognito(), of(json!("app2"), access()), "valid");
    check_trust(cognito(), of(json!("other"), access()), "wrong_audience");
    check_trust(cognito(), of(json!(null), access()), "missing_claim");
    check_trust(cognito(), of(json!(1), access()), "malformed_claim");
    check_trust(cognito(), of(json!("app"), json!(null)), "missing_claim");
    check_trust(cognito(), of(json!("app"), json!("id")), "wrong_type");
    // `aud` stands for nothing then.
    check_trust(
        cognito(),
        json!({"aud": "app", "client_id": "x", "token_use": "access"}),
        "wrong_audience",
    );
    let azp = || Trust::issuer(ISSUER).audience_in("azp", "app");
    for (azp_claim, expected) in [
        (json!("app"), "valid"),
        (json!(["x", "app"]), "valid"),
        (
            json!(["a", "b", "c", "d", "e", "f", "g", "h", "i", "app"]),
            "valid",
        ),
        (json!(["x"]), "wrong_audience"),
        (json!([]), "wrong_audience"),
        (json!(["app", 1]), "malformed_claim"),
        (json!({"app": 1}), "malformed_claim"),
        (json!(null), "missing_claim"),
    ] {
        check_trust(azp(), json!({ "azp": azp_claim }), expected);
    }
}

#[test]
fn a_long_list_of_audiences() {
    let many = |last: &str| {
        let list = (0..20).map(|it| it.to_string()).chain([last.to_owned()]);
        json!({"aud": list.collect::<Vec<_>>()})
    };
    check_trust(trust(), many(AUDIENCE), "valid");
    check_trust(trust(), many("x"), "wrong_audience");
    let issuer = Issuer::new();
    let escaped = claims(json!({"aud": ["x", AUDIENCE], "extra": 1})).to_string();
    let token = issuer.with_payload(escaped.replace("https://orders", "https:\\/\\/orders"));
    assert_eq!(code(&verifier(issuer.keys()), &token), "valid");
}

#[test]
fn claims_that_must_have_certain_values() {
    let github = || {
        trust()
            .require("repository_owner", ["us", "friends"])
            .require("ref", ["refs/heads/main"])
    };
    let of = |owner: Value| json!({"repository_owner": owner, "ref": "refs/heads/main"});
    check_trust(github(), of(json!("us")), "valid");
    check_trust(github(), of(json!("friends")), "valid");
    for (owner, expected) in [
        (json!("US"), "wrong_claim"),
        (json!("us "), "wrong_claim"),
        (json!(""), "wrong_claim"),
        (json!(null), "missing_claim"),
        (json!(["us"]), "malformed_claim"),
        (json!(true), "malformed_claim"),
        (json!({"us": "us"}), "malformed_claim"),
    ] {
        check_trust(github(), of(owner), expected);
    }
    let elsewhere = json!({"repository_owner": "us", "ref": "refs/heads/x"});
    check_trust(github(), elsewhere, "wrong_claim");
    // A member of the same name deeper down is another one.
    let deeper = json!({"ref": "refs/heads/main", "x": {"repository_owner": "us"}});
    check_trust(github(), deeper, "missing_claim");
    // Registered claims as well, and nothing can be one of nothing.
    check_trust(trust().require("sub", ["app"]), json!({}), "valid");
    check_trust(trust().require("sub", ["x"]), json!({}), "wrong_claim");
    check_trust(trust().require("iat", ["x"]), json!({}), "malformed_claim");
    check_trust(trust().require("sub", [""; 0]), json!({}), "wrong_claim");
}

#[test]
fn bound_tokens_with_proof() {
    let issuer = Issuer::new();
    let der = b"a certificate";
    let thumbprint = b64(ring::digest::digest(&ring::digest::SHA256, der));
    let verifier = verifier(issuer.keys());
    let with_proof = |cnf: Value, der: &[u8]| {
        let token = issuer.token(json!({ "cnf": cnf }));
        match verifier.verify_with_proof(&token, &Proof::certificate(der)) {
            Ok(_) => "valid",
            Err(error) => error.code().as_str(),
        }
    };
    let bound = json!({ "x5t#S256": thumbprint });
    let standard = base64::prelude::BASE64_STANDARD.encode(
        base64::prelude::BASE64_URL_SAFE_NO_PAD
            .decode(&thumbprint)
            .unwrap(),
    );
    assert_eq!(with_proof(bound.clone(), der), "valid");
    assert_eq!(with_proof(bound.clone(), b"another"), "unconfirmed");
    assert_eq!(with_proof(json!(null), der), "valid", "it is not bound");
    check(&issuer.token(json!({ "cnf": bound })), "unconfirmed");
    for cnf in [
        json!({}),
        json!("x"),
        json!([]),
        json!({"x5t#S256": [thumbprint]}),
        json!({"x5t": thumbprint}),
        json!({"x5t#S256": format!("{thumbprint}=")}),
        json!({ "x5t#S256": standard }),
        json!({"x5t#S256": thumbprint, "jkt": "x"}),
        json!({"x5t#S256": thumbprint, "jwk": {}}),
    ] {
        assert_eq!(with_proof(cnf.clone(), der), "unconfirmed", "{cnf}");
    }
    // Only what is good otherwise is confirmed.
    let expired = issuer.token(json!({"cnf": {"x5t#S256": thumbprint}, "exp": 1}));
    let error = verifier.verify_with_proof(&expired, &Proof::certificate(der));
    assert_eq!(error.unwrap_err().code().as_str(), "expired");
}

#[test]
fn denied_tokens() {
    let issuer = Issuer::new();
    let at = |secs: i64| Timestamp::from_secs(secs);
    let issued = NOW - 60;
    let denies = |denials: Denials, changes: Value| {
        let list = Denylist::new(denials);
        code(
            &verifier(issuer.keys()).denylist(list),
            &issuer.token(changes),
        )
    };
    let none = Denials::new;
    for (denials, changes, expected) in [
        (none(), json!({}), "valid"),
        (none().token(ISSUER, "t"), json!({"jti": "t"}), "denied"),
        (none().token(ISSUER, "t"), json!({"jti": "u"}), "valid"),
        (none().token(ISSUER, "t"), json!({}), "valid"),
        (none().token("i", "t"), json!({"jti": "t"}), "valid"),
        (
            none().subject(ISSUER, "app", at(issued)),
            json!({}),
            "denied",
        ),
        (
            none().subject(ISSUER, "app", at(issued - 1)),
            json!({}),
            "valid",
        ),
        (
            none().subject(ISSUER, "app", at(0)),
            json!({"iat": null}),
            "denied",
        ),
        (none().subject(ISSUER, "app2", at(NOW)), json!({}), "valid"),
        (
            none().client(ISSUER, "c", at(issued)),
            json!({"client_id": "c"}),
            "denied",
        ),
        (
            none().client(ISSUER, "app", at(NOW)),
            json!({"client_id": "c"}),
            "valid",
        ),
        (none().issuer(ISSUER, at(issued + 1)), json!({}), "denied"),
        (none().issuer(ISSUER, at(issued)), json!({}), "valid"),
        (none().issuer(ISSUER, at(0)), json!({"iat": null}), "denied"),
        (none().issuer("i", at(NOW)), json!({}), "valid"),
    ] {
        assert_eq!(denies(denials, changes.clone()), expected, "{changes}");
    }
    // Forged tokens are told nothing about what is on the list.
    let list = Denylist::new(none().token(ISSUER, "t"));
    let verifier = verifier(issuer.keys()).denylist(list);
    let forged = Other::new().token(json!({"jti": "t"}));
    assert_eq!(code(&verifier, &forged), "bad_signature");
}

#[test]
fn a_denylist_that_is_required() {
    let issuer = Issuer::new();
    let list = Denylist::required();
    let verifier = verifier(issuer.keys()).denylist(list.clone());
    let token = issuer.token(json!({}));
    let error = verifier.verify(&token).unwrap_err();
    assert_eq!(error.code().as_str(), "denylist_unavailable");
    assert!(error.is_unavailable());
    list.replace(Denials::new());
    assert_eq!(code(&verifier, &token), "valid");
}
