//! `steadfast token`: the current access token, for a script.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::config::{Client, Settings, StorePlace};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::policy::Finding;
use crate::rotator::store::{FileStore, StoreError};
use crate::rotator::{Error, Health, Rotator};
use crate::token::{Token, TokenFormat};

/// Print the current access token, issuing a new one only when the policy says so.
///
/// Exit status: 0 token printed, 2 usage or a store that is unusable, 3 no token to be had now, 4
/// refused by the service.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Box<Settings>,
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
    let shape = Shape::of(&args);
    match answer(*args.settings, shape) {
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

fn answer(settings: Settings, shape: Shape) -> Result<(), Trouble> {
    let client = settings
        .client()
        .map_err(|it| Trouble::Usage(it.to_string()))?;
    let min_validity = client.min_validity;
    let rotator = rotator(client)?;
    // One thread does; a renewal that outlasts its budget ends with the process.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Trouble::NoRuntime)?;
    let token = runtime
        .block_on(rotator.token_once(min_validity))
        .map_err(Trouble::NoToken)?;
    let health = rotator.health();
    warn(&token, &health, min_validity);
    print(shape, &token, &health)
}

fn rotator(client: Client) -> Result<Rotator, Trouble> {
    let rotator = Rotator::new(client.grant, client.policy);
    let (path, given) = match client.store {
        StorePlace::Given(path) => (Some(path), true),
        StorePlace::Default(path) => (path, false),
    };
    let no_place = || StoreError::Unusable("neither XDG_CACHE_HOME nor HOME is set".into());
    match path.ok_or_else(no_place).and_then(FileStore::open) {
        Ok(store) => Ok(rotator.store(store)),
        Err(error) if given => Err(Trouble::Usage(error.to_string())),
        Err(error) => {
            say(&format_args!(
                "warning: {error}; going on without, so that each run issues a token"
            ));
            Ok(rotator)
        }
    }
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
    NoRuntime,
    /// Nobody reads what is printed.
    Output,
}

impl Trouble {
    fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::NoToken(error) if error.is_refusal() => 4,
            Self::NoToken(_) | Self::NoRuntime | Self::Output => 3,
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::NoToken(error) => error.fmt(f),
            Self::NoRuntime => f.write_str("the system gives no event loop"),
            Self::Output => f.write_str("the token could not be printed"),
        }
    }
}

fn say(what: &dyn fmt::Display) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "steadfast token: {what}");
}
