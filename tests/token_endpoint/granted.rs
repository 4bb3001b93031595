//! Answers with a token.

use super::*;

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
