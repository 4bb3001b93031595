//! Grants beside client credentials: assertions are taken as they come, refresh tokens once.

use std::collections::HashMap;

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

/// The refresh tokens that are out, with those that were spent.
#[derive(Debug, Default)]
pub(super) struct RefreshTokens(HashMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    client_id: String,
    /// The first token of its chain.
    family: String,
    spent: bool,
}

impl RefreshTokens {
    /// The first of a chain.
    pub(super) fn grant(&mut self, client_id: &str, token: String) {
        let entry = Entry {
            client_id: client_id.to_owned(),
            family: token.clone(),
            spent: false,
        };
        self.0.insert(token, entry);
    }

    /// RFC 9700 4.14.2: a second use revokes the whole chain.
    fn replace(&mut self, client_id: &str, token: &str, next: String) -> bool {
        let Some(entry) = self.0.get_mut(token).filter(|it| it.client_id == client_id) else {
            return false;
        };
        let family = entry.family.clone();
        if std::mem::replace(&mut entry.spent, true) {
            self.0.retain(|_, it| it.family != family);
            return false;
        }
        let entry = Entry {
            client_id: client_id.to_owned(),
            family,
            spent: false,
        };
        self.0.insert(next, entry);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_use_revokes_the_chain() {
        let mut all = RefreshTokens::default();
        all.grant("a", "0".into());
        assert!(!all.replace("b", "0", "x".into()), "another client's");
        assert!(all.replace("a", "0", "1".into()));
        assert!(all.replace("a", "1", "2".into()));
        assert!(!all.replace("a", "0", "3".into()));
        assert!(!all.replace("a", "2", "4".into()));
    }
}
