//! Answers, and how errors are told (RFC 6749 5.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::faults::FaultAnswer;
use crate::clock::Timestamp;

pub(super) type Answer = Response<Full<Bytes>>;

pub(super) fn json(status: StatusCode, body: &Value) -> Answer {
    with_type(status, "application/json", body.to_string())
}

/// As [`json`], for what no cache may keep (RFC 6749 5.1).
pub(super) fn private_json(status: StatusCode, body: &Value) -> Answer {
    let mut answer = json(status, body);
    set(&mut answer, CACHE_CONTROL, "no-store");
    set(&mut answer, PRAGMA, "no-cache");
    answer
}

pub(super) fn text(status: StatusCode, body: &str) -> Answer {
    with_type(status, "text/plain", format!("{body}\n"))
}

pub(super) fn fault(fault: FaultAnswer) -> Answer {
    let mut answer = with_type(fault.status, &fault.content_type, fault.body);
    if let Some(after) = fault.retry_after {
        set(&mut answer, RETRY_AFTER, &after.as_secs().to_string());
    }
    answer
}

fn with_type(status: StatusCode, content_type: &str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, content_type);
    answer
}

/// Sets a header; a value that cannot stand in one is left out.
pub(super) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Dates the answer by the service's clock: the HTTP stack would use the system's.
pub(super) fn date(answer: &mut Answer, wall: Timestamp) {
    // RFC 9110 5.6.7 has four digits for the year, and the formatter takes no year before 1970.
    let since = wall.since(Timestamp::EPOCH).min(END_OF_9999);
    let time: SystemTime = UNIX_EPOCH + since;
    set(answer, DATE, &httpdate::fmt_http_date(time));
}

const END_OF_9999: Duration = Duration::from_secs(253_402_300_799);

/// An error as RFC 6749 5.2 has it.
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
}

impl OAuthError {
    pub(super) fn invalid_request(description: &'static str) -> Self {
        Self::bad_request("invalid_request", description)
    }

    /// 401 with a challenge.
    pub(super) fn invalid_client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "invalid_client",
            description: "client authentication failed",
        }
    }

    pub(super) fn bad_request(code: &'static str, description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            description,
        }
    }

    /// The fault is the service's own.
    pub(super) fn server_error(description: &'static str) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "server_error",
            description,
        }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl From<OAuthError> for Answer {
    fn from(error: OAuthError) -> Self {
        let body = json!({ "error": error.code, "error_description": error.description });
        let mut answer = private_json(error.status, &body);
        if error.status == StatusCode::UNAUTHORIZED {
            set(&mut answer, WWW_AUTHENTICATE, r#"Basic realm="oauth2""#);
        }
        answer
    }
}
