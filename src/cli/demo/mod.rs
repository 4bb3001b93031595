//! `steadfast demo`: an outage of eight hours, lived through in three ways.
//!
//! The embedded OAuth service, three resource servers and three clients run on loopback with real
//! sockets, on a clock for which a second is an hour.

mod chart;
mod chronicle;
mod page;
mod per_operation;
mod report;
mod resource;
mod scribe;
mod setting;
mod steadfast;
mod story;
mod tell;
mod token_client;
mod until_expiry;
mod wire;
mod work;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use self::chronicle::{Chronicle, Event, Strategy};
use self::per_operation::{Introspection, PerOperation};
use self::report::Report;
use self::scribe::Scribe;
use self::setting::Setting;
use self::steadfast::Steadfast;
use self::tell::Narrator;
use self::until_expiry::{RemoteKeys, UntilExpiry};
use self::work::work_through;
use crate::clock::{Clock, SystemClock};
use crate::testing::ScaledClock;

/// Show the main job in 20 seconds: an outage of eight hours, lived through in three ways.
///
/// Exit status: 0 if steadfast had no failed operation and let no caller wait for a call while the
/// others did, 1 if the demo proves nothing, 2 usage or a page that cannot be written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the times of work are drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 7)]
    seed: u64,
    /// Print one line of JSON, and the table to standard error
    #[arg(long)]
    json: bool,
    /// Write a page that draws the story
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> ExitCode {
    match play(&args) {
        Ok(report) => verdict(&report),
        Err(error) => {
            say(&format!("steadfast demo: {error}"));
            ExitCode::from(2)
        }
    }
}

fn verdict(report: &Report) -> ExitCode {
    let flaws = report.flaws();
    if flaws.is_empty() {
        return ExitCode::SUCCESS;
    }
    let flaws = flaws.join(", ");
    say(&format!("steadfast demo: this proves nothing: {flaws}"));
    ExitCode::FAILURE
}

fn play(args: &Args) -> Result<Report, Box<dyn Error>> {
    // A file that cannot be written is better known before the story than after it.
    let page = args.html.as_deref().map(create).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (chronicle, report) = runtime.block_on(live(args.seed))?;
    if let Some(mut page) = page {
        page.write_all(page::page(&chronicle, &report, args.seed).as_bytes())?;
    }
    say("");
    if args.json {
        say(&report.table());
        writeln!(io::stdout(), "{}", report.json())?;
    } else {
        write!(io::stdout(), "{}", report.table())?;
    }
    say(SMALL_PRINT);
    Ok(report)
}

fn create(page: &Path) -> Result<File, String> {
    File::create(page).map_err(|error| format!("cannot write {}: {error}", page.display()))
}

/// The story, told while it unfolds.
async fn live(seed: u64) -> Result<(Chronicle, Report), Box<dyn Error>> {
    let (events, told) = mpsc::unbounded_channel();
    let clock = ScaledClock::new(SystemClock.wall(), AN_HOUR_A_SECOND);
    let setting = Setting::start(Scribe::new(clock, events)).await?;
    let (chronicle, done) = listen(told, unfold(&setting, seed)).await;
    done?;
    let report = Report::new(&chronicle, |strategy| setting.tokens_issued(strategy));
    Ok((chronicle, report))
}

/// Lets the story take its turns while everyone works; done when all are.
async fn unfold(setting: &Setting, seed: u64) -> Result<(), Box<dyn Error>> {
    let schedule = story::schedule(seed);
    let scribe = || setting.scribe();
    let introspected = setting
        .open(Strategy::TokenPerOperation, Introspection::new(setting))
        .await?;
    let fetching = setting
        .open(Strategy::CachedUntilExpiry, RemoteKeys::new(setting))
        .await?;
    let verifier = steadfast::verifier(setting).await?;
    let offline = setting.open(Strategy::Steadfast, verifier).await?;
    let per_operation = PerOperation::new(setting)?;
    let until_expiry = UntilExpiry::new(setting)?;
    let ours = Steadfast::start(setting);
    tokio::join!(
        setting.unfold(),
        work_through(
            &schedule,
            Strategy::TokenPerOperation,
            per_operation,
            introspected,
            scribe()
        ),
        work_through(
            &schedule,
            Strategy::CachedUntilExpiry,
            until_expiry,
            fetching,
            scribe()
        ),
        work_through(&schedule, Strategy::Steadfast, ours, offline, scribe()),
    );
    Ok(())
}

/// Tells what happens until `story` is over, and keeps it.
async fn listen<T>(
    mut told: UnboundedReceiver<Event>,
    story: impl Future<Output = T>,
) -> (Chronicle, T) {
    let mut chronicle = Chronicle::default();
    let mut narrator = Narrator::default();
    let mut hear = |event: Event| {
        if let Some(line) = narrator.tell(&event) {
            say(&line);
        }
        chronicle.add(event);
    };
    let mut story = pin!(story);
    let end = loop {
        tokio::select! {
            Some(event) = told.recv() => hear(event),
            end = &mut story => break end,
        }
    };
    while let Ok(event) = told.try_recv() {
        hear(event);
    }
    (chronicle, end)
}

/// Words for people; nobody has to listen.
fn say(words: &str) {
    let _ = writeln!(io::stderr(), "{words}");
}

const AN_HOUR_A_SECOND: u32 = 3600;
const SMALL_PRINT: &str = "(virtual time: a thousandth of a second of this machine is 3.6 s)";
