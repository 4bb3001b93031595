//! Mistakes in the settings of a client.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::policy::PolicyError;

/// Why there is no [`Client`](super::Client): each is a mistake of the user's.
#[derive(Debug)]
pub(in crate::cli) enum ConfigError {
    /// A setting that is needed.
    Missing(&'static str),
    /// A setting that means nothing, and why.
    Bad(&'static str, String),
    /// Something that means nothing in a place that no flag names, and why.
    Wrong(&'static str, String),
    /// Settings that make no policy.
    Policy(PolicyError),
    /// No secret anywhere.
    NoSecret,
    /// A file that cannot be read.
    Unreadable(PathBuf, io::ErrorKind),
    /// A line of a file that is no setting.
    Toml(PathBuf, usize, String),
}

pub(super) fn missing(setting: &'static str) -> ConfigError {
    ConfigError::Missing(setting)
}

pub(super) fn bad(setting: &'static str, why: impl fmt::Display) -> ConfigError {
    ConfigError::Bad(setting, why.to_string())
}

pub(super) fn wrong(place: &'static str, why: impl fmt::Display) -> ConfigError {
    ConfigError::Wrong(place, why.to_string())
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::Unreadable(path.into(), error.kind())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(setting) => write!(f, "--{setting} is missing"),
            Self::Bad(setting, why) => write!(f, "--{setting}: {why}"),
            Self::Wrong(place, why) => write!(f, "{place}: {why}"),
            Self::Policy(error) => error.fmt(f),
            Self::NoSecret => write!(
                f,
                "no client secret: set {SECRET} or name a file with --client-secret-file"
            ),
            Self::Unreadable(path, kind) => write!(f, "{}: {kind}", path.display()),
            Self::Toml(path, line, what) => write!(f, "{}, line {line}: {what}", path.display()),
        }
    }
}

/// Where a client's secret is looked for in the environment.
pub(super) const SECRET: &str = "STEADFAST_CLIENT_SECRET";
