//! The token endpoint (RFC 6749 3.2).

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::answer::{Answer, OAuthError, private_json};
use super::client_auth::authenticate;
use super::config::{JwtIssuing, RegisteredClient};
use super::form::Form;
use super::grants;
use super::received::Received;
use super::state::{Issued, LONGEST_JWT, State};
use crate::claims::Audience;

pub(super) fn answer(state: &State, request: &Received) -> Result<Answer, OAuthError> {
    let form = request.form()?;
    state.keep_token_request(&form);
    if form.in_query("client_id") || form.in_query("client_secret") {
        // RFC 6749 2.3.1: never in the URI.
        return Err(OAuthError::invalid_request("credentials in the query"));
    }
    let client = authenticate(state, &request.headers, &form)?;
    let format = format(client, &form)?;
    let scope = scope(client, &form)?;
    let audience = audience(&form)?;
    // Last, since it spends refresh tokens.
    let refresh_token = grants::check(state, client, &form)?;
    let (token, issued) = issue(state, client, format, scope, audience)?;
    let mut body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": issued.expires_at - issued.issued_at,
    });
    if let (Some(scope), Some(members)) = (&issued.scope, body.as_object_mut()) {
        members.insert("scope".into(), scope.as_str().into());
    }
    if let (Some(token), Some(members)) = (refresh_token, body.as_object_mut()) {
        members.insert("refresh_token".into(), token.into());
    }
    state.remember(token, issued, format.is_jwt());
    Ok(private_json(StatusCode::OK, &body))
}

/// The format of the token to issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Opaque,
    Jwt {
        /// `typ` of the header.
        typ: &'static str,
    },
}

impl Format {
    fn is_jwt(self) -> bool {
        self != Self::Opaque
    }
}

fn format(client: &RegisteredClient, form: &Form) -> Result<Format, OAuthError> {
    let asked = match form.one_anywhere("token_format")? {
        Some(_) if client.jwt == JwtIssuing::Refused => {
            return Err(OAuthError::invalid_request("token_format is not known"));
        }
        // RFC 9068 2.1 for the format that has the RFC in its name.
        Some("jwtrfc") => Some(AT_JWT),
        Some("jwt") => Some(Format::Jwt { typ: "JWT" }),
        Some("opaque") | None => None,
        Some(_) => {
            return Err(OAuthError::invalid_request(
                "token_format must be jwtrfc, jwt or opaque",
            ));
        }
    };
    Ok(match client.jwt {
        JwtIssuing::OnRequest => asked.unwrap_or(Format::Opaque),
        JwtIssuing::Always => asked.unwrap_or(AT_JWT),
        JwtIssuing::Never | JwtIssuing::Refused => Format::Opaque,
    })
}

const AT_JWT: Format = Format::Jwt { typ: "at+jwt" };

/// The scope to grant: what was asked for, or all that is registered (RFC 6749 3.3).
fn scope(client: &RegisteredClient, form: &Form) -> Result<Option<String>, OAuthError> {
    let asked = form.one("scope")?;
    match (asked, &client.scopes) {
        (Some(asked), Some(allowed))
            if !asked.split(' ').all(|it| allowed.iter().any(|ok| ok == it)) =>
        {
            Err(OAuthError::bad_request(
                "invalid_scope",
                "the client may not have this scope",
            ))
        }
        (Some(asked), _) => Ok(Some(asked.to_owned())),
        (None, Some(allowed)) => Ok(Some(allowed.join(" "))),
        (None, None) => Ok(None),
    }
}

/// Every `resource` (RFC 8707) and `audience` (RFC 8693 2.1) that the token is for.
fn audience(form: &Form) -> Result<Vec<String>, OAuthError> {
    let mut audience = Vec::new();
    for resource in form.many("resource") {
        // RFC 8707 2: an absolute URI without a fragment.
        match Url::parse(resource) {
            Ok(url) if url.fragment().is_none() => audience.push(resource.to_owned()),
            _ => {
                return Err(OAuthError::bad_request(
                    "invalid_target",
                    "resource must be an absolute URI without a fragment",
                ));
            }
        }
    }
    audience.extend(form.many("audience").map(str::to_owned));
    Ok(audience)
}

/// The claims of RFC 9068 2.2.
#[derive(Serialize)]
struct IssuedClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience,
    exp: i64,
    iat: i64,
    jti: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

fn issue(
    state: &State,
    client: &RegisteredClient,
    format: Format,
    scope: Option<String>,
    audience: Vec<String>,
) -> Result<(String, Issued), OAuthError> {
    let wanted = client.policy.validity();
    let validity = match format {
        Format::Opaque => wanted,
        Format::Jwt { .. } => wanted.min(LONGEST_JWT),
    };
    let issued_at = state.wall_secs();
    let seconds = i64::try_from(validity.as_secs()).unwrap_or(i64::MAX);
    let issued = Issued {
        client_id: client.id.clone(),
        scope,
        audience,
        id: state.draw_id(),
        issued_at,
        expires_at: issued_at.saturating_add(seconds),
    };
    let token = match format {
        Format::Opaque => issued.id.clone(),
        Format::Jwt { typ } => sign(state, &issued, typ)?,
    };
    Ok((token, issued))
}

fn sign(state: &State, issued: &Issued, typ: &str) -> Result<String, OAuthError> {
    let claims = IssuedClaims {
        iss: state.issuer(),
        sub: &issued.client_id,
        aud: audience_claim(state, issued),
        exp: issued.expires_at,
        iat: issued.issued_at,
        jti: &issued.id,
        client_id: &issued.client_id,
        scope: issued.scope.as_deref(),
    };
    let key = state.keyring(|keyring| keyring.signing().clone());
    key.sign_as(typ, &claims)
        .map_err(|_| OAuthError::server_error("the token cannot be signed"))
}

/// RFC 9068 3: where no resource was asked for, a default one is named: the service itself, which
/// no resource server takes for its own name.
fn audience_claim(state: &State, issued: &Issued) -> Audience {
    match issued.audience.as_slice() {
        [] => Audience::One(state.issuer().to_owned()),
        [one] => Audience::One(one.clone()),
        many => Audience::Many(many.to_vec()),
    }
}

/// Introspection (RFC 7662), for any registered client.
pub(super) fn introspect(state: &State, request: &Received) -> Result<Answer, OAuthError> {
    let form = request.form()?;
    authenticate(state, &request.headers, &form)?;
    let token = form
        .one("token")?
        .ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    // RFC 7662 2.2: of a token that is not active nothing more is told.
    let body = state
        .find(token)
        .map_or_else(|| json!({ "active": false }), |it| describe(state, &it));
    Ok(private_json(StatusCode::OK, &body))
}

fn describe(state: &State, issued: &Issued) -> Value {
    let mut body = json!({
        "active": true,
        "iss": state.issuer(),
        "sub": issued.client_id,
        "aud": audience_claim(state, issued),
        "exp": issued.expires_at,
        "iat": issued.issued_at,
        "jti": issued.id,
        "client_id": issued.client_id,
        "token_type": "Bearer",
    });
    if let (Some(scope), Some(members)) = (&issued.scope, body.as_object_mut()) {
        members.insert("scope".into(), scope.as_str().into());
    }
    body
}
