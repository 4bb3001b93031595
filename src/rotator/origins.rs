//! Where a token may go.

use url::Url;

use crate::transport::{Endpoint, EndpointError};

/// The origins (RFC 6454: scheme, host and port) that a token may be sent to, and nowhere else.
///
/// ```
/// use steadfast::rotator::Origins;
///
/// # fn main() -> Result<(), steadfast::transport::EndpointError> {
/// let origins = Origins::new("https://orders.example")?.and("https://stock.example:8443")?;
/// assert!(Origins::new("http://orders.example").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// The origin of an `https` URL, or of an `http` one on loopback. A path in it says nothing: an
    /// origin is trusted as a whole.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::new`].
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        Self(Vec::new()).and(url)
    }

    /// One more, as with [`Self::new`].
    ///
    /// # Errors
    ///
    /// As [`Endpoint::new`].
    pub fn and(self, url: &str) -> Result<Self, EndpointError> {
        Ok(self.and_endpoint(&Endpoint::new(url)?))
    }

    /// One more, that of an endpoint; for one that [`Endpoint::allowing_http_to`] made, it is plain
    /// `http`, where whoever listens learns the token.
    #[must_use]
    pub fn and_endpoint(mut self, endpoint: &Endpoint) -> Self {
        self.0.extend(Origin::of_url(endpoint.url()));
        self
    }

    pub(super) fn contain(&self, origin: &Origin) -> bool {
        self.0.contains(origin)
    }
}

/// Only `endpoint`'s.
impl From<&Endpoint> for Origins {
    fn from(endpoint: &Endpoint) -> Self {
        Self(Vec::new()).and_endpoint(endpoint)
    }
}

/// Taken from the parts that a client connects by, not from the text of a URL, which one parser
/// may read in another way than the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    https: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// `None` if it is neither `https` nor `http`.
    pub(super) fn of((scheme, host, port): Target<'_>) -> Option<Self> {
        let (https, default_port) = match scheme {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        Some(Self {
            https,
            host: host.to_ascii_lowercase().into(),
            port: port.unwrap_or(default_port),
        })
    }

    pub(super) fn of_url(url: &Url) -> Option<Self> {
        Self::of((url.scheme(), url.host_str()?, url.port()))
    }
}

/// Scheme, host and port.
pub(super) type Target<'a> = (&'a str, &'a str, Option<u16>);

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    #[track_caller]
    fn check(origins: &Origins, uri: &str, expected: bool) {
        let uri: Uri = uri.parse().unwrap();
        let target = (uri.scheme_str(), uri.host(), uri.port_u16());
        let origin = match target {
            (Some(scheme), Some(host), port) => Origin::of((scheme, host, port)),
            _ => None,
        };
        let contained = origin.is_some_and(|it| origins.contain(&it));
        assert_eq!(contained, expected, "{uri}");
    }

    #[test]
    fn scheme_host_and_port_count() {
        let origins = Origins::new("https://Orders.example/some/path?q").unwrap();
        let origins = origins.and("https://stock.example:8443").unwrap();
        let origins = origins.and("http://[::1]:8080").unwrap();
        for uri in [
            "https://orders.example",
            "https://orders.example/",
            "https://orders.example/other?q=1",
            "HTTPS://ORDERS.EXAMPLE:443/open",
            "https://stock.example:8443/",
            "http://[::1]:8080/",
        ] {
            check(&origins, uri, true);
        }
        for uri in [
            "http://orders.example/",
            "http://orders.example:443/",
            "https://orders.example:444/",
            "https://orders.example.evil.example/",
            "https://orders.example@evil.example/",
            "https://orders.example:443@evil.example/",
            "https://sub.orders.example/",
            "https://orders.example./",
            "https://stock.example/",
            "http://[::1]/",
            "/open",
            "orders.example",
            "*",
            "ws://orders.example/",
        ] {
            check(&origins, uri, false);
        }
    }

    #[test]
    fn http_is_for_loopback_and_for_hosts_allowed_by_name() {
        assert!(Origins::new("http://127.0.0.1:8080").is_ok());
        let error = Origins::new("http://orders.example").unwrap_err();
        assert_eq!(error, EndpointError::Insecure);
        assert!(Origins::new("https://user:password@orders.example").is_err());
        assert!(Origins::new("orders.example").is_err());
        let mesh = Endpoint::allowing_http_to("orders.mesh", "http://orders.mesh").unwrap();
        check(&Origins::from(&mesh), "http://orders.mesh:80/open", true);
    }
}
