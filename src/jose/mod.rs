//! The JOSE vocabulary: algorithms, keys, key sets, compact JWS, and signing.
//!
//! What is here knows signatures (RFC 7515, 7517, 7518, 8037), not claims: who may sign for whom and
//! what a token must say is the verifier's.

mod algorithm;
mod backend;
mod base64url;
mod compact;
mod conversions;
mod der;
mod edwards;
mod error;
mod headers;
mod json;
mod jwk;
mod key;
mod key_set;
mod pem;
mod provider;
mod public_pem;
pub mod sign;
#[cfg(test)]
mod test_keys;

pub use algorithm::{Algorithm, AlgorithmSet, UnknownAlgorithm};
pub use compact::{Decoded, Header, LONGEST_TOKEN, Shape, Unverified, shape, with_scratch};
pub use error::{JwsError, KeyError, KeySetError};
pub use key::{Thumbprint, VerifyingKey};
pub use key_set::{Jws, KeySet, NoKey, SkippedKey};

pub(crate) use headers::{KnownHeader, KnownHeaders};
pub(crate) use json::{
    Anything, Kind, Members, Value, read_object_in, take_members, utf8, walk_object,
};
#[cfg(feature = "http")]
pub(crate) use key_set::LONGEST_DOCUMENT;
