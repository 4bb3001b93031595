//! The one place that names the library that verifies with public keys: ring, or aws-lc-rs with the
//! feature of that name. Symmetric keys and hashes are ring's in either build.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(not(feature = "aws-lc-rs"))]
mod on_ring;

#[cfg(feature = "aws-lc-rs")]
pub(super) use aws_lc::PublicKey;
#[cfg(not(feature = "aws-lc-rs"))]
pub(super) use on_ring::PublicKey;
