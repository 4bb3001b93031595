//! What can go wrong, by script.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

use crate::policy::parse_duration;

/// A place that the service answers at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// The token endpoint (RFC 6749 3.2), `/oauth2/token`.
    Token,
    /// The JWK Set (RFC 7517 5), `/oauth2/jwks`.
    Jwks,
    /// Introspection (RFC 7662), `/oauth2/introspect`.
    Introspection,
    /// The document of OpenID Connect Discovery 4, `/.well-known/openid-configuration`.
    OpenIdConfiguration,
    /// The document of RFC 8414 3, `/.well-known/oauth-authorization-server`.
    ServerMetadata,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 5] = [
        Self::Token,
        Self::Jwks,
        Self::Introspection,
        Self::OpenIdConfiguration,
        Self::ServerMetadata,
    ];

    /// Its path on the service's port.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Token => "/oauth2/token",
            Self::Jwks => "/oauth2/jwks",
            Self::Introspection => "/oauth2/introspect",
            Self::OpenIdConfiguration => "/.well-known/openid-configuration",
            Self::ServerMetadata => "/.well-known/oauth-authorization-server",
        }
    }

    /// Its name in scripts: the last part of its path.
    pub fn name(self) -> &'static str {
        let path = self.path();
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.path() == path)
    }
}

impl FromStr for Endpoint {
    type Err = FaultError;

    fn from_str(name: &str) -> Result<Self, FaultError> {
        Self::ALL
            .into_iter()
            .find(|it| it.name() == name)
            .ok_or(FaultError::UnknownEndpoint)
    }
}

/// One thing that goes wrong, at one endpoint or at all of them, until it is cleared, for a number
/// of requests, or for a time. (Tokens that expire early are no fault of a request: see
/// [`OAuthService::expire_tokens`](super::OAuthService::expire_tokens).)
///
/// ```
/// use std::time::Duration;
/// use steadfast::testing::{Endpoint, Fault};
///
/// let outage = Fault::down().lasting(Duration::from_secs(8 * 3600));
/// let hiccup = Fault::bad_gateway().at(Endpoint::Token).times(1);
/// # let _ = (outage, hiccup);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) kind: FaultKind,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) times: Option<u32>,
    pub(super) lasts: Option<Duration>,
}

/// What a [`Fault`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The port stays bound. At all endpoints: every connection, the open ones included, is reset.
    /// At one endpoint: a connection is reset once it asks there.
    Down,
    /// Requests are taken and never answered, until the client gives up: for deadlines, which are
    /// real time in any case.
    Hang,
    /// Requests are answered after this long on the service's clock.
    Slow(Duration),
    /// Requests get this answer and have no effect.
    Answer(FaultAnswer),
}

/// An answer that a [`Fault`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAnswer {
    /// The status code.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: String,
    /// `Retry-After`, in whole seconds (RFC 9110 10.2.3).
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: String,
}

impl Fault {
    /// See [`FaultKind::Down`].
    pub fn down() -> Self {
        Self::of(FaultKind::Down)
    }

    /// See [`FaultKind::Hang`].
    pub fn hang() -> Self {
        Self::of(FaultKind::Hang)
    }

    /// See [`FaultKind::Slow`].
    pub fn slow(by: Duration) -> Self {
        Self::of(FaultKind::Slow(by))
    }

    /// The page of a proxy that does not reach the service: 502 in HTML.
    pub fn bad_gateway() -> Self {
        let page = "<html><head><title>502 Bad Gateway</title></head>\
                    <body><h1>502 Bad Gateway</h1></body></html>\n";
        Self::answer(StatusCode::BAD_GATEWAY, "text/html", page)
    }

    /// The rate limiter: 429 with `Retry-After`.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::of(FaultKind::Answer(FaultAnswer {
            status: StatusCode::TOO_MANY_REQUESTS,
            content_type: "text/plain".to_owned(),
            retry_after: Some(retry_after),
            body: "too many requests\n".to_owned(),
        }))
    }

    /// Any answer at all.
    pub fn answer(status: StatusCode, content_type: &str, body: impl Into<String>) -> Self {
        Self::of(FaultKind::Answer(FaultAnswer {
            status,
            content_type: content_type.to_owned(),
            retry_after: None,
            body: body.into(),
        }))
    }

    fn of(kind: FaultKind) -> Self {
        Self {
            kind,
            endpoint: None,
            times: None,
            lasts: None,
        }
    }

    /// Only at `endpoint`.
    #[must_use]
    pub fn at(self, endpoint: Endpoint) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..self
        }
    }

    /// Only for the next `times` requests; a new connection that is reset before it asked for
    /// anything counts as one.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Only for so long, on the boot time of the service's clock.
    #[must_use]
    pub fn lasting(self, lasts: Duration) -> Self {
        Self {
            lasts: Some(lasts),
            ..self
        }
    }

    pub(super) fn resets_everything(&self) -> bool {
        self.kind == FaultKind::Down && self.endpoint.is_none()
    }

    /// From the parameters of a control request, see
    /// [`ServiceConfig::control_port`](super::ServiceConfig::control_port).
    pub(super) fn from_parameters<'a>(
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, FaultError> {
        let (mut kind, mut by, mut retry_after) = (None, DEFAULT_DELAY, DEFAULT_DELAY);
        let mut fault = Self::down();
        for (name, value) in parameters {
            match name {
                "kind" => kind = Some(value),
                "by" => by = duration(value)?,
                "retry_after" => retry_after = duration(value)?,
                "endpoint" => fault = fault.at(value.parse()?),
                "times" => fault = fault.times(value.parse().map_err(|_| FaultError::BadNumber)?),
                "for" => fault = fault.lasting(duration(value)?),
                _ => return Err(FaultError::UnknownParameter),
            }
        }
        let kind = match kind {
            Some("down") => Self::down(),
            Some("hang") => Self::hang(),
            Some("slow") => Self::slow(by),
            Some("502") => Self::bad_gateway(),
            Some("429") => Self::too_many_requests(retry_after),
            _ => return Err(FaultError::UnknownKind),
        };
        Ok(Self {
            kind: kind.kind,
            ..fault
        })
    }
}

fn duration(text: &str) -> Result<Duration, FaultError> {
    parse_duration(text).map_err(|_| FaultError::BadDuration)
}

/// For a slow answer, and for `Retry-After`, where a control request names no duration.
const DEFAULT_DELAY: Duration = Duration::from_secs(5);

/// Why a text describes no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultError {
    /// `kind` is missing or none that is known.
    UnknownKind,
    /// `endpoint` is none that is known.
    UnknownEndpoint,
    /// A parameter that is none of a fault's.
    UnknownParameter,
    /// Not a duration, see [`parse_duration`].
    BadDuration,
    /// `times` is no number.
    BadNumber,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKind => "kind must be down, hang, slow, 502 or 429",
            Self::UnknownEndpoint => {
                "endpoint must be token, jwks, introspect, openid-configuration or \
                 oauth-authorization-server"
            }
            Self::UnknownParameter => {
                "a fault has the parameters kind, by, retry_after, endpoint, times and for"
            }
            Self::BadDuration => "expected an integer and ms, s, m, h or d, such as 90s",
            Self::BadNumber => "times must be a number",
        })
    }
}

impl std::error::Error for FaultError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn parse(query: &str) -> Result<Fault, FaultError> {
        Fault::from_parameters(query.split('&').filter_map(|pair| pair.split_once('=')))
    }

    #[test]
    fn from_text() {
        assert_eq!(
            parse("kind=down&for=8h"),
            Ok(Fault::down().lasting(8 * HOUR))
        );
        assert_eq!(
            parse("times=2&endpoint=token&kind=429&retry_after=1h"),
            Ok(Fault::too_many_requests(HOUR).at(Endpoint::Token).times(2))
        );
        assert_eq!(parse("kind=slow&by=1h"), Ok(Fault::slow(HOUR)));
        for (query, error) in [
            ("", "kind must be down, hang, slow, 502 or 429"),
            ("kind=up", "kind must be down, hang, slow, 502 or 429"),
            (
                "kind=slow&by=1",
                "expected an integer and ms, s, m, h or d, such as 90s",
            ),
            ("kind=down&times=-1", "times must be a number"),
            (
                "kind=down&until=9",
                "a fault has the parameters kind, by, retry_after, endpoint, times and for",
            ),
        ] {
            assert_eq!(parse(query).unwrap_err().to_string(), error, "{query}");
        }
        assert_eq!(
            parse("kind=down&endpoint=x"),
            Err(FaultError::UnknownEndpoint)
        );
    }

    #[test]
    fn endpoints_have_names_and_paths() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.name().parse(), Ok(endpoint));
            assert_eq!(Endpoint::at(endpoint.path()), Some(endpoint));
        }
        assert_eq!(Endpoint::at("/"), None);
    }
}
