//! What each grant sends.

use super::*;

#[tokio::test]
async fn what_each_grant_sends() {
    let saml = SamlBearer::new(client().scope("read"), "alice", assertion);
    assert_sent(
        &sent_by(saml).await,
        &[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:saml2-bearer",
            ),
            ("assertion", "PEFzc2VydGlvbj5zM2NyZXQ_PC9Bc3NlcnRpb24-"),
            ("scope", "read"),
            ("client_id", "orders"),
        ],
    );
    let jwt = JwtBearer::new(Client::public(URL, "").unwrap(), "alice", || async {
        Ok(Assertion::new("e30.e30.x"))
    });
    assert_sent(
        &sent_by(jwt).await,
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", "e30.e30.x"),
        ],
    );
    let exchange = TokenExchange::new(client(), "alice", TokenType::Jwt, || async {
        Ok(Assertion::new("about-alice"))
    });
    let exchange = exchange
        .actor("orders", TokenType::AccessToken, || async {
            Ok(Assertion::new("about-us"))
        })
        .requested_token_type(TokenType::Other("urn:x:y".into()));
    assert_sent(
        &sent_by(exchange).await,
        &[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", "about-alice"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("actor_token", "about-us"),
            (
                "actor_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("requested_token_type", "urn:x:y"),
            ("client_id", "orders"),
        ],
    );
    let refresh = RefreshTokenGrant::new(client(), "alice", "r-0");
    assert_sent(
        &sent_by(refresh).await,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", "r-0"),
            ("client_id", "orders"),
        ],
    );
}

#[tokio::test]
async fn parameters_and_headers_of_the_providers_own() {
    let zid = HeaderName::from_static("x-zid");
    let client = Client::new(URL, "orders", "s3cret").unwrap();
    let client = client
        .parameter("app_tid", "7")
        .parameter("grant_type", "password")
        .header(zid, HeaderValue::from_static("8"))
        .header(
            http::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer x"),
        );
    let form = sent_by(ClientCredentials::from(client)).await;
    assert_sent(
        &form,
        &[
            ("grant_type", "client_credentials"),
            ("app_tid", "7"),
            ("x-zid", "8"),
            ("authorization", "Basic b3JkZXJzOnMzY3JldA=="),
        ],
    );
}

#[test]
fn whose_token_it_is_changes_the_store_key() {
    let key = |grant: &dyn Grant| {
        let facts = grant.facts();
        StoreKey::of(facts.iter().map(|(name, value)| (*name, &**value)))
    };
    let exchange = |subject| TokenExchange::new(client(), subject, TokenType::Jwt, assertion);
    let x_zid = HeaderName::from_static("x-zid");
    let acted = |actor, its_type| exchange("alice").actor(actor, its_type, assertion);
    let requested = |its_type| exchange("alice").requested_token_type(its_type);
    let grants: [&dyn Grant; 17] = [
        &ClientCredentials::from(client()),
        &ClientCredentials::from(client().parameter("a", "b")),
        &ClientCredentials::from(client().header(x_zid, HeaderValue::from_static("b"))),
        &SamlBearer::new(client(), "alice", assertion),
        &SamlBearer::new(client(), "bob", assertion),
        &JwtBearer::new(client(), "alice", assertion),
        &JwtBearer::new(client(), "bob", assertion),
        &RefreshTokenGrant::new(client(), "alice", "r"),
        &RefreshTokenGrant::new(client(), "bob", "r"),
        &exchange("alice"),
        &exchange("bob"),
        &TokenExchange::new(client(), "alice", TokenType::IdToken, assertion),
        &acted("bob", TokenType::Jwt),
        &acted("carol", TokenType::Jwt),
        &acted("bob", TokenType::IdToken),
        &requested(TokenType::Jwt),
        &requested(TokenType::AccessToken),
    ];
    let keys: std::collections::BTreeSet<_> = grants.iter().map(|it| key(*it)).collect();
    assert_eq!(keys.len(), grants.len());
    let same = ClientCredentials::from(client().parameter("grant_type", "x"));
    assert_eq!(
        key(&same),
        key(grants[0]),
        "what is not sent does not count"
    );
}

#[tokio::test]
async fn an_assertion_that_is_not_to_be_had() {
    for (why, refusal) in [
        (AssertionError::Unavailable, false),
        (AssertionError::Refused, true),
    ] {
        let script = Script::default();
        let grant = JwtBearer::new(client(), "alice", move || async move { Err(why) });
        let error = rotator(grant, &script).token().await.unwrap_err();
        assert_eq!(error.failing().unwrap().reason, Reason::NoCredential);
        assert_eq!(error.is_refusal(), refusal);
        assert!(script.sent().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn each_try_has_an_assertion_of_its_own() {
    let script = Script::of([
        Err(TransportError::Connect),
        Err(TransportError::Timeout),
        PLAIN,
    ]);
    let made = Arc::new(AtomicU32::new(0));
    let grant = SamlBearer::new(client(), "alice", move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        async move { Ok(Assertion::new(format!("<{number}/>"))) }
    });
    let policy = IssuancePolicy::default().with_retries(2).unwrap();
    let rotator = Rotator::new(grant, policy).transport(script.clone());
    rotator.token().await.unwrap();
    let sent = script.sent();
    let assertions: Vec<_> = sent.iter().map(|it| it["assertion"].as_str()).collect();
    assert_eq!(assertions, ["PDAvPg", "PDEvPg", "PDIvPg"]);
}

#[tokio::test]
async fn an_assertion_in_a_file_is_read_for_each_try() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projected-token");
    let grant = || JwtBearer::new(client(), "alice", AssertionFile::new(&path));
    for (file, sent) in [
        ("e30.e30.a\n", "e30.e30.a"),
        (" \r\n e30.e30.b\t\n", "e30.e30.b"),
    ] {
        std::fs::write(&path, file).unwrap();
        assert_eq!(sent_by(grant()).await["assertion"], sent);
    }
    let mut unusable: Vec<Option<&[u8]>> = vec![Some(b""), Some(b" \n"), Some(b"\xff"), None];
    while let Some(content) = unusable.pop() {
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let script = Script::default();
        let error = rotator(grant(), &script).token().await.unwrap_err();
        assert_eq!(error.failing().unwrap().reason, Reason::NoCredential);
        assert!(!error.is_refusal(), "it may be there later");
        assert!(script.sent().is_empty());
    }
    for (error, text) in [
        (AssertionError::Unavailable, "no assertion is to be had now"),
        (AssertionError::Refused, "no assertion is granted"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

/// Short ones, which do not look like secrets by themselves.
#[tokio::test]
async fn no_error_repeats_what_was_sent() {
    let known = || Client::new(URL, "orders", "c1").unwrap();
    let exchange = TokenExchange::new(client(), "alice", TokenType::Jwt, short("s1"));
    let grants: [(Arc<dyn Grant>, &[&str]); 6] = [
        (
            Arc::new(SamlBearer::new(client(), "alice", short("<x1/>"))),
            &["<x1/>", "PHgxLz4"],
        ),
        (
            Arc::new(JwtBearer::new(client(), "alice", short("j1.x.y"))),
            &["j1.x.y"],
        ),
        (
            Arc::new(exchange.actor("orders", TokenType::Jwt, short("s1a1"))),
            &["s1a1", "s1"],
        ),
        (Arc::new(refresh("r1")), &["r1"]),
        (
            Arc::new(ClientCredentials::from(known())),
            &["c1", "b3JkZXJzOmMx"],
        ),
        (
            Arc::new(ClientCredentials::from(
                known().authentication(ClientAuth::Body),
            )),
            &["c1"],
        ),
    ];
    for (grant, secrets) in grants {
        for secret in secrets {
            for body in [
                format!(
                    r#"{{"error":"invalid_grant","error_description":"not '{secret}' again"}}"#
                ),
                format!(r#"{{"error":"bad.{secret}.value"}}"#),
            ] {
                let script = Script::of([Ok((400, &body))]);
                let rotator = rotator(grant.clone(), &script);
                let error = rotator.token().await.unwrap_err();
                let printed = format!("{error} {error:?} {:?}", rotator.health());
                assert!(!printed.contains(secret), "{printed}");
                assert!(printed.contains("not '…' again") || printed.contains("bad"));
            }
        }
    }
}

fn short(text: &'static str) -> impl Fn() -> std::future::Ready<Result<Assertion, AssertionError>> {
    move || std::future::ready(Ok(Assertion::new(text)))
}

#[tokio::test]
async fn what_was_exchanged_must_be_an_access_token() {
    for body in [
        r#"{"access_token":"a","token_type":"N_A"}"#,
        r#"{"access_token":"a","issued_token_type":"urn:ietf:params:oauth:token-type:saml2"}"#,
    ] {
        let script = Script::of([Ok((200, body))]);
        let grant = TokenExchange::new(client(), "alice", TokenType::Jwt, assertion);
        let error = rotator(grant, &script).token().await.unwrap_err();
        assert_eq!(error.failing().unwrap().reason, Reason::TokenType);
    }
}

#[tokio::test]
async fn what_each_grant_brings_arrives_at_a_service() {
    let registered = RegisteredClient::new("orders", "s3cret");
    let config = ServiceConfig::default().client(registered);
    let service = OAuthService::start(config).await.unwrap();
    let client = Client::new(&service.token_url(), "orders", "s3cret").unwrap();
    let jwt = short("e30.e30.+/");
    let xml = "<Assertion a=\"\u{e9}\">&amp;</Assertion>\n";
    let grants: [(Arc<dyn Grant>, Parameters); 4] = [
        (
            Arc::new(SamlBearer::new(client.clone(), "alice", short(xml))),
            &[
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:saml2-bearer",
                ),
                (
                    "assertion",
                    "PEFzc2VydGlvbiBhPSLDqSI-JmFtcDs8L0Fzc2VydGlvbj4K",
                ),
            ],
        ),
        (
            Arc::new(JwtBearer::new(client.clone(), "alice", jwt)),
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", "e30.e30.+/"),
            ],
        ),
        (
            Arc::new(TokenExchange::new(
                client.clone(),
                "alice",
                TokenType::AccessToken,
                short("a b&c=d"),
            )),
            &[
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                ),
                ("subject_token", "a b&c=d"),
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:access_token",
                ),
            ],
        ),
        (
            Arc::new(ClientCredentials::from(client.clone())),
            &[("grant_type", "client_credentials")],
        ),
    ];
    for (grant, expected) in grants {
        let rotator = Rotator::new(grant, IssuancePolicy::default());
        rotator.token().await.unwrap();
        let received = service.last_token_request();
        let received: Vec<_> = received.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(received, expected);
    }
    let initial = service.grant_refresh_token("orders");
    let grant = RefreshTokenGrant::new(client, "alice", initial.as_str());
    let rotator = Rotator::new(grant, IssuancePolicy::default());
    rotator.token().await.unwrap();
    assert_eq!(
        service.last_token_request(),
        [
            ("grant_type".into(), "refresh_token".into()),
            ("refresh_token".into(), initial)
        ]
    );
}

/// Auth0 gives a client no token in its own name without one; who brings something of a subject's
/// asks for what that was granted for.
#[tokio::test]
async fn an_audience_is_wanted_in_ones_own_name_alone() {
    let client = || client().preset(Preset::Auth0);
    let sent = sent_by(JwtBearer::new(client(), "alice", assertion)).await;
    assert!(!sent.contains_key("audience"));
    let refresh = RefreshTokenGrant::new(client(), "alice", "r1");
    assert_eq!(sent_by(refresh).await["refresh_token"], "r1");
    let script = Script::of([]);
    let own = rotator(ClientCredentials::from(client()), &script);
    let reason = own
        .token()
        .await
        .unwrap_err()
        .failing()
        .unwrap()
        .reason
        .clone();
    assert_eq!(reason, Reason::NoAudience);
    assert!(script.sent().is_empty());
}
