//! What a request held that no error may repeat.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{Request, Response};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// The secrets of one request, in the extensions of the answer to it: whoever reads that knows what
/// the service may repeat, however short it is.
#[derive(Clone)]
pub(super) struct Sent(Arc<[(Box<str>, Secret)]>);

type Secret = Zeroizing<String>;

impl Sent {
    /// Those of a request whose body is a form.
    pub(super) fn of(request: &Request<Vec<u8>>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in form_urlencoded::parse(request.body()) {
            if SECRET.contains(&&*name) && !value.is_empty() {
                let value = Zeroizing::new(value.into_owned());
                secrets.extend(saml(&name, &value).map(|xml| ("xml".into(), xml)));
                secrets.push((name.into(), value));
            }
        }
        let header = request.headers().get(AUTHORIZATION);
        let header = header.and_then(|it| it.to_str().ok()?.split_once(' '));
        if let Some((_, credentials)) = header.filter(|it| !it.1.is_empty()) {
            let credentials = Zeroizing::new(credentials.to_owned());
            secrets.extend(basic(&credentials).map(|it| ("client_secret".into(), it)));
            secrets.push(("authorization".into(), credentials));
        }
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|(_, secret)| std::cmp::Reverse(secret.len()));
        Self(secrets.into())
    }

    /// Those of the request that `response` answers, if it is known.
    pub(super) fn before(response: &Response<Vec<u8>>) -> Option<&Self> {
        response.extensions().get()
    }

    /// The value of the parameter `name`.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find(|it| *it.0 == *name).map(|it| it.1.as_str())
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|it| it.1.as_str())
    }
}

/// RFC 6749 2.3.1 and 6, RFC 7521 4, RFC 8693 2.1.
const SECRET: [&str; 6] = [
    "client_secret",
    "client_assertion",
    "assertion",
    "refresh_token",
    "subject_token",
    "actor_token",
];

/// The password in HTTP Basic (RFC 7617 2), as it is and as RFC 6749 2.3.1 has it encoded.
fn basic(credentials: &str) -> impl Iterator<Item = Secret> {
    let pair = STANDARD.decode(credentials).ok().map(Zeroizing::new);
    let pair = pair.as_ref().and_then(|it| std::str::from_utf8(it).ok());
    let password = pair.and_then(|it| it.split_once(':')).map(|it| it.1);
    let password = password.filter(|it| !it.is_empty());
    let decoded = password.and_then(|it| form_urlencoded::parse(it.as_bytes()).next());
    let decoded = decoded.map(|(name, _)| Zeroizing::new(name.into_owned()));
    let as_it_is = password.map(|it| Zeroizing::new(it.to_owned()));
    as_it_is.into_iter().chain(decoded)
}

/// The XML of an assertion (RFC 7522 2.1), which a service may quote as it reads it.
fn saml(name: &str, value: &str) -> Option<Secret> {
    let xml = (name == "assertion").then(|| URL_SAFE_NO_PAD.decode(value).ok())??;
    let xml = String::from_utf8(xml).ok().map(Zeroizing::new)?;
    xml.starts_with('<').then_some(xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: http::request::Builder, body: &str, expected: &[&str]) {
        let request = request.body(body.as_bytes().to_vec()).unwrap();
        let sent = Sent::of(&request);
        assert_eq!(sent.secrets().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn whatever_proves_something() {
        check(
            Request::builder(),
            "grant_type=client_credentials&scope=a",
            &[],
        );
        let body = "client_id=a&client_secret=b%26&refresh_token=cc+c";
        check(Request::builder(), body, &["cc c", "b&"]);
        let assertion = URL_SAFE_NO_PAD.encode("<a/>");
        let body = format!("assertion={assertion}");
        check(Request::builder(), &body, &[&assertion, "<a/>"]);
    }

    #[test]
    fn a_secret_in_basic_in_each_spelling() {
        let basic = STANDARD.encode("id:s%26cret");
        let request = || Request::builder().header(AUTHORIZATION, format!("Basic {basic}"));
        check(request(), "", &[&basic, "s%26cret", "s&cret"]);
    }
}
