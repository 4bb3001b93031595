//! What a store calls a client, and how it tells one credential from another: hashes, which reveal
//! nothing of what they are made of.

use std::fmt;

use ring::{digest, hmac};
use serde::{Deserialize, Serialize};

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

/// Tells one credential from another without telling what it is: 32 bits of an HMAC. Whoever reads the
/// store can try guesses of a weak secret against it, unless records are sealed; a random secret is
/// beyond that.
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

    /// The tag of a credential that is made of two.
    pub(super) fn and(self, key: &StoreKey, other: &[u8]) -> Self {
        Self::of(key, &[&self.0.to_be_bytes(), other].concat())
    }
}
