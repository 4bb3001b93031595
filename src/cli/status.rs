//! `steadfast status`: how things stand in a client's store.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::config::{Proof, Settings, StorePlace};
use crate::clock::{Clock, Now, SystemClock, Timestamp};
use crate::policy::Finding;
use crate::rotator::error::{Class, Failing};
use crate::rotator::state::{Record, State};
use crate::rotator::store::{Store as _, StoreError};
use crate::rotator::{Grant as _, Health, Rotator, Status};
use crate::token::{Token, TokenFormat};

/// Tell how things stand in a client's store: its token, findings, failures.
///
/// Takes the settings of `steadfast token`. No service is asked for anything, and no secret is needed.
///
/// Exit status: 0 a token lives, 2 usage or a store that cannot be read, 3 none does.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Box<Settings>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> ExitCode {
    let report = match report(*args.settings) {
        Ok(report) => report,
        Err(why) => {
            super::say("status", &why);
            return ExitCode::from(2);
        }
    };
    match print(args.json, &report) {
        Ok(()) if report.status.lives() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(3),
        Err(_) => ExitCode::from(2),
    }
}

fn report(settings: Settings) -> Result<Report, String> {
    let client = settings.client(Proof::None).map_err(|it| it.to_string())?;
    let (place, policy, grant) = (client.store, client.policy, client.grant);
    let rotator = Rotator::new(Arc::clone(&grant), policy);
    let (rotator, record) = read(&place, rotator).map_err(|it| place.tell(&it))?;
    let now = SystemClock.now();
    // What failed, and what is due, is told as it was with the credential of that time.
    let failed = record.failed.as_ref().map(|it| it.credential);
    let then = failed.or(record.token.as_ref().map(|it| it.credential));
    let at_hand = grant.credential(&rotator.store_key());
    let credential = then.unwrap_or(at_hand);
    let state = State::new(policy, credential).learn(record.clone(), now);
    let mut health = state.health(now, grant.scope());
    // Neither a pause nor the token is for another credential than the one that they came of.
    let next_run = State::new(policy, at_hand).learn(record.clone(), now);
    let asks = next_run.begin(now, std::process::id()).is_some();
    let replaced = client.can_prove && at_hand != credential && asks;
    if let (true, Some(failing)) = (replaced, &mut health.failing) {
        failing.next_attempt = now.wall;
    }
    // It has no token yet, so these are of the ways to the service and to the store.
    health.findings.extend(rotator.health().findings);
    let token = state
        .token(now)
        .or(record.token.as_ref().map(|it| &it.token));
    let report = Report::new(&place, token.map(|it| &**it), health, &record, now);
    Ok(Report {
        credential_replaced: replaced,
        ..report
    })
}

/// What the store holds for the rotator. Where there is no file yet none is made.
fn read(place: &StorePlace, rotator: Rotator) -> Result<(Rotator, Record), StoreError> {
    if place.file().is_some_and(|path| !path.exists()) {
        return Ok((rotator, Record::default()));
    }
    let store = place.open()?;
    let rotator = rotator.store(Arc::clone(&store));
    let record = super::runtime()?.block_on(store.read(&rotator.store_key()))?;
    Ok((rotator, record.unwrap_or_default()))
}

fn print(json: bool, report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", serde_json::to_string(report)?);
    }
    write!(out, "{report}")
}

/// `--json`. Times are RFC 3339, ages in seconds.
#[derive(Serialize)]
struct Report {
    #[serde(serialize_with = "name")]
    status: Status,
    store: Option<String>,
    format: Option<TokenFormat>,
    scope: Option<String>,
    issued_at: Option<Moment>,
    age: Option<u64>,
    rotate_at: Option<Moment>,
    expires_at: Option<Moment>,
    serving_through_outage: bool,
    failing: Option<Failures>,
    findings: Vec<Finding>,
    credential_replaced: bool,
    visited_too_seldom: bool,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Serialize)]
struct Failures {
    since: Moment,
    attempts: u32,
    reason: String,
    class: Class,
    next_attempt: Moment,
}

#[derive(Clone, Copy, Serialize)]
#[serde(into = "String")]
struct Moment(Timestamp);

impl Report {
    fn new(
        store: &StorePlace,
        token: Option<&Token>,
        health: Health,
        record: &Record,
        now: Now,
    ) -> Self {
        Self {
            status: health.status,
            store: store.file().map(|path| path.display().to_string()),
            format: token.map(|it| it.format),
            scope: token.and_then(|it| it.scope.as_deref()).map(str::to_owned),
            issued_at: health.issued_at.map(Moment),
            age: health.issued_at.map(|it| now.wall.since(it).as_secs()),
            rotate_at: health.rotate_at.map(Moment),
            expires_at: health.expires_at.map(Moment),
            serving_through_outage: health.serving_through_outage,
            visited_too_seldom: visited_too_seldom(&health, record, now.wall),
            failing: health.failing.map(Failures::from),
            findings: health.findings,
            credential_replaced: false,
            now: now.wall,
        }
    }
}

/// Whether the token has been due, or failed to be renewed, for so long without another try that
/// uses must be far apart: over an hour, or until it expired. A client that is used once a day
/// always meets an expired token, and an outage at that time is not survived.
fn visited_too_seldom(health: &Health, record: &Record, now: Timestamp) -> bool {
    let (Some(due), Some(end)) = (health.rotate_at, health.expires_at) else {
        return false;
    };
    let failed = record.failed.as_ref().map(|it| it.written_at);
    let visits = [Some(due), record.requested_at, failed];
    let last = visits.into_iter().flatten().max().unwrap_or(due);
    let nobody_for = now.since(last);
    nobody_for > OFTEN_ENOUGH || (now >= end && nobody_for >= end.since(due))
}

/// An hourly job may be late.
const OFTEN_ENOUGH: Duration = Duration::from_secs(65 * 60);

fn name<S: Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.name())
}

impl From<Failing> for Failures {
    fn from(failing: Failing) -> Self {
        Self {
            since: Moment(failing.since),
            attempts: failing.attempts,
            reason: failing.reason.to_string(),
            class: failing.class,
            next_attempt: Moment(failing.next_attempt),
        }
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.0.to_string()
    }
}

/// A line each. What a service wrote is printed so that a terminal does nothing with it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status:    {}", self.status)?;
        if let Some(store) = &self.store {
            writeln!(f, "store:     {store}")?;
        }
        if let Some(format) = self.format {
            writeln!(f, "format:    {format}")?;
        }
        if let Some(scope) = &self.scope {
            writeln!(f, "scope:     {}", scope.escape_debug())?;
        }
        for (name, time) in [
            ("issued:   ", self.issued_at),
            ("rotation: ", self.rotate_at),
            ("expiry:   ", self.expires_at),
        ] {
            if let Some(Moment(time)) = time {
                writeln!(f, "{name} {time}, {}", Distance(time, self.now))?;
            }
        }
        if let Some(failing) = &self.failing {
            writeln!(f, "failing:   {failing}")?;
        }
        for finding in &self.findings {
            writeln!(f, "finding:   {finding}")?;
        }
        if self.credential_replaced {
            writeln!(f, "replaced:  {REPLACED}")?;
        }
        if self.visited_too_seldom {
            writeln!(f, "visits:    {TOO_SELDOM}")?;
        }
        Ok(())
    }
}

const REPLACED: &str =
    "the credential is another one now, so the next run asks the service at once";

const TOO_SELDOM: &str = "too seldom: nobody has come to renew the token since it was due; an hourly \
                          `steadfast token --quiet` keeps it fresh";

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let help = match self.class {
            Class::Permanent => "the service refuses this client",
            Class::Transient => "time may help",
        };
        write!(
            f,
            "since {}, {} attempt(s): {}; {help}; next attempt at {}",
            self.since.0,
            self.attempts,
            self.reason.escape_debug(),
            self.next_attempt.0
        )
    }
}

/// How far one moment is from another.
struct Distance(Timestamp, Timestamp);

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(moment, now) = self;
        let words = |it: Duration| match it.as_secs() {
            secs @ 0..60 => format!("{secs} s"),
            secs @ 60..3600 => format!("{} min", secs / 60),
            secs => format!("{} h {:02} min", secs / 3600, secs / 60 % 60),
        };
        if moment > now {
            write!(f, "in {}", words(moment.since(*now)))
        } else {
            write!(f, "{} ago", words(now.since(*moment)))
        }
    }
}
