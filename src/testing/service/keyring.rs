//! The service's keys: the one that signs, and those that it publishes.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::testing::TestKey;
use crate::testing::keys::jwk_set;

#[derive(Debug)]
pub(super) struct Keyring {
    signing: TestKey,
    published: Vec<TestKey>,
    /// Generations of new keys that were handed out.
    generation: usize,
}

impl Keyring {
    pub(super) fn new(key: TestKey) -> Self {
        Self {
            published: vec![key.clone()],
            signing: key,
            generation: 0,
        }
    }

    pub(super) fn signing(&self) -> &TestKey {
        &self.signing
    }

    pub(super) fn published(&self) -> &[TestKey] {
        &self.published
    }

    /// An RS256 key that was not handed out before.
    pub(super) fn fresh(&mut self) -> TestKey {
        self.generation += 1;
        TestKey::rsa(self.generation)
    }

    /// Publishes `key` in place of one with the same `kid`, if there is any.
    pub(super) fn publish(&mut self, key: TestKey) {
        self.published.retain(|it| it.kid() != key.kid());
        self.published.push(key);
    }

    /// False if no published key has this `kid`.
    pub(super) fn sign_with(&mut self, kid: &str) -> bool {
        match self.published.iter().find(|it| it.kid() == kid) {
            Some(key) => {
                self.signing = key.clone();
                true
            }
            None => false,
        }
    }

    /// False if no published key has this `kid`.
    pub(super) fn withdraw(&mut self, kid: &str) -> bool {
        let before = self.published.len();
        self.published.retain(|it| it.kid() != kid);
        self.published.len() < before
    }

    pub(super) fn replace(&mut self, key: TestKey) {
        self.published = vec![key.clone()];
        self.signing = key;
    }

    /// The JWK Set, and its entity tag (RFC 9110 8.8.3).
    pub(super) fn document(&self) -> (String, String) {
        let document = jwk_set(&self.published).to_string();
        let mut hasher = DefaultHasher::new();
        document.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        (document, tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kids(keyring: &Keyring) -> Vec<&str> {
        keyring.published().iter().map(TestKey::kid).collect()
    }

    #[test]
    fn publish_before_use() {
        let mut keyring = Keyring::new(TestKey::rsa(0));
        let (_, tag) = keyring.document();
        let fresh = keyring.fresh();
        keyring.publish(fresh.clone());
        keyring.publish(fresh);
        assert_eq!(keyring.signing().kid(), "rsa-0");
        assert_eq!(kids(&keyring), ["rsa-0", "rsa-1"]);
        assert_ne!(keyring.document().1, tag);
        assert!(keyring.sign_with("rsa-1") && !keyring.sign_with("rsa-2"));
        assert!(keyring.withdraw("rsa-0") && !keyring.withdraw("rsa-0"));
        assert_eq!(keyring.signing().kid(), "rsa-1");
        assert_eq!(kids(&keyring), ["rsa-1"]);
    }

    #[test]
    fn replace_at_once() {
        let mut keyring = Keyring::new(TestKey::rsa(0));
        let old = keyring.document();
        let same_name = keyring.fresh().with_kid("rsa-0");
        keyring.replace(same_name);
        assert_eq!(kids(&keyring), ["rsa-0"]);
        assert_ne!(keyring.document(), old);
    }
}
