//! HTTP as both halves need it: short deadlines, small bodies, no redirects, and errors that name
//! neither URL nor body.
//!
//! [`Transport`] is the seam: [`HttpTransport`] does it with reqwest, tests and users may bring
//! their own. Deadlines here run in real time, whatever clock the rest uses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

mod endpoint;
mod headers;
mod identity;
mod over_reqwest;
#[cfg(feature = "tls")]
mod tls;

pub use endpoint::{Endpoint, EndpointError};
pub use headers::{date, freshness, retry_after};
pub(crate) use identity::thumbprint_of_pem;
pub use identity::{ClientIdentity, IdentityError};
pub use over_reqwest::HttpTransport;
#[cfg(feature = "tls")]
pub use tls::CaError;
#[cfg(feature = "redis")]
pub(crate) use tls::{ca_file_tls, platform_tls};

/// The longest that a connection may take to open: 3 s.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// The longest silence in the middle of an answer: 5 s.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);
/// The longest that one request may take in all: 10 s.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// A future that a [`Transport`] returns.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, TransportError>> + Send + 'a>>;

/// Sends one request and reads one answer.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` to `endpoint` and returns the whole answer, whatever its status; a redirect
    /// is an answer, too, and is not followed. The URI of `request` is that of `endpoint`. Its body may
    /// hold secrets: [`HttpTransport`] wipes it after use, but not what the HTTP and TLS libraries copied.
    ///
    /// # Errors
    ///
    /// If no answer came, or its body, decompressed, is larger than `max_body` bytes.
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: http::Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a> {
        (**self).send(endpoint, request, max_body)
    }
}

/// Why no answer came. What went wrong, never where or with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, so nothing was sent: refused, unreachable, unknown host, TLS failure.
    Connect,
    /// A deadline passed.
    Timeout,
    /// The connection broke, or what came was not HTTP.
    Broken,
    /// The body is larger than allowed.
    TooLarge,
    /// TLS is not to be had: no such feature, or no trust anchors on this machine.
    NoTls,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Timeout => "no answer in time",
            Self::Broken => "the connection broke",
            Self::TooLarge => "the answer is too large",
            Self::NoTls => "TLS is not available",
        })
    }
}

impl std::error::Error for TransportError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_pinned_texts() {
        let texts = [
            TransportError::Connect,
            TransportError::Timeout,
            TransportError::Broken,
            TransportError::TooLarge,
            TransportError::NoTls,
        ]
        .map(|error| error.to_string());
        assert_eq!(
            texts,
            [
                "no connection",
                "no answer in time",
                "the connection broke",
                "the answer is too large",
                "TLS is not available",
            ]
        );
    }
}
