//! Live through an outage of your OAuth 2.0 service.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod claims;
pub mod clock;
pub mod jose;
pub mod policy;
pub mod token;
#[cfg(feature = "http")]
pub mod transport;
