//! Client credentials on the wire: what is asked for, and how answers are read. One row for each
//! habit of a service that is known.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Request, Response};
use proptest::prelude::*;
use steadfast::clock::Timestamp;
use steadfast::rotator::error::{Class, IssueError, Reason};
use steadfast::rotator::store::StoreKey;
use steadfast::rotator::{Answer, ClientAuth, ClientCredentials, Grant, Preset, Try, read_answer};
use steadfast::token::{ClientSecret, FormatPreference, LifetimeSource, TokenFormat};
use steadfast::transport::EndpointError;

const HOUR: Duration = Duration::from_secs(3600);
/// 2026-11-25T01:26:50Z
const NOW: i64 = 1_795_570_010;
const DATE: &str = "Wed, 25 Nov 2026 01:26:50 GMT";
const SECRET: &str = "correct horse/battery+staple";

fn this() -> Try {
    Try {
        asked_at: Timestamp::from_secs(NOW),
        format: FormatPreference::PreferJwt,
        ask_for_jwt: true,
        last_lifetime: None,
        wanted_lifetime: 12 * HOUR,
        successor: None,
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.as_bytes().to_vec()).unwrap()
}

fn read(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Answer, IssueError> {
    let secret = ClientSecret::new(SECRET);
    read_answer(&response(status, headers, body), &this(), Some(&secret))
}

fn jwt(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"typ":"at+jwt","alg":"RS256","kid":"k"}"#);
    format!("{header}.{}.{}", part(claims), part("signature"))
}

// What is asked for

fn grant() -> ClientCredentials {
    ClientCredentials::new("https://login.example/oauth2/token", "orders", SECRET).unwrap()
}

fn request(grant: &ClientCredentials, ask_for_jwt: bool) -> Request<Vec<u8>> {
    let this = Try {
        ask_for_jwt,
        ..this()
    };
    ready(grant.request(&this)).unwrap()
}

fn body(grant: &ClientCredentials, ask_for_jwt: bool) -> String {
    String::from_utf8(request(grant, ask_for_jwt).into_body()).unwrap()
}

#[test]
fn the_request_is_a_form() {
    let request = request(&grant(), true);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://login.example/oauth2/token");
    assert_eq!(
        request.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(request.body(), b"grant_type=client_credentials");
}

#[test]
fn parameters_are_encoded_and_never_doubled_but_for_resources() {
    let grant = grant()
        .scope("orders:read orders:write")
        .scope("a&b=c")
        .audience("https://orders.example/?a=b&c")
        .resource("https://one.example/a b")
        .resource("https://two.example/\u{e9}");
    assert_eq!(
        body(&grant, true),
        "grant_type=client_credentials\
         &scope=orders%3Aread+orders%3Awrite+a%26b%3Dc\
         &audience=https%3A%2F%2Forders.example%2F%3Fa%3Db%26c\
         &resource=https%3A%2F%2Fone.example%2Fa+b\
         &resource=https%3A%2F%2Ftwo.example%2F%C3%A9"
    );
    assert_eq!(Grant::scope(&grant), Some("orders:read orders:write a&b=c"));
}

#[test]
fn presets_authenticate_and_ask_for_a_jwt_in_the_providers_way() {
    for (preset, parameter, pair, announced) in [
        (
            Preset::Generic,
            "",
            "orders:correct+horse%2Fbattery%2Bstaple",
            false,
        ),
        (
            Preset::Neo,
            "&token_format=jwtrfc",
            "orders:correct horse/battery+staple",
            false,
        ),
        (
            Preset::Uaa,
            "&token_format=jwt",
            "orders:correct+horse%2Fbattery%2Bstaple",
            true,
        ),
    ] {
        let grant = grant().preset(preset);
        let plain = "grant_type=client_credentials";
        assert_eq!(body(&grant, true), format!("{plain}{parameter}"));
        assert_eq!(body(&grant, false), plain, "{preset:?}");
        assert_eq!(grant.can_ask_for_jwt(), !parameter.is_empty());

        let request = request(&grant, true);
        let sent = &request.headers()["authorization"];
        let expected = format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(sent.to_str().unwrap(), expected, "{preset:?}");
        assert!(sent.is_sensitive());
        let header = request.headers().contains_key("x-cf-encoded-credentials");
        assert_eq!(header, announced, "{preset:?}");
    }
}

#[test]
fn settings_after_a_preset_win() {
    let grant = grant()
        .preset(Preset::Neo)
        .authentication(ClientAuth::Body)
        .ask_jwt_with("token_format", "jwt");
    assert_eq!(
        body(&grant, true),
        "grant_type=client_credentials&token_format=jwt\
         &client_id=orders&client_secret=correct+horse%2Fbattery%2Bstaple"
    );
    let request = request(&grant, true);
    assert!(!request.headers().contains_key("authorization"));
}

#[test]
fn a_secret_in_a_file_is_read_for_each_try() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grant-secret");
    let url = "https://login.example/oauth2/token";
    let grant = ClientCredentials::new(url, "orders", path.clone()).unwrap();
    let grant = grant.authentication(ClientAuth::Body);
    let key = StoreKey::of([]);
    let mut tags = Vec::new();
    for secret in ["first", "second"] {
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        assert!(body(&grant, true).ends_with(&format!("&client_secret={secret}")));
        tags.push(grant.credential(&key));
    }
    for unusable in [&b""[..], b"\n", b"\xff"] {
        std::fs::write(&path, unusable).unwrap();
        let error = ready(grant.request(&this())).unwrap_err();
        assert_eq!(error.reason, Reason::NoCredential);
        tags.push(grant.credential(&key));
    }
    std::fs::remove_file(&path).unwrap();
    let error = ready(grant.request(&this())).unwrap_err();
    assert_eq!(
        (error.reason, error.class),
        (Reason::NoCredential, Class::Transient)
    );
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[4]);
}

#[test]
fn only_https_and_loopback_are_asked() {
    let error = |url| ClientCredentials::new(url, "a", "b").unwrap_err();
    assert_eq!(error("http://login.example/"), EndpointError::Insecure);
    assert!(ClientCredentials::new("http://127.0.0.1:1/token", "a", "b").is_ok());
}

#[test]
fn the_store_key_is_all_that_changes_the_token() {
    let key = |grant: &ClientCredentials| {
        let facts = grant.facts();
        assert!(!format!("{facts:?}").contains("horse"));
        StoreKey::of(facts.iter().map(|(name, value)| (*name, &**value)))
    };
    let base = grant().scope("a b").resource("r").resource("s");
    let same = [
        grant().scope("b").scope("a a").resource("s").resource("r"),
        base.clone().authentication(ClientAuth::Body),
    ];
    for other in &same {
        assert_eq!(key(other), key(&base));
    }
    let at = |url| {
        let grant = ClientCredentials::new(url, "orders", SECRET).unwrap();
        grant.scope("a b").resource("r").resource("s")
    };
    let others = [
        base.clone(),
        base.clone().scope("c"),
        base.clone().audience("x"),
        base.clone().resource("x"),
        base.clone().ask_jwt_with("token_format", "jwt"),
        base.clone().ask_jwt_with("token_format", "jwtrfc"),
        at("https://login.example/other/token"),
        at("https://login.example/oauth2/token?tenant=a"),
        grant().scope("a b").audience("r").resource("s"),
        ClientCredentials::new("https://login.example/oauth2/token", "bills", SECRET).unwrap(),
    ];
    let keys: std::collections::BTreeSet<_> = others.iter().map(key).collect();
    assert_eq!(keys.len(), others.len());

    let another_secret =
        ClientCredentials::new("https://login.example/oauth2/token", "orders", "other").unwrap();
    assert_eq!(key(&another_secret), key(&grant()));
    let tag = |grant: &ClientCredentials| grant.credential(&key(grant));
    assert_ne!(tag(&another_secret), tag(&grant()));
    assert_eq!(tag(&grant()), tag(&grant()));
}

// What is granted

#[track_caller]
fn granted(headers: &[(&str, &str)], body: &str) -> Answer {
    let answer = read(200, headers, body).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(answer.token.issued_at, Timestamp::from_secs(NOW));
    answer
}

#[track_caller]
fn assert_lifetime(headers: &[(&str, &str)], body: &str, seconds: f64, source: LifetimeSource) {
    let token = granted(headers, body).token;
    let lifetime = token.lifetime().as_secs_f64();
    assert!((lifetime - seconds).abs() < 0.002, "{body}: {lifetime}");
    assert_eq!(token.lifetime_source, source, "{body}");
}

#[test]
fn expires_in_in_every_spelling() {
    use LifetimeSource::{Assumed, ExpiresIn};
    let century = f64::from(u32::MAX);
    for (expires_in, seconds, source) in [
        (r#""expires_in":1500,"#, 1500.0, ExpiresIn),
        (r#""expires_in":"3599","#, 3599.0, ExpiresIn),
        (r#""expires_in":" 3599 ","#, 3599.0, ExpiresIn),
        (r#""expires_in":3599.5,"#, 3599.5, ExpiresIn),
        (r#""expires_in":"3599.5","#, 3599.5, ExpiresIn),
        (r#""expires_in":36e2,"#, 3600.0, ExpiresIn),
        (r#""expires_in":null,"#, 43200.0, Assumed),
        (r#""expires_in":"","#, 43200.0, Assumed),
        (r#""expires_in":"soon","#, 43200.0, Assumed),
        (r#""expires_in":"inf","#, 43200.0, Assumed),
        (r#""expires_in":true,"#, 43200.0, Assumed),
        (r#""expires_in":[60],"#, 43200.0, Assumed),
        ("", 43200.0, Assumed),
        // As large as it gets.
        (r#""expires_in":4294967295,"#, century, ExpiresIn),
        (r#""expires_in":18446744073709551615,"#, century, ExpiresIn),
        (
            r#""expires_in":99999999999999999999999,"#,
            century,
            ExpiresIn,
        ),
        (r#""expires_in":1e300,"#, century, ExpiresIn),
        (r#""expires_in":1e999,"#, century, ExpiresIn),
        (r#""expires_in":"1e999","#, century, ExpiresIn),
    ] {
        let body = format!(r#"{{{expires_in}"access_token":"abc","token_type":"Bearer"}}"#);
        assert_lifetime(&[], &body, seconds, source);
    }
}

#[test]
fn an_answer_that_tells_no_lifetime_is_taken_for_the_last_one() {
    let read = |this: Try| {
        let response = response(200, &[], r#"{"access_token":"abc"}"#);
        read_answer(&response, &this, None).unwrap().token
    };
    let token = read(Try {
        last_lifetime: Some(HOUR),
        ..this()
    });
    assert_eq!(token.lifetime(), HOUR);
    assert_eq!(token.lifetime_source, LifetimeSource::LastKnown);
    for (wanted, assumed) in [(2 * HOUR, 2 * HOUR), (24 * HOUR, 12 * HOUR)] {
        let token = read(Try {
            wanted_lifetime: wanted,
            ..this()
        });
        assert_eq!(token.lifetime(), assumed);
        assert_eq!(token.lifetime_source, LifetimeSource::Assumed);
    }
}

#[test]
fn a_jwt_tells_its_lifetime_by_the_services_clock() {
    use LifetimeSource::{Claims, ExpiresIn};
    let at = |offset: i64| NOW + offset;
    let exp_iat = |exp: i64, iat: i64| format!(r#"{{"exp":{},"iat":{}}}"#, at(exp), at(iat));
    let exp = |exp: i64| format!(r#"{{"exp":{}}}"#, at(exp));
    let dated = [("date", DATE)];
    for (headers, claims, expires_in, seconds, source) in [
        // The shorter one.
        (&[][..], exp_iat(3600, 0), "7200", 3600.0, Claims),
        (&[], exp_iat(7200, 0), "3600", 3600.0, ExpiresIn),
        (&[], exp_iat(3600, 0), "3600", 3600.0, ExpiresIn),
        (&[], exp_iat(3600, 0), "null", 3600.0, Claims),
        (&[], exp(3600), "7200", 3600.0, Claims),
        // Our clock is a day off, either way: the service's own times count.
        (&[], exp_iat(3600 - 86400, -86400), "null", 3600.0, Claims),
        (&[], exp_iat(3600 + 86400, 86400), "null", 3600.0, Claims),
        (&dated, exp(3600), "null", 3600.0, Claims),
        // A token that was cached by the service, or dated back (Entra): `Date` is later.
        (&dated, exp_iat(3300, -300), "null", 3300.0, Claims),
        (&dated, exp_iat(3660, 60), "null", 3600.0, Claims),
        // Fractions, strings, and times that are none.
        (
            &[],
            format!(r#"{{"exp":{}.5,"iat":{NOW}.25}}"#, at(9)),
            "null",
            9.25,
            Claims,
        ),
        (
            &[],
            format!(r#"{{"exp":"{}","iat":{NOW}}}"#, at(60)),
            "null",
            60.0,
            Claims,
        ),
        (&[], r#"{"exp":null}"#.into(), "60", 60.0, ExpiresIn),
        (
            &[],
            r#"{"exp":1e999,"iat":1e999}"#.into(),
            "60",
            0.0,
            Claims,
        ),
        (&[], "[1]".into(), "60", 60.0, ExpiresIn),
        (&[], "not json".into(), "60", 60.0, ExpiresIn),
    ] {
        let token = jwt(&claims);
        let body = format!(r#"{{"access_token":"{token}","expires_in":{expires_in}}}"#);
        if seconds == 0.0 {
            assert_reason(200, headers, &body, &Reason::ExpiredOnArrival);
        } else {
            assert_lifetime(headers, &body, seconds, source);
        }
    }
}

#[test]
fn a_token_that_had_expired_when_it_came_is_refused() {
    for expires_in in ["0", "-1", "\"0\"", "0.0001", "-1e999"] {
        let body = format!(r#"{{"access_token":"abc","expires_in":{expires_in}}}"#);
        assert_reason(200, &[], &body, &Reason::ExpiredOnArrival);
    }
    let token = jwt(&format!(r#"{{"exp":{NOW},"iat":{}}}"#, NOW - 3600));
    let body = format!(r#"{{"access_token":"{token}","expires_in":3600}}"#);
    assert_reason(200, &[("date", DATE)], &body, &Reason::ExpiredOnArrival);
}

#[test]
fn the_format_is_told_from_the_shape() {
    let long = "x".repeat(20_000);
    let wide = jwt(&format!(r#"{{"roles":"{}"}}"#, "r".repeat(100_000)));
    for (token, format) in [
        (jwt("{}").as_str(), TokenFormat::Jwt),
        // SAP Neo and UAA: 32 hexadecimal digits.
        ("0123456789abcdef0123456789abcdef", TokenFormat::Opaque),
        // Hydra, GitHub, Google
        ("ory_at_abc.def", TokenFormat::Opaque),
        (
            "ghu_16C7e42F292c6912E7710c838347Ae178B4a",
            TokenFormat::Opaque,
        ),
        ("ya29.a.b", TokenFormat::Opaque),
        // Auth0 without an audience, Salesforce, PingFederate by reference, UAA's refreshed ones
        (
            "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..iv.text.tag",
            TokenFormat::Opaque,
        ),
        (
            "00Dx0000000BV7z!AR8AQAxo9UfVkh8AlV0Gomt9Czx9LjHnSSpwBMmbRcgKFmxOtvxjTrKW19ye6PE3Ds1eQz3z8jr3W7_VbWmEu4Q8TVGSTHxs",
            TokenFormat::Opaque,
        ),
        ("0002Ab4cdEfGhIjKlMnOpQrStUvW", TokenFormat::Opaque),
        ("0123456789abcdef0123456789abcdef-r", TokenFormat::Opaque),
        ("<removed_at>", TokenFormat::Opaque),
        (&long, TokenFormat::Opaque),
        (&wide, TokenFormat::Jwt),
    ] {
        let body = format!(r#"{{"access_token":"{token}","expires_in":60}}"#);
        let got = granted(&[], &body).token;
        assert_eq!(got.format, format, "{}", &token[..30.min(token.len())]);
        assert_eq!(got.expose(), token);
    }
}

#[test]
fn token_types() {
    for bearer in [
        r#""token_type":"Bearer","#,
        r#""token_type":"bearer","#,
        r#""token_type":"BEARER","#,
        r#""token_type":"Application Access Token","#,
        r#""token_type":"JWT","#,
        r#""token_type":"","#,
        r#""token_type":null,"#,
        r#""token_type":7,"#,
        "",
    ] {
        granted(&[], &format!(r#"{{{bearer}"access_token":"abc"}}"#));
    }
    for other in ["DPoP", "dpop", "pop", "PoP", "mac", "MAC", "N_A", "n_a"] {
        let body = format!(r#"{{"token_type":"{other}","access_token":"abc"}}"#);
        assert_reason(200, &[], &body, &Reason::TokenType);
    }
}

#[test]
fn a_token_that_is_of_no_use_is_refused() {
    for token in [
        r#""""#,
        r#"" ""#,
        r#""a b""#,
        r#""a\nb""#,
        r#""a\r\nX: y""#,
        r#""é""#,
        r#""\u0000""#,
        "7",
        "true",
        "{}",
        r#"["abc"]"#,
        "null",
    ] {
        let body = format!(r#"{{"access_token":{token},"expires_in":60}}"#);
        assert_reason(200, &[], &body, &Reason::Unreadable);
    }
}

#[test]
fn scopes() {
    for (scope, granted_scope) in [
        (r#""scope":"a b","#, Some("a b")),
        (r#""scope":["a","b"],"#, Some("a b")),
        (r#""scope":"","#, None),
        (r#""scope":null,"#, None),
        (r#""scope":[],"#, None),
        (r#""scope":{},"#, None),
        ("", None),
    ] {
        let body = format!(r#"{{{scope}"access_token":"abc"}}"#);
        assert_eq!(granted(&[], &body).token.scope.as_deref(), granted_scope);
    }
}

#[test]
fn forms() {
    let form = "access_token=a%2Bb&expires_in=60&scope=read%2Cwrite&token_type=bearer";
    for headers in [
        &[(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )][..],
        &[("content-type", "TEXT/plain")],
        &[],
    ] {
        let token = granted(headers, form).token;
        assert_eq!(token.expose(), "a+b");
        assert_eq!(token.lifetime(), Duration::from_secs(60));
        assert_eq!(token.scope.as_deref(), Some("read,write"));
    }
    assert_reason(200, &[HTML], form, &Reason::Unreadable);
    let body = "error=bad_refresh_token&error_description=Passed+by";
    let error = read(200, &[FORM], body).unwrap_err();
    assert_eq!(error.class, Class::Permanent);
    assert_eq!(
        error.to_string(),
        "bad_refresh_token (status 200): Passed by"
    );
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("content-type", "text/html");
const JSON: (&str, &str) = ("content-type", "application/json;charset=UTF-8");

#[test]
fn services_as_they_are() {
    let jwt = jwt(&format!(r#"{{"exp":{},"iat":{NOW}}}"#, NOW + 43199));
    let at = |text: &str| text.replace("JWT", &jwt);
    for (service, body, seconds, scope) in [
        (
            "SAP Neo",
            r#"{"access_token":"0123456789abcdef0123456789abcdef","token_type":"Bearer","expires_in":1500,"scope":""}"#.into(),
            1500,
            None,
        ),
        (
            "UAA",
            at(r#"{"access_token":"JWT","token_type":"bearer","expires_in":43199,"scope":"uaa.resource","jti":"af0e"}"#),
            43199,
            Some("uaa.resource"),
        ),
        (
            "Keycloak",
            at(r#"{"access_token":"JWT","expires_in":300,"refresh_expires_in":0,"token_type":"Bearer","not-before-policy":0,"session_state":"x","scope":"email profile"}"#),
            300,
            Some("email profile"),
        ),
        (
            "Entra, managed identity",
            at(r#"{"access_token":"JWT","refresh_in":"1800","expires_in":"3599","ext_expires_in":"3599","expires_on":"1795573609","not_before":"1795569710","resource":"https://graph.example/","token_type":"Bearer"}"#),
            3599,
            None,
        ),
        (
            "Salesforce",
            r#"{"access_token":"00Dx!AQ4AQ","signature":"S=","scope":"api","instance_url":"https://i.example","id":"https://l.example/id/x","token_type":"Bearer","issued_at":"1795570010000"}"#.into(),
            43200,
            Some("api"),
        ),
        (
            "Hydra",
            r#"{"access_token":"ory_at_x.y","expires_in":3599,"scope":"","token_type":"bearer"}"#.into(),
            3599,
            None,
        ),
        (
            "Dex, with the lifetime left out",
            at(r#"{"access_token":"JWT","token_type":"bearer"}"#),
            43199,
            None,
        ),
        (
            "GitHub, a classic application",
            r#"{"access_token":"gho_16C7","token_type":"bearer","scope":"repo,gist"}"#.into(),
            43200,
            Some("repo,gist"),
        ),
        (
            "Auth0",
            at(r#"{"access_token":"JWT","scope":"orders:read","expires_in":86400,"token_type":"Bearer"}"#),
            43199,
            Some("orders:read"),
        ),
        (
            "Auth0, without an audience",
            r#"{"access_token":"eyJhbGciOiJkaXIifQ..a.b.c","expires_in":86400,"token_type":"Bearer"}"#.into(),
            86400,
            None,
        ),
        (
            "Entra, version 2.0",
            at(r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"refresh_in":1800,"access_token":"JWT"}"#),
            3599,
            None,
        ),
        (
            "Cognito",
            at(r#"{"access_token":"JWT","expires_in":3600,"token_type":"Bearer"}"#),
            3600,
            None,
        ),
        (
            "PingFederate, a token by reference",
            r#"{"access_token":"0002Ab4cdEfGhIjKlMnOpQrStUvW","token_type":"Bearer","expires_in":7199}"#.into(),
            7199,
            None,
        ),
        (
            "Zitadel and Authentik, with an ID Token beside",
            at(r#"{"access_token":"JWT","token_type":"Bearer","expires_in":43199,"id_token":"e30.e30.x"}"#),
            43199,
            None,
        ),
        (
            "XSUAA",
            at(r#"{"access_token":"JWT","token_type":"bearer","expires_in":43199,"scope":"uaa.resource orders.read","jti":"af0e"}"#),
            43199,
            Some("uaa.resource orders.read"),
        ),
        (
            "Logto, without a resource",
            r#"{"access_token":"Zk3nqv0T7m8","expires_in":3600,"token_type":"Bearer","scope":""}"#.into(),
            3600,
            None,
        ),
        (
            "Facebook, which calls it `expires`",
            r#"{"access_token":"EAAB","token_type":"bearer","expires":5184000}"#.into(),
            43200,
            None,
        ),
        (
            "Weibo",
            r#"{"access_token":"2.00x","remind_in":"3600","expires_in":3600,"uid":"1"}"#.into(),
            3600,
            None,
        ),
    ] {
        let answer = granted(&[JSON], &body);
        assert_eq!(answer.token.lifetime().as_secs(), seconds, "{service}");
        assert_eq!(answer.token.scope.as_deref(), scope, "{service}");
        // `refresh_in`, as text or number.
        let rotate_in = service.starts_with("Entra").then(|| HOUR / 2);
        assert_eq!(answer.rotate_in, rotate_in, "{service}");
    }
}

// What is refused

#[track_caller]
fn assert_reason(status: u16, headers: &[(&str, &str)], body: &str, reason: &Reason) {
    let error = read(status, headers, body).expect_err(body);
    assert_eq!(&error.reason, reason, "{body}");
    assert_eq!(error.class, Class::Transient, "{body}");
}

#[test]
fn permanent_or_transient_by_evidence() {
    use Class::{Permanent, Transient};
    let error = |code: &str| format!(r#"{{"error":"{code}"}}"#);
    for code in [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "unauthorized",
        "incorrect_client_credentials",
        "bad_refresh_token",
    ] {
        for (status, class) in [
            (200, Permanent),
            (400, Permanent),
            (401, Permanent),
            (403, Permanent),
            (404, Permanent),
            (302, Transient),
            (408, Transient),
            (425, Transient),
            (429, Transient),
            (500, Transient),
            (503, Transient),
        ] {
            let got = read(status, &[], &error(code)).unwrap_err();
            assert_eq!(got.class, class, "{status} {code}");
            let retried = matches!(status, 408 | 425 | 429 | 500..);
            assert_eq!(got.reason.is_retryable(), retried, "{status} {code}");
        }
    }
    for (status, body) in [
        // Codes that nobody specified for this, in other letters or with more to them.
        (400, error("server_error")),
        (400, error("temporarily_unavailable")),
        (400, error("authorization_pending")),
        (400, error("slow_down")),
        (400, error("scope_invalid")),
        (401, error("INVALID_CLIENT")),
        (401, error("invalid_client ")),
        (401, r#"{"error":{"code":"invalid_client"}}"#.into()),
        (401, r#"{"error":["invalid_client"]}"#.into()),
        (401, r#"{"errors":[{"errorType":"invalid_client"}]}"#.into()),
        (401, r#"{"error":null}"#.into()),
        (401, r#"{"error":""}"#.into()),
        (401, r#"["error","invalid_client"]"#.into()),
        (401, r#""invalid_client""#.into()),
        (401, r#"{"error":"invalid_client""#.into()),
        // No OAuth error body: a gateway, a router, a web application firewall.
        (401, String::new()),
        (403, String::new()),
        (403, "<html>Rate limit exceeded</html>".into()),
        (404, "404 Not Found: Requested route does not exist.".into()),
        (400, "grant_type".into()),
    ] {
        let got = read(status, &[], &body).unwrap_err();
        assert_eq!(got.class, Transient, "{status} {body}");
        assert!(!got.reason.is_retryable(), "{status} {body}");
    }
}

#[test]
fn pages_and_redirects_are_transient() {
    let page = "<!doctype html><title>Maintenance</title>&error=invalid_client&access_token=x";
    assert_reason(200, &[HTML], page, &Reason::Unreadable);
    assert_reason(200, &[HTML], "", &Reason::Unreadable);
    assert_reason(204, &[], "", &Reason::Unreadable);
    let location = [("location", "https://login.example/?access_token=abc")];
    for status in [301, 302, 303, 307, 308] {
        let token = r#"{"access_token":"abc"}"#;
        assert_reason(status, &location, token, &Reason::Status { status });
    }
    for status in [400, 401, 403, 502, 503] {
        assert_reason(status, &[HTML], page, &Reason::Status { status });
    }
}

#[test]
fn an_error_with_a_token_beside_it_is_no_error_under_status_200_alone() {
    let both = r#"{"access_token":"abc","error":"invalid_client"}"#;
    assert!(read(200, &[], both).is_ok());
    assert_eq!(read(400, &[], both).unwrap_err().class, Class::Permanent);
    let none = r#"{"access_token":null,"error":"incorrect_client_credentials"}"#;
    assert_eq!(read(200, &[], none).unwrap_err().class, Class::Permanent);
    let fine = r#"{"access_token":"abc","error":null,"error_description":""}"#;
    assert!(read(200, &[], fine).is_ok());
}

#[test]
fn retry_after_in_both_forms() {
    let wait = |headers: &[_]| read(429, headers, "").unwrap_err().retry_after;
    let minute = Some(Duration::from_secs(60));
    assert_eq!(wait(&[("retry-after", "60")]), minute);
    let later = ("retry-after", "Wed, 25 Nov 2026 01:27:50 GMT");
    assert_eq!(wait(&[later, ("date", DATE)]), minute);
    assert_eq!(wait(&[later]), minute);
    assert_eq!(wait(&[("retry-after", "soon")]), None);
    assert_eq!(wait(&[]), None);
}

#[test]
fn errors_say_what_the_service_said() {
    for (status, body, text) in [
        (
            401,
            r#"{"error":"unauthorized","error_description":"Bad credentials"}"#,
            "unauthorized (status 401): Bad credentials",
        ),
        (
            401,
            "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret provided.\\r\\nTrace ID: 0a1b2c3d-0000-1111-2222-333344445555\\r\\nTimestamp: 2026-11-25 01:26:50Z\",\"error_codes\":[7000215]}",
            "invalid_client (status 401): AADSTS7000215: Invalid client secret provided. Trace ID: … Timestamp: 2026-11-25 01:26:50Z",
        ),
        (
            401,
            r#"{"error":"invalid_client","error_description":"Client authentication failed.","error_hint":"The requested OAuth 2.0 Client does not exist.","status_code":401,"error_debug":"pg: no rows"}"#,
            "invalid_client (status 401): Client authentication failed.",
        ),
        (
            400,
            r#"{"error":"unauthorized_client","error_description":"Grant type 'client_credentials' not allowed for the client.","error_uri":"https://auth0.example/docs/clients"}"#,
            "unauthorized_client (status 400): Grant type 'client_credentials' not allowed for the client.",
        ),
        (
            200,
            r#"{"error":"incorrect_client_credentials","error_description":"The client_id and/or client_secret passed are incorrect.","error_uri":"/x"}"#,
            "incorrect_client_credentials (status 200): The client_id and/or client_secret passed are incorrect.",
        ),
        (
            401,
            r#"{"errors":[{"errorType":"invalid_client","message":"Invalid"}],"success":false}"#,
            "status 401",
        ),
        (
            400,
            r#"{"error":"scope_invalid"}"#,
            "scope_invalid (status 400)",
        ),
        (503, "", "status 503"),
        (200, "", "an answer without a usable token"),
    ] {
        assert_eq!(read(status, &[], body).unwrap_err().to_string(), text);
    }
}

#[test]
fn errors_repeat_no_secret_and_no_token() {
    let token = jwt(r#"{"sub":"orders"}"#);
    let hex = "0123456789abcdef0123456789abcdef";
    let basic = STANDARD.encode(format!("orders:{SECRET}"));
    for secret in [
        SECRET,
        &token,
        hex,
        &basic,
        &format!("'{hex}',"),
        &"k".repeat(40),
    ] {
        for body in [
            format!(r#"{{"error":"invalid_client","error_description":"bad: {secret} (so)"}}"#),
            format!(r#"{{"error":"invalid_client","error_description":"bad:{secret}"}}"#),
            format!(r#"{{"error":"{secret}"}}"#),
            format!(r#"{{"error":"x","{secret}":"{secret}"}}"#),
            format!("<html>{secret}</html>"),
            secret.to_owned(),
        ] {
            let error = read(400, &[], &body).unwrap_err();
            let printed = format!("{error} {error:?} {error:#?}");
            for piece in [
                SECRET,
                "horse",
                &token[..20],
                &hex[..16],
                &basic[..12],
                "kkkkkkkkkk",
            ] {
                assert!(!printed.contains(piece), "{printed}");
            }
        }
    }
    let words = "word ".repeat(1000);
    let body = format!(r#"{{"error":"x","error_description":"{words}"}}"#);
    assert!(read(400, &[], &body).unwrap_err().to_string().len() < 300);
}

proptest! {
    #[test]
    fn no_answer_panics(
        status in 100u16..600,
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof!["application/json", "text/plain", "text/html"],
    ) {
        let text = String::from_utf8_lossy(&body);
        let _ = read(status, &[("content-type", &kind)], &text);
    }

    #[test]
    fn no_member_panics(expires_in in "[0-9eE.\"-]{0,12}", exp in "[0-9eE.-]{1,12}", iat in "[0-9eE.-]{1,12}") {
        let token = jwt(&format!(r#"{{"exp":{exp},"iat":{iat}}}"#));
        let body = format!(r#"{{"access_token":"{token}","expires_in":{expires_in}}}"#);
        if let Ok(answer) = read(200, &[], &body) {
            prop_assert!(answer.token.lifetime() > Duration::ZERO);
        }
    }
}

/// What a grant that waits for nothing asks for.
fn ready<F: Future>(asked: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(asked)
}
