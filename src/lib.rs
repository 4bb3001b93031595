//! Live through an outage of your OAuth 2.0 service.
//!
//! Two halves that meet only on the wire:
//!
//! - `rotator`, for clients: holds one long-lived access token, JWT format preferred, replaces it
//!   every one to two hours, hands out the latest one, and goes on doing so while the service cannot
//!   issue another. It keeps the token in memory, in a file, or in Redis for a fleet; programs without
//!   a runtime, and clients built on tower or reqwest, have shells of their own.
//! - [`verifier`], for resource servers: validates bearer JWTs in process against cached keys, by
//!   itself or as a layer.
//!
//! What both read is the [`policy`]; where the time goes is told in [`performance`]; `testing` has an
//! OAuth service that fails when it is told to, and `cli` is the `steadfast` command.
//!
//! # The offline guarantee
//!
//! [`Verifier::verify`](verifier::Verifier::verify) is synchronous. It takes no lock, does no I/O and
//! never calls the OAuth service: not when keys are old, not when a key id is unknown, not ever. A
//! separate task, `Refresher`, feeds it keys; with a key file, which `steadfast keys` writes as well, a
//! server verifies at once when it starts during an outage. With `default-features = false` there is
//! neither a runtime nor an HTTP client in the tree.
//!
//! # A resource server
//!
#![cfg_attr(feature = "http", doc = "```no_run")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use steadfast::verifier::{KeyCache, Refresher, Trust, Verifier};
//!
//! # async fn serve(bearer: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keys = KeyCache::empty();
//! tokio::spawn(Refresher::discover("https://login.example", keys.clone())?.run());
//!
//! let trust = Trust::issuer("https://login.example").audience("https://orders.example");
//! let verifier: Verifier = Verifier::new(trust, keys);
//!
//! let token = verifier.verify(bearer)?;
//! if !token.scope().contains("orders:read") { /* 403 */ }
//! # Ok(())
//! # }
//! ```
//!
//! # A client
//!
#![cfg_attr(feature = "http", doc = "```no_run")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use steadfast::policy::IssuancePolicy;
//! use steadfast::rotator::{ClientCredentials, Rotator};
//!
//! # async fn call(secret: String) -> Result<(), Box<dyn std::error::Error>> {
//! let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders-client", secret)?;
//! let rotator = Rotator::new(grant, IssuancePolicy::default());
//! tokio::spawn(rotator.clone().run()); // optional: rotate while idle, too
//!
//! let token = rotator.token().await?;
//! let header = format!("Bearer {}", token.expose());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | none | the offline verifier, the policy and the JOSE vocabulary |
//! | `http` (default) | the rotator, the key refresher, and their transport over reqwest without TLS |
//! | `tls` (default) | rustls on ring for that transport, built lazily, installed nowhere |
//! | `redis` | a store in Redis, for a fleet that shares one token; brings `tls` |
//! | `blocking` | the rotator for programs without a runtime: `rotator::blocking` |
//! | `tower` | a layer that verifies bearer tokens, with neither runtime nor HTTP client: `verifier::layer`; with `http` one that sends the rotator's: `rotator::layer` |
//! | `axum` | what the verifying layer found as an extractor of axum 0.8: `verifier::extract` |
//! | `reqwest-middleware` | the rotator's token for clients built with that crate: `rotator::middleware` |
//! | `metrics` | the rotator's counters through the facade of that name: `rotator::metrics` |
//! | `aws-lc-rs` | verification on aws-lc-rs instead of ring, with ES512 and ML-DSA on top; it compiles C |
//! | `testing` | an embedded OAuth service with scripted faults, test clocks and test keys |
//! | `cli` | the `steadfast` command |
//!
//! A feature only adds API and may make more keys usable, and nothing is process-global. What `tls`
//! may mean for rustls and reqwest elsewhere in a program stands in the README.

#![forbid(unsafe_code)]
// Which feature an item needs, where docs.rs shows it.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backoff;
pub mod claims;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
#[cfg(feature = "http")]
mod disk;
pub mod jose;
pub mod performance;
pub mod policy;
#[cfg(feature = "http")]
pub mod rotator;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
#[cfg(feature = "http")]
pub mod transport;
pub mod verifier;

pub use policy::IssuancePolicy;
#[cfg(feature = "http")]
pub use rotator::{ClientCredentials, Rotator};
#[cfg(feature = "http")]
pub use verifier::Refresher;
pub use verifier::{KeyCache, Trust, Verifier};

/// The README's examples are tests.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
