//! Where a token outlives its process, and where processes agree who issues the next one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::record::Record;

mod file;
mod key;
mod memory;

pub use file::FileStore;
pub use key::{CredentialTag, StoreKey};
pub use memory::MemoryStore;

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
}

/// The right to issue the next token of one key. Dropped, it is free again; it must not outlive its
/// process.
pub trait Claim: Send {
    /// Replaces the record, durably, before it returns.
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()>;
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
