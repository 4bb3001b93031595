//! Grants beside client credentials: assertions are taken as they come, refresh tokens once.

use super::answer::OAuthError;
use super::config::RegisteredClient;
use super::form::Form;
use super::state::State;

/// Checks what a grant brings; the refresh token that replaces the one it spent, if it did.
pub(super) fn check(
    state: &State,
    client: &RegisteredClient,
    form: &Form,
) -> Result<Option<String>, OAuthError> {
    let proof = match form.one("grant_type")? {
        Some("client_credentials") => return Ok(None),
        Some("refresh_token") => "refresh_token",
        Some(
            "urn:ietf:params:oauth:grant-type:jwt-bearer"
            | "urn:ietf:params:oauth:grant-type:saml2-bearer",
        ) => "assertion",
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => "subject_token",
        Some(_) => {
            return Err(OAuthError::bad_request(
                "unsupported_grant_type",
                "it is not known",
            ));
        }
        None => return Err(OAuthError::invalid_request("grant_type is missing")),
    };
    let Some(token) = form.one(proof)? else {
        return Err(OAuthError::invalid_request(
            "what the grant rests on is missing",
        ));
    };
    if proof != "refresh_token" {
        return Ok(None);
    }
    let next = state.draw_id();
    let replaced = state.refresh_tokens(|all| all.replace(&client.id, token, next.clone()));
    match replaced {
        true => Ok(Some(next)),
        false => Err(OAuthError::bad_request(
            "invalid_grant",
            "the refresh token is not valid",
        )),
    }
}
