//! `steadfast verify`: is this token good?

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::clock::{Clock, Now, Timestamp};
use crate::jose::{Algorithm, AlgorithmSet, KeySet, LONGEST_DOCUMENT, LONGEST_TOKEN};
use crate::policy::parse_duration;
use crate::verifier::{self, Error, Trust, Verifier};

/// Verify a token: one JSON object on standard output tells whether it is good.
///
/// Exit status: 0 valid, 1 not valid, 2 usage or unreadable input; with --lines, 0 once every line
/// was answered.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The token, byte for byte; `-` or nothing: from standard input, where one line end is cut
    token: Option<OsString>,
    /// One token a line from standard input, one line of JSON each, in order
    #[arg(long)]
    lines: bool,
    /// JWK Set, or a key file that `steadfast keys` wrote
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// An issuer that is trusted; may be repeated
    #[arg(long, value_name = "ISS", required_unless_present_any = ["any_issuer", "jws"])]
    issuer: Vec<String>,
    /// Whatever issuer, also none
    #[arg(long, conflicts_with = "issuer")]
    any_issuer: bool,
    /// An audience that is ours; may be repeated
    #[arg(long, value_name = "AUD", required_unless_present_any = ["any_audience", "jws"])]
    audience: Vec<String>,
    /// Whatever audience, also none
    #[arg(long, conflicts_with = "audience")]
    any_audience: bool,
    /// An algorithm that is accepted, may be repeated [default: every supported asymmetric one]
    #[arg(long, value_name = "ALG", value_parser = Algorithm::from_str)]
    algorithm: Vec<Algorithm>,
    /// Unix seconds or RFC 3339 [default: the clock]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    now: Option<Timestamp>,
    /// How far clocks may differ, at most 300
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=300))]
    leeway: u64,
    /// Which kind of access token is accepted
    #[arg(long, value_enum, default_value_t = Profile::Any)]
    profile: Profile,
    /// Refuse tokens that live longer, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_lifetime: Option<Duration>,
    /// Let `oct` keys of the file verify HS256, HS384 and HS512
    #[arg(long)]
    allow_symmetric: bool,
    /// Signature only: the payload may be any bytes, `typ` and claims are not looked at
    #[arg(long)]
    jws: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    Any,
    #[value(name = "at+jwt")]
    AtJwt,
}

pub(super) fn run(args: Args) -> ExitCode {
    match answer(args) {
        Ok(status) => ExitCode::from(status),
        Err(Trouble::Output) => ExitCode::from(2),
        Err(Trouble::Input(what)) => {
            super::say("verify", &what);
            ExitCode::from(2)
        }
    }
}

enum Trouble {
    /// What cannot be read, and why.
    Input(String),
    /// Nobody reads the answer.
    Output,
}

impl Trouble {
    fn input(what: &Path, why: impl std::fmt::Display) -> Self {
        Self::Input(format!("{}: {why}", what.display()))
    }
}

fn answer(args: Args) -> Result<u8, Trouble> {
    let judge = Judge::new(&args)?;
    let verdict = match args.token.filter(|token| token != "-") {
        Some(_) if args.lines => {
            let why = "--lines takes tokens from standard input alone";
            return Err(Trouble::Input(why.to_owned()));
        }
        None if args.lines => return each_line(&judge),
        Some(token) => judge.verdict(&bytes_of(token)),
        None => judge.verdict(without_line_end(&read_all(io::stdin().lock())?)),
    };
    say(&verdict)?;
    Ok(u8::from(!verdict.valid))
}

fn each_line(judge: &Judge) -> Result<u8, Trouble> {
    let mut lines = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        let read = read_line(&mut lines, &mut line);
        if read.map_err(|why| Trouble::input(Path::new("standard input"), why))? == 0 {
            return Ok(0);
        }
        say(&judge.verdict(line.strip_suffix(b"\n").unwrap_or(&line)))?;
    }
}

/// Reads a line as far as it can matter, and skips the rest: what is longer than any token stays too
/// long.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    let enough = LONGEST_TOKEN + 2;
    let read = from.take(enough as u64).read_until(b'\n', line)?;
    if read == enough && !line.ends_with(b"\n") {
        from.skip_until(b'\n')?;
    }
    Ok(read)
}

fn say(verdict: &Verdict) -> Result<(), Trouble> {
    let json = serde_json::to_string(verdict).map_err(|_| Trouble::Output)?;
    writeln!(io::stdout(), "{json}").map_err(|_| Trouble::Output)
}

/// What tells good tokens from bad ones.
enum Judge {
    Claims(Box<Verifier<Value>>),
    Jws(KeySet, AlgorithmSet),
}

impl Judge {
    fn new(args: &Args) -> Result<Self, Trouble> {
        let keys = read_keys(&args.jwks, args.allow_symmetric)?;
        let allowed = args.algorithms();
        if args.jws {
            return Ok(Self::Jws(keys, allowed));
        }
        let mut verifier = args
            .verifier(keys)
            .algorithms(allowed)
            .leeway(Duration::from_secs(args.leeway))
            .profile(match args.profile {
                Profile::Any => verifier::Profile::Any,
                Profile::AtJwt => verifier::Profile::AtJwt,
            });
        if let Some(longest) = args.max_lifetime {
            verifier = verifier.max_lifetime(longest);
        }
        if let Some(now) = args.now {
            verifier = verifier.clock(Arc::new(StoppedClock(now)));
        }
        Ok(Self::Claims(Box::new(verifier.claims())))
    }

    fn verdict(&self, token: &[u8]) -> Verdict {
        let known = match str::from_utf8(token) {
            Ok(token) => self.known(token),
            Err(_) if token.len() > LONGEST_TOKEN => Err(Error::TooLarge {
                longest: LONGEST_TOKEN,
            }),
            Err(_) => Err(Error::Malformed("not UTF-8")),
        };
        known.unwrap_or_else(|error| Verdict {
            error: Some(error.code().as_str()),
            message: Some(error.to_string()),
            ..Verdict::default()
        })
    }

    fn known(&self, token: &str) -> Result<Verdict, Error> {
        Ok(match self {
            Self::Claims(verifier) => {
                let good = verifier.verify(token)?;
                Verdict {
                    claims: Some(good.claims().clone()),
                    ..Verdict::good(good.algorithm(), good.key_id())
                }
            }
            Self::Jws(keys, allowed) => {
                let good = keys
                    .verify_jws(token, *allowed)
                    .map_err(|error| Error::from_jws(error, *allowed, LONGEST_TOKEN))?;
                Verdict {
                    payload: Some(BASE64_URL_SAFE_NO_PAD.encode(&good.payload)),
                    ..Verdict::good(good.algorithm, good.kid.as_deref())
                }
            }
        })
    }
}

impl Args {
    fn algorithms(&self) -> AlgorithmSet {
        let default = match self.allow_symmetric {
            true => AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC),
            false => AlgorithmSet::ASYMMETRIC,
        };
        match self.algorithm.as_slice() {
            [] => default,
            stated => stated.iter().copied().collect(),
        }
    }

    fn verifier(&self, keys: KeySet) -> Verifier {
        let mut issuers = self.issuer.iter();
        match issuers.next() {
            Some(first) => {
                let first = Trust::issuer(first);
                let trust = issuers.fold(first, |trust, issuer| trust.also_issuer(issuer));
                Verifier::fixed(self.with_audience(trust), keys)
            }
            None => Verifier::fixed(self.with_audience(Trust::any_issuer()), keys),
        }
        .without_token_cache()
    }

    fn with_audience<I>(&self, issuers: verifier::Issuers<I>) -> Trust<I> {
        let anyone = issuers.any_audience();
        self.audience
            .iter()
            .fold(anyone, |trust, audience| trust.audience(audience))
    }
}

/// One line of the answer; absent members are not there.
#[derive(Default, Serialize)]
struct Verdict {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'static str>,
    /// `null` for a good token that names no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Verdict {
    fn good(algorithm: Algorithm, kid: Option<&str>) -> Self {
        Self {
            valid: true,
            alg: Some(algorithm.name()),
            kid: Some(kid.map(str::to_owned)),
            ..Self::default()
        }
    }
}

/// The time that `--now` states.
struct StoppedClock(Timestamp);

impl Clock for StoppedClock {
    fn wall(&self) -> Timestamp {
        self.0
    }

    fn boot(&self) -> Duration {
        Duration::ZERO
    }

    fn now(&self) -> Now {
        Now {
            wall: self.wall(),
            boot: self.boot(),
        }
    }
}

fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse()
        .map(Timestamp::from_secs)
        .or_else(|_| chrono::DateTime::parse_from_rfc3339(text).map(|it| it.to_utc().into()))
        .map_err(|_| "expected unix seconds, or a time such as 2026-11-25T01:26:50Z")
}

fn read_keys(path: &Path, allow_symmetric: bool) -> Result<KeySet, Trouble> {
    let document = read_document(path).map_err(|why| Trouble::input(path, why))?;
    match allow_symmetric {
        true => KeySet::from_json_with_symmetric(&document),
        false => KeySet::from_json(&document),
    }
    .map_err(|why| Trouble::input(path, why))
}

/// A key set's text; of one that is too large, as much as tells so.
pub(super) fn read_document(path: &Path) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    File::open(path)?
        .take(LONGEST_DOCUMENT as u64 + 1)
        .read_to_end(&mut document)?;
    Ok(document)
}

/// All that comes, as far as it can matter: what is longer than any token stays too long.
pub(super) fn read_all(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(64 * LONGEST_TOKEN as u64)
        .read_to_end(&mut bytes)
        .map_err(|why| format!("standard input: {why}"))?;
    Ok(bytes)
}

impl From<String> for Trouble {
    fn from(what: String) -> Self {
        Self::Input(what)
    }
}

/// Without one line end, if there is one.
pub(super) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r")
        .filter(|_| line.len() < bytes.len())
        .unwrap_or(line)
}

/// An argument's bytes; where arguments are no bytes, what is no Unicode stays no UTF-8.
pub(super) fn bytes_of(argument: OsString) -> Vec<u8> {
    argument.into_encoded_bytes()
}
