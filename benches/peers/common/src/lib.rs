//! What all contenders share: the tokens that they verify, the answers that must be right before
//! anything is timed, and how it is timed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const ISSUER: &str = "https://login.example";
pub const AUDIENCE: &str = "https://orders.example";
/// In seconds, for everybody.
pub const LEEWAY: u64 = 60;

/// The tokens of one algorithm, all under one key set.
#[derive(Serialize, Deserialize)]
pub struct Case {
    pub algorithm: String,
    pub jwks: Value,
    pub good: String,
    /// The `jti` of the good one: who names it has read the claims.
    pub jti: String,
    /// What must be refused, by the reason.
    pub refused: BTreeMap<String, String>,
}

/// What a user would write down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NineClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub exp: u64,
    pub nbf: u64,
    pub iat: u64,
    pub jti: String,
    pub client_id: String,
    pub scope: String,
}

/// What is left of them where a library has registered claims of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FurtherClaims {
    pub client_id: String,
    pub scope: String,
}

/// One measured figure: a line of standard output.
#[derive(Serialize, Deserialize)]
pub struct Figure {
    pub contender: String,
    pub row: String,
    pub algorithm: String,
    /// Why there is no time.
    pub wrong: Option<String>,
    pub nanoseconds: f64,
}

/// The cases in the file that the first argument names.
pub fn cases() -> Vec<Case> {
    let path = env::args().nth(1).expect("the file with the cases");
    serde_json::from_slice(&fs::read(path).expect("readable")).expect("cases")
}

/// Checks `verify`, which returns the `jti` of a good token, and times it. `row` is `first` where
/// each verification is a whole one, `known` where the token may be remembered.
pub fn contend<T>(
    contender: &str,
    row: &str,
    case: &Case,
    verify: impl Fn(&str) -> Option<T>,
    jti: impl Fn(&T) -> &str,
) {
    let wrong = check(case, &verify, &jti).err();
    let nanoseconds = match wrong {
        Some(_) => 0.0,
        None => time(|| {
            black_box(verify(black_box(&case.good)));
        }),
    };
    let figure = Figure {
        contender: contender.into(),
        row: row.into(),
        algorithm: case.algorithm.clone(),
        wrong,
        nanoseconds,
    };
    println!("{}", serde_json::to_string(&figure).expect("JSON"));
}

fn check<T>(
    case: &Case,
    verify: &impl Fn(&str) -> Option<T>,
    jti: &impl Fn(&T) -> &str,
) -> Result<(), String> {
    let good = || verify(&case.good);
    // Twice, and again after the refused ones: what is remembered must be right as well.
    for _ in 0..2 {
        match good() {
            Some(token) if jti(&token) == case.jti => {}
            Some(_) => return Err("reads other claims".into()),
            None => return Err("refuses the good token".into()),
        }
        for (reason, token) in &case.refused {
            if verify(token).is_some() {
                return Err(format!("accepts: {reason}"));
            }
        }
    }
    Ok(())
}

/// The median of batches that take a few milliseconds each, in nanoseconds a call.
fn time(mut call: impl FnMut()) -> f64 {
    let mut calls = 1u32;
    while batch(&mut call, calls) < BATCH {
        calls *= 2;
    }
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| batch(&mut call, calls).as_secs_f64() * 1e9 / f64::from(calls))
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[BATCHES / 2]
}

fn batch(call: &mut impl FnMut(), calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed()
}

const BATCH: Duration = Duration::from_millis(5);
const BATCHES: usize = 31;
