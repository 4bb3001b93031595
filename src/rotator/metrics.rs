//! What a rotator counts through the [`metrics`] facade.
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `steadfast_tokens_issued_total` | counter | `client` | new tokens |
//! | `steadfast_attempts_failed_total` | counter | `client`, `class`, `reason` | attempts that failed, retries included in each |
//! | `steadfast_outage_attempts_total` | counter | `client` | of those, the ones that nobody noticed, since a token lived |
//! | `steadfast_tokens_rejected_total` | counter | `client` | tokens that a resource refused, as often as it was told |
//! | `steadfast_store_errors_total` | counter | `client` | renewals that found the store to be of no use |
//! | `steadfast_token_expires_at_seconds` | gauge | `client` | when the latest token expires, in Unix time |
//!
//! `client` is the first 12 hexadecimal digits of [`Rotator::store_key`](super::Rotator::store_key),
//! which reveals nothing. `class` is `permanent` or `transient`; `reason` is a [`Reason`] in snake
//! case, such as `no_connection` or `status`, without what came with it.
//!
//! A call that finds its token fresh counts nothing, and costs what it costs without this feature.

use ::metrics::{counter, gauge};
use serde_json::Value;

use super::Health;
use super::error::{Class, IssueError, Reason};
use super::store::StoreKey;

/// See the [module](self).
pub const TOKENS_ISSUED: &str = "steadfast_tokens_issued_total";
/// See the [module](self).
pub const ATTEMPTS_FAILED: &str = "steadfast_attempts_failed_total";
/// See the [module](self).
pub const OUTAGE_ATTEMPTS: &str = "steadfast_outage_attempts_total";
/// See the [module](self).
pub const TOKENS_REJECTED: &str = "steadfast_tokens_rejected_total";
/// See the [module](self).
pub const STORE_ERRORS: &str = "steadfast_store_errors_total";
/// See the [module](self).
pub const TOKEN_EXPIRES_AT: &str = "steadfast_token_expires_at_seconds";

pub(super) fn issued(key: &StoreKey) {
    counter!(TOKENS_ISSUED, "client" => client(key)).increment(1);
}

pub(super) fn failed(key: &StoreKey, error: &IssueError, a_token_lives: bool) {
    let (class, reason) = (class(error.class), reason(&error.reason));
    counter!(ATTEMPTS_FAILED, "client" => client(key), "class" => class, "reason" => reason)
        .increment(1);
    if a_token_lives {
        counter!(OUTAGE_ATTEMPTS, "client" => client(key)).increment(1);
    }
}

pub(super) fn rejected(key: &StoreKey) {
    counter!(TOKENS_REJECTED, "client" => client(key)).increment(1);
}

pub(super) fn store_failed(key: &StoreKey) {
    counter!(STORE_ERRORS, "client" => client(key)).increment(1);
}

pub(super) fn landed(key: &StoreKey, health: &Health) {
    if let Some(expires_at) = health.expires_at {
        gauge!(TOKEN_EXPIRES_AT, "client" => client(key)).set(expires_at.as_secs_f64());
    }
}

fn client(key: &StoreKey) -> String {
    key.to_string().chars().take(12).collect()
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Permanent => "permanent",
        Class::Transient => "transient",
    }
}

/// As it is called in a store.
fn reason(reason: &Reason) -> String {
    let stored = serde_json::to_value(reason).unwrap_or_default();
    let kind = stored.get("kind").and_then(Value::as_str);
    kind.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotator::error::ErrorCode;

    #[test]
    fn a_reason_without_what_came_with_it() {
        let error = Reason::Error {
            status: 400,
            code: ErrorCode::new("invalid_client"),
            description: Some("words".into()),
        };
        assert_eq!(reason(&error), "error");
        assert_eq!(reason(&Reason::Status { status: 503 }), "status");
        assert_eq!(reason(&Reason::NoConnection), "no_connection");
        assert_eq!(reason(&Reason::OpaqueInsteadOfJwt), "opaque_instead_of_jwt");
    }
}
