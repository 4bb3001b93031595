//! Answers without one, and what is said of them.

use super::*;

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

#[test]
fn no_error_repeats_a_secret_however_it_is_spelled() {
    let secret = "p@s s/1";
    for auth in [ClientAuth::Basic, ClientAuth::BasicRaw, ClientAuth::Body] {
        let url = "https://login.example/token";
        let grant = ClientCredentials::new(url, "orders", secret).unwrap();
        let grant = grant.authentication(auth);
        for echoed in ["p@s s/1", "p%40s+s%2F1", "p%40s%20s%2F1", "p%40s+s%2f1"] {
            let body = format!(
                r#"{{"error":"invalid_client","error_description":"no client with {echoed}"}}"#
            );
            let response = http::Response::builder().status(401);
            let response = response.body(body.into_bytes()).unwrap();
            let error = grant.read(&this(), &response).unwrap_err();
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains(echoed), "{printed}");
        }
    }
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
