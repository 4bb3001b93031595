//! What comes of a fetch, and by what names a source is known to a process that comes later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::jose::KeySet;

/// A fetch that succeeded.
pub(super) struct Fetched {
    /// The keys, and the document that they are from; `None` if those in hand are still the right
    /// ones.
    pub(super) keys: Option<(KeySet, Vec<u8>)>,
    /// How long the answer says that it stays fresh.
    pub(super) fresh_for: Option<Duration>,
}

/// What a key file is bound to: keys of one source are nothing to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SourceName {
    Issuer(String),
    JwksUri(String),
}

/// Where the last good key set was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
}
