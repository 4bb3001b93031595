//! Where a request may go.

use std::fmt;

use url::{Host, Url};

/// A URL that may be asked: `https`, or `http` to this machine or to a host that was allowed by
/// name. A fragment is dropped, since none is sent (RFC 6749 3.2).
///
/// Never printed whole, since URLs may hold secrets: `Debug` shows scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Takes an `https` URL, or an `http` one on loopback (`localhost`, 127.0.0.0/8, ::1).
    ///
    /// # Errors
    ///
    /// If the text is no such URL, or holds a user name or password.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        Self::parse(url, None)
    }

    /// Like [`Self::new`], and takes `http` to `host` as well: for a mesh that encrypts underneath.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn allowing_http_to(host: &str, url: &str) -> Result<Self, EndpointError> {
        Self::parse(url, Some(host))
    }

    fn parse(url: &str, trusted_host: Option<&str>) -> Result<Self, EndpointError> {
        let mut url = Url::parse(url).map_err(|_| EndpointError::NotAUrl)?;
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::HasCredentials);
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => Ok(Self(url)),
            ("http", Some(host)) if is_loopback(&host) => Ok(Self(url)),
            ("http", Some(_)) if trusted_host.is_some() && url.host_str() == trusted_host => {
                Ok(Self(url))
            }
            ("http", Some(_)) => Err(EndpointError::Insecure),
            _ => Err(EndpointError::NotAUrl),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL's parts.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether requests go over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(|host| is_loopback(&host))
    }

    /// Whether requests go over a network without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// The request line's target as an [`http::Uri`]; the default of `http` where it has no such.
    pub fn uri(&self) -> http::Uri {
        self.0.as_str().parse().unwrap_or_default()
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.0.origin().ascii_serialization())
    }
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL.
    NotAUrl,
    /// `http` to another machine.
    Insecure,
    /// A user name or a password in the URL.
    HasCredentials,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "not an absolute https URL",
            Self::Insecure => "plain http is for loopback and for hosts allowed by name only",
            Self::HasCredentials => "credentials do not belong into a URL",
        })
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in [
            "https://login.example/oauth2/token",
            "http://127.0.0.1:9911/token",
            "http://[::1]/token",
            "http://localhost:1",
        ] {
            let endpoint = Endpoint::new(good).unwrap();
            assert_eq!(endpoint, Endpoint::new(&format!("{good}#part")).unwrap());
        }
        for (bad, why) in [
            ("http://login.example/token", EndpointError::Insecure),
            ("http://localhost.example/", EndpointError::Insecure),
            ("ftp://login.example/", EndpointError::NotAUrl),
            ("login.example", EndpointError::NotAUrl),
            ("https://a:b@login.example/", EndpointError::HasCredentials),
            ("file:///etc/passwd", EndpointError::NotAUrl),
        ] {
            assert_eq!(Endpoint::new(bad).unwrap_err(), why, "{bad}");
        }
        assert!(Endpoint::allowing_http_to("idp.mesh", "http://idp.mesh/token").is_ok());
        assert!(Endpoint::allowing_http_to("idp.mesh", "http://idp.mesh.example/").is_err());
        let endpoint = Endpoint::new("https://login.example/t?key=s3cret").unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint(https://login.example)");
    }
}
