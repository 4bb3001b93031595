//! What tests need: clocks that are moved by hand, keys that are no secret, and an OAuth service
//! that can be told to fail.
//!
//! Nothing here is fit for production: the private keys are published with the crate, and what
//! looks random is not.

pub mod keys;
mod manual_clock;
mod scaled_clock;
mod service;

pub use keys::TestKey;
pub use manual_clock::ManualClock;
pub use scaled_clock::ScaledClock;
pub use service::{
    Counters, Endpoint, EndpointCounters, Fault, FaultAnswer, FaultError, FaultKind, JwtIssuing,
    OAuthService, RegisteredClient, ServiceConfig,
};
