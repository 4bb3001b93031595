//! Reads figures from standard input and prints them as one table: the median over all rounds, and
//! how many times the time of the first contender's `first` row of the same algorithm it is.

use std::collections::BTreeMap;
use std::io::stdin;

use common::Figure;

type Row = (String, String);

fn main() {
    let mut order: Vec<Row> = Vec::new();
    let mut times: BTreeMap<(Row, String), Vec<f64>> = BTreeMap::new();
    let mut wrong: BTreeMap<Row, String> = BTreeMap::new();
    for line in stdin().lines() {
        let line = line.expect("text");
        let figure: Figure = serde_json::from_str(&line).expect("a figure");
        let row = (figure.row, figure.contender);
        if !order.contains(&row) {
            order.push(row.clone());
        }
        match figure.wrong {
            Some(reason) => drop(wrong.insert(row, format!("{}: {reason}", figure.algorithm))),
            None => times
                .entry((row, figure.algorithm))
                .or_default()
                .push(figure.nanoseconds),
        }
    }
    // Whole verifications first, then remembered tokens.
    order.sort_by_key(|(row, _)| row == "known");
    let medians: BTreeMap<&(Row, String), f64> = times
        .iter()
        .map(|(key, times)| (key, median(times.clone())))
        .collect();
    println!("| verifier | row | {} |", ALGORITHMS.join(" | "));
    println!("|---|---|{}", "---:|".repeat(ALGORITHMS.len()));
    for row in &order {
        let cells = ALGORITHMS.map(|algorithm| {
            let at = |row: &Row| medians.get(&(row.clone(), algorithm.to_owned())).copied();
            let best = order.iter().filter(|other| other.0 == row.0).filter_map(at);
            match (at(row), at(&order[0])) {
                (Some(time), Some(one)) => cell(time, one, best.fold(f64::MAX, f64::min)),
                _ => "–".into(),
            }
        });
        println!("| {} | {} | {} |", row.1, row.0, cells.join(" | "));
    }
    println!(
        "\nIn brackets: how many times what the first line takes. In bold: the fastest of its kind."
    );
    println!(
        "fast-jwt holds one key and knows no key ids; the others choose by id from a set of three."
    );
    for ((_, contender), reason) in wrong {
        println!("\n{contender}: {reason}");
    }
}

/// The winner of its kind is in bold type.
fn cell(time: f64, one: f64, best: f64) -> String {
    let text = match time {
        short if short < 1000.0 => format!("{short:.0} ns"),
        long => format!("{:.2} µs", long / 1000.0),
    };
    let bold = if time <= best { "**" } else { "" };
    format!("{bold}{text}{bold} ({:.3})", time / one)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "EdDSA", "HS256"];
