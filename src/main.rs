//! The `steadfast` command; see [`steadfast::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    steadfast::cli::main()
}
