//! `steadfast policy`: what a policy means, in words and as JSON.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;

use std::process::Stdio;

use command::{Ran, bare, run};
use serde_json::json;

/// Nothing is kept.
const HOME: &str = "/nowhere";

fn policy(args: &[&str]) -> Ran {
    run(bare(HOME.as_ref(), &["policy"]).args(args))
}

#[track_caller]
fn assert_text(args: &[&str], expected: &[&str]) {
    let ran = policy(args);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines, expected, "{args:?}");
}

#[test]
fn in_words() {
    assert_text(
        &[],
        &[
            "validity:  a token lives 12h",
            "rotation:  at an age of 1h to 2h a newer one takes its place",
            "attempts:  2 request(s) at most, then a pause while the latest token is used",
            "format:    JWT is asked for, and an opaque token accepted",
            "outage:    one of 10h is not noticed, whenever it begins, if used or rotated all the time",
            "tokens:    12 to 24 a day",
            "exposure:  a leaked token is of use for 12h at most, and up to 12 of them live at once",
        ],
    );
    let daily = [
        "--validity",
        "24h",
        "--rotate-every",
        "2h",
        "--retries",
        "0",
        "--format",
        "opaque",
        "--interval",
        "1d",
    ];
    assert_text(
        &daily,
        &[
            "validity:  a token lives 24h",
            "rotation:  at an age of 2h a newer one takes its place",
            "attempts:  1 request(s) at most, then a pause while the latest token is used",
            "format:    whatever the service issues",
            "outage:    none is survived for sure if used every 24h; let a background task or an hourly `steadfast token --quiet` rotate",
            "tokens:    1 a day",
            "exposure:  a leaked token is of use for 24h at most, and up to 12 of them live at once",
        ],
    );
}

#[test]
fn as_json() {
    let ran = policy(&["--json", "--interval", "90m", "--format", "require-jwt"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.json(),
        json!({
            "validity": "12h",
            "rotate_every": "1h..2h",
            "retries": 1,
            "format": "require-jwt",
            "interval": "90m",
            "outage_tolerance": "510m",
            "tokens_a_day": {"from": 8, "to": 16},
            "exposure": "12h",
            "living_tokens": {"from": 6, "to": 12},
            "requests_per_attempt": 2,
        })
    );
}

#[test]
fn policies_that_are_not_legal_are_2() {
    for (args, why) in [
        (&["--validity", "25h"][..], "validity must be at most 24h"),
        (
            &["--rotate-every", "0s..1h"],
            "rotation must start later than at once",
        ),
        (
            &["--rotate-every", "2h..1h"],
            "rotation must not end before it starts",
        ),
        (
            &["--rotate-every", "1h..7h"],
            "rotation must end within half of the validity",
        ),
        (&["--retries", "3"], "retries must be 0, 1 or 2"),
        (
            &["--validity", "12"],
            "--validity: expected an integer and ms",
        ),
        (&["--format", "jwt"], "--format: expected prefer-jwt"),
        (
            &["--config", "/nowhere.toml"],
            "/nowhere.toml: entity not found",
        ),
    ] {
        policy(args).failed(2, why);
    }
    for args in [
        ["--retries", "x"],
        ["--interval", "5"],
        ["--client-id", "a"],
    ] {
        let ran = policy(&args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn nobody_reads_it() {
    for (args, status) in [
        (&["policy"][..], 2),
        (&["policy", "--json"], 2),
        (&["--help"], 0),
        (&["token", "--help"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = bare(HOME.as_ref(), args);
        let output = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(!words.contains("panicked"), "{words}");
        assert_eq!(output.status.code(), Some(status), "{args:?}");
    }
}
