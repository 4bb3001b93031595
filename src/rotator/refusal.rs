//! What an answer says of the token that went with the request. Pure: looks at headers and times.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};

use crate::clock::Timestamp;
use crate::token::Token;

/// Whether the token may be to blame: the answer is a 401 (RFC 9110 15.5.2), or what gRPC makes of
/// it, whose challenges, if there are any, include a Bearer challenge with `invalid_token` or
/// without an error (RFC 6750 3). Another scheme asks for another credential, and any other error
/// would meet the next token as well.
pub(super) fn blames_token(status: StatusCode, headers: &HeaderMap) -> bool {
    let grpc = headers.get(GRPC_STATUS).map(HeaderValue::as_bytes);
    if status != StatusCode::UNAUTHORIZED && grpc != Some(GRPC_UNAUTHENTICATED) {
        return false;
    }
    let values = headers.get_all(WWW_AUTHENTICATE);
    let challenges = values.iter().flat_map(|it| challenges(it.as_bytes()));
    let mut challenges = challenges.peekable();
    challenges.peek().is_none() || challenges.any(|it| it.blames_token())
}

/// Whether it was issued so lately that a resource may not know it yet. By wall time, so one from a
/// future further away is not young, or a clock that is ahead would keep it young.
pub(super) fn is_young(token: &Token, now: Timestamp) -> bool {
    now.since(token.issued_at).max(token.issued_at.since(now)) < YOUTH
}

/// How long a token is young, and how long to wait until a resource knows it.
pub(super) const YOUTH: Duration = Duration::from_secs(1);

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_UNAUTHENTICATED: &[u8] = b"16";

/// A challenge, as far as it matters here.
#[derive(Debug, PartialEq)]
struct Challenge<'a> {
    scheme: &'a [u8],
    /// The first `error` of it, quoted or not.
    error: Option<Vec<u8>>,
}

impl Challenge<'_> {
    fn blames_token(&self) -> bool {
        let bearer = self.scheme.eq_ignore_ascii_case(b"bearer");
        bearer && matches!(self.error.as_deref(), None | Some(b"invalid_token"))
    }
}

/// The challenges of one header (RFC 9110 11.6.1): a list of elements, each of which begins a
/// challenge (`Bearer`, `Bearer realm="a"`, `Negotiate abc=`) or goes on with one (`realm="a"`).
/// What is neither is passed by.
fn challenges(header: &[u8]) -> Vec<Challenge<'_>> {
    let mut challenges: Vec<Challenge<'_>> = Vec::new();
    for element in elements(header) {
        let (name, rest) = token(element);
        let parameter = match rest {
            [b'=', value @ ..] => Some((name, value)),
            _ if name.is_empty() => continue,
            _ => {
                challenges.push(Challenge {
                    scheme: name,
                    error: None,
                });
                let (name, rest) = token(rest);
                rest.strip_prefix(b"=").map(|value| (name, value))
            }
        };
        if let (Some(challenge), Some((name, value))) = (challenges.last_mut(), parameter)
            && name.eq_ignore_ascii_case(b"error")
        {
            challenge.error.get_or_insert_with(|| unquoted(value));
        }
    }
    challenges
}

/// The elements of a list, split at commas that are in no quoted string.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let elements = list.split(move |byte| {
        let ends = *byte == b',' && !quoted;
        quoted ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && quoted && !escaped;
        ends
    });
    elements.map(<[u8]>::trim_ascii)
}

/// The token at the start, and what follows it after white space.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(ends).unwrap_or(text.len());
    let (token, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (token, rest.trim_ascii_start())
}

/// The value of a parameter: a token, or a quoted string without its quotes and escapes.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return value.to_vec();
    };
    let mut bytes = quoted.iter();
    let mut unquoted = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => unquoted.extend(bytes.next()),
            other => unquoted.push(*other),
        }
    }
    unquoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::{AccessToken, LifetimeSource, TokenFormat};

    fn answer(status: u16, challenges: &[&[u8]]) -> (StatusCode, HeaderMap) {
        let value = |it: &&[u8]| (WWW_AUTHENTICATE, HeaderValue::from_bytes(it).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        (status, challenges.iter().map(value).collect())
    }

    #[track_caller]
    fn check(challenges: &[&str], expected: bool) {
        let challenges: Vec<_> = challenges.iter().map(|it| it.as_bytes()).collect();
        let (status, headers) = answer(401, &challenges);
        assert_eq!(blames_token(status, &headers), expected, "{challenges:?}");
    }

    #[test]
    fn the_token_is_to_blame() {
        for challenges in [
            &[] as &[_],
            &[""],
            &[" , ,"],
            &["Bearer"],
            &["bearer"],
            &["BEARER realm=orders"],
            &[r#"Bearer realm="orders""#],
            &[r#"Bearer error="invalid_token""#],
            &["Bearer error=invalid_token"],
            &[r#"Bearer realm="orders", error="invalid_token", error_description="expired""#],
            &[r#"Bearer   realm = "orders" ,,	error  =  "invalid_token"  "#],
            &[r#"Bearer ERROR="invalid_token""#],
            &[r#"Bearer error="invalid\_token""#],
            &[r#"Bearer error="invalid_token", error="insufficient_scope""#],
            &[r#"Bearer realm="a, Basic error=\"insufficient_scope\", b""#],
            &[r#"Bearer realm="a\\", error="invalid_token""#],
            &[r#"Basic realm="a", Bearer realm="b""#],
            &["Basic", "Bearer"],
            &["Negotiate", "Negotiate abc==, Bearer"],
            &[r#"Bearer error="insufficient_scope""#, "Bearer"],
            &[r#"Bearer scope="a b""#],
        ] {
            check(challenges, true);
        }
    }

    #[test]
    fn the_token_is_not_to_blame() {
        for challenges in [
            &["Basic"] as &[_],
            &[r#"Basic realm="Bearer""#],
            &[r#"Basic realm="a, Bearer""#],
            &[r#"Basic realm="a\", Bearer""#],
            &[r#"Basic realm="never ends, Bearer"#],
            &["Negotiate Bearer"],
            &["Bearers"],
            &[r#"DPoP error="invalid_token", algs="ES256""#],
            &[r#"Bearer error="insufficient_scope", scope="orders:write""#],
            &[r#"Bearer error="insufficient_user_authentication", max_age="5""#],
            &[r#"Bearer error="invalid_request""#],
            &[r#"Bearer error="""#],
            &["Bearer error="],
            &[r#"Bearer realm="a", error = insufficient_scope"#],
        ] {
            check(challenges, false);
        }
    }

    #[test]
    fn only_a_401_or_what_grpc_makes_of_it() {
        for status in [200, 400, 403, 407, 500, 503] {
            let (status, headers) = answer(status, &[b"Bearer"]);
            assert!(!blames_token(status, &headers));
        }
        for (grpc, challenge, expected) in [
            ("16", "Bearer", true),
            ("16", "Basic", false),
            ("7", "Bearer", false),
            ("0", "Bearer", false),
        ] {
            let (status, mut headers) = answer(200, &[challenge.as_bytes()]);
            headers.insert(GRPC_STATUS, HeaderValue::from_static(grpc));
            assert_eq!(blames_token(status, &headers), expected);
        }
    }

    #[test]
    fn young_for_a_second() {
        let issued_at = Timestamp::from_secs(1_000_000);
        let token = Token {
            access_token: AccessToken::new("t").unwrap(),
            format: TokenFormat::Opaque,
            issued_at,
            expires_at: issued_at.plus(Duration::from_secs(60)),
            lifetime_source: LifetimeSource::ExpiresIn,
            scope: None,
        };
        let ms = Duration::from_millis;
        for (now, young) in [
            (issued_at, true),
            (issued_at.plus(ms(999)), true),
            (issued_at.plus(ms(1000)), false),
            (issued_at.minus(ms(999)), true),
            (issued_at.minus(ms(1000)), false),
        ] {
            assert_eq!(is_young(&token, now), young);
        }
    }

    proptest! {
        #[test]
        fn never_panics(header in proptest::collection::vec(prop_oneof![
            any::<u8>(),
            proptest::sample::select(b"Bearer error=\"invalid_token\", \\".to_vec()),
        ], 0..80)) {
            challenges(&header);
            let values = HeaderValue::from_bytes(&header).ok();
            let headers = values.map(|it| (WWW_AUTHENTICATE, it)).into_iter().collect();
            blames_token(StatusCode::UNAUTHORIZED, &headers);
        }

        #[test]
        fn a_quoted_error_is_read_back(error in "[ -~]{0,20}", realm in "[ -~]{0,20}") {
            let quoted = |it: &str| it.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!(
                "Basic a=\"{}\", Bearer realm=\"{}\", error=\"{}\"",
                quoted(&error), quoted(&realm), quoted(&error),
            );
            let found = challenges(header.as_bytes());
            let bearer = Challenge { scheme: b"Bearer", error: Some(error.into_bytes()) };
            let basic = Challenge { scheme: b"Basic", error: None };
            prop_assert_eq!(found, [basic, bearer]);
        }
    }
}
