//! `steadfast token --rejected` and `--min-validity`: a script that wants another token than it has.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use command::{Case, ran};
use steadfast::clock::{Clock as _, SystemClock};
use steadfast::testing::Fault;

const HOUR: Duration = Duration::from_secs(3600);
const STILL_REFUSED: &str = "warning: this is the token that was refused";

async fn case(name: &str) -> Case {
    Case::new(&format!("rejected-{name}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_replaced_once_and_later_callers_share_it() {
    let case = case("once").await;
    let first = case.run(&[]).token();
    let refused = case.file("refused", &first);
    let second = case.run(&["--rejected", &refused]).token();
    assert_ne!(second, first);
    for _ in 0..20 {
        let again = case.run(&["--rejected", &refused]).token();
        assert_eq!(again, second, "a newer one is there already");
    }
    assert_eq!(case.run(&[]).token(), second);
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_token_is_printed_even_if_it_is_due() {
    let case = case("newer").await;
    let stranger = case.file("refused", "a-token-of-long-ago\n");
    let token = case.run(&[]).token();
    case.age(3 * HOUR);
    assert_eq!(case.run(&["--rejected", &stranger]).token(), token);
    assert_eq!(case.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_in_the_store_it_issues() {
    let case = case("empty").await;
    let stranger = case.file("refused", "a-token-of-long-ago");
    let token = case.run(&["--rejected", &stranger]).token();
    assert_eq!(case.run(&[]).token(), token);
    assert_eq!(case.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refused_token_comes_from_standard_input_too() {
    let case = case("stdin").await;
    let first = case.run(&[]).token();
    for (end, replaced) in [("\r\n", true), ("\n", false), ("", false)] {
        let mut command = case.command(&["--rejected", "-", "--header"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "{first}{end}").unwrap();
        drop(stdin);
        let answer = ran(child.wait_with_output().unwrap());
        assert_eq!((answer.status, answer.err.as_str()), (0, ""), "{replaced}");
        let header = answer.out.strip_prefix("Authorization: Bearer ").unwrap();
        assert_ne!(header, format!("{first}\n"));
    }
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_refuses_every_token_costs_one_per_gate() {
    let case = case("gate").await;
    let mut token = case.run(&[]).token();
    let mut refuse = |case: &Case| {
        let refused = case.file("refused", &token);
        let answer = case.run(&["--rejected", &refused]);
        let err = answer.err.clone();
        let before = std::mem::replace(&mut token, answer.token_with(""));
        (before != token, err)
    };
    assert_eq!(refuse(&case), (true, String::new()));
    for _ in 0..20 {
        let (replaced, err) = refuse(&case);
        assert!(!replaced && err.contains(STILL_REFUSED), "{err}");
    }
    assert_eq!(case.asked(), 2, "the gate lies in the store");
    // 30 s, then a minute.
    case.age(Duration::from_secs(31));
    assert_eq!(refuse(&case), (true, String::new()));
    case.age(Duration::from_secs(31));
    assert!(!refuse(&case).0);
    case.age(Duration::from_secs(30));
    assert!(refuse(&case).0);
    assert_eq!(case.asked(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_no_newer_one_is_to_be_had_it_is_the_same_again() {
    let case = case("outage").await;
    let first = case.run(&["--retries", "0"]).token();
    case.age(Duration::from_secs(5));
    case.service.fault(Fault::bad_gateway());
    let refused = case.file("refused", &first);
    for _ in 0..5 {
        let answer = case.run(&["--rejected", &refused, "--retries", "0"]);
        assert!(answer.err.contains("status 502"), "{}", answer.err);
        assert_eq!(answer.token_with(STILL_REFUSED), first);
    }
    assert_eq!(case.asked(), 2, "a pause is never bypassed");
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_tokens_fall_back_to_the_one_before() {
    let case = case("former").await;
    let first = case.run(&[]).token();
    case.age(3 * HOUR);
    let second = case.run(&[]).token();
    case.service.fault(Fault::bad_gateway());
    let refused = case.file("refused", &second);
    let answer = case.run(&["--rejected", &refused, "--retries", "0"]);
    assert_eq!(answer.token_with("status 502"), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_is_a_mistake_of_usage() {
    let case = case("usage").await;
    for (text, why) in [
        ("", "expected an access token"),
        ("\n", "expected an access token"),
        ("a b\n", "expected an access token"),
        ("a\n\n", "expected an access token"),
        ("\u{e9}", "expected an access token"),
    ] {
        let refused = case.file("refused", text);
        case.run(&["--rejected", &refused]).failed(2, why);
    }
    case.run(&["--rejected", "/nowhere"])
        .failed(2, "--rejected: /nowhere: entity not found");
    case.run(&["--rejected", "-"])
        .failed(2, "expected an access token");
    fs::write(case.home.join("bytes"), [0xff, b'a']).unwrap();
    let bytes = case.home.join("bytes");
    case.run(&["--rejected", bytes.to_str().unwrap()])
        .failed(2, "expected an access token");
    assert_eq!(case.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_margin_counts_to_half_of_the_lifetime_at_most() {
    let case = case("half").await;
    let wide = ["--rotate-every", "6h..6h", "--min-validity", "11h"];
    let first = case.run(&wide).token();
    case.age(HOUR * 59 / 10);
    let shorter = "shorter than --min-validity";
    assert_eq!(case.run(&wide).token_with(shorter), first);
    assert_eq!(case.asked(), 1, "over half of it is left");
    case.age(HOUR / 10 + Duration::from_secs(1));
    assert_ne!(case.run(&wide).token(), first);
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_a_longer_life_is_bounded() {
    let case = case("bounded").await;
    let first = case.run(&[]).token();
    case.age(9 * HOUR);
    case.service.fault(Fault::hang());
    let begun = SystemClock.now().boot;
    let answer = case.run(&["--min-validity", "4h"]);
    let took = SystemClock.now().boot - begun;
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(answer.token_with("shorter than --min-validity"), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_asked_for_is_named_and_found_unusable_before_a_request() {
    let case = case("store").await;
    let file = case.file("file", "");
    let inside = format!("{file}/tokens.json");
    let args = ["--store", &inside];
    case.run(&args).failed(2, "the store cannot be used: ");
    case.run(&args).failed(2, &format!("({inside})"));
    let store = case.file("tokens.json", r#"{"version":1,"entries":{}}"#);
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(case.home.join("tokens.json.lock")).unwrap();
    case.run(&["--store", &store]).failed(
        2,
        &format!("the store cannot be used: is a directory ({store})"),
    );
    assert_eq!(case.asked(), 0);
}
