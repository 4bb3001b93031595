//! Bearer tokens in and challenges out (RFC 6750), as plain data.
//!
//! ```
//! use steadfast::verifier::challenge::{Challenge, bearer};
//!
//! let challenge = Challenge::default();
//! let answer = match bearer([b"Bearer abc.def".as_slice()]) {
//!     Ok(Some(token)) => return, // verify it, and answer with `challenge.refused(&error)`
//!     Ok(None) => challenge.no_token(),
//!     Err(_) => challenge.invalid_request(),
//! };
//! ```

use std::fmt;
use std::time::Duration;

use super::error::{Error, ErrorCode};

/// The bearer token in the values of a request's `Authorization` headers (RFC 6750 2.1).
///
/// `None` if there is no such header, or one for another scheme. The scheme may be in any case.
///
/// # Errors
///
/// If there are two headers, or one that is no bearer credential by RFC 6750 2.1.
pub fn bearer<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<&'a str>, InvalidRequest> {
    let mut headers = headers.into_iter();
    match (headers.next(), headers.next()) {
        (None, _) => Ok(None),
        (Some(header), None) => credential(header),
        (Some(_), Some(_)) => Err(InvalidRequest::TwoHeaders),
    }
}

fn credential(header: &[u8]) -> Result<Option<&str>, InvalidRequest> {
    let scheme = header.iter().take_while(|it| is_token(**it)).count();
    let (scheme, rest) = header.split_at(scheme);
    if scheme.is_empty() {
        return Err(InvalidRequest::Malformed);
    }
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Ok(None);
    }
    let spaces = rest.iter().take_while(|it| **it == b' ').count();
    let (spaces, token) = rest.split_at(spaces);
    match str::from_utf8(token) {
        Ok(token) if !spaces.is_empty() && is_b64token(token) => Ok(Some(token)),
        _ => Err(InvalidRequest::Malformed),
    }
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 6750 2.1.
fn is_b64token(token: &str) -> bool {
    let token = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !token.is_empty() && token.bytes().all(fits)
}

/// A request that cannot be read: status 400, `invalid_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// More than one `Authorization` header.
    TwoHeaders,
    /// An `Authorization` header that is no credential, or a bearer credential without a token or
    /// with characters that no token has.
    Malformed,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoHeaders => "the request has more than one authorization header",
            Self::Malformed => "the authorization header is malformed",
        })
    }
}

impl std::error::Error for InvalidRequest {}

/// How a resource server words its challenges (RFC 6750 3, RFC 9728 5.1).
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    realm: Option<String>,
    resource_metadata: Option<String>,
}

impl Challenge {
    /// The same with a `realm`.
    ///
    /// RFC 6750 3 wants at least one parameter in a challenge: state this or
    /// [`resource_metadata`](Self::resource_metadata).
    #[must_use]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        Self {
            realm: Some(realm.into()),
            ..self
        }
    }

    /// The same with the URL of the resource's metadata (RFC 9728 5.1), from which a client learns
    /// where to get a token.
    #[must_use]
    pub fn resource_metadata(self, url: impl Into<String>) -> Self {
        Self {
            resource_metadata: Some(url.into()),
            ..self
        }
    }

    /// No token, or a credential for another scheme: 401 and a challenge that names no error.
    pub fn no_token(&self) -> Answer {
        self.answer(401, "an access token is needed", &[])
    }

    /// A request that cannot be read: 400.
    pub fn invalid_request(&self) -> Answer {
        self.answer(
            400,
            "the authorization header cannot be read",
            &[("error", "invalid_request")],
        )
    }

    /// A token that was refused: 401; or, where nothing can be said about it, 503 and when to try
    /// again.
    pub fn refused(&self, error: &Error) -> Answer {
        if error.is_unavailable() {
            return Answer {
                status: 503,
                message: ErrorCode::KeysUnavailable.description(),
                www_authenticate: None,
                retry_after: Some(RETRY_AFTER),
            };
        }
        let why = error.code().description();
        self.answer(
            401,
            why,
            &[("error", "invalid_token"), ("error_description", why)],
        )
    }

    /// A good token without the `scope` (space-delimited) that is needed: 403.
    pub fn insufficient_scope(&self, scope: &str) -> Answer {
        self.answer(
            403,
            "the access token lacks a scope",
            &[("error", "insufficient_scope"), ("scope", scope)],
        )
    }

    fn answer(&self, status: u16, message: &'static str, parameters: &[(&str, &str)]) -> Answer {
        let own = [
            ("realm", self.realm.as_deref()),
            ("resource_metadata", self.resource_metadata.as_deref()),
        ];
        let parameters = own
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .chain(parameters.iter().copied())
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect::<Vec<_>>();
        let scheme = if parameters.is_empty() {
            "Bearer"
        } else {
            "Bearer "
        };
        Answer {
            status,
            message,
            www_authenticate: Some(format!("{scheme}{}", parameters.join(", "))),
            retry_after: None,
        }
    }
}

/// RFC 9110 5.6.4, of visible ASCII and spaces alone: what else is there would break the header.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars().filter(|it| matches!(it, ' '..='~')) {
        if matches!(char, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    quoted.push('"');
    quoted
}

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// A constant sentence for people, for a body or for `grpc-message`.
    pub message: &'static str,
    /// Value of the `WWW-Authenticate` header.
    pub www_authenticate: Option<String>,
    /// Value of the `Retry-After` header, whole seconds.
    pub retry_after: Option<Duration>,
}

/// By then the keys were tried to be fetched again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::NoKey;

    #[test]
    fn finds_the_token() {
        for (header, token) in [
            ("Bearer abc.d-e_f~+/==", Some("abc.d-e_f~+/==")),
            ("bEARER   a", Some("a")),
            ("Basic dXNlcjpwYXNz", None),
            ("Bearertoken abc", None),
            ("DPoP abc", None),
        ] {
            assert_eq!(bearer([header.as_bytes()]), Ok(token), "{header}");
        }
        assert_eq!(bearer([]), Ok(None));
    }

    #[test]
    fn refuses_what_cannot_be_read() {
        for header in [
            "",
            " ",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer\ta",
            "Bearer a ",
            "Bearer ==",
            "Bearer a=b",
            "Bearer a\u{e9}",
            " Bearer a",
            "Bearer: a",
            "Bearer,a",
        ] {
            let found = bearer([header.as_bytes()]);
            assert_eq!(found, Err(InvalidRequest::Malformed), "{header:?}");
        }
        assert_eq!(
            bearer([b"Bearer a\xff".as_slice()]),
            Err(InvalidRequest::Malformed)
        );
        for two in [["Bearer a", "Bearer a"], ["Basic a", "Bearer a"]] {
            assert_eq!(
                bearer(two.map(str::as_bytes)),
                Err(InvalidRequest::TwoHeaders)
            );
        }
    }

    #[track_caller]
    fn check(answer: Answer, status: u16, www_authenticate: &str) {
        assert_eq!(answer.status, status);
        assert_eq!(answer.www_authenticate.as_deref(), Some(www_authenticate));
        assert_eq!(answer.retry_after, None);
    }

    #[test]
    fn five_answers() {
        let plain = Challenge::default();
        check(plain.no_token(), 401, "Bearer");
        check(
            plain.invalid_request(),
            400,
            r#"Bearer error="invalid_request""#,
        );
        check(
            plain.refused(&Error::BadSignature),
            401,
            r#"Bearer error="invalid_token", error_description="the signature does not verify""#,
        );
        check(
            plain.insufficient_scope("orders:read orders:write"),
            403,
            r#"Bearer error="insufficient_scope", scope="orders:read orders:write""#,
        );
        let unavailable = plain.refused(&Error::UnknownKey {
            why: NoKey::Unknown,
            last_fetch_failed: true,
        });
        assert_eq!(unavailable.status, 503);
        assert_eq!(unavailable.www_authenticate, None);
        let message = "the access token cannot be verified now";
        assert_eq!(unavailable.message, message);
        assert_eq!(unavailable.retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn own_words_are_quoted() {
        let named = Challenge::default()
            .realm("a \"b\" \\ c\r\nX: y")
            .resource_metadata("https://orders.example/.well-known/oauth-protected-resource");
        check(
            named.no_token(),
            401,
            r#"Bearer realm="a \"b\" \\ cX: y", resource_metadata="https://orders.example/.well-known/oauth-protected-resource""#,
        );
    }
}
