//! A request as it came in.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::answer::{self, Answer, OAuthError};
use super::form::Form;

/// A request that was read to its end.
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    query: String,
    body: Bytes,
}

impl Received {
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, Answer> {
        let (head, body) = request.into_parts();
        match Limited::new(body, LONGEST_BODY).collect().await {
            Ok(body) => Ok(Self {
                method: head.method,
                path: head.uri.path().to_owned(),
                headers: head.headers,
                query: head.uri.query().unwrap_or_default().to_owned(),
                body: body.to_bytes(),
            }),
            Err(_) => Err(answer::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body cannot be read",
            )),
        }
    }

    /// The parameters, from a body of the type that RFC 6749 3.2 asks for.
    pub(super) fn form(&self) -> Result<Form, OAuthError> {
        let content_type = self.headers.get(CONTENT_TYPE);
        let media_type = content_type
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .map(str::trim);
        if !media_type.is_some_and(|it| it.eq_ignore_ascii_case(FORM)) {
            return Err(OAuthError::invalid_request(
                "the body must be application/x-www-form-urlencoded",
            ));
        }
        let form = self
            .parameters()
            .ok_or_else(|| OAuthError::invalid_request("the body must be UTF-8"))?;
        if form.has_repeats() {
            return Err(OAuthError::invalid_request("a parameter is repeated"));
        }
        Ok(form)
    }

    /// The parameters, whatever type the body says it has; `None` if it is not UTF-8.
    pub(super) fn parameters(&self) -> Option<Form> {
        let body = std::str::from_utf8(&self.body).ok()?;
        Some(Form::parse(body, &self.query))
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// 64 KiB: more than any token request needs.
const LONGEST_BODY: usize = 64 * 1024;
