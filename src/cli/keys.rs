//! `steadfast keys`: what a key set holds, and why some of it cannot be used.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::verify::read_document;
use crate::jose::{Algorithm, KeySet, KeySetError, SkippedKey, VerifyingKey};
use crate::transport::HttpTransport;
use crate::verifier::{FetchError, KeyCache, Refresher, SourceError};

/// Fetch or discover a key set, or read one from a file, and list what can be used and why the rest
/// cannot.
///
/// Exit status: 0 listed (and written, with --out), 2 usage, a file that cannot be read or written,
/// or one without any key that can be used, 3 no key that can be used was to be had from the service.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: From,
    /// Write a key file, for `steadfast verify --jwks` and for servers that start without the service
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    out: Option<PathBuf>,
    /// The issuer that discovery must name, where it is not the one that is asked
    #[arg(long, value_name = "ISS", conflicts_with_all = ["jwks_url", "jwks"])]
    expect_issuer: Option<String>,
    /// Plain http is allowed to this host as well
    #[arg(long, value_name = "HOST", conflicts_with = "jwks")]
    allow_http_to: Option<String>,
    /// Trust in the certificate authorities of this PEM file alone
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    ca_file: Option<PathBuf>,
    /// Send what this file holds as bearer token
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    bearer_file: Option<PathBuf>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// The JWK Set at this URL
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// The JWK Set that the discovery document of this issuer names
    #[arg(long, value_name = "ISS")]
    issuer: Option<String>,
    /// JWK Set, or a key file
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> ExitCode {
    let json = args.json;
    let (listed, status) = match key_set(args) {
        Ok(keys) => (print(json, keys.keys(), keys.skipped()), 0),
        Err(trouble) => {
            say(&trouble);
            let listed = match trouble.skipped() {
                [] => Ok(()),
                skipped => print(json, &[], skipped),
            };
            (listed, trouble.status())
        }
    };
    // Where nobody reads what was asked for, nothing was done.
    ExitCode::from(if listed.is_err() { 2 } else { status })
}

fn key_set(args: Args) -> Result<KeySet, Trouble> {
    if let Some(path) = &args.source.jwks {
        let document = read_document(path).map_err(|why| Trouble::usage(path, why))?;
        return KeySet::from_json(&document).map_err(|why| Trouble::File(path.clone(), why));
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Trouble::Usage("the system gives no event loop".to_owned()))?
        .block_on(fetch(args))
}

async fn fetch(args: Args) -> Result<KeySet, Trouble> {
    let keys = KeyCache::empty();
    let mut refresher =
        refresher(&args, keys.clone()).map_err(|why| Trouble::Usage(why.to_string()))?;
    if let Some(path) = &args.ca_file {
        let transport = HttpTransport::with_ca_file(path);
        refresher = refresher.transport(transport.map_err(|why| Trouble::usage(path, why))?);
    }
    if let Some(path) = &args.bearer_file {
        refresher = refresher.bearer_file(path);
    }
    if let Some(path) = &args.out {
        refresher = refresher.key_file(path);
    }
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    let fetched = handle.refresh().await;
    fetched.map_err(|why| match (&args.bearer_file, why) {
        (Some(path), FetchError::NoBearer) => Trouble::usage(path, FetchError::NoBearer),
        (_, why) => Trouble::NoKeys(why),
    })?;
    match (args.out, keys.health().key_file_error) {
        (Some(path), Some(why)) => Err(Trouble::usage(&path, why)),
        _ => Ok(keys.key_set()),
    }
}

fn refresher(args: &Args, keys: KeyCache) -> Result<Refresher, SourceError> {
    let host = args.allow_http_to.as_deref();
    if let Some(issuer) = &args.source.issuer {
        let refresher = match host {
            Some(host) => Refresher::discover_allowing_http_to(host, issuer, keys),
            None => Refresher::discover(issuer, keys),
        }?;
        return Ok(match &args.expect_issuer {
            Some(expected) => refresher.expect_issuer(expected),
            None => refresher,
        });
    }
    let url = args.source.jwks_url.as_deref().unwrap_or_default();
    match host {
        Some(host) => Refresher::jwks_allowing_http_to(host, url, keys),
        None => Refresher::jwks(url, keys),
    }
}

fn print(json: bool, keys: &[VerifyingKey], skipped: &[SkippedKey]) -> io::Result<()> {
    let listed = Listed {
        usable: keys.iter().map(Usable::from).collect(),
        skipped: skipped.iter().map(Skipped::from).collect(),
    };
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", serde_json::to_string(&listed)?);
    }
    write!(out, "{listed}")
}

/// `--json`.
#[derive(Serialize)]
struct Listed<'a> {
    usable: Vec<Usable<'a>>,
    skipped: Vec<Skipped<'a>>,
}

#[derive(Serialize)]
struct Usable<'a> {
    kid: Option<&'a str>,
    algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    thumbprint: String,
}

impl<'a> std::convert::From<&'a VerifyingKey> for Usable<'a> {
    fn from(key: &'a VerifyingKey) -> Self {
        let verifies = |it: &Algorithm| key.algorithms().contains(*it);
        let algorithms = Algorithm::ALL.into_iter().filter(verifies);
        Self {
            kid: key.kid(),
            algorithms: algorithms.map(Algorithm::name).collect(),
            issuer: key.issuer(),
            thumbprint: key.thumbprint().to_string(),
        }
    }
}

#[derive(Serialize)]
struct Skipped<'a> {
    index: usize,
    kid: Option<&'a str>,
    reason: String,
}

impl<'a> std::convert::From<&'a SkippedKey> for Skipped<'a> {
    fn from(key: &'a SkippedKey) -> Self {
        Self {
            index: key.index,
            kid: key.kid.as_deref(),
            reason: key.reason.to_string(),
        }
    }
}

/// A line each. What strangers wrote is printed so that a terminal does nothing with it.
impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in &self.usable {
            let algorithms = key.algorithms.join(" ");
            write!(
                f,
                "usable   {}  {algorithms}  {}",
                Kid(key.kid),
                key.thumbprint
            )?;
            if let Some(issuer) = key.issuer {
                write!(f, "  for {}", issuer.escape_debug())?;
            }
            writeln!(f)?;
        }
        for key in &self.skipped {
            writeln!(f, "skipped  {}  {}", Kid(key.kid), key.reason)?;
        }
        Ok(())
    }
}

struct Kid<'a>(Option<&'a str>);

impl fmt::Display for Kid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kid) => write!(f, "\"{}\"", kid.escape_debug()),
            None => f.write_str("(no kid)"),
        }
    }
}

/// Why no keys are listed.
enum Trouble {
    Usage(String),
    /// A file that is no key set.
    File(PathBuf, KeySetError),
    NoKeys(FetchError),
}

impl Trouble {
    fn usage(path: &Path, why: impl fmt::Display) -> Self {
        Self::Usage(format!("{}: {why}", path.display()))
    }

    fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File(..) => 2,
            Self::NoKeys(_) => 3,
        }
    }

    /// All keys of a set of which none can be used.
    fn skipped(&self) -> &[SkippedKey] {
        match self {
            Self::File(_, KeySetError::NoUsableKey(skipped))
            | Self::NoKeys(FetchError::KeySet(KeySetError::NoUsableKey(skipped))) => skipped,
            _ => &[],
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::File(path, why) => write!(f, "{}: {why}", path.display()),
            Self::NoKeys(why) => write!(f, "no keys: {why}"),
        }
    }
}

fn say(what: &dyn fmt::Display) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "steadfast keys: {what}");
}
