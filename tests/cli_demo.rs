//! `steadfast demo`, run once with the default seed: 20 seconds, whatever the machine.

#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn the_main_job_end_to_end() {
    let page = concat!(env!("CARGO_TARGET_TMPDIR"), "/demo.html");
    let output = demo(&["--json", "--html", page]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    figures(&String::from_utf8(output.stdout).unwrap());
    story(&told);
    is_told_by_the_readme(&told);
    is_self_contained(&std::fs::read_to_string(page).unwrap());
}

#[test]
fn a_page_that_cannot_be_written_is_told_at_once() {
    let page = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-such-folder/demo.html");
    let output = demo(&["--html", page]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("steadfast demo: cannot write "), "{told}");
}

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .arg("demo")
        .args(arguments)
        .output()
        .unwrap()
}

/// One line of JSON: zeros for steadfast, failures and calls for the others, the same work for all.
#[track_caller]
fn figures(stdout: &str) {
    let line = stdout.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    let json: Value = serde_json::from_str(line).unwrap();
    let strategies = json["strategies"].as_object().unwrap();
    assert_eq!(json.as_object().unwrap().len(), 1);
    assert_eq!(strategies.len(), 3);
    let figure = |strategy: &str, name: &str| {
        let figure = strategies[strategy][name].as_u64();
        figure.unwrap_or_else(|| panic!("{strategy}: no {name} in {line}"))
    };
    let operations = figure("steadfast", "operations");
    assert!((200..=400).contains(&operations), "{line}");
    for strategy in ["steadfast", "token_per_operation", "cached_until_expiry"] {
        assert_eq!(strategies[strategy].as_object().unwrap().len(), 6);
        assert_eq!(figure(strategy, "operations"), operations, "{line}");
    }

    assert_eq!(figure("steadfast", "failed"), 0, "{line}");
    let waited = figure("steadfast", "calls_while_caller_waited");
    assert_eq!(waited, 0, "{line}");
    // One every 1 to 2 h while the service is there: for 7 h, and for 5 h.
    let issued = figure("steadfast", "tokens_issued");
    assert!((6..=16).contains(&issued), "{line}");
    assert!(figure("steadfast", "key_fetches") > 0, "{line}");

    for strategy in ["token_per_operation", "cached_until_expiry"] {
        assert!(figure(strategy, "failed") > 0, "{line}");
        assert!(figure(strategy, "calls_while_caller_waited") > 0, "{line}");
        assert!(figure(strategy, "longest_gap_s") > 6 * 3600, "{line}");
        assert_eq!(figure(strategy, "key_fetches"), 0, "{line}");
    }
    let succeeded = operations - figure("token_per_operation", "failed");
    let issued = figure("token_per_operation", "tokens_issued");
    assert!(issued >= succeeded, "{line}");
}

/// Every turn is told, in order, and the table stands at the end.
#[track_caller]
fn story(told: &str) {
    let mut rest = told;
    for words in [
        "the service is up",
        "the service publishes a new key",
        "the service signs with the new key",
        "the service goes down",
        "works on",
        "the service is back",
        "works again",
        "the end",
        "| strategy",
        "| token per operation",
        "| cached until expiry",
        "| steadfast",
    ] {
        let at = rest.find(words);
        let at = at.unwrap_or_else(|| panic!("no '{words}' where it belongs in {told}"));
        rest = &rest[at + words.len()..];
    }
}

/// The README shows such a table: its columns, its rows, and steadfast's zeros.
#[track_caller]
fn is_told_by_the_readme(told: &str) {
    let (printed, shown) = (Table::of(told), Table::of(include_str!("../README.md")));
    assert_eq!(shown.columns(), printed.columns());
    assert_eq!(shown.strategies(), printed.strategies());
    for column in ["failed", "calls while a caller waited"] {
        for table in [&shown, &printed] {
            assert_eq!(table.figure("steadfast", column), "0", "{column}");
        }
        for strategy in ["token per operation", "cached until expiry"] {
            assert_ne!(shown.figure(strategy, column), "0", "{column}");
        }
    }
}

/// The table of strategies in a text, without its ruler.
struct Table<'a>(Vec<Vec<&'a str>>);

impl<'a> Table<'a> {
    #[track_caller]
    fn of(text: &'a str) -> Self {
        let lines = text.lines().skip_while(|it| !it.starts_with("| strategy"));
        let rows = lines.map_while(|line| line.strip_prefix('|')?.strip_suffix('|'));
        let cells = |row: &'a str| row.split('|').map(str::trim).collect();
        let mut rows: Vec<Vec<_>> = rows.map(cells).collect();
        assert_eq!(rows.len(), 5, "{text}");
        rows.remove(1);
        Self(rows)
    }

    fn columns(&self) -> &[&str] {
        &self.0[0]
    }

    fn strategies(&self) -> Vec<&str> {
        self.0[1..].iter().map(|row| row[0]).collect()
    }

    #[track_caller]
    fn figure(&self, strategy: &str, column: &str) -> &str {
        let column = self.columns().iter().position(|it| *it == column).unwrap();
        self.0.iter().find(|row| row[0] == strategy).unwrap()[column]
    }
}

/// Nothing is fetched, and nothing runs.
#[track_caller]
fn is_self_contained(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<svg") && page.contains("<table"));
    assert!(page.contains("prefers-color-scheme: dark"));
    for foreign in [
        "//", "<script", "<link", "<img", "@import", "url(", "src=", "href=",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}
