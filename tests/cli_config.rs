//! The configuration files in examples/config: each is one that the command takes.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;
mod endpoint;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use command::{CLIENT, Case, SECRET, bare, folder, run};
use endpoint::{Asked, Service};
use serde_json::Value;
use steadfast::jose::{Algorithm, KeySet};
use steadfast::testing::{RegisteredClient, TestKey, keys::jwk_set};

#[test]
fn every_example_is_a_client() {
    let home = folder("config", "examples");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config");
    let mut names = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        let text = fs::read_to_string(&path).unwrap();
        let path = path.to_str().unwrap();

        let status = run(&mut bare(&home, &["status", "--config", path, "--json"]));
        assert_eq!((status.status, status.err.as_str()), (3, ""), "{path}");
        assert_eq!(status.line()["findings"], serde_json::json!([]), "{path}");

        let policy = run(&mut bare(&home, &["policy", "--config", path, "--json"])).json();
        for member in ["validity", "rotate_every"] {
            let line = format!("{member} = {}", policy[member]);
            assert!(text.contains(&line), "{path}: {line}");
        }

        // Its secret or key is named, and not there.
        let token = run(&mut bare(&home, &["token", "--config", path]));
        token.failed(2, "entity not found");
    }
    names.sort_unstable();
    assert_eq!(names, ["auth0", "entra", "keycloak", "neo", "uaa", "xsuaa"]);
}

/// The first request of a client with this example's settings, its secret or key beside them.
fn first_request(home: &Path, service: &Service, name: &str) -> Asked {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config");
    let config = home.join(format!("{name}.toml"));
    fs::copy(examples.join(format!("{name}.toml")), &config).unwrap();
    let key = TestKey::of(Algorithm::RS256);
    let certificate = include_str!("public_keys/rsa-0.crt.pem");
    for (suffix, text) in [
        ("secret", SECRET),
        ("key.pem", key.private_pem().unwrap()),
        ("pem", certificate),
    ] {
        fs::write(home.join(format!("{name}.{suffix}")), text).unwrap();
    }
    let config = config.to_str().unwrap();
    let args = ["token", "--config", config, "--token-url", &service.url];
    run(&mut bare(home, &args)).token();
    let mut asked = service.take();
    assert_eq!(asked.len(), 1, "{name}");
    asked.remove(0)
}

/// Header and claims of the assertion that was sent, if there was one.
fn assertion(asked: &mut Asked) -> Option<[Value; 2]> {
    let assertion = asked.form.remove("client_assertion")?;
    let mut parts = assertion.split('.');
    Some([(); 2].map(|()| {
        let part = BASE64_URL_SAFE_NO_PAD.decode(parts.next().unwrap());
        serde_json::from_slice(&part.unwrap()).unwrap()
    }))
}

#[test]
fn what_the_examples_send() {
    let (home, service) = (folder("config", "sent"), Service::plain());
    let raw = format!("orders-client:{SECRET}");
    let encoded = "sb-orders%21t1:s3cret+of+the%2Forders%2Bclient";
    let zid = "7f3e0c11-2222-4333-8444-555555555555";
    let id = "66666666-7777-8888-9999-000000000000";
    let by_key = (
        "client_assertion_type",
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    );
    for (name, basic, announced, zone, form) in [
        (
            "neo",
            Some(&*raw),
            None,
            None,
            &[
                ("scope", "orders:read orders:write"),
                ("token_format", "jwtrfc"),
            ][..],
        ),
        (
            "uaa",
            Some(encoded),
            Some("true"),
            None,
            &[("token_format", "jwt")],
        ),
        ("xsuaa", Some(encoded), Some("true"), Some(zid), &[]),
        (
            "auth0",
            None,
            None,
            None,
            &[
                ("audience", "https://orders.example"),
                ("client_id", "orders-client"),
                ("client_secret", SECRET),
            ],
        ),
        (
            "entra",
            None,
            None,
            None,
            &[
                ("scope", "api://orders.example/.default"),
                ("client_id", id),
                by_key,
            ],
        ),
        (
            "keycloak",
            None,
            None,
            None,
            &[("client_id", "orders-client"), by_key],
        ),
    ] {
        let mut asked = first_request(&home, &service, name);
        let assertion = assertion(&mut asked);
        let sent = |name| asked.headers.get(name).map(String::as_str);
        let basic = basic.map(|it| format!("Basic {}", BASE64_STANDARD.encode(it)));
        assert_eq!(sent("authorization"), basic.as_deref(), "{name}");
        assert_eq!(sent("x-cf-encoded-credentials"), announced, "{name}");
        assert_eq!(sent("x-zid"), zone, "{name}");
        let form = [&[("grant_type", "client_credentials")], form].concat();
        let form = form
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        assert_eq!(asked.form, form.collect(), "{name}");
        match (name, assertion) {
            ("entra", Some([header, _])) => {
                assert_eq!(header["alg"], "PS256");
                assert!(header["x5t#S256"].is_string(), "{header}");
            }
            ("keycloak", Some([header, _])) => assert_eq!(header["kid"], "orders-2026"),
            (_, assertion) => assert_eq!(assertion, None, "{name}"),
        }
    }
}

#[test]
fn what_flags_send() {
    let (home, service) = (folder("config", "flags"), Service::plain());
    let args = [
        "token",
        "--token-url",
        &service.url,
        "--client-id",
        "orders",
        "--scope",
        "b",
        "--scope",
        "a",
        "--audience",
        "https://one.example",
        "--resource",
        "https://two.example",
    ];
    run(bare(&home, &args).env("STEADFAST_CLIENT_SECRET", SECRET)).token();
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "b a"),
        ("audience", "https://one.example"),
        ("resource", "https://two.example"),
    ];
    let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(service.take()[0].form, form.into());

    let key = home.join("key.pem");
    fs::write(&key, TestKey::of(Algorithm::ES256).private_pem().unwrap()).unwrap();
    let (key, audience) = (key.to_str().unwrap(), "https://login.example");
    let with_key = [
        "--private-key-file",
        key,
        "--assertion-audience",
        audience,
        "--scope",
        "c",
    ];
    run(&mut bare(&home, &[&args[..5], &with_key].concat())).token();
    let [_, claims] = assertion(&mut service.take()[0]).unwrap();
    assert_eq!(claims["aud"], audience);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_instead_of_a_secret() {
    let key = TestKey::of(Algorithm::ES256);
    let keys = KeySet::from_json(jwk_set([&key]).to_string().as_bytes()).unwrap();
    let client = RegisteredClient::with_keys(CLIENT, keys);
    let case = Case::with("config-key", client).await;
    case.file("client.pem", key.private_pem().unwrap());
    let url = case.service.token_url();
    let settings = format!(
        "token_url = '{url}'\nclient_id = '{CLIENT}'\nprivate_key_file = 'client.pem'\n\
         key_id = '{}'\n",
        key.kid()
    );
    let config = case.file("client.toml", &settings);
    let token = run(&mut case.bare(&["--config", &config])).token();
    assert_eq!(run(&mut case.bare(&["--config", &config])).token(), token);
    assert_eq!(case.asked(), 1);

    case.file("client.pem", "no key");
    run(&mut case.bare(&["--config", &config])).failed(2, "--private-key-file: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_through_a_pipe() {
    let case = Case::new("config-pipe").await;
    let mut command = case.command(&["--client-secret-file", "/dev/stdin"]);
    command.env_remove("STEADFAST_CLIENT_SECRET");
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    writeln!(pipe, "{SECRET}").unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*words), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_of_authentication() {
    let case = Case::new("config-methods").await;
    for (args, why) in [
        (
            &["--client-auth", "basic"][..],
            "--client-auth: expected client_secret_basic, ",
        ),
        (
            &["--client-auth", "private_key_jwt"],
            "--private-key-file is missing",
        ),
        (
            &["--client-auth", "tls_client_auth"],
            "--certificate-file is missing",
        ),
    ] {
        case.run(args).failed(2, why);
    }
    // Of two credentials one would be without effect.
    let (secret, key) = (case.file("secret", SECRET), case.file("key.pem", "no key"));
    let both = ["--client-secret-file", &secret, "--private-key-file", &key];
    case.run(&both).failed(2, "--client-auth: needed where");
    case.run(&[&both[..], &["--client-auth", "client_secret_basic"]].concat())
        .token();
    case.run(&["--client-auth", "client_secret_basic"]).token();
    // This service takes no credentials in the body, and so no such client.
    case.run(&[
        "--client-auth",
        "client_secret_post",
        "--scope",
        "orders:read",
    ])
    .failed(4, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_are_no_text() {
    let case = Case::new("config-variables").await;
    let odd = OsStr::from_bytes(b"s3cret\xff");
    run(case.command(&[]).env("STEADFAST_CLIENT_SECRET", odd))
        .failed(2, "STEADFAST_CLIENT_SECRET: not UTF-8");
    // Another store than the one that was meant would go unnoticed.
    #[cfg(feature = "redis")]
    run(case.command(&[]).env("STEADFAST_REDIS_URL", odd))
        .failed(2, "STEADFAST_REDIS_URL: not UTF-8");
    assert_eq!(case.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_store_holds_no_token_as_it_is() {
    let case = Case::new("config-seal").await;
    let key = case.file("seal", &format!("{}=\n", "A".repeat(43)));
    let token = case.run(&["--seal-key-file", &key]).token();
    assert_eq!(case.run(&["--seal-key-file", &key]).token(), token);
    assert!(!fs::read_to_string(case.store()).unwrap().contains(&token));
    assert_eq!(case.status(&["--seal-key-file", &key]).status, 0);
    assert_eq!(case.status(&[]).status, 3);
    assert_eq!(case.asked(), 1);

    case.file("seal", "short\n");
    case.run(&["--seal-key-file", &key])
        .failed(2, "--seal-key-file: ");
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_a_redis_is_never_told() {
    let case = Case::new("config-redis").await;
    let mut command = case.command(&[]);
    run(command.env("STEADFAST_REDIS_URL", "redis://:s3cret@")).failed(2, "STEADFAST_REDIS_URL: ");
    let url = case.file("url", "redis://:s3cret@");
    case.run(&["--redis-url-file", &url])
        .failed(2, "--redis-url-file: ");
    // Port 9 is closed: without a store, and so each run issues.
    let url = case.file("url", "redis://:s3cret@127.0.0.1:9/\n");
    let args = ["--redis-url-file", &url];
    case.run(&args)
        .token_with("warning: the store cannot be used");
    case.status(&args).failed(2, "the store cannot be used");
    assert_eq!(case.asked(), 1);
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn a_flag_for_redis_wins_over_a_file_of_the_configuration() {
    let case = Case::new("config-redis-wins").await;
    let config = case.file("client.toml", "store = 'tokens.json'\n");
    let url = case.file("url", "redis://127.0.0.1:9/\n");
    case.run(&["--config", &config, "--redis-url-file", &url])
        .token_with("warning: the store cannot be used");
    assert!(!case.home.join("tokens.json").exists());
    let here = case.home.join("here.json");
    let here = here.to_str().unwrap();
    let all = [
        "--config",
        &config,
        "--redis-url-file",
        &url,
        "--store",
        here,
    ];
    case.run(&all).token();
    assert!(Path::new(here).exists());
}
