//! Live through an outage of your OAuth 2.0 service.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod claims;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod jose;
pub mod policy;
#[cfg(feature = "http")]
pub mod rotator;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
#[cfg(feature = "http")]
pub mod transport;
pub mod verifier;
