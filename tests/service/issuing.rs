//! Token endpoint, introspection and documents.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use steadfast::jose::{Algorithm, KeySet};
use steadfast::testing::keys::jwk_set;
use steadfast::testing::{
    Endpoint, JwtIssuing, OAuthService, RegisteredClient, ServiceConfig, TestKey,
};

use crate::http::{BASIC, FORM, get, introspect, send, token};
use crate::{HOUR, config, now, start};

#[tokio::test]
async fn opaque_by_default() {
    let (service, _) = start().await;
    let reply = token(&service, "&scope=read").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(
        reply.header("date"),
        Some("Fri, 15 Jan 2027 08:00:00 GMT"),
        "by its own clock"
    );
    let opaque = reply.text("access_token");
    assert_eq!(opaque.len(), 32);
    assert!(
        opaque
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    );
    assert_eq!(
        reply.json(),
        json!({ "access_token": opaque, "token_type": "Bearer", "expires_in": 86400, "scope": "read" })
    );
}

#[tokio::test]
async fn jwts_on_request_and_never_over_12_hours() {
    let (service, _) = start().await;
    let in_query = format!("{}?token_format=jwt", service.token_url());
    let body = "grant_type=client_credentials";
    for (reply, typ) in [
        (token(&service, "&token_format=jwtrfc").await, "at+jwt"),
        (token(&service, "&token_format=jwt").await, "JWT"),
        (
            send("POST", &in_query, &[FORM, BASIC], body).await.unwrap(),
            "JWT",
        ),
    ] {
        assert_eq!(reply.json()["expires_in"], 43200);
        let (header, claims) = decoded(&reply.text("access_token"));
        assert_eq!(
            header,
            json!({ "typ": typ, "alg": "RS256", "kid": "rsa-0" })
        );
        let jti = claims["jti"].as_str().unwrap();
        assert_eq!(
            claims,
            json!({
                "iss": service.issuer(), "sub": "client", "aud": service.issuer(),
                "iat": now().as_secs(), "exp": now().as_secs() + 43200, "jti": jti,
                "client_id": "client", "scope": "read write",
            })
        );
    }
    assert_eq!(service.counters().jwts_issued, 3);
}

fn decoded(jwt: &str) -> (Value, Value) {
    let mut parts = jwt
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

#[tokio::test]
async fn audiences() {
    let (service, _) = start().await;
    for (parameters, aud) in [
        ("&audience=a", json!("a")),
        (
            "&resource=https://a.example/x",
            json!("https://a.example/x"),
        ),
        (
            "&audience=a&audience=b&resource=u:r",
            json!(["u:r", "a", "b"]),
        ),
    ] {
        let reply = token(&service, &format!("&token_format=jwt{parameters}")).await;
        let (_, claims) = decoded(&reply.text("access_token"));
        assert_eq!(claims["aud"], aud, "{parameters}");
        let told = introspect(&service, &reply.text("access_token")).await;
        assert_eq!(told.json()["aud"], aud, "{parameters}");
    }
}

#[tokio::test]
async fn the_registration_decides_on_the_format() {
    for (jwt, parameters, is_jwt) in [
        (JwtIssuing::Always, "", true),
        (JwtIssuing::Never, "&token_format=jwt", false),
        (JwtIssuing::Refused, "", false),
        (JwtIssuing::OnRequest, "&token_format=opaque", false),
    ] {
        let client = RegisteredClient::new("client", "secret").jwt(jwt);
        let service = OAuthService::start(ServiceConfig::default().client(client))
            .await
            .unwrap();
        let reply = token(&service, parameters).await;
        assert_eq!(reply.text("access_token").contains('.'), is_jwt, "{jwt:?}");
    }
}

#[tokio::test]
async fn what_the_token_endpoint_refuses() {
    let (service, _) = start().await;
    let wrong = ("authorization", "Basic Y2xpZW50OnNlY3JlVA==");
    let json_type = ("content-type", "application/json");
    let grant = "grant_type=client_credentials";
    let with = |more: &str| format!("{grant}{more}");
    for (headers, query, body, status, error) in [
        (vec![FORM], "", with(""), 401, "invalid_client"),
        (vec![FORM, wrong], "", with(""), 401, "invalid_client"),
        (
            vec![FORM],
            "",
            with("&client_id=client&client_secret=secret"),
            401,
            "invalid_client",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&client_secret=secret"),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC, BASIC],
            "",
            with(""),
            400,
            "invalid_request",
        ),
        (
            vec![FORM],
            "?client_id=client&client_secret=secret",
            with(""),
            400,
            "invalid_request",
        ),
        (vec![BASIC], "", with(""), 400, "invalid_request"),
        (
            vec![json_type, BASIC],
            "",
            "{}".into(),
            400,
            "invalid_request",
        ),
        (vec![FORM, BASIC], "", String::new(), 400, "invalid_request"),
        (
            vec![FORM, BASIC],
            "?grant_type=client_credentials",
            String::new(),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&grant_type=x"),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&scope=read&scope=write"),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&x=1&x=1"),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&token_format=saml"),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC],
            "?token_format=jwt",
            with("&token_format=jwt"),
            400,
            "invalid_request",
        ),
        (
            vec![FORM, BASIC],
            "",
            "grant_type=password".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&scope=read+admin"),
            400,
            "invalid_scope",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&resource=orders"),
            400,
            "invalid_target",
        ),
        (
            vec![FORM, BASIC],
            "",
            with("&resource=https://a.example/%23x"),
            400,
            "invalid_target",
        ),
    ] {
        let url = format!("{}{query}", service.token_url());
        let reply = send("POST", &url, &headers, &body).await.unwrap();
        assert_eq!(
            (reply.status, reply.text("error").as_str()),
            (status, error),
            "{query} {body}"
        );
        assert_eq!(
            reply.header("www-authenticate").is_some(),
            status == 401,
            "{body}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let reply = send("GET", &service.token_url(), &[BASIC], "")
        .await
        .unwrap();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let counters = service.counters();
    assert_eq!(counters.received(Endpoint::Token), 20);
    assert_eq!(
        (counters.succeeded(Endpoint::Token), counters.tokens_issued),
        (0, 0)
    );
}

#[tokio::test]
async fn a_parameter_that_the_service_does_not_know() {
    let client = RegisteredClient::new("client", "secret").jwt(JwtIssuing::Refused);
    let service = OAuthService::start(ServiceConfig::default().client(client))
        .await
        .unwrap();
    let reply = token(&service, "&token_format=jwt").await;
    assert_eq!(
        (reply.status, reply.text("error").as_str()),
        (400, "invalid_request")
    );
}

#[tokio::test]
async fn credentials_in_the_body_where_allowed() {
    let (config, _) = config();
    let service = OAuthService::start(config.body_credentials())
        .await
        .unwrap();
    let body = "grant_type=client_credentials&client_id=client&client_secret=secret";
    let reply = send("POST", &service.token_url(), &[FORM], body)
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    let methods = get(&service.url_of(Endpoint::ServerMetadata)).await.json();
    assert_eq!(
        methods["token_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post"])
    );
}

/// RFC 7523 2.2, also for introspection; no assertion counts twice.
#[tokio::test]
async fn assertions_of_clients_with_keys() {
    let (config, _) = config();
    let key = TestKey::of(Algorithm::ES256);
    let keys = KeySet::from_json(jwk_set([&key]).to_string().as_bytes()).unwrap();
    let config = config.client(RegisteredClient::with_keys("signer", keys));
    let service = OAuthService::start(config).await.unwrap();
    let form = |id: &str, more: &str| {
        let claims = json!({
            "iss": "signer", "sub": "signer", "aud": service.issuer(), "jti": id,
            "exp": now().as_secs() + 60,
        });
        let assertion = key.sign_as("JWT", &claims).unwrap();
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        format!("client_assertion_type={kind}&client_assertion={assertion}{more}")
    };
    let (token, introspection) = (service.token_url(), service.introspection_url());
    let grant = "&grant_type=client_credentials";
    for (url, body, status) in [
        (&token, form("1", grant), 200),
        (&token, form("1", grant), 401),
        (&introspection, form("1", "&token=x"), 401),
        (&introspection, form("2", "&token=x"), 200),
        (&token, form("3", &format!("{grant}&client_id=signer")), 200),
        (&token, form("4", &format!("{grant}&client_id=client")), 400),
    ] {
        let reply = send("POST", url, &[FORM], &body).await.unwrap();
        assert_eq!(reply.status, status, "{body}");
    }
    assert_eq!(service.tokens_issued_to("signer"), 2);
    let metadata = get(&service.url_of(Endpoint::ServerMetadata)).await.json();
    for endpoint in ["token_endpoint", "introspection_endpoint"] {
        let methods = &metadata[format!("{endpoint}_auth_methods_supported")];
        assert_eq!(*methods, json!(["client_secret_basic", "private_key_jwt"]));
        let algorithms = &metadata[format!("{endpoint}_auth_signing_alg_values_supported")];
        let algorithms = algorithms.as_array().unwrap();
        assert!(algorithms.contains(&json!("ES256")) && !algorithms.contains(&json!("HS256")));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long() {
    let (service, _) = start().await;
    let body = "x".repeat(64 * 1024 + 1);
    let reply = send("POST", &service.token_url(), &[FORM, BASIC], &body)
        .await
        .unwrap();
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn introspection_until_expiry() {
    let (service, clock) = start().await;
    let inactive = json!({ "active": false });
    let opaque = token(&service, "").await.text("access_token");
    let jwt = token(&service, "&token_format=jwt&scope=read")
        .await
        .text("access_token");
    let told = introspect(&service, &jwt).await;
    assert_eq!(told.header("cache-control"), Some("no-store"));
    let told = told.json();
    assert_eq!(told["active"], true);
    assert_eq!(
        (&told["client_id"], &told["scope"]),
        (&json!("client"), &json!("read"))
    );
    assert_eq!(told["exp"], now().as_secs() + 43200);
    assert_eq!(introspect(&service, "unknown").await.json(), inactive);

    clock.advance(12 * HOUR);
    assert_eq!(introspect(&service, &jwt).await.json(), inactive);
    assert_eq!(introspect(&service, &opaque).await.json()["active"], true);
    service.expire_tokens();
    assert_eq!(introspect(&service, &opaque).await.json(), inactive);

    let url = service.introspection_url();
    let reply = send("POST", &url, &[FORM], "token=x").await.unwrap();
    assert_eq!(
        (reply.status, reply.text("error").as_str()),
        (401, "invalid_client")
    );
    let reply = send("POST", &url, &[FORM, BASIC], "").await.unwrap();
    assert_eq!(
        (reply.status, reply.text("error").as_str()),
        (400, "invalid_request")
    );
}

#[tokio::test]
async fn metadata_in_both_spellings() {
    let (service, _) = start().await;
    let openid = get(&service.url_of(Endpoint::OpenIdConfiguration))
        .await
        .json();
    let oauth = get(&service.url_of(Endpoint::ServerMetadata)).await.json();
    assert_eq!(openid, oauth);
    assert_eq!(openid["issuer"], service.issuer());
    assert_eq!(openid["token_endpoint"], service.token_url());
    assert_eq!(openid["jwks_uri"], service.jwks_url());
    assert_eq!(
        openid["introspection_endpoint"],
        service.introspection_url()
    );
    assert_eq!(get(&format!("{}/x", service.url())).await.status, 404);
}

#[tokio::test]
async fn another_issuer() {
    let (config, _) = config();
    let service = OAuthService::start(config.issuer("https://login.example"))
        .await
        .unwrap();
    let reply = token(&service, "&token_format=jwt").await;
    assert_eq!(
        decoded(&reply.text("access_token")).1["iss"],
        "https://login.example"
    );
    let document = get(&service.url_of(Endpoint::OpenIdConfiguration))
        .await
        .json();
    assert_eq!(document["issuer"], "https://login.example");
    assert_eq!(document["jwks_uri"], service.jwks_url());
}

#[tokio::test]
async fn a_run_repeats_with_its_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let service = OAuthService::start(config().0.seed(seed)).await.unwrap();
        let mut tokens = Vec::new();
        for _ in 0..3 {
            tokens.push(token(&service, "").await.text("access_token"));
        }
        assert_ne!(tokens[0], tokens[1]);
        runs.push(tokens);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let client = RegisteredClient::new("client", "s3cr3t").jwt(JwtIssuing::Always);
    let other = RegisteredClient::new("other", "s3cr3t");
    let config = ServiceConfig::default().client(client).client(other);
    let service = OAuthService::start(config).await.unwrap();
    let basic = ("authorization", "Basic b3RoZXI6czNjcjN0");
    let body = "grant_type=client_credentials";
    let reply = send("POST", &service.token_url(), &[FORM, basic], body)
        .await
        .unwrap();
    let opaque = reply.text("access_token");
    let printed = format!("{service:#?}");
    assert!(printed.contains("other"), "{printed}");
    for secret in ["s3cr3t", &opaque, "PRIVATE KEY"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
