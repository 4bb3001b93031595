//! `steadfast keys` from outside, against a real service.
#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod endpoint;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use endpoint::Service;
use serde_json::{Value, json};
use steadfast::jose::Algorithm;
use steadfast::testing::{Endpoint, Fault, OAuthService, ServiceConfig, TestKey};
use steadfast::verifier::{KeyCache, Refresher, Trust, Verifier};

/// A folder for this test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-keys-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The service runs on the test's threads, so the command is waited for on another one.
async fn run<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Output {
    let args: Vec<String> = args.into_iter().map(Into::into).collect();
    let running = tokio::task::spawn_blocking(|| {
        Command::new(env!("CARGO_BIN_EXE_steadfast"))
            .args(args)
            .output()
            .unwrap()
    });
    running.await.unwrap()
}

#[track_caller]
fn check(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}{words}");
    assert!(text.contains(stdout), "{text}");
    assert!(words.contains(stderr), "{words}");
}

#[track_caller]
fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn service() -> OAuthService {
    OAuthService::start(ServiceConfig::default()).await.unwrap()
}

/// Claims that live for a thousand years.
fn token(service: &OAuthService) -> String {
    let claims = json!({"iss": service.issuer(), "aud": "orders", "exp": 32_503_680_000_u64});
    service.signing_key().sign(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fetched_or_discovered_into_a_key_file_that_verify_takes() {
    let service = service().await;
    service.publish_key(TestKey::of(Algorithm::HS256).with_kid("secret"));
    let folder = folder("fetched");
    for (name, source) in [
        ("url", ["--jwks-url", &service.jwks_url()]),
        ("issuer", ["--issuer", service.issuer()]),
    ] {
        let file = folder.join(name);
        let output = run(["keys", source[0], source[1], "--json", "--out", text(&file)]).await;
        check(&output, 0, "", "");
        let listed = answer(&output);
        assert_eq!(listed["usable"][0]["kid"], "rsa-0");
        assert_eq!(listed["usable"][0]["algorithms"], json!(["RS256"]));
        let skipped = json!([{
            "index": 1, "kid": "secret", "reason": "a symmetric key is not taken from here",
        }]);
        assert_eq!(listed["skipped"], skipped);
        let again = run(["keys", "--jwks", text(&file), "--json"]).await;
        assert_eq!(answer(&again), listed, "the file says the same");
        let token = token(&service);
        let verify = [
            "verify",
            "--jwks",
            text(&file),
            "--issuer",
            service.issuer(),
            "--audience",
            "orders",
            "--allow-symmetric",
        ];
        let output = run(verify.into_iter().chain([token.as_str()])).await;
        check(
            &output,
            0,
            r#"{"valid":true,"alg":"RS256","kid":"rsa-0""#,
            "",
        );
        let forged = TestKey::of(Algorithm::HS256).with_kid("secret");
        let claims = json!({"iss": service.issuer(), "aud": "orders", "exp": 32_503_680_000_u64});
        let forged = forged.sign(&claims).unwrap();
        let output = run(verify.into_iter().chain([forged.as_str()])).await;
        check(&output, 1, r#""error":"unknown_key""#, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_down_leaves_the_file_as_it_is() {
    let service = service().await;
    let file = folder("down").join("keys.json");
    let args = ["keys", "--issuer", service.issuer(), "--out", text(&file)];
    check(&run(args).await, 0, "usable   \"rsa-0\"  RS256  ", "");
    let before = std::fs::read(&file).unwrap();
    service.fault(Fault::down());
    check(&run(args).await, 3, "", "steadfast keys: no keys: ");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    service.clear_faults();
    // Confirmed by its entity tag, it has a new time.
    check(&run(args).await, 0, "usable   \"rsa-0\"", "");
    let after = std::fs::read(&file).unwrap();
    assert_ne!(after, before);
    assert_eq!(service.counters().received(Endpoint::Jwks), 2);
}

/// What it is written for: a server that starts while the service is down.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_from_the_file_while_the_service_is_down() {
    let service = service().await;
    let file = folder("start").join("keys.json");
    let args = ["keys", "--issuer", service.issuer(), "--out", text(&file)];
    check(&run(args).await, 0, "usable   \"rsa-0\"", "");
    service.fault(Fault::down());
    let keys = KeyCache::empty();
    let refresher = Refresher::discover(service.issuer(), keys.clone()).unwrap();
    let refresher = refresher.key_file(&file);
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    assert_eq!(handle.ready().await, Ok(()));
    let trust = Trust::issuer(service.issuer()).audience("orders");
    let verifier: Verifier = Verifier::new(trust, keys);
    verifier.verify(&token(&service)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_service_is_asked() {
    let (service, folder) = (Service::start(false), folder("asked"));
    let bearer = folder.join("bearer");
    std::fs::write(&bearer, "f1le-t0ken\n").unwrap();
    // It has no keys, but writes down who asks.
    let ask = async |authority: &str| {
        let authority = endpoint::file(authority);
        let (authority, bearer) = (text(&authority), text(&bearer));
        let args = ["--ca-file", authority, "--bearer-file", bearer];
        let output = run(["keys", "--jwks-url", &service.url]
            .iter()
            .chain(&args)
            .copied())
        .await;
        check(&output, 3, "", "steadfast keys: no keys: ");
        let asked = service.take().into_iter();
        asked
            .map(|it| it.headers["authorization"].clone())
            .collect::<Vec<_>>()
    };
    assert!(ask("other-ca.pem").await.is_empty());
    assert_eq!(ask("ca.pem").await, ["Bearer f1le-t0ken"]);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_for_loopback_and_for_a_host_that_was_named() {
    let service = service().await;
    // This machine, too, by an address that is not loopback's.
    let url = service.jwks_url().replace("127.0.0.1", "0.0.0.0");
    let args = ["keys", "--jwks-url", &url];
    check(&run(args).await, 2, "", "plain http");
    let other = ["--allow-http-to", "login.internal"];
    check(
        &run(args.into_iter().chain(other)).await,
        2,
        "",
        "plain http",
    );
    let named = ["--allow-http-to", "0.0.0.0"];
    check(&run(args.into_iter().chain(named)).await, 0, "usable", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_that_can_be_used_reasons_are_told() {
    let service = service().await;
    let body = r#"{"keys":[{"kty":"oct","kid":"a\u001b[31m","k":"c2VjcmV0"},{"kty":"EC"}]}"#;
    let file = folder("unusable").join("keys.json");
    std::fs::write(&file, body).unwrap();
    let expected = "skipped  \"a\\u{1b}[31m\"  a symmetric key is not taken from here\n\
                    skipped  (no kid)  the key has no `crv`\n";
    let local = run(["keys", "--jwks", text(&file)]).await;
    check(
        &local,
        2,
        expected,
        "none of the 2 keys of the set can be used",
    );
    let mut odd = TestKey::of(Algorithm::EdDSA).public_jwk();
    odd["issuer"] = "https://a\u{1b}[31m".into();
    std::fs::write(&file, json!({"keys": [odd]}).to_string()).unwrap();
    let local = run(["keys", "--jwks", text(&file)]).await;
    check(&local, 0, "  for https://a\\u{1b}[31m\n", "");
    service.fault(Fault::answer(
        http::StatusCode::OK,
        "application/json",
        body,
    ));
    let fetched = run(["keys", "--jwks-url", &service.jwks_url()]).await;
    check(
        &fetched,
        3,
        expected,
        "none of the 2 keys of the set can be used",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_may_be_asked_by_another_url() {
    let config = ServiceConfig::default().issuer("https://login.example");
    let service = OAuthService::start(config).await.unwrap();
    let asked = ["keys", "--issuer", service.url()];
    check(&run(asked).await, 3, "", "another issuer's");
    let expect = ["--expect-issuer", "https://login.example"];
    check(&run(asked.into_iter().chain(expect)).await, 0, "usable", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_unreadable_input() {
    let service = service().await;
    let url = &service.jwks_url();
    let folder = folder("usage");
    let no_set = folder.join("no-set");
    std::fs::write(&no_set, "{}").unwrap();
    let below_file = no_set.join("keys.json");
    let absent = folder.join("absent");
    for args in [
        vec!["keys"],
        vec!["keys", "--jwks-url", url, "--issuer", service.issuer()],
        vec!["keys", "--jwks-url", "http://login.example/jwks"],
        vec!["keys", "--issuer", "login.example"],
        vec!["keys", "--jwks", text(&absent)],
        vec!["keys", "--jwks", text(&no_set)],
        vec!["keys", "--jwks", text(&no_set), "--out", text(&absent)],
        vec!["keys", "--jwks-url", url, "--out", text(&below_file)],
        vec!["keys", "--jwks-url", url, "--ca-file", text(&no_set)],
        vec!["keys", "--jwks-url", url, "--bearer-file", text(&absent)],
        vec!["keys", "--jwks-url", url, "--expect-issuer", "a"],
    ] {
        let output = run(args.clone()).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{args:?}"
        );
    }
    assert!(!absent.exists());
}
