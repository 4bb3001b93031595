//! `steadfast token` as a script sees it, against a real service on loopback.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use command::{CLIENT, Case, SECRET, ran, registered, run};
use http::StatusCode;
use serde_json::Value;
use steadfast::testing::{Fault, JwtIssuing};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_issued_once_and_printed_in_three_shapes() {
    let case = Case::new("shapes").await;
    let token = case.run(&[]).token();
    assert_eq!(case.run(&[]).token(), token);
    let header = case.run(&["--header"]);
    assert_eq!(header.out, format!("Authorization: Bearer {token}\n"));
    let json = case.run(&["--json"]).json();
    assert_eq!(json["access_token"], token);
    let mut members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    members.sort_unstable();
    let mut expected = [
        "access_token",
        "format",
        "scope",
        "issued_at",
        "rotate_at",
        "expires_at",
        "serving_through_outage",
        "findings",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(json["serving_through_outage"], false);
    for time in ["issued_at", "rotate_at", "expires_at"] {
        let time = json[time].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    }
    let quiet = case.run(&["--quiet"]);
    assert_eq!((quiet.status, quiet.out.as_str()), (0, ""));
    assert_eq!(case.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_it() {
    let case = Case::new("unread").await;
    for (args, status) in [
        (&["token"][..], 3),
        (&["token", "--header"], 3),
        (&["token", "--json"], 3),
        (&["token", "--quiet"], 0),
        (&["status"], 2),
        (&["status", "--json"], 2),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = case.subcommand(args[0], &args[1..]);
        let output = command.stdout(writer).stderr(Stdio::piped()).output();
        let ran = ran(output.unwrap());
        assert_eq!(ran.status, status, "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    assert_eq!(case.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_due_is_replaced() {
    let case = Case::new("due").await;
    let first = case.run(&[]).token();
    case.age(Duration::from_secs(3 * 3600));
    let second = case.run(&[]).token();
    assert_ne!(second, first);
    assert_eq!(case.run(&[]).token(), second);
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_not_noticed_while_a_token_lives() {
    let case = Case::new("outage").await;
    let token = case.run(&[]).token();
    case.service.fault(Fault::down());
    assert_eq!(case.run(&[]).token(), token, "not even asked: it is fresh");
    let before = case.service.counters().connections;

    case.age(Duration::from_secs(9 * 3600));
    let ran = case.run(&[]);
    assert_eq!((ran.status, ran.out), (0, format!("{token}\n")));
    assert!(ran.err.contains("warning"), "{}", ran.err);
    let tried = case.service.counters().connections - before;
    assert!((1..=2).contains(&tried), "{tried}");

    for _ in 0..20 {
        let ran = case.run(&["--json"]);
        assert!(ran.err.contains("warning"), "{}", ran.err);
        let json = ran.json();
        assert_eq!(json["access_token"], token);
        assert_eq!(json["serving_through_outage"], true);
    }
    let after = case.service.counters().connections - before;
    assert_eq!(after, tried, "one budget for all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_without_a_token_is_told() {
    let case = Case::new("nothing").await;
    case.service.fault(Fault::down());
    case.run(&["--retries", "0"])
        .failed(3, "no token could be issued since");
    case.service.clear_faults();
    case.service.fault(Fault::bad_gateway());
    let other = ["--scope", "orders:read", "--retries", "0"];
    case.run(&other).failed(3, "status 502");
    let asked = case.asked();
    case.run(&other).failed(3, "status 502");
    assert_eq!(case.asked(), asked, "not again so soon");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_apart_and_forgotten_with_the_secret() {
    let case = Case::new("refused").await;
    let wrong = || {
        run(case
            .command(&[])
            .env("STEADFAST_CLIENT_SECRET", "s3cret, but old"))
    };
    for _ in 0..10 {
        wrong().failed(4, "invalid_client (status 401)");
    }
    assert_eq!(case.asked(), 1, "asking again is in vain");
    let token = case.run(&[]).token();

    // A new secret replaces what the old one got; if it is wrong, the old token is still served.
    case.age(Duration::from_secs(60));
    let ran = wrong();
    assert_eq!((ran.status, ran.out), (0, format!("{token}\n")));
    assert!(ran.err.contains("invalid_client"), "{}", ran.err);
    assert_eq!(case.asked(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn jwts_are_asked_for_in_the_providers_way() {
    let case = Case::new("formats").await;
    let json = |args: &[&str]| case.run(&[args, &["--json"]].concat()).json();
    let neo = json(&["--provider", "neo"]);
    assert_eq!(neo["format"], "jwt");
    assert_eq!(neo["findings"], Value::Array(vec![]));
    assert_eq!(json(&["--provider", "uaa"])["format"], "jwt");
    let opaque = json(&["--provider", "neo", "--format", "opaque"]);
    assert_eq!(opaque["format"], "opaque");
    let generic = json(&[]);
    assert_eq!(generic["format"], "opaque");
    assert_eq!(generic["findings"][0]["finding"], "opaque_instead_of_jwt");
    case.run(&["--format", "require-jwt"])
        .failed(3, "no JWT could be had");
    assert_eq!(
        json(&["--provider", "neo", "--format", "require-jwt"])["format"],
        "jwt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_refuses_the_parameter_is_asked_without() {
    let case = Case::with("parameter", registered().jwt(JwtIssuing::Refused)).await;
    let json = case.run(&["--provider", "neo", "--json"]).json();
    assert_eq!(json["format"], "opaque");
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_the_token_has_an_entry_of_its_own() {
    let case = Case::new("entries").await;
    let settings: [&[&str]; 5] = [
        &[],
        &["--scope", "orders:read"],
        &["--scope", "orders:read", "--scope", "orders:write"],
        &["--audience", "https://orders.example"],
        &[
            "--resource",
            "https://one.example",
            "--resource",
            "https://two.example",
        ],
    ];
    let tokens: Vec<_> = settings.iter().map(|args| case.run(args).token()).collect();
    for (args, token) in settings.iter().zip(&tokens) {
        assert_eq!(&case.run(args).token(), token);
    }
    assert_eq!(case.asked(), 5);
    let both = ["--scope", "orders:write orders:read", "--json"];
    assert_eq!(case.run(&both).json()["access_token"], tokens[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn min_validity_never_replaces_a_new_token_and_warns_where_it_is_not_met() {
    let case = Case::new("validity").await;
    let first = case.run(&["--min-validity", "6h"]).token();
    let ran = case.run(&["--min-validity", "13h"]);
    assert_eq!(ran.out, format!("{first}\n"), "it is a moment old");
    assert!(
        ran.err.contains("shorter than --min-validity"),
        "{}",
        ran.err
    );
    assert_eq!(case.asked(), 1);

    case.age(Duration::from_secs(9 * 3600));
    case.service.fault(Fault::bad_gateway().times(2));
    let ran = case.run(&["--min-validity", "4h"]);
    assert_eq!((ran.status, ran.out), (0, format!("{first}\n")));
    assert!(
        ran.err.contains("shorter than --min-validity"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("no newer one"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_come_from_a_file_and_flags_win() {
    let case = Case::new("config").await;
    fs::write(case.home.join("secret"), format!("{SECRET}\n")).unwrap();
    let config = case.home.join("client.toml");
    let text = format!(
        "token_url = '{}'\nclient-id = '{CLIENT}'\nclient_secret_file = 'secret'\n\
         provider = 'neo'\nscope = ['orders:read']\nstore = 'deep/er/tokens.json'\n\
         rotate_every = '30m..1h'\n",
        case.service.token_url()
    );
    fs::write(&config, &text).unwrap();
    let config = config.to_str().unwrap();
    let json = run(&mut case.bare(&["--config", config, "--json"])).json();
    assert_eq!(json["format"], "jwt");
    assert_eq!(json["scope"], "orders:read");
    let store = case.home.join("deep/er/tokens.json");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&store), 0o600);
    assert_eq!(mode(&case.home.join("deep/er/tokens.json.lock")), 0o600);
    assert_eq!(mode(&case.home.join("deep/er")), 0o700);
    assert_eq!(mode(&case.home.join("deep")), 0o700);

    let flags = ["--config", config, "--json", "--scope", "orders:write"];
    assert_eq!(run(&mut case.bare(&flags)).json()["scope"], "orders:write");
    assert!(!case.store().exists());

    fs::write(config, format!("{text}client_secret = '{SECRET}'\n")).unwrap();
    let ran = run(&mut case.bare(&["--config", config]));
    ran.failed(2, "line 8: unknown field `client_secret`");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_a_file_or_the_environment() {
    let case = Case::new("secret").await;
    let file = case.home.join("secret");
    let file = file.to_str().unwrap();
    let with_file = |environment: &str| {
        let mut command = case.command(&["--client-secret-file", file]);
        run(command.env("STEADFAST_CLIENT_SECRET", environment))
    };
    fs::write(file, format!("{SECRET}\r\n")).unwrap();
    let token = with_file("s3cret, but wrong").token();
    assert_eq!(case.run(&[]).token(), token);
    fs::write(file, "\n").unwrap();
    with_file("").failed(2, "invalid data");
    fs::remove_file(file).unwrap();
    with_file(SECRET).failed(2, "not found");
    let none = run(case.command(&[]).env_remove("STEADFAST_CLIENT_SECRET"));
    none.failed(2, "no client secret");
    assert_eq!(case.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_usage_are_2() {
    let case = Case::new("usage").await;
    for (args, why) in [
        (&["--validity", "25h"][..], "validity must be at most 24h"),
        (&["--rotate-every", "2h..1h"], "rotation must not end"),
        (&["--retries", "3"], "retries must be 0, 1 or 2"),
        (
            &["--provider", "nobody"],
            "expected one of generic, neo, uaa",
        ),
        (&["--format", "jwt"], "expected prefer-jwt"),
        (&["--min-validity", "5"], "expected an integer and ms"),
        (&["--config", "/nowhere/client.toml"], "not found"),
    ] {
        case.run(args).failed(2, why);
    }
    run(case
        .bare(&["--client-id", "a"])
        .env("STEADFAST_CLIENT_SECRET", SECRET))
    .failed(2, "--token-url is missing");
    let insecure = ["--token-url", "http://login.example/", "--client-id", "a"];
    run(case.bare(&insecure).env("STEADFAST_CLIENT_SECRET", SECRET))
        .failed(2, "--token-url: plain http");
    for args in [
        &["--header", "--json"][..],
        &["--client-secret", "x"],
        &["--retries", "x"],
    ] {
        assert_eq!(case.run(args).status, 2);
    }
    assert_eq!(case.asked(), 0);
    assert!(!case.store().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_store_is_fatal_only_where_it_was_asked_for() {
    let case = Case::new("unusable").await;
    fs::write(case.home.join("file"), "").unwrap();
    let place = case.home.join("file/tokens.json");
    case.run(&["--store", place.to_str().unwrap()])
        .failed(2, "the store cannot be used");
    // Its lock can be had, and yet nothing can be written.
    let place = case.home.join("locked.json");
    fs::create_dir(case.home.join("locked.json.tmp")).unwrap();
    case.run(&["--store", place.to_str().unwrap()])
        .failed(2, "the store cannot be used: is a directory");
    assert!(case.home.join("locked.json.lock").exists());
    assert_eq!(case.asked(), 0);

    fs::write(case.home.join(".cache"), "").unwrap();
    let ran = case.run(&[]);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.out.len(), 33);
    assert!(
        ran.err.contains("warning: the store cannot be used"),
        "{}",
        ran.err
    );
    let homeless = run(case.command(&[]).env_remove("HOME"));
    assert_eq!(homeless.status, 0);
    assert!(
        homeless.err.contains("neither XDG_CACHE_HOME nor HOME"),
        "{}",
        homeless.err
    );
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_issued_that_could_not_be_stored_while_a_token_lives() {
    let case = Case::new("unwritable").await;
    let token = case.run(&[]).token();
    let lock = case.home.join(".cache/steadfast/tokens.json.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert_eq!(
        case.run(&[]).token(),
        token,
        "it is fresh: nobody needs to write"
    );
    case.age(Duration::from_secs(3 * 3600));
    let ran = case.run(&[]);
    assert_eq!((ran.status, ran.out), (0, format!("{token}\n")));
    assert!(
        ran.err.contains("the store cannot be used: is a directory"),
        "{}",
        ran.err
    );
    assert_eq!(case.asked(), 1);

    // Another client has no token: it gets one, and a warning.
    let ran = case.run(&["--scope", "orders:read"]);
    assert_eq!((ran.status, ran.out.len()), (0, 33));
    assert!(ran.err.contains("the store cannot be used"), "{}", ran.err);
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_others_may_open_is_refused() {
    let case = Case::new("exposed").await;
    let first = case.run(&[]).token();
    fs::set_permissions(case.store(), fs::Permissions::from_mode(0o644)).unwrap();
    let place = case.store();
    case.run(&["--store", place.to_str().unwrap()])
        .failed(2, "others may open it");
    let ran = case.run(&[]);
    assert_eq!(ran.status, 0);
    assert_ne!(ran.out, format!("{first}\n"));
    assert!(ran.err.contains("others may open it"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_have_their_place() {
    let case = Case::new("caches").await;
    let caches = case.home.join("caches");
    let token = run(case.command(&[]).env("XDG_CACHE_HOME", &caches)).token();
    let store = caches.join("steadfast/tokens.json");
    assert!(fs::read_to_string(&store).unwrap().contains(&token));
    assert!(!fs::read_to_string(&store).unwrap().contains("s3cret"));
    run(case.command(&[]).env("XDG_CACHE_HOME", "relative")).token();
    assert!(case.store().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_costs_one_token() {
    let case = Case::new("damaged").await;
    let first = case.run(&[]).token();
    fs::write(case.store(), "{\"version\":1,\"entr").unwrap();
    let second = case.run(&[]).token();
    assert_ne!(second, first);
    assert_eq!(case.run(&[]).token(), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_the_service_hold_no_secret() {
    let case = Case::new("words").await;
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"no such secret: {SECRET}, eyJhbGciOiJSUzI1NiJ9.e30.c2ln"}}"#
    );
    let answer = Fault::answer(StatusCode::UNAUTHORIZED, "application/json", body);
    case.service.fault(answer);
    case.run(&[]).failed(4, "no such secret: …");
    case.run(&[]).failed(4, "no such secret: …");
    assert!(!fs::read_to_string(case.store()).unwrap().contains("s3cret"));
}
