//! Why keys cannot be fetched.

use std::fmt;
use std::io::ErrorKind;

use crate::jose::KeySetError;
use crate::transport::{EndpointError, TransportError};

/// Why a key source cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The URL is not one that may be asked.
    Url(EndpointError),
    /// An issuer with a query or a fragment (RFC 8414 2).
    NotAnIssuer,
    /// The cache holds a fixed set, which nothing may replace.
    FixedKeys,
    /// Another refresher feeds the cache.
    HasRefresher,
}

impl From<EndpointError> for SourceError {
    fn from(error: EndpointError) -> Self {
        Self::Url(error)
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(error) => return error.fmt(f),
            Self::NotAnIssuer => "an issuer has neither query nor fragment",
            Self::FixedKeys => "a fixed key set is not refreshed",
            Self::HasRefresher => "another refresher feeds these keys",
        })
    }
}

impl std::error::Error for SourceError {}

/// Why a fetch of keys failed. What went wrong, never where or with what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer came, or one above 512 KiB.
    Transport(TransportError),
    /// An answer with this status, where 200 was wanted.
    Status(u16),
    /// 304, though no keys are in hand that it could speak of.
    NothingToKeep,
    /// The answer is no key set, or none of its keys can be used.
    KeySet(KeySetError),
    /// What should be a discovery document is not one: no JSON, no `issuer`, no `jwks_uri`.
    NoDocument,
    /// The discovery document is another issuer's.
    WrongIssuer,
    /// The discovery document's key URL may not be asked.
    KeyUrl(EndpointError),
    /// The discovery document's key URL is on another origin, which `pin_origin()` refuses.
    OtherOrigin,
    /// The file that should hold the bearer token for the source does not, or cannot be read.
    NoBearer,
    /// The watched file cannot be read, or is larger than 512 KiB.
    File(ErrorKind),
    /// The transport panicked.
    Panicked,
    /// The refresher was stopped before it had an answer.
    Stopped,
}

impl FetchError {
    /// Whether this answer leaves it open that the discovery document is at another place.
    pub(super) fn may_lie_elsewhere(&self) -> bool {
        match self {
            Self::Status(status) => *status < 500 && *status != 429,
            Self::NoDocument | Self::WrongIssuer => true,
            _ => false,
        }
    }
}

impl From<TransportError> for FetchError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport(error) => return error.fmt(f),
            Self::Status(status) => return write!(f, "the answer has status {status}"),
            Self::NothingToKeep => "the answer has status 304, but there are no keys to keep",
            Self::KeySet(error) => return error.fmt(f),
            Self::NoDocument => "the answer is no discovery document",
            Self::WrongIssuer => "the discovery document is another issuer's",
            Self::KeyUrl(error) => return write!(f, "the key URL is refused: {error}"),
            Self::OtherOrigin => "the key URL is refused: not on the issuer's origin",
            Self::NoBearer => "the file of the bearer token holds none",
            Self::File(kind) => return write!(f, "the file cannot be read: {kind}"),
            Self::Panicked => "the transport panicked",
            Self::Stopped => "the refresher was stopped",
        })
    }
}

impl std::error::Error for FetchError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (error, text) in [
            (TransportError::Connect.into(), "no connection"),
            (FetchError::Status(503), "the answer has status 503"),
            (
                FetchError::NothingToKeep,
                "the answer has status 304, but there are no keys to keep",
            ),
            (
                FetchError::KeySet(KeySetError::NotAKeySet),
                "the document has no array `keys`",
            ),
            (
                FetchError::NoDocument,
                "the answer is no discovery document",
            ),
            (
                FetchError::WrongIssuer,
                "the discovery document is another issuer's",
            ),
            (
                FetchError::KeyUrl(EndpointError::NotAUrl),
                "the key URL is refused: not an absolute https URL",
            ),
            (
                FetchError::OtherOrigin,
                "the key URL is refused: not on the issuer's origin",
            ),
            (
                FetchError::NoBearer,
                "the file of the bearer token holds none",
            ),
            (
                FetchError::File(ErrorKind::NotFound),
                "the file cannot be read: entity not found",
            ),
            (FetchError::Panicked, "the transport panicked"),
            (FetchError::Stopped, "the refresher was stopped"),
        ] {
            assert_eq!(error.to_string(), text);
        }
        for (error, text) in [
            (
                SourceError::Url(EndpointError::NotAUrl),
                "not an absolute https URL",
            ),
            (
                SourceError::NotAnIssuer,
                "an issuer has neither query nor fragment",
            ),
            (SourceError::FixedKeys, "a fixed key set is not refreshed"),
            (
                SourceError::HasRefresher,
                "another refresher feeds these keys",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
