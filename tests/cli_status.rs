//! `steadfast status`: what a store tells, and that nobody is asked for it.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use command::{Case, Ran, registered, run};
use http::StatusCode;
use serde_json::{Value, json};
use steadfast::policy::IssuancePolicy;
use steadfast::testing::Fault;

const HOUR: Duration = Duration::from_secs(3600);

async fn case(name: &str) -> Case {
    Case::new(&format!("status-{name}")).await
}

/// The answer, with its exit status.
#[track_caller]
fn answer(ran: &Ran) -> (i32, Value) {
    assert_eq!(ran.err, "");
    (ran.status, ran.line())
}

#[track_caller]
fn assert_status(case: &Case, exit: i32, word: &str, too_seldom: bool) -> Value {
    let (status, json) = answer(&case.status(&["--json"]));
    assert_eq!((status, &json["status"]), (exit, &json!(word)), "{json}");
    assert_eq!(json["visited_too_seldom"], too_seldom, "{json}");
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_known_and_nothing_is_made() {
    let case = case("empty").await;
    let json = assert_status(&case, 3, "empty", false);
    for absent in [
        "format",
        "scope",
        "issued_at",
        "age",
        "rotate_at",
        "expires_at",
        "failing",
    ] {
        assert_eq!(json[absent], Value::Null, "{absent}");
    }
    assert_eq!(json["findings"], json!([]));
    assert_eq!(json["store"], json!(case.store()));
    let text = case.status(&[]).out;
    assert_eq!(
        text,
        format!("status:    empty\nstore:     {}\n", case.store().display())
    );
    assert!(!case.home.join(".cache").exists());
    assert_eq!(case.service.counters().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_fresh_to_expired() {
    let case = case("life").await;
    let token = case.run(&["--rotate-every", "2h..2h"]).token();
    let rotate = ["--rotate-every", "2h..2h", "--json"];
    let looks = [
        (Duration::ZERO, 0, "fresh", false),
        (2 * HOUR, 0, "due", false),
        (HOUR, 0, "due", false),
        (HOUR, 0, "due", true),
        (9 * HOUR, 3, "expired", true),
    ];
    let mut age = 0;
    for (later, exit, word, too_seldom) in looks {
        case.age(later);
        age += later.as_secs();
        let ran = case.status(&rotate);
        let (status, json) = answer(&ran);
        assert_eq!((status, &json["status"]), (exit, &json!(word)), "{json}");
        assert_eq!(json["visited_too_seldom"], too_seldom, "{json}");
        assert_eq!(json["format"], "opaque");
        assert_eq!(json["serving_through_outage"], false);
        let told = json["age"].as_u64().unwrap();
        assert!((age..age + 30).contains(&told), "{told}");
        let text = case.status(&rotate[..2]).out;
        assert!(text.starts_with(&format!("status:    {word}\n")), "{text}");
        assert_eq!(text.contains("visits:    too seldom"), too_seldom, "{text}");
        assert!(!ran.out.contains(&token) && !text.contains(&token));
    }
    assert_eq!(case.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_and_findings_in_words() {
    let hour = IssuancePolicy::new(HOUR, HOUR / 2..=HOUR / 2).unwrap();
    let case = Case::with("status-words", registered().policy(hour)).await;
    let settings = ["--scope", "orders:read", "--provider", "neo"];
    case.run(&settings).token();
    let text = case.status(&settings).out;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[2..4], ["format:    jwt", "scope:     orders:read"]);
    for (line, start, end) in [
        (4, "issued:    20", " s ago"),
        (5, "rotation:  20", " min"),
        (6, "expiry:    20", ", in 59 min"),
    ] {
        assert!(lines[line].starts_with(start), "{text}");
        assert!(lines[line].ends_with(end), "{text}");
    }
    assert_eq!(
        lines[7..],
        [
            "finding:   the token lives 1h, shorter than the 12h wanted",
            "finding:   a token that lives 1h is rotated at half of that at most, not after 2h",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_with_and_without_a_token() {
    let case = case("failing").await;
    case.run(&[]).token();
    case.age(3 * HOUR);
    case.service.fault(Fault::bad_gateway());
    case.run(&["--retries", "0"]).token_with("warning");
    let json = assert_status(&case, 0, "serving_through_outage", false);
    assert_eq!(json["serving_through_outage"], true);
    let failing = &json["failing"];
    assert_eq!(failing["attempts"], 1);
    assert_eq!(failing["reason"], "status 502");
    assert_eq!(failing["class"], "transient");
    for time in ["since", "next_attempt"] {
        assert!(failing[time].as_str().unwrap().ends_with('Z'), "{failing}");
    }
    let text = case.status(&[]).out;
    assert!(
        text.starts_with("status:    serving through an outage since 20"),
        "{text}"
    );
    assert!(
        text.contains(": status 502; time may help; next attempt at 20"),
        "{text}"
    );

    case.age(10 * HOUR);
    let json = assert_status(&case, 3, "expired", true);
    assert_eq!(json["failing"]["attempts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_does_nothing_with_what_a_service_wrote() {
    let case = case("terminal").await;
    let answer = |status, body: &str| {
        let answer = Fault::answer(status, "application/json", body);
        case.service.fault(answer.times(1));
    };
    let token = r#"{"access_token":"a","token_type":"Bearer","scope":"b\u001b[2J"}"#;
    answer(StatusCode::OK, token);
    case.run(&[]).token();
    case.age(3 * HOUR);
    let error = r#"{"error":"invalid_client","error_description":"c\u001b[2J\u009b2J"}"#;
    answer(StatusCode::UNAUTHORIZED, error);
    assert_eq!(case.run(&[]).status, 0);
    let text = case.status(&[]).out;
    assert!(text.contains("\nscope:     b\\u{1b}[2J\n"), "{text}");
    assert!(text.contains("invalid_client"), "{text}");
    let odd = |it: char| it.is_control() && it != '\n';
    assert!(!text.contains(odd), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_whichever_secret_is_at_hand() {
    let case = case("refused").await;
    let mut wrong = case.command(&[]);
    run(wrong.env("STEADFAST_CLIENT_SECRET", "s3cret, but old")).failed(4, "invalid_client");
    let json = assert_status(&case, 3, "refused", false);
    assert_eq!(json["failing"]["class"], "permanent");
    assert_eq!(json["credential_replaced"], false, "none is known here");
    let mut wrong = case.subcommand("status", &["--json"]);
    let wrong = run(wrong.env("STEADFAST_CLIENT_SECRET", "s3cret, but old")).line();
    assert_eq!(wrong["credential_replaced"], false);
    assert_eq!(wrong["failing"], json["failing"]);

    // A corrected secret is tried at once.
    let right = run(&mut case.subcommand("status", &["--json"])).line();
    assert_eq!(right["status"], "refused");
    assert_eq!(right["credential_replaced"], true);
    let next = |it: &Value| it["failing"]["next_attempt"].as_str().unwrap().to_owned();
    assert!(next(&right) < next(&json));
    let text = run(&mut case.subcommand("status", &[])).out;
    assert!(text.contains("\nreplaced:  the credential is another one now"));
    assert!(!case.status(&[]).out.contains("replaced:"));
    assert_eq!(case.asked(), 1);

    // What got the token is still at hand: nobody is asked.
    case.run(&[]).token();
    case.age(Duration::from_secs(60));
    let mut wrong = case.command(&[]);
    run(wrong.env("STEADFAST_CLIENT_SECRET", "s3cret, but old")).token_with("invalid_client");
    let with_secret = run(&mut case.subcommand("status", &["--json"])).line();
    assert_eq!(with_secret["credential_replaced"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_name_the_entry_and_mistakes_are_2() {
    let case = case("usage").await;
    case.run(&["--scope", "orders:read"]).token();
    assert_eq!(case.status(&[]).status, 3, "another client");
    assert_eq!(case.status(&["--scope", "orders:read"]).status, 0);
    case.status(&["--retries", "3"])
        .failed(2, "steadfast status: retries must be 0, 1 or 2");
    case.status(&["--provider", "auth0"])
        .failed(2, "--audience is missing");
    // Who acts for somebody else needs none.
    let for_alice = ["--subject", "alice", "--refresh-token-file", "/nowhere"];
    let for_alice = [
        &["--provider", "auth0", "--grant", "refresh_token"],
        &for_alice[..],
    ]
    .concat();
    assert_eq!(case.status(&for_alice).status, 3);
    fs::set_permissions(case.store(), fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = format!("others may open it ({})", case.store().display());
    case.status(&[]).failed(2, &exposed);
}
