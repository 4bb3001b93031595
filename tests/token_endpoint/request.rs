//! What is asked for.

use super::*;

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
    let as_client = |url, id| {
        let grant = ClientCredentials::new(url, id, SECRET).unwrap();
        grant.scope("a b").resource("r").resource("s")
    };
    let at = |url| as_client(url, "orders");
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
        as_client("https://login.example/oauth2/token", "bills"),
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
