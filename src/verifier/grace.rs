//! Keys that their source no longer has, and that a setting lets live on for a while.

use std::time::Duration;

use super::keys::is_same_key;
use crate::jose::{KeySet, VerifyingKey};

/// The withdrawn keys, each with the boot time at which it dies.
#[derive(Default)]
pub(super) struct Grace {
    length: Duration,
    /// What the source had when it was last asked.
    fetched: Option<KeySet>,
    withdrawn: Vec<(VerifyingKey, Duration)>,
}

impl Grace {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            ..Self::default()
        }
    }

    /// What to publish now that the source has `fetched`, and `before` was in use until then.
    pub(super) fn take(&mut self, before: &KeySet, fetched: KeySet, boot: Duration) -> KeySet {
        if self.length.is_zero() {
            return fetched;
        }
        let is_back = |key: &VerifyingKey| fetched.keys().iter().any(|it| is_same_key(it, key));
        self.withdrawn
            .retain(|(key, until)| boot < *until && !is_back(key));
        let until = boot.saturating_add(self.length);
        // Those that are in use and were withdrawn before this keep their time.
        let former = self.fetched.as_ref().unwrap_or(before).keys().iter();
        let news = former.filter(|key| !is_back(key)).cloned();
        self.withdrawn.extend(news.map(|key| (key, until)));
        self.fetched = Some(fetched);
        self.published()
    }

    /// Nothing that was in use until now lives on.
    pub(super) fn forget(&mut self) {
        self.fetched = None;
        self.withdrawn.clear();
    }

    /// What to publish if some have died by now.
    pub(super) fn end(&mut self, boot: Duration) -> Option<KeySet> {
        let before = self.withdrawn.len();
        self.withdrawn.retain(|(_, until)| boot < *until);
        (self.withdrawn.len() < before).then(|| self.published())
    }

    /// When the next one dies.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.withdrawn.iter().map(|(_, until)| *until).min()
    }

    fn published(&self) -> KeySet {
        let withdrawn = self.withdrawn.iter().map(|(key, _)| key.clone());
        self.fetched
            .as_ref()
            .unwrap_or(&KeySet::default())
            .and(withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::scripted::key_set;

    fn set(kids: &[&str]) -> KeySet {
        let keys = kids.iter().map(|kid| {
            let set = KeySet::from_json(key_set(kid).as_bytes()).unwrap();
            set.keys()[0].clone()
        });
        KeySet::from_keys(keys)
    }

    #[track_caller]
    fn check(published: &KeySet, expected: &[&str]) {
        let kids: Vec<_> = published.keys().iter().filter_map(|it| it.kid()).collect();
        assert_eq!(kids, expected);
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn without_one_a_withdrawn_key_dies_at_once() {
        let mut grace = Grace::default();
        check(&grace.take(&set(&["a"]), set(&["b"]), secs(0)), &["b"]);
        assert_eq!(grace.next_end(), None);
    }

    #[test]
    fn each_key_has_its_own_time() {
        let mut grace = Grace::new(secs(60));
        let mut published = grace.take(&KeySet::default(), set(&["a"]), secs(0));
        check(&published, &["a"]);
        published = grace.take(&published, set(&["b"]), secs(10));
        check(&published, &["b", "a"]);
        published = grace.take(&published, set(&["c"]), secs(40));
        check(&published, &["c", "a", "b"]);
        assert_eq!(grace.next_end(), Some(secs(70)));
        assert!(grace.end(secs(69)).is_none());
        published = grace.end(secs(70)).unwrap();
        check(&published, &["c", "b"]);
        published = grace.take(&published, set(&["b", "d"]), secs(80));
        check(&published, &["b", "d", "c"]);
        published = grace.take(&published, set(&["b", "d"]), secs(140));
        check(&published, &["b", "d"]);
        assert_eq!(grace.next_end(), None);
    }

    #[test]
    fn keys_that_were_there_before_are_withdrawn_too() {
        let mut grace = Grace::new(secs(60));
        let published = grace.take(&set(&["kept"]), set(&["a"]), secs(0));
        check(&published, &["a", "kept"]);
    }
}
