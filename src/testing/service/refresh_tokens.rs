//! Refresh tokens, which are good for one use each.

use std::collections::HashMap;

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
    pub(super) fn replace(&mut self, client_id: &str, token: &str, next: String) -> bool {
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
