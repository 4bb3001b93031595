//! Every grant by `steadfast token`, with what may go with it: what is sent, what is kept, and that
//! no secret is told.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;
mod endpoint;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use command::{CLIENT, Case, Ran, SECRET, age, bare, folder, run};
use endpoint::{Asked, Service, Texts, file};

const HOURS: Duration = Duration::from_secs(3 * 3600);

async fn case(name: &str) -> Case {
    Case::new(&format!("grants-{name}")).await
}

/// A home with a configuration that asks `service`, and what the command says of it.
struct Home(PathBuf);

impl Home {
    fn new(name: &str, service: &Service, settings: &str) -> Self {
        let home = Self(folder("grants", name));
        home.configure(service, settings);
        home
    }

    fn configure(&self, service: &Service, settings: &str) {
        let text = format!("token_url = '{}'\n{settings}\n", service.url);
        self.put("client.toml", &text);
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn command(&self, name: &str) -> Command {
        let config = self.0.join("client.toml");
        bare(&self.0, &[name, "--config", config.to_str().unwrap()])
    }

    fn age(&self, by: Duration) {
        age(&self.0.join(".cache/steadfast/tokens.json"), by);
    }

    fn token(&self) -> Ran {
        run(&mut self.command("token"))
    }
}

// Each grant

#[tokio::test(flavor = "multi_thread")]
async fn each_grant_gets_a_token_and_keeps_it() {
    let case = case("each").await;
    let refresh_token = case.service.grant_refresh_token(CLIENT);
    let assertions = [
        ("assertion.xml", "<Assertion>s3cret</Assertion>\n"),
        ("assertion.jwt", "e30.s3cret.e30\n"),
        ("subject", "s3cret-about-alice\n"),
        ("actor", "s3cret-about-us\n"),
    ];
    for (name, text) in assertions {
        case.file(name, text);
    }
    case.file("refresh", &format!("{refresh_token}\n"));
    let run = |subcommand: &str, grant: &str, subject: &str| {
        let config = case.file("client.toml", &format!("{grant}\nsubject = '{subject}'\n"));
        let mut command = case.subcommand(subcommand, &["--config", &config]);
        if subcommand == "status" {
            command.env_remove("STEADFAST_CLIENT_SECRET");
        }
        let ran = run(&mut command);
        assert!(!ran.out.contains(&refresh_token) && !ran.err.contains(&refresh_token));
        ran
    };
    let mut tokens = Vec::new();
    for grant in GRANTS {
        let token = run("token", grant, "alice").token();
        assert!(!tokens.contains(&token));
        tokens.push(token);
    }
    for (name, _) in assertions {
        fs::remove_file(case.home.join(name)).unwrap();
    }
    for (grant, token) in GRANTS.iter().zip(&tokens) {
        assert_eq!(&run("token", grant, "alice").token(), token);
    }
    fs::remove_file(case.home.join("refresh")).unwrap();
    for grant in GRANTS {
        assert_eq!(run("status", grant, "alice").status, 0);
        // Without the subject, one user would get the token of another.
        assert_eq!(run("status", grant, "bob").status, 3);
    }
    assert_eq!(case.asked(), 5);
}

const GRANTS: [&str; 5] = [
    "grant = 'saml2-bearer'\nassertion_file = 'assertion.xml'",
    "grant = 'jwt-bearer'\nassertion_file = 'assertion.jwt'",
    "grant = 'token-exchange'\nsubject_token_file = 'subject'",
    "grant = 'token-exchange'\nsubject_token_file = 'subject'\nactor = 'orders'\n\
     actor_token_file = 'actor'",
    "grant = 'refresh_token'\nrefresh_token_file = 'refresh'",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_replaced_from_run_to_run() {
    let case = case("refresh").await;
    let initial = case.service.grant_refresh_token(CLIENT);
    let path = case.file("refresh", &format!("{initial}\n"));
    let args = ["--grant", "refresh_token", "--subject", "alice"];
    let args = [&args[..], &["--refresh-token-file", &path]].concat();
    let successor = || {
        let stored: serde_json::Value =
            serde_json::from_slice(&fs::read(case.store()).unwrap()).unwrap();
        let entries = stored["entries"].as_object().unwrap().clone();
        let entry = entries.values().next().unwrap().clone();
        let token = entry["successors"][0]["refresh_token"].as_str();
        token.unwrap().to_owned()
    };
    // The service revokes the whole chain if one is sent twice.
    let mut before = initial.clone();
    for issued in 1..=3 {
        let ran = case.run(&args);
        let after = successor();
        assert_ne!(after, before);
        for secret in [&initial, &before, &after] {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
        }
        ran.token();
        assert_eq!(case.asked(), issued);
        case.age(HOURS);
        before = after;
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{initial}\n"));

    // Another consent counts at once.
    let consent = case.service.grant_refresh_token(CLIENT);
    case.file("refresh", &consent);
    case.run(&args).token();
    assert_eq!(case.asked(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_not_sent_without_a_store() {
    let case = case("no-store").await;
    let path = case.file("refresh", "s3cret-of-alice");
    let args = ["--grant", "refresh_token", "--subject", "alice"];
    let args = [&args[..], &["--refresh-token-file", &path]].concat();
    case.file(".cache", "");
    case.run(&args)
        .failed(3, "a refresh token is not sent without it");
    run(case.command(&args).env_remove("HOME")).failed(3, "neither XDG_CACHE_HOME nor HOME");
    let place = case.home.join(".cache/tokens.json");
    case.run(&[&args[..], &["--store", place.to_str().unwrap()]].concat())
        .failed(2, "the store cannot be used");
    assert_eq!(case.asked(), 0);
}

#[test]
fn assertions_are_read_again_and_may_be_missing_for_a_moment() {
    let service = Service::plain();
    let home = Home::new(
        "again",
        &service,
        "client_auth = 'none'\ngrant = 'jwt-bearer'\nsubject = 'alice'\n\
         assertion_file = 'a.jwt'",
    );
    let missing = home.token();
    assert!(missing.err.contains("/a.jwt: entity not found"));
    missing.failed(3, "the credential is not to be had");
    home.age(HOURS);
    for assertion in ["first", "second"] {
        home.put("a.jwt", assertion);
        home.token().token();
        assert_eq!(service.take()[0].form["assertion"], assertion);
        home.age(HOURS);
    }
    fs::remove_file(home.0.join("a.jwt")).unwrap();
    let ran = home.token();
    assert!(ran.err.contains("/a.jwt: entity not found"));
    ran.token_with("warning: this is the token of");
    assert!(service.take().is_empty());
}

// What is sent

#[track_caller]
fn assert_sent(service: &Service, expected: &[(&str, &str)]) -> Asked {
    let [asked] = <[Asked; 1]>::try_from(service.take()).ok().unwrap();
    let expected = expected.iter().map(|(a, b)| ((*a).into(), (*b).into()));
    assert_eq!(asked.form, expected.collect::<Texts>());
    asked
}

#[test]
fn a_public_client_proves_nothing() {
    let service = Service::plain();
    let home = Home::new("public", &service, "");
    home.put("token", "about-alice");
    let exchange = "grant = 'token-exchange'\nsubject = 'alice'\nclient-auth = 'none'\n\
                    subject-token-file = 'token'\n";
    home.configure(&service, &format!("{exchange}client_id = 'orders'"));
    home.token().token();
    let sent = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("subject_token", "about-alice"),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
    ];
    let asked = assert_sent(&service, &[&sent[..], &[("client_id", "orders")]].concat());
    assert!(!asked.headers.contains_key("authorization"));

    home.configure(&service, exchange);
    home.token().token();
    assert_sent(&service, &sent);
}

#[test]
fn types_of_tokens_that_are_exchanged() {
    let service = Service::plain();
    let home = Home::new(
        "types",
        &service,
        "grant = 'token-exchange'\nclient_auth = 'none'\nsubject = 'alice'\n\
         subject_token_file = 'token'\nsubject_token_type = 'id_token'\nactor = 'orders'\n\
         actor_token_file = 'token'\nactor_token_type = 'urn:x:y'\nrequested_token_type = 'jwt'",
    );
    home.put("token", "t");
    home.token().token();
    assert_sent(
        &service,
        &[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", "t"),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token",
            ),
            ("actor_token", "t"),
            ("actor_token_type", "urn:x:y"),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:jwt",
            ),
        ],
    );
}

#[test]
fn parameters_and_headers_of_the_providers_own() {
    let service = Service::plain();
    let client = "client_id = 'sb-orders!t1'\nclient_secret_file = 'secret'\nprovider = 'xsuaa'\n";
    let home = Home::new("own", &service, "");
    home.put("secret", SECRET);
    let zone = |zone: &str| {
        let own = format!("[parameters]\napp_tid = '{zone}'\n[headers]\nx-zid = '{zone}'\n");
        home.configure(&service, &format!("{client}{own}"));
    };
    for tenant in ["7f3e", "8a4c"] {
        zone(tenant);
        home.token().token();
        let sent = [("grant_type", "client_credentials"), ("app_tid", tenant)];
        let asked = assert_sent(&service, &sent);
        assert_eq!(asked.headers["x-zid"], tenant);
        assert_eq!(asked.headers["x-cf-encoded-credentials"], "true");
    }
    // Each tenant has a token of its own.
    zone("7f3e");
    home.token().token();
    assert_eq!(run(&mut home.command("status")).status, 0);
    assert!(service.take().is_empty());

    for (own, why) in [
        (
            "[headers]\nAuthorization = 's3cret'",
            "[headers]: Authorization is not for you to set",
        ),
        (
            "[headers]\n'x zid' = 's3cret'",
            "[headers]: invalid HTTP header name",
        ),
        (
            "[headers]\nx-zid = \"s3cret\\n\"",
            "[headers]: failed to parse header value",
        ),
        (
            "[parameters]\nclient_secret = 's3cret'",
            "[parameters]: client_secret is not for you to set",
        ),
        (
            "[parameters]\ntenant = 1",
            "line 7: not TOML, or a value of the wrong type",
        ),
    ] {
        home.configure(&service, &format!("{client}\n{own}"));
        home.token().failed(2, why);
    }
    assert!(service.take().is_empty());
}

#[test]
fn a_certificate_is_presented() {
    let service = Service::start(true);
    let home = Home::new(
        "certificate",
        &service,
        "client_id = 'orders'\nclient_auth = 'tls_client_auth'\n\
         certificate_file = 'client.pem'\nprivate_key_file = 'client.key.pem'",
    );
    let token = || {
        // The platform's authorities, as OpenSSL and others let them be told.
        let mut command = home.command("token");
        run(command.env("SSL_CERT_FILE", file("ca.pem"))).token()
    };
    let present = |client: &str| {
        for suffix in ["pem", "key.pem"] {
            let name = format!("{client}.{suffix}");
            fs::copy(file(&name), home.0.join(format!("client.{suffix}"))).unwrap();
        }
    };
    present("client-1");
    let first = token();
    assert_eq!(token(), first);
    present("client-2");
    assert_ne!(token(), first, "tokens are bound to certificates");
    assert_eq!(service.seen(), ["client-1", "client-2"]);

    fs::remove_file(home.0.join("client.key.pem")).unwrap();
    assert_eq!(run(&mut home.command("status")).status, 0);
    fs::remove_file(home.0.join("client.pem")).unwrap();
    run(&mut home.command("status")).failed(2, "/client.pem: entity not found");
}

// Mistakes

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_before_anything_is_sent() {
    let case = case("mistakes").await;
    for (args, why) in [
        (
            &["--grant", "password"][..],
            "--grant: expected client_credentials, saml2-bearer, jwt-bearer, token-exchange or refresh_token",
        ),
        (&["--grant", "saml2-bearer"], "--assertion-file is missing"),
        (
            &["--grant", "jwt-bearer", "--assertion-file", "x"],
            "--subject is missing",
        ),
        (
            &["--grant", "token-exchange", "--subject", "alice"],
            "--subject-token-file is missing",
        ),
        (
            &["--grant", "refresh_token", "--subject", "alice"],
            "--refresh-token-file is missing",
        ),
        (
            &[
                "--grant",
                "refresh_token",
                "--subject",
                "alice",
                "--refresh-token-file",
                "/absent",
            ],
            "/absent: entity not found",
        ),
        (
            &["--subject", "alice"],
            "--subject: not for the grant client_credentials",
        ),
        (
            &["--grant", "jwt-bearer", "--refresh-token-file", "x"],
            "--refresh-token-file: not for the grant jwt-bearer",
        ),
        (
            &["--client-auth", "none"],
            "--client-auth: a client without a credential has no client_credentials",
        ),
    ] {
        case.run(args).failed(2, why);
    }
    let exchange = [
        "--grant",
        "token-exchange",
        "--subject",
        "alice",
        "--subject-token-file",
        "x",
    ];
    for (args, why) in [
        (
            ["--subject-token-type", "saml"],
            "--subject-token-type: expected access_token, refresh_token, id_token, saml1, saml2, jwt or a URI",
        ),
        (
            ["--requested-token-type", "x"],
            "--requested-token-type: expected",
        ),
        (["--actor", "orders"], "--actor-token-file is missing"),
        (["--actor-token-file", "x"], "--actor is missing"),
    ] {
        case.run(&[&exchange[..], &args].concat()).failed(2, why);
    }
    assert_eq!(case.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_what_was_brought() {
    let case = case("refused").await;
    let path = case.file("refresh", "s3cret-of-nobody");
    let args = ["--grant", "refresh_token", "--subject", "alice"];
    let args = [&args[..], &["--refresh-token-file", &path]].concat();
    case.run(&args).failed(4, "invalid_grant (status 400)");
    case.run(&args).failed(4, "invalid_grant (status 400)");
    assert_eq!(case.asked(), 1);
}
