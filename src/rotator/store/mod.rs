//! Where a token outlives its process, and where processes agree who issues the next one.
//!
//! [`MemoryStore`] serves one process, [`FileStore`] those of one user on one machine, and
//! `RedisStore`, with the feature `redis`, a fleet. [`Sealed`] goes around any of them. Whatever a
//! store does, it keeps nobody from a token that lives in the process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::record::Record;
use crate::clock::Timestamp;
use crate::policy::Finding;

mod file;
mod in_time;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod seal;

#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use super::store_key::{CredentialTag, StoreKey};
pub use file::FileStore;
pub use memory::MemoryStore;
pub use seal::{SealKey, SealKeyError, Sealed};

pub(super) use in_time::{LONGEST_ANSWER_OF_A_STORE, in_time};

/// A future that a [`Store`] or a [`Claim`] returns.
pub type Storing<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Holds one [`Record`] per [`StoreKey`], and one [`Claim`] at a time on each.
///
/// A store is one trust domain: whoever may read it may act as its clients.
pub trait Store: Send + Sync + 'static {
    /// Reads what is known; `None` if nothing is, or if it cannot be understood. Waits for no claim.
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>>;

    /// Tries once, without waiting, to become the one who issues; `None` while another one is.
    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>>;

    /// A claim without the other one's consent, for when its holder was silent for too long. What
    /// is written under it replaces only what is not newer, as well as the store can tell.
    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>>;

    /// When any client was last about to ask, where one claim is for all of them: whoever waits for
    /// that claim cannot tell by its own record whether the holder is at work.
    fn stamp(&self) -> Storing<'_, Option<Timestamp>> {
        Box::pin(async { Ok(None) })
    }

    /// What the key that records are sealed with is called, if they are: part of the [`StoreKey`],
    /// so that clients with different keys do not take each other's records for damaged ones.
    fn seal_id(&self) -> Option<String> {
        None
    }

    /// What is odd about keeping tokens there.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// The right to issue the next token of one key. Dropped, it is free again, at once or soon; it must
/// not outlive its process for long.
pub trait Claim: Send {
    /// Replaces the record, durably, before it returns. A record that is newer stays.
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()>;

    /// Gives the claim back, for a store where that takes a while; nothing is written after it.
    fn release(&mut self) -> Storing<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A store that is shared, or chosen while the program runs.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        (**self).read(key)
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        (**self).try_claim(key)
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        (**self).claim_anyway(key)
    }

    fn stamp(&self) -> Storing<'_, Option<Timestamp>> {
        (**self).stamp()
    }

    fn seal_id(&self) -> Option<String> {
        (**self).seal_id()
    }

    fn findings(&self) -> Vec<Finding> {
        (**self).findings()
    }
}

/// Why a store is of no use. What went wrong, never what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The place cannot be read or written: why, in the words of the system.
    Unusable(Box<str>),
    /// Others may read or write the place, so no secret may lie there: why.
    Exposed(Box<str>),
    /// Another one holds the claim.
    Busy,
}

impl StoreError {
    fn unusable(why: impl Into<Box<str>>) -> Self {
        Self::Unusable(why.into())
    }

    fn no_answer() -> Self {
        Self::unusable("no answer in time")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) => write!(f, "the store cannot be used: {why}"),
            Self::Exposed(why) => write!(f, "the store is not private: {why}"),
            Self::Busy => f.write_str("another process holds the store"),
        }
    }
}

impl std::error::Error for StoreError {}
