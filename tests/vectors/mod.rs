//! Where the vectors lie that other people published and this project does not carry.

use std::io::Write as _;
use std::path::PathBuf;

/// The folder `name` in the one that `STEADFAST_VECTORS` names. `None` where that is not set: the
/// test that asks is left out and says so. Set to anything else, it is a failure.
#[track_caller]
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let Some(vectors) = std::env::var_os("STEADFAST_VECTORS") else {
        say_left_out();
        return None;
    };
    let folder = PathBuf::from(vectors).join(name);
    assert!(folder.is_dir(), "STEADFAST_VECTORS has no folder {name}");
    Some(folder)
}

/// Written past the capture of the test harness, which shows what a test prints only when it fails.
fn say_left_out() {
    let thread = std::thread::current();
    let line = format!(
        "left out: {}::{} (STEADFAST_VECTORS is not set)\n",
        env!("CARGO_CRATE_NAME"),
        thread.name().unwrap_or("?"),
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}
