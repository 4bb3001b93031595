//! The rotator as a whole: a clock that is moved by hand, and answers by script or by the embedded
//! service.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod background;
mod calls;
mod errors;
mod issuing;
mod once;
#[path = "../script/mod.rs"]
mod script;
mod secret;
mod service;
mod spending;
mod store;
