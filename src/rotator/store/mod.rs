//! Where a token outlives its process, and where processes agree who issues the next one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ring::{digest, hmac};
use serde::{Deserialize, Serialize};

use super::record::Record;

mod file;
mod memory;

pub use file::FileStore;
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

/// Names what a token is for, so that clients share one only if it would be the same: SHA-256 over
/// all that changes the token, which reveals none of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// From named facts, in an order that the caller keeps. Names and values go in with their
    /// lengths, so that no two lists of facts look alike.
    pub fn of<'a>(facts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"steadfast store key 1");
        for (name, value) in facts {
            for text in [name, value] {
                context.update(&(text.len() as u64).to_be_bytes());
                context.update(text.as_bytes());
            }
        }
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(key)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({self})")
    }
}

/// Tells one credential from another without telling what it is: 32 bits of an HMAC, so that a
/// store that leaks does not confirm a guess of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialTag(u32);

impl CredentialTag {
    /// The tag of `secret` under `key`.
    pub fn of(key: &StoreKey, secret: &[u8]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), secret);
        Self(match tag.as_ref() {
            [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
            _ => 0,
        })
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
