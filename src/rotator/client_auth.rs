//! Where a client's secret goes (RFC 6749 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::token::ClientSecret;

/// Where a client's id and secret go, and how they are spelled there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// HTTP Basic, id and secret form-encoded first, as RFC 6749 2.3.1 says.
    #[default]
    Basic,
    /// The same with the header `X-CF-ENCODED-CREDENTIALS: true`, without which UAA does not decode
    /// what it gets.
    BasicAnnounced,
    /// HTTP Basic as RFC 7617 has it, nothing encoded: SAP Neo. The id must hold no colon.
    BasicRaw,
    /// `client_id` and `client_secret` in the request body.
    Body,
}

impl ClientAuth {
    /// Adds id and secret to a request.
    pub(super) fn apply(
        self,
        client_id: &str,
        secret: &ClientSecret,
        headers: &mut HeaderMap,
        form: &mut Form,
    ) {
        match self {
            Self::Basic | Self::BasicAnnounced => {
                basic(
                    headers,
                    &encoded(client_id),
                    &Zeroizing::new(encoded(secret.expose())),
                );
            }
            Self::BasicRaw => basic(headers, client_id, secret.expose()),
            Self::Body => {
                form.append_pair("client_id", client_id);
                form.append_pair("client_secret", secret.expose());
            }
        }
        if self == Self::BasicAnnounced {
            headers.insert(ENCODED_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

const ENCODED_CREDENTIALS: HeaderName = HeaderName::from_static("x-cf-encoded-credentials");

/// As a form has it (RFC 6749 appendix B).
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn basic(headers: &mut HeaderMap, user: &str, password: &str) {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    // Base64 always fits a header.
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// A form that is being written.
pub(super) type Form = Serializer<'static, String>;

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(auth: ClientAuth, id: &str, secret: &str) -> (HeaderMap, String) {
        let mut headers = HeaderMap::new();
        let mut form = Form::new(String::new());
        auth.apply(id, &ClientSecret::new(secret), &mut headers, &mut form);
        (headers, form.finish())
    }

    #[track_caller]
    fn assert_basic(auth: ClientAuth, id: &str, secret: &str, pair: &str) {
        let (headers, form) = applied(auth, id, secret);
        let value = &headers[AUTHORIZATION];
        let sent = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(sent).unwrap(), pair.as_bytes());
        assert!(value.is_sensitive());
        assert!(!format!("{headers:?}").contains(sent));
        assert_eq!(form, "", "nothing of it is in the body");
    }

    #[test]
    fn basic_is_form_encoded() {
        assert_basic(
            ClientAuth::Basic,
            "sb-app!t1|uaa",
            "a+b c:d/\u{e9}%",
            "sb-app%21t1%7Cuaa:a%2Bb+c%3Ad%2F%C3%A9%25",
        );
        assert_basic(ClientAuth::Basic, "a-b.c_d*", "", "a-b.c_d*:");
    }

    #[test]
    fn basic_for_neo_is_raw() {
        assert_basic(ClientAuth::BasicRaw, "id", "a+b c:d", "id:a+b c:d");
    }

    #[test]
    fn uaa_is_told_that_it_is_encoded() {
        let auth = ClientAuth::BasicAnnounced;
        assert_basic(auth, "a!b", "c|d", "a%21b:c%7Cd");
        assert_eq!(
            applied(auth, "a", "b").0["x-cf-encoded-credentials"],
            "true"
        );
        for other in [ClientAuth::Basic, ClientAuth::BasicRaw, ClientAuth::Body] {
            let (headers, _) = applied(other, "a", "b");
            assert!(!headers.contains_key("x-cf-encoded-credentials"));
        }
    }

    #[test]
    fn body() {
        let (headers, form) = applied(ClientAuth::Body, "a&b", "c=d e");
        assert_eq!(form, "client_id=a%26b&client_secret=c%3Dd+e");
        assert!(headers.is_empty());
    }
}
