//! What a run says at its end: the table, the JSON line, and whether the demo proved its point.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::chronicle::{Chronicle, Figures, Strategy};

/// The figures of all three strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    steadfast: Figures,
    token_per_operation: Figures,
    cached_until_expiry: Figures,
}

impl Report {
    /// Draws the figures from what happened; `tokens_issued` is what the service counted.
    pub(super) fn new(chronicle: &Chronicle, tokens_issued: impl Fn(Strategy) -> u64) -> Self {
        let figures = |strategy| chronicle.figures(strategy, tokens_issued(strategy));
        Self {
            steadfast: figures(Strategy::Steadfast),
            token_per_operation: figures(Strategy::TokenPerOperation),
            cached_until_expiry: figures(Strategy::CachedUntilExpiry),
        }
    }

    /// The figures of one strategy.
    pub(super) fn of(&self, strategy: Strategy) -> &Figures {
        match strategy {
            Strategy::Steadfast => &self.steadfast,
            Strategy::TokenPerOperation => &self.token_per_operation,
            Strategy::CachedUntilExpiry => &self.cached_until_expiry,
        }
    }

    /// Why the demo proves nothing, if it does not: with one sentence for each reason.
    pub(super) fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        let ours = self.steadfast;
        if ours.operations == 0 {
            flaws.push("steadfast had nothing to do".into());
        }
        if ours.failed > 0 {
            flaws.push(format!("steadfast had {} failed operations", ours.failed));
        }
        if ours.calls_while_caller_waited > 0 {
            let calls = ours.calls_while_caller_waited;
            flaws.push(format!("callers of steadfast waited for {calls} calls"));
        }
        for strategy in [Strategy::TokenPerOperation, Strategy::CachedUntilExpiry] {
            let theirs = self.of(strategy);
            if theirs.operations != ours.operations {
                flaws.push(format!("'{strategy}' had other work to do"));
            }
            if theirs.failed == 0 {
                flaws.push(format!("'{strategy}' had no failed operation"));
            }
            if theirs.calls_while_caller_waited == 0 {
                flaws.push(format!("no caller of '{strategy}' waited for a call"));
            }
        }
        flaws
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            strategies: &'a Report,
        }
        // Numbers under fixed names: nothing in it can fail to be written.
        serde_json::to_string(&Line { strategies: self }).unwrap_or_default()
    }

    /// A table in Markdown whose columns line up.
    pub(super) fn table(&self) -> String {
        let rows = Strategy::ALL.map(|it| cells(it, self.of(it)));
        let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| {
            rows.iter()
                .chain([&COLUMNS.map(String::from)])
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        });
        let mut table = String::new();
        push_row(&mut table, &COLUMNS.map(String::from), &widths);
        push_row(&mut table, &ruler(&widths), &widths);
        for row in rows {
            push_row(&mut table, &row, &widths);
        }
        table
    }
}

/// The columns of the table.
pub(super) const COLUMNS: [&str; 7] = [
    "strategy",
    "operations",
    "failed",
    "tokens issued",
    "calls while a caller waited",
    "key fetches in the background",
    "longest gap",
];

type Row = [String; COLUMNS.len()];

/// One row of the table.
pub(super) fn cells(strategy: Strategy, figures: &Figures) -> Row {
    [
        strategy.to_string(),
        figures.operations.to_string(),
        figures.failed.to_string(),
        figures.tokens_issued.to_string(),
        figures.calls_while_caller_waited.to_string(),
        figures.key_fetches.to_string(),
        words(Duration::from_secs(figures.longest_gap_s)),
    ]
}

fn ruler(widths: &[usize; COLUMNS.len()]) -> Row {
    let mut first = true;
    widths.map(|width| {
        let left = std::mem::take(&mut first);
        let dashes = "-".repeat(width - usize::from(!left));
        if left { dashes } else { dashes + ":" }
    })
}

fn push_row(table: &mut String, row: &Row, widths: &[usize; COLUMNS.len()]) {
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        // Writing to a string cannot fail.
        let _ = match column {
            0 => write!(table, "| {cell:<width$} |"),
            _ => write!(table, " {cell:>width$} |"),
        };
    }
    table.push('\n');
}

/// A duration for people: `7 s`, `12 min`, `8 h 02 min`.
pub(super) fn words(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (duration.as_secs(), minutes) {
        (secs, 0) => format!("{secs} s"),
        (_, minutes @ 1..60) => format!("{minutes} min"),
        (_, minutes) => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Made up, and good.
    pub(in super::super) fn report() -> Report {
        let figures =
            |failed, tokens_issued, calls_while_caller_waited, key_fetches, gap| Figures {
                operations: 244,
                failed,
                tokens_issued,
                calls_while_caller_waited,
                key_fetches,
                longest_gap_s: gap,
            };
        Report {
            steadfast: figures(0, 14, 0, 97, 31),
            token_per_operation: figures(101, 143, 143, 0, 28_921),
            cached_until_expiry: figures(98, 13, 77, 0, 28_200),
        }
    }

    #[test]
    fn the_table_lines_up() {
        assert_eq!(
            report().table(),
            "\
| strategy            | operations | failed | tokens issued | calls while a caller waited | key fetches in the background | longest gap |
| ------------------- | ---------: | -----: | ------------: | --------------------------: | ----------------------------: | ----------: |
| token per operation |        244 |    101 |           143 |                         143 |                             0 |  8 h 02 min |
| cached until expiry |        244 |     98 |            13 |                          77 |                             0 |  7 h 50 min |
| steadfast           |        244 |      0 |            14 |                           0 |                            97 |        31 s |
"
        );
    }

    #[test]
    fn the_json_line_is_as_promised() {
        let json = report().json();
        assert!(
            json.starts_with(
                r#"{"strategies":{"steadfast":{"operations":244,"failed":0,"tokens_issued":14,"calls_while_caller_waited":0,"key_fetches":97,"longest_gap_s":31},"token_per_operation":{"#
            ),
            "{json}"
        );
        assert!(!json.contains('\n'));
    }

    #[test]
    fn a_demo_without_contrast_proves_nothing() {
        assert_eq!(report().flaws(), [""; 0]);
        let mut all_good = report();
        all_good.token_per_operation = all_good.steadfast;
        assert_eq!(
            all_good.flaws(),
            [
                "'token per operation' had no failed operation",
                "no caller of 'token per operation' waited for a call",
            ]
        );
        let mut all_bad = report();
        all_bad.steadfast = all_bad.cached_until_expiry;
        assert_eq!(
            all_bad.flaws(),
            [
                "steadfast had 98 failed operations",
                "callers of steadfast waited for 77 calls",
            ]
        );
    }

    #[test]
    fn durations_in_words() {
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (719, "11 min"),
            (28_921, "8 h 02 min"),
        ] {
            assert_eq!(words(Duration::from_secs(secs)), text);
        }
    }
}
