//! The `steadfast` command: one file for each subcommand.
//!
//! Results go to standard output, words for people to standard error. Exit status 2 is for usage
//! and unreadable input throughout.

mod config;
mod demo;
mod inspect;
mod keys;
mod serve;
mod token;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Live through an outage of your OAuth 2.0 service.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify tokens against a key set in a file.
    Verify(verify::Args),
    /// Print the current access token, issuing one only when the policy says so.
    Token(token::Args),
    /// Fetch a key set into a key file, or list what is in one.
    Keys(keys::Args),
    /// Run the embedded OAuth service until it is interrupted.
    Serve(serve::Args),
    /// Show what a token says, unverified.
    Inspect(inspect::Args),
    /// Live through an outage in twenty seconds, in three ways side by side.
    Demo(demo::Args),
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Verify(args) => verify::run(args),
        Command::Token(args) => token::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Demo(args) => demo::run(args),
    }
}
