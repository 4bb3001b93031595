//! The `steadfast` command: one file for each subcommand.
//!
//! Results go to standard output, words for people to standard error. Exit status 2 is for usage
//! and unreadable input throughout.

mod config;
mod demo;
mod inspect;
mod keys;
mod policy;
mod serve;
mod status;
mod token;
mod verify;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Live through an outage of your OAuth 2.0 service.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained where its arguments are.
#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Args),
    Token(token::Args),
    Status(status::Args),
    Policy(policy::Args),
    Keys(keys::Args),
    Serve(serve::Args),
    Inspect(inspect::Args),
    Demo(demo::Args),
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Verify(args) => verify::run(args),
        Command::Token(args) => token::run(args),
        Command::Status(args) => status::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// Words for people, of one subcommand.
fn say(subcommand: &str, what: &dyn fmt::Display) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "steadfast {subcommand}: {what}");
}

/// For a command that does one thing at a time.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
