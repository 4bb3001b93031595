//! `steadfast token`: the current access token, for a script.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::config::{Client, Proof, Settings};
use super::verify::{read_all, without_line_end};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::disk;
use crate::policy::Finding;
use crate::rotator::error::{Failing, Reason};
use crate::rotator::store::{Store, StoreError, StoreKey};
use crate::rotator::{Error, Grant as _, Health, Rotator};
use crate::token::{AccessToken, Token, TokenFormat};

/// Print the current access token, issuing a new one only when the policy says so.
///
/// Exit status: 0 token printed, 2 usage or a store that is unusable, 3 no token to be had now, 4
/// refused by the service.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Box<Settings>,
    /// A resource refused the token in this file, or on standard input for `-`: print a newer one, or
    /// with a warning the same again
    #[arg(long, value_name = "FILE|-")]
    rejected: Option<PathBuf>,
    /// Print a header: `Authorization: Bearer …`
    #[arg(long, conflicts_with = "json")]
    header: bool,
    /// Print one line of JSON with all that is known of the token
    #[arg(long)]
    json: bool,
    /// Print no token, only keep the stored one fresh
    #[arg(long, conflicts_with_all = ["header", "json"])]
    quiet: bool,
}

pub(super) fn run(args: Args) -> ExitCode {
    match answer(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say(&trouble);
            trouble.status()
        }
    }
}

/// In which shape the token is printed.
#[derive(Clone, Copy)]
enum Shape {
    Bare,
    Header,
    Json,
    Quiet,
}

impl Shape {
    fn of(args: &Args) -> Self {
        match (args.header, args.json, args.quiet) {
            (true, _, _) => Self::Header,
            (_, true, _) => Self::Json,
            (_, _, true) => Self::Quiet,
            _ => Self::Bare,
        }
    }
}

fn answer(args: Args) -> Result<(), Trouble> {
    let shape = Shape::of(&args);
    let refused = args.rejected.as_deref().map(refused).transpose()?;
    let client = args
        .settings
        .client(Proof::Given)
        .map_err(|it| Trouble::Usage(it.to_string()))?;
    let (min_validity, assertions) = (client.min_validity, client.assertions.clone());
    // One thread does; a renewal that outlasts its budget ends with the process.
    let runtime = super::runtime().map_err(|_| Trouble::NoRuntime)?;
    let rotator = rotator(client, &runtime)?;
    let latest = runtime.block_on(latest(&rotator, refused.as_ref(), min_validity));
    let health = rotator.health();
    tell_what_is_missing(&assertions, &health);
    let token = latest?;
    warn(&token, &health, min_validity);
    if refused.is_some_and(|it| it == token.access_token) {
        say(&"warning: this is the token that was refused: no newer one is to be had now");
    }
    print(shape, &token, &health)
}

/// A token as a script has it: one line end is cut.
fn refused(place: &Path) -> Result<AccessToken, Trouble> {
    let bytes = match place.to_str() {
        Some("-") => read_all(io::stdin().lock()).map(Zeroizing::new),
        _ => disk::read(place).map_err(|it| format!("{}: {}", place.display(), it.kind())),
    };
    let trouble = |why: &str| Trouble::Usage(format!("--rejected: {why}"));
    let bytes = bytes.map_err(|it| trouble(&it))?;
    std::str::from_utf8(without_line_end(&bytes))
        .ok()
        .and_then(AccessToken::new)
        .ok_or_else(|| trouble("expected an access token and nothing else"))
}

/// Files of assertions come and go, so that one that is missing matters only where one was wanted.
fn tell_what_is_missing(assertions: &[PathBuf], health: &Health) {
    let wanted = |it: &Failing| it.reason == Reason::NoCredential;
    if health.failing.as_ref().is_some_and(wanted) {
        for path in assertions {
            if let Err(error) = File::open(path) {
                say(&format_args!("{}: {}", path.display(), error.kind()));
            }
        }
    }
}

async fn latest(
    rotator: &Rotator,
    refused: Option<&AccessToken>,
    min_validity: Duration,
) -> Result<Arc<Token>, Trouble> {
    match refused {
        Some(refused) => rotator.reject_once(refused, min_validity).await,
        None => rotator.token_once(min_validity).await,
    }
    .map_err(Trouble::NoToken)
}

fn rotator(client: Client, runtime: &Runtime) -> Result<Rotator, Trouble> {
    let (place, spends) = (client.store, client.grant.spends());
    let rotator = Rotator::new(client.grant, client.policy);
    let unusable = |error: StoreError| Trouble::Usage(place.tell(&error));
    let store = match place.open() {
        Ok(store) => store,
        // Without a store a refresh token would be lost with the run that replaced it.
        Err(error) if place.is_default() && spends => {
            return Err(Trouble::NoStore(place.tell(&error)));
        }
        Err(error) if place.is_default() => {
            say(&format_args!(
                "warning: {}; going on without, so that each run issues a token",
                place.tell(&error)
            ));
            return Ok(rotator);
        }
        Err(error) => return Err(unusable(error)),
    };
    let rotator = rotator.store(Arc::clone(&store));
    if place.is_given() {
        let key = rotator.store_key();
        let check = takes_what_is_issued(&*store, &key);
        runtime.block_on(check).map_err(unusable)?;
    }
    Ok(rotator)
}

/// A file that was asked for by name must take what is issued, which is found out before anything is:
/// it gets back what it holds. One with a living token is of use even if it takes nothing.
async fn takes_what_is_issued(store: &dyn Store, key: &StoreKey) -> Result<(), StoreError> {
    let held = store.read(key).await?.and_then(|it| it.token);
    if held.is_none_or(|it| it.token.expires_at <= SystemClock.wall())
        && let Some(mut claim) = store.try_claim(key).await?
    {
        let record = store.read(key).await?.unwrap_or_default();
        claim.write(&record).await?;
    }
    Ok(())
}

fn warn(token: &Token, health: &Health, min_validity: Duration) {
    if let (true, Some(failing)) = (health.serving_through_outage, &health.failing) {
        say(&format_args!(
            "warning: this is the token of {}, which lives until {}; no newer one could be issued {failing}",
            token.issued_at, token.expires_at
        ));
    }
    let left = token.expires_at.since(SystemClock.wall());
    if left < min_validity {
        say(&format_args!(
            "warning: the token lives for {} s more, shorter than --min-validity",
            left.as_secs()
        ));
    }
    if let Some(error) = &health.store {
        say(&format_args!("warning: {error}"));
    }
}

fn print(shape: Shape, token: &Token, health: &Health) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    match shape {
        Shape::Bare => writeln!(out, "{}", token.expose()),
        Shape::Header => writeln!(out, "Authorization: Bearer {}", token.expose()),
        Shape::Json => serde_json::to_string(&Printed::new(token, health))
            .map_err(io::Error::from)
            .and_then(|line| writeln!(out, "{line}")),
        Shape::Quiet => Ok(()),
    }
    .map_err(|_| Trouble::Output)
}

/// `--json`. Times are RFC 3339.
#[derive(Serialize)]
struct Printed<'a> {
    access_token: &'a str,
    format: TokenFormat,
    scope: Option<&'a str>,
    issued_at: String,
    rotate_at: Option<String>,
    expires_at: String,
    serving_through_outage: bool,
    findings: &'a [Finding],
}

impl<'a> Printed<'a> {
    fn new(token: &'a Token, health: &'a Health) -> Self {
        Self {
            access_token: token.expose(),
            format: token.format,
            scope: token.scope.as_deref(),
            issued_at: token.issued_at.to_string(),
            rotate_at: health.rotate_at.as_ref().map(Timestamp::to_string),
            expires_at: token.expires_at.to_string(),
            serving_through_outage: health.serving_through_outage,
            findings: &health.findings,
        }
    }
}

/// Why no token is printed.
enum Trouble {
    Usage(String),
    NoToken(Error),
    /// What is asked with must not be spent without one.
    NoStore(String),
    NoRuntime,
    /// Nobody reads what is printed.
    Output,
}

impl Trouble {
    fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::NoToken(error) if error.is_refusal() => 4,
            Self::NoToken(_) | Self::NoStore(_) | Self::NoRuntime | Self::Output => 3,
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::NoToken(error) => error.fmt(f),
            Self::NoStore(why) => write!(f, "{why}; a refresh token is not sent without it"),
            Self::NoRuntime => f.write_str("the system gives no event loop"),
            Self::Output => f.write_str("the token could not be printed"),
        }
    }
}

fn say(what: &dyn fmt::Display) {
    super::say("token", what);
}
