//! Client authentication (RFC 6749 2.3).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};

use super::answer::OAuthError;
use super::assertion;
use super::config::{Registered, RegisteredClient, ServiceConfig};
use super::form::Form;
use super::state::State;

/// Finds the client that a request speaks for.
///
/// With HTTP Basic, id and secret may be as they are or form-encoded first, as RFC 6749 2.3.1 wants
/// it: clients do either. More than one way of authentication in a request is refused (2.3).
pub(super) fn authenticate<'a>(
    state: &'a State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'a RegisteredClient, OAuthError> {
    let config = &state.config;
    let named = form.one("client_id")?;
    let client = match (
        basic_credentials(headers)?,
        form.one("client_secret")?,
        form.one("client_assertion")?,
    ) {
        (Some((id, secret)), None, None) => find(config, &id, &secret)
            .or_else(|| find(config, &form_decoded(&id), &form_decoded(&secret))),
        (None, Some(secret), None) if config.body_credentials => {
            find(config, named.unwrap_or_default(), secret)
        }
        (None, None, Some(assertion)) => match form.one("client_assertion_type")? {
            Some(JWT_BEARER) => assertion::signer(state, assertion),
            _ => {
                return Err(OAuthError::invalid_request(
                    "client_assertion_type is wrong",
                ));
            }
        },
        (None, _, None) => None,
        _ => {
            return Err(OAuthError::invalid_request(
                "more than one way of client authentication",
            ));
        }
    };
    let client = client.ok_or_else(OAuthError::invalid_client)?;
    match named {
        Some(other) if other != client.id => Err(OAuthError::invalid_request(
            "client_id is not the client that authenticated",
        )),
        _ => Ok(client),
    }
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Raw id and secret of an `Authorization: Basic` header (RFC 7617 2), if there is any.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("two Authorization headers"));
    }
    let credentials = value.to_str().ok().and_then(|value| {
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    });
    credentials.map(Some).ok_or_else(OAuthError::invalid_client)
}

fn find<'a>(config: &'a ServiceConfig, id: &str, secret: &str) -> Option<&'a RegisteredClient> {
    let mut clients = config.clients.iter();
    clients.find(|client| {
        let known = match &client.proof {
            Registered::Secret(known) => known.expose() == secret,
            Registered::Keys(_) => false,
        };
        client.id == id && known
    })
}

fn form_decoded(text: &str) -> Cow<'_, str> {
    // A form of one value without a name: the parser undoes `+` and `%`; `&` and `=` cannot be in it.
    if text.contains(['&', '=']) {
        return Cow::Borrowed(text);
    }
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map_or(Cow::Borrowed(text), |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ID: &str = "sb-orders!t1|app";
    const SECRET: &str = "p%s +:wörd";

    fn check(basic: Option<&str>, body: &str) -> Result<String, (u16, &'static str)> {
        let config = ServiceConfig::default().client(RegisteredClient::new(ID, SECRET));
        answer(&config, basic, body)
    }

    fn answer(
        config: &ServiceConfig,
        basic: Option<&str>,
        body: &str,
    ) -> Result<String, (u16, &'static str)> {
        let mut headers = HeaderMap::new();
        if let Some(basic) = basic {
            let value = format!("Basic {}", STANDARD.encode(basic));
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        }
        let state = State::new(config.clone(), String::new());
        authenticate(&state, &headers, &Form::parse(body, ""))
            .map(|client| client.id.clone())
            .map_err(|error| (error.status().as_u16(), error.code()))
    }

    const REFUSED: Result<String, (u16, &str)> = Err((401, "invalid_client"));

    #[test]
    fn basic_raw_or_encoded() {
        let encoded = "sb-orders%21t1%7Capp:p%25s+%2B%3Aw%C3%B6rd";
        for basic in [format!("{ID}:{SECRET}").as_str(), encoded] {
            assert_eq!(check(Some(basic), ""), Ok(ID.to_owned()), "{basic}");
        }
        for basic in ["", "x", ":", "sb-orders!t1|app:", "sb-orders!t1|app:p%25s"] {
            assert_eq!(check(Some(basic), ""), REFUSED, "{basic}");
        }
    }

    #[test]
    fn the_body_only_where_it_is_allowed() {
        let body = "client_id=a&client_secret=b+c";
        let config = ServiceConfig::default().client(RegisteredClient::new("a", "b c"));
        assert_eq!(answer(&config, None, body), REFUSED);
        let config = config.body_credentials();
        assert_eq!(answer(&config, None, body), Ok("a".to_owned()));
        assert_eq!(answer(&config, None, "client_id=a"), REFUSED);
        assert_eq!(answer(&config, None, "client_secret=b+c"), REFUSED);
    }

    #[test]
    fn one_way_at_a_time() {
        let basic = format!("{ID}:{SECRET}");
        let bad = Err((400, "invalid_request"));
        for two in ["client_secret=x", "client_assertion=x"] {
            assert_eq!(check(Some(&basic), two), bad);
        }
        assert_eq!(check(None, "client_secret=x&client_assertion=x"), bad);
        assert_eq!(check(None, "client_assertion=x"), bad, "of what type?");
        assert_eq!(check(Some(&basic), "client_id=other"), bad);
        let same = "client_id=sb-orders%21t1%7Capp";
        assert_eq!(check(Some(&basic), same), Ok(ID.to_owned()));
    }

    #[test]
    fn other_schemes() {
        let state = State::new(ServiceConfig::default(), String::new());
        for value in ["Bearer abc", "Basic", "Basic !", ""] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            let error = authenticate(&state, &headers, &Form::default()).unwrap_err();
            assert_eq!(error.code(), "invalid_client", "{value}");
        }
    }
}
