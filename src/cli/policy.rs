//! `steadfast policy`: what a policy means.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::config::Settings;
use crate::policy::{IssuancePolicy, duration_text, parse_duration};
use crate::token::FormatPreference;

/// Explain a policy: the outages it survives, the tokens it costs, and what a leaked one is worth.
///
/// Exit status: 0 explained, 2 usage or a policy that is not legal.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file with settings of `steadfast token`, of which those of the policy count; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long tokens shall live, at most 24h [default: 12h]
    #[arg(long, value_name = "DURATION")]
    validity: Option<String>,
    /// The age at which a token is replaced is drawn from this range [default: 1h..2h]
    #[arg(long, value_name = "RANGE")]
    rotate_every: Option<String>,
    /// Tries after the first one, 0 to 2 [default: 1]
    #[arg(long, value_name = "N")]
    retries: Option<u8>,
    /// prefer-jwt, require-jwt or opaque [default: prefer-jwt]
    #[arg(long)]
    format: Option<String>,
    /// The time between two uses of the token, if nothing rotates it meanwhile
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    interval: Duration,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> ExitCode {
    let settings = Settings::of_policy(
        args.config,
        args.validity,
        args.rotate_every,
        args.retries,
        args.format,
    );
    let policy = match settings.policy_alone() {
        Ok(policy) => policy,
        Err(why) => {
            super::say("policy", &why);
            return ExitCode::from(2);
        }
    };
    match print(args.json, &Explained::new(policy, args.interval)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

fn print(json: bool, explained: &Explained) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", serde_json::to_string(explained)?);
    }
    write!(out, "{explained}")
}

/// `--json`. Durations are as the command takes them.
#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    policy: IssuancePolicy,
    #[serde(with = "duration_text")]
    interval: Duration,
    /// The longest outage that is not noticed.
    #[serde(with = "duration_text")]
    outage_tolerance: Duration,
    tokens_a_day: Count,
    /// For how long a token that leaked may be of use.
    #[serde(with = "duration_text")]
    exposure: Duration,
    /// How many tokens live at once, since none that was replaced can be taken back.
    living_tokens: Count,
    /// At the most.
    requests_per_attempt: u8,
}

#[derive(Serialize)]
struct Count {
    from: u64,
    to: u64,
}

impl Explained {
    fn new(policy: IssuancePolicy, interval: Duration) -> Self {
        Self {
            policy,
            interval,
            outage_tolerance: policy.outage_tolerance(interval),
            tokens_a_day: policy.tokens_a_day(interval).into(),
            exposure: policy.validity(),
            living_tokens: policy.living_tokens().into(),
            requests_per_attempt: 1 + policy.retries(),
        }
    }
}

impl From<std::ops::RangeInclusive<u64>> for Count {
    fn from(range: std::ops::RangeInclusive<u64>) -> Self {
        let (from, to) = range.into_inner();
        Self { from, to }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = duration_text::of;
        let (from, to) = self.policy.rotate_every().into_inner();
        let ages = Span(&text(from), &text(to)).to_string();
        let format = match self.policy.format() {
            FormatPreference::PreferJwt => "JWT is asked for, and an opaque token accepted",
            FormatPreference::RequireJwt => "JWT is asked for, and nothing else accepted",
            FormatPreference::Opaque => "whatever the service issues",
        };
        writeln!(f, "validity:  a token lives {}", text(self.exposure))?;
        writeln!(
            f,
            "rotation:  at an age of {ages} a newer one takes its place"
        )?;
        writeln!(
            f,
            "attempts:  {} request(s) at most, then a pause while the latest token is used",
            self.requests_per_attempt
        )?;
        writeln!(f, "format:    {format}")?;
        writeln!(f, "outage:    {}", self.outage())?;
        writeln!(f, "tokens:    {} a day", self.tokens_a_day)?;
        writeln!(
            f,
            "exposure:  a leaked token is of use for {} at most, and up to {} of them live at once",
            text(self.exposure),
            self.living_tokens.to
        )
    }
}

impl Explained {
    fn outage(&self) -> String {
        let text = duration_text::of;
        let uses = if self.interval.is_zero() {
            "used or rotated all the time".to_owned()
        } else {
            format!("used every {}", text(self.interval))
        };
        if self.outage_tolerance.is_zero() {
            let advice = "let a background task or an hourly `steadfast token --quiet` rotate";
            format!("none is survived for sure if {uses}; {advice}")
        } else {
            let tolerance = text(self.outage_tolerance);
            format!("one of {tolerance} is not noticed, whenever it begins, if {uses}")
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(&self.from, &self.to).fmt(f)
    }
}

/// Two ends that may be one.
struct Span<T>(T, T);

impl<T: fmt::Display + PartialEq> fmt::Display for Span<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(from, to) if from == to => from.fmt(f),
            Self(from, to) => write!(f, "{from} to {to}"),
        }
    }
}
