//! Why there is no token, as facts that a caller can act on.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::transport::TransportError;

/// Why [`Rotator::token`](super::Rotator::token) has no token to give. A token that lives is always
/// given, so each of these means that none does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Issuing fails, and may work later: an outage, a rate limit, an answer that makes no sense.
    Unavailable(Failing),
    /// The service refuses this client: wrong secret, unknown client, scope or grant. It is asked
    /// again from time to time nevertheless.
    Refused(Failing),
    /// The policy requires JWTs and the service issues opaque tokens.
    Opaque(Failing),
    /// No answer yet. The renewal goes on; ask again.
    Pending,
    /// There is no token, and to ask for one needs a tokio runtime.
    NoRuntime,
    /// There is no token, and the system gives no thread to ask for one.
    NoThread,
}

impl Error {
    /// Whether only a change of settings can help, not time.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Since when, why, and what next, where issuing failed.
    pub fn failing(&self) -> Option<&Failing> {
        match self {
            Self::Unavailable(failing) | Self::Refused(failing) | Self::Opaque(failing) => {
                Some(failing)
            }
            _ => None,
        }
    }
}

impl From<Failing> for Error {
    fn from(failing: Failing) -> Self {
        match (&failing.reason, failing.class) {
            (Reason::OpaqueInsteadOfJwt, _) => Self::Opaque(failing),
            (_, Class::Permanent) => Self::Refused(failing),
            (_, Class::Transient) => Self::Unavailable(failing),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(failing) => write!(f, "no token could be issued {failing}"),
            Self::Refused(failing) => write!(f, "the service refuses this client {failing}"),
            Self::Opaque(failing) => write!(f, "no JWT could be had {failing}"),
            Self::Pending => f.write_str("no token was issued in time, the renewal goes on"),
            Self::NoRuntime => f.write_str("issuing a token needs a tokio runtime"),
            Self::NoThread => f.write_str("the system gives no thread to issue a token"),
        }
    }
}

impl std::error::Error for Error {}

/// A row of failed attempts that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first attempt of the row failed.
    pub since: Timestamp,
    /// How many attempts failed.
    pub attempts: u32,
    /// Why the last one did.
    pub reason: Reason,
    /// Whether time may help.
    pub class: Class,
    /// No request is made before.
    pub next_attempt: Timestamp,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "since {}: {}; next attempt at {}",
            self.since, self.reason, self.next_attempt
        )
    }
}

/// Whether time may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The service says that this request will not do.
    Permanent,
    /// Anything else, by lack of evidence.
    Transient,
}

/// Why one try to issue a token failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing was sent: no connection in time.
    NoConnection,
    /// Sent, and no answer in time.
    NoAnswer,
    /// No usable answer: a broken connection, or a body that is too large.
    Broken,
    /// TLS is not to be had here.
    NoTls,
    /// An answer without an OAuth error body, or a redirect.
    Status {
        /// Its HTTP status.
        status: u16,
    },
    /// An OAuth error (RFC 6749 5.2).
    Error {
        /// The HTTP status that it came with.
        status: u16,
        /// `error`, see [`ErrorCode`].
        code: ErrorCode,
        /// `error_description`, cut, and stripped of anything that looks like a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Box<str>>,
    },
    /// A success without a token that can be used.
    Unreadable,
    /// A token of a type that is not Bearer.
    TokenType,
    /// A token that was expired when it came.
    ExpiredOnArrival,
    /// The token in hand once more, so nothing was renewed.
    SameToken,
    /// An opaque token, where the policy requires a JWT.
    OpaqueInsteadOfJwt,
    /// The request could not be built: a secret, key or assertion is not to be had.
    NoCredential,
    /// The provider issues tokens for an audience alone, and the client names none.
    NoAudience,
    /// The attempt as a whole took too long.
    Deadline,
    /// The renewal panicked, or its runtime was shut down.
    BrokenOff,
    /// The store cannot be used, and what the request spends must not be sent without it.
    NoStore,
    /// Another process holds the store, and neither issues nor lets go.
    StoreBusy,
}

impl Reason {
    /// Whether the same request may be sent again within this attempt: statuses 408, 425, 429 and
    /// 5xx, no connection, no answer.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoConnection | Self::NoAnswer => true,
            Self::Status { status } | Self::Error { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500..=599)
            }
            _ => false,
        }
    }
}

impl From<TransportError> for Reason {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Connect => Self::NoConnection,
            TransportError::Timeout => Self::NoAnswer,
            TransportError::NoTls => Self::NoTls,
            TransportError::Broken | TransportError::TooLarge => Self::Broken,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnection => "no connection",
            Self::NoAnswer => "no answer in time",
            Self::Broken => "the answer broke off",
            Self::NoTls => "TLS is not available",
            Self::Status { status } => return write!(f, "status {status}"),
            Self::Error {
                status,
                code,
                description: None,
            } => return write!(f, "{code} (status {status})"),
            Self::Error {
                status,
                code,
                description: Some(words),
            } => return write!(f, "{code} (status {status}): {words}"),
            Self::Unreadable => "an answer without a usable token",
            Self::TokenType => "a token that is not a bearer token",
            Self::ExpiredOnArrival => "a token that was expired when it came",
            Self::SameToken => "the same token again",
            Self::OpaqueInsteadOfJwt => "an opaque token where a JWT is required",
            Self::NoCredential => "the credential is not to be had",
            Self::NoAudience => "the provider wants an audience",
            Self::Deadline => "the attempt took too long",
            Self::BrokenOff => "the renewal broke off",
            Self::NoStore => "the store cannot be used, and a refresh token is not sent without it",
            Self::StoreBusy => "another process holds the store and issues nothing",
        })
    }
}

/// An OAuth error code as it may be shown: at most 64 characters of `a-z A-Z 0-9 _ - .`, since what
/// a service sends as a code might be anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct ErrorCode(Box<str>);

impl ErrorCode {
    /// The code, with what may not be shown cut out.
    pub fn new(code: &str) -> Self {
        let allowed = |it: &char| it.is_ascii_alphanumeric() || "_-.".contains(*it);
        Self(code.chars().take(64).filter(allowed).collect())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ErrorCode {
    fn from(code: String) -> Self {
        Self::new(&code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One try to issue a token that failed: why, whether time may help, and when the service wants to
/// be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueError {
    /// Why.
    pub reason: Reason,
    /// Whether time may help.
    pub class: Class,
    /// `Retry-After` of the answer.
    pub retry_after: Option<Duration>,
}

impl IssueError {
    /// A failure that time may mend.
    pub fn transient(reason: Reason) -> Self {
        Self {
            reason,
            class: Class::Transient,
            retry_after: None,
        }
    }

    /// A failure that only a change of settings mends.
    pub fn permanent(reason: Reason) -> Self {
        Self {
            class: Class::Permanent,
            ..Self::transient(reason)
        }
    }
}

impl From<TransportError> for IssueError {
    fn from(error: TransportError) -> Self {
        Self::transient(error.into())
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl std::error::Error for IssueError {}
