//! What the token endpoint answers, read leniently (RFC 6749 5). Pure.
//!
//! Services differ in every detail of the answer; what is told here apart is only what a client must
//! do: use the token, try again, or stop and tell its owner.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::error::{Class, ErrorCode, IssueError, Reason};
use super::sent::Sent;
use super::{Answer, TokenView, Try};
use crate::clock::Timestamp;
use crate::jose::{Shape, shape};
use crate::token::{AccessToken, ClientSecret, LifetimeSource, RefreshToken, Token, TokenFormat};
use crate::transport;

/// Reads an answer of the token endpoint to a request for an access token.
///
/// `secret` is what the client authenticated with, lest an error repeats it. A
/// [`Rotator`](super::Rotator) sees to it that none repeats a secret, assertion or token that its
/// request held, whether it is given here or not.
///
/// # Errors
///
/// If it grants no token that can be used.
pub fn read_answer(
    response: &Response<Vec<u8>>,
    this: &Try,
    secret: Option<&ClientSecret>,
) -> Result<Answer, IssueError> {
    read_with_view(response, this, TokenView::Times, secret)
}

/// The refresh token that came with the answer (RFC 6749 6).
pub(super) fn refresh_token(response: &Response<Vec<u8>>) -> Option<RefreshToken> {
    let members = Members::of(response);
    let granted = response.status().is_success() && members.has("access_token");
    granted.then(|| members.text("refresh_token").and_then(RefreshToken::new))?
}

/// RFC 8693 2.2.1: what stands in `access_token` need not be one.
pub(super) fn check_issued_type(response: &Response<Vec<u8>>) -> Result<(), IssueError> {
    match Members::of(response).text("issued_token_type") {
        Some(kind) if NOT_ACCESS.iter().any(|it| kind.ends_with(it)) => {
            Err(IssueError::transient(Reason::TokenType))
        }
        _ => Ok(()),
    }
}

const NOT_ACCESS: [&str; 3] = [
    ":token-type:refresh_token",
    ":token-type:saml1",
    ":token-type:saml2",
];

/// The same for a token into which clients may look no further than `view`.
pub(super) fn read_with_view(
    response: &Response<Vec<u8>>,
    this: &Try,
    view: TokenView,
    secret: Option<&ClientSecret>,
) -> Result<Answer, IssueError> {
    let members = Members::of(response);
    if response.status().is_success() && members.has("access_token") {
        granted(&members, response.headers(), this, view)
    } else {
        Err(refused(response, &members, this, secret))
    }
}

fn granted(
    members: &Members<'_>,
    headers: &HeaderMap,
    this: &Try,
    view: TokenView,
) -> Result<Answer, IssueError> {
    if let Some(kind) = members.text("token_type")
        && NOT_BEARER.iter().any(|it| kind.eq_ignore_ascii_case(it))
    {
        return Err(IssueError::transient(Reason::TokenType));
    }
    let access_token = members
        .text("access_token")
        .and_then(AccessToken::new)
        .ok_or(IssueError::transient(Reason::Unreadable))?;
    let format = format(access_token.expose(), view);
    let claims = match (format, view) {
        (TokenFormat::Jwt, TokenView::Times) => Claims::of(access_token.expose()),
        _ => Claims::default(),
    };
    let (lifetime, lifetime_source) = lifetime(
        members.seconds("expires_in"),
        claims.lifetime(headers, this.asked_at),
        this,
    )?;
    Ok(Answer {
        token: Token {
            access_token,
            format,
            issued_at: this.asked_at,
            expires_at: this.asked_at.plus(lifetime),
            lifetime_source,
            scope: members.scope("scope"),
        },
        rotate_in: members.seconds("refresh_in").and_then(duration),
    })
}

fn format(token: &str, view: TokenView) -> TokenFormat {
    match (view, shape(token)) {
        (TokenView::Times | TokenView::Shape, Shape::Jws) => TokenFormat::Jwt,
        _ => TokenFormat::Opaque,
    }
}

/// Kinds of token that are of no use in a bearer's header (RFC 9449 5, RFC 8693 2.2.1).
const NOT_BEARER: [&str; 4] = ["dpop", "pop", "mac", "n_a"];

/// The shorter of what the answer and the token itself say; where neither says anything, what the
/// last token had or a guess.
fn lifetime(
    expires_in: Option<f64>,
    claimed: Option<f64>,
    this: &Try,
) -> Result<(Duration, LifetimeSource), IssueError> {
    let (seconds, source) = match (expires_in, claimed) {
        (Some(told), Some(claimed)) if claimed < told => (claimed, LifetimeSource::Claims),
        (Some(told), _) => (told, LifetimeSource::ExpiresIn),
        (None, Some(claimed)) => (claimed, LifetimeSource::Claims),
        (None, None) => return Ok(assumed(this)),
    };
    match duration(seconds) {
        Some(lifetime) => Ok((lifetime, source)),
        None => Err(IssueError::transient(Reason::ExpiredOnArrival)),
    }
}

fn assumed(this: &Try) -> (Duration, LifetimeSource) {
    match this.last_lifetime {
        Some(lifetime) => (lifetime, LifetimeSource::LastKnown),
        None => (
            this.wanted_lifetime.min(LONGEST_ASSUMED),
            LifetimeSource::Assumed,
        ),
    }
}

const LONGEST_ASSUMED: Duration = Duration::from_secs(12 * 3600);

/// A positive number of seconds; longer than 136 years is 136 years, so that nobody's arithmetic
/// overflows.
fn duration(seconds: f64) -> Option<Duration> {
    let seconds = seconds.min(f64::from(u32::MAX));
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration >= Duration::from_millis(1)).then_some(duration)
}

/// The two times of a JWT that tell its lifetime. Unverified, and good for nothing else.
#[derive(Default)]
struct Claims {
    exp: Option<f64>,
    iat: Option<f64>,
}

impl Claims {
    fn of(token: &str) -> Self {
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = Zeroizing::new(BASE64URL.decode(payload).unwrap_or_default());
        let members = Members::of_json(&payload).unwrap_or_default();
        Self {
            exp: members.seconds("exp"),
            iat: members.seconds("iat"),
        }
    }

    /// From when the service issued the token by its own clock: the later of the token's `iat` and
    /// the answer's `Date`, so that a client whose clock is fast does not find every token expired.
    /// The client's own clock is asked only where both are missing.
    fn lifetime(&self, headers: &HeaderMap, started: Timestamp) -> Option<f64> {
        let date = transport::date(headers).map(Timestamp::as_secs_f64);
        let issued = match (self.iat, date) {
            (Some(iat), Some(date)) => iat.max(date),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => started.as_secs_f64(),
        };
        Some(self.exp? - issued)
    }
}

/// Base64url, whatever its padding: the token was issued, there is nobody to be strict with.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Permanent or transient, by evidence: a gateway answers 401 or 403, too, while what is behind it is
/// down, so only an OAuth error whose code is known tells that time will not help.
fn refused(
    response: &Response<Vec<u8>>,
    members: &Members<'_>,
    this: &Try,
    secret: Option<&ClientSecret>,
) -> IssueError {
    let status = response.status().as_u16();
    let code = members.text("error").filter(|code| !code.is_empty());
    let hidden = Hidden::of(secret, response);
    // Under a status of success it is GitHub that refuses.
    let told = matches!(status, 200..=299 | 400..=499) && !is_busy(status);
    let class = match &code {
        Some(code) if told && PERMANENT.contains(&code.as_str()) => Class::Permanent,
        _ => Class::Transient,
    };
    IssueError {
        reason: match code {
            Some(code) => Reason::Error {
                status,
                code: hidden.shown(&code),
                description: members
                    .text("error_description")
                    .map(|text| hidden.tidy(&text).into()),
            },
            None if response.status().is_success() => Reason::Unreadable,
            None => Reason::Status { status },
        },
        class,
        retry_after: transport::retry_after(response.headers(), this.asked_at),
    }
}

/// RFC 6749 5.2 (six), RFC 8707 2, RFC 6749 4.1.2.1, UAA, GitHub (two).
const PERMANENT: [&str; 11] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "access_denied",
    "unauthorized",
    "incorrect_client_credentials",
    "bad_refresh_token",
];

/// "Not now", whatever the body says.
fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// What an error must not repeat, the longest first.
struct Hidden<'a>(Vec<&'a str>);

impl<'a> Hidden<'a> {
    fn of(secret: Option<&'a ClientSecret>, response: &'a Response<Vec<u8>>) -> Self {
        let sent = Sent::before(response).into_iter().flat_map(Sent::secrets);
        let secret = secret.map(ClientSecret::expose);
        let mut all: Vec<_> = sent.chain(secret).filter(|it| !it.is_empty()).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.len()));
        Self(all)
    }

    /// Any text may come as a code; those that are known are in the specifications.
    fn shown(&self, code: &str) -> ErrorCode {
        if PERMANENT.contains(&code) {
            return ErrorCode::new(code);
        }
        let code = ErrorCode::new(&self.tidy(code));
        if code.as_str().is_empty() || looks_secret(code.as_str()) {
            ErrorCode::new("unknown")
        } else {
            code
        }
    }

    /// The service's own words on one line of at most 200 characters, without what was sent or
    /// anything that looks like a secret or a token.
    fn tidy(&self, text: &str) -> String {
        let hide = |text: String, secret: &&str| text.replace(*secret, HIDDEN);
        let text = self.0.iter().fold(text.to_owned(), hide);
        let is_secret =
            |word: &str| looks_secret(word) || self.0.iter().any(|it| holds_encoded(word, it));
        let words: Vec<&str> = text
            // Entra's descriptions hold CR LF.
            .split(|it: char| it.is_whitespace() || it.is_control())
            .filter(|word| !word.is_empty())
            .map(|word| if is_secret(word) { HIDDEN } else { word })
            .collect();
        words.join(" ").chars().take(200).collect()
    }
}

const HIDDEN: &str = "…";

/// Whether `word` repeats the secret as it is spelled in a form or in HTTP Basic.
fn holds_encoded(word: &str, secret: &str) -> bool {
    let mut pairs = url::form_urlencoded::parse(word.as_bytes());
    pairs.any(|(name, value)| name.contains(secret) || value.contains(secret))
}

fn looks_secret(word: &str) -> bool {
    let length = word.bytes().filter(u8::is_ascii_graphic).count();
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    word.contains("eyJ") || length >= 32 || (length >= 16 && has_digit)
}

/// The members of an answer, in JSON or form-encoded.
#[derive(Default)]
struct Members<'a>(BTreeMap<Cow<'a, str>, Value<'a>>);

enum Value<'a> {
    Json(&'a RawValue),
    Form(Cow<'a, str>),
}

impl<'a> Members<'a> {
    /// None, where the body is neither.
    fn of(response: &'a Response<Vec<u8>>) -> Self {
        let body = response.body();
        Self::of_json(body)
            .or_else(|| may_be_form(response.headers()).then(|| Self::of_form(body)))
            .unwrap_or_default()
    }

    /// `null` is as good as absent. A number is kept as it is written: no build of serde_json gives
    /// it another meaning.
    fn of_json(text: &'a [u8]) -> Option<Self> {
        let members: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_slice(text).ok()?;
        let told = members.into_iter().filter(|(_, raw)| raw.get() != "null");
        Some(Self(
            told.map(|(name, raw)| (name, Value::Json(raw))).collect(),
        ))
    }

    fn of_form(text: &'a [u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text);
        Self(
            pairs
                .map(|(name, text)| (name, Value::Form(text)))
                .collect(),
        )
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A string.
    fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::Json(raw) => serde_json::from_str(raw.get()).ok(),
            Value::Form(text) => Some(text.clone().into_owned()),
        }
    }

    /// A number or a numeric string; what is too large to count is very large.
    fn seconds(&self, name: &str) -> Option<f64> {
        let text = match self.0.get(name)? {
            Value::Json(raw) => self.text(name).unwrap_or_else(|| raw.get().to_owned()),
            Value::Form(text) => text.clone().into_owned(),
        };
        let text = text.trim();
        let numeric = text.starts_with(|it: char| it.is_ascii_digit() || it == '-');
        let number: f64 = numeric.then(|| text.parse().ok())??;
        (!number.is_nan()).then(|| number.clamp(-FAR, FAR))
    }

    /// Scopes, space-delimited; some services send an array.
    fn scope(&self, name: &str) -> Option<Box<str>> {
        let scope = match self.0.get(name)? {
            Value::Json(raw) => self.text(name).or_else(|| {
                Some(
                    serde_json::from_str::<Vec<String>>(raw.get())
                        .ok()?
                        .join(" "),
                )
            })?,
            Value::Form(_) => self.text(name)?,
        };
        (!scope.is_empty()).then(|| scope.into())
    }
}

/// Farther than any time that counts, near enough that differences are exact to the millisecond.
const FAR: f64 = 1e12;

/// A form is taken only where the answer does not claim to be something else, such as HTML.
fn may_be_form(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        || kind.eq_ignore_ascii_case("text/plain")
}
