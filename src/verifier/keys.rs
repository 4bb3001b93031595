//! The keys that verifications read: a snapshot that a refresher replaces whole.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::bell::{Bell, Ring};
#[cfg(feature = "http")]
use super::fetch_error::{FetchError, SourceError};
#[cfg(feature = "http")]
use super::key_file::KeyFileError;
use super::stripes::Counter;
use crate::clock::{Now, Timestamp};
#[cfg(feature = "http")]
use crate::jose::VerifyingKey;
use crate::jose::{KeySet, SkippedKey};

/// The keys of one source, shared by every clone.
///
/// A [`Verifier`](super::Verifier) reads it: one snapshot load for each token, no lock, no I/O. A
/// fixed set never changes and never goes stale. An empty cache is filled and kept fresh by the one
/// `Refresher` that it was given to; until then verifications answer that keys
/// are unavailable, which is no verdict about the token.
#[derive(Clone)]
pub struct KeyCache(Arc<Shared>);

struct Shared {
    snapshot: ArcSwap<Snapshot>,
    bell: Bell,
    stale_serves: Counter,
    #[cfg(feature = "http")]
    fixed: bool,
    #[cfg(feature = "http")]
    has_refresher: AtomicBool,
    #[cfg(feature = "http")]
    progress: ArcSwap<Progress>,
}

impl KeyCache {
    /// A cache without keys, to be filled by a `Refresher`.
    pub fn empty() -> Self {
        Self::new(Origin::Nowhere, KeySet::default())
    }

    /// A cache of these keys, for ever. Without any, they are unavailable for ever.
    pub fn fixed(keys: KeySet) -> Self {
        Self::new(Origin::Fixed, keys)
    }

    fn new(origin: Origin, keys: KeySet) -> Self {
        Self(Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(Snapshot {
                keys: Arc::new(keys),
                generation: 0,
                origin,
                failing: false,
            }),
            bell: Bell::new(),
            stale_serves: Counter::new(),
            #[cfg(feature = "http")]
            fixed: origin == Origin::Fixed,
            #[cfg(feature = "http")]
            has_refresher: AtomicBool::new(false),
            #[cfg(feature = "http")]
            progress: ArcSwap::default(),
        }))
    }

    /// What is known of these keys and of how they are kept fresh, at this moment.
    pub fn health(&self) -> Health {
        let snapshot = self.load();
        #[cfg(feature = "http")]
        let progress = self.0.progress.load();
        Health {
            generation: snapshot.generation,
            usable_keys: snapshot.keys.keys().len(),
            skipped_keys: snapshot.keys.skipped().to_vec(),
            fetched_at: snapshot.since().map(|since| since.at),
            past: snapshot.since().map(|since| since.past).unwrap_or_default(),
            is_failing: snapshot.failing,
            bells_rung: self.0.bell.rung(),
            bells_held: self.0.bell.held(),
            stale_serves: self.0.stale_serves.get(),
            #[cfg(feature = "http")]
            next_attempt: progress.next_attempt,
            #[cfg(feature = "http")]
            failures: progress.failures,
            #[cfg(feature = "http")]
            last_error: progress.last_error.clone(),
            #[cfg(feature = "http")]
            key_file_error: progress.key_file_error,
        }
    }

    /// The keys that verifications use at this moment, those among them that are too old included.
    pub fn key_set(&self) -> KeySet {
        KeySet::clone(&self.load().keys)
    }

    /// Replaces the keys at once, as a refresher does, whoever has put them there: for tests of what
    /// a rotation does. They are as old as those before, and for want of any stay unavailable.
    #[cfg(feature = "testing")]
    pub fn swap(&self, keys: KeySet) {
        self.amend(keys);
    }

    /// One consistent view: keys, and what is known of them.
    #[inline]
    pub(super) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.snapshot.load()
    }

    /// The same for a verification at `wall`, if it may rely on the keys.
    ///
    /// # Errors
    ///
    /// If there are none, or they are too old.
    #[inline]
    pub(super) fn load_usable(
        &self,
        wall: Timestamp,
        boot: impl FnOnce() -> Duration,
    ) -> Result<Guard<Arc<Snapshot>>, KeysUnavailable> {
        let snapshot = self.load();
        snapshot.usable(wall, boot)?;
        if snapshot.failing {
            self.0.stale_serves.add(1);
        }
        Ok(snapshot)
    }

    /// Tells the refresher that a key may be missing, and returns at once.
    pub(super) fn ring(&self, why: Ring<'_>) {
        self.0.bell.ring(why);
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.load();
        f.debug_struct("KeyCache")
            .field("origin", &snapshot.origin)
            .field("generation", &snapshot.generation)
            .finish_non_exhaustive()
    }
}

/// What one verification sees.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The keys.
    pub(super) keys: Arc<KeySet>,
    /// Counts the changes of keys in this cache; two snapshots of one number hold the same keys.
    pub(super) generation: u64,
    /// Whether the last fetch failed, so that a key that is not here may exist.
    pub(super) failing: bool,
    origin: Origin,
}

impl Snapshot {
    /// Whether a verification may rely on these keys at `wall`.
    ///
    /// Fetched keys are as old as the larger of two ages says: the wall clock may have been set
    /// back, and boot time may have stood still. `boot` is asked only for them.
    ///
    /// # Errors
    ///
    /// If there are none, or they are too old.
    #[inline]
    pub(super) fn usable(
        &self,
        wall: Timestamp,
        boot: impl FnOnce() -> Duration,
    ) -> Result<(), KeysUnavailable> {
        match self.origin {
            Origin::Fixed if self.keys.keys().is_empty() => Err(KeysUnavailable::NoKeys),
            Origin::Fixed => Ok(()),
            Origin::Nowhere => Err(KeysUnavailable::NoKeys),
            Origin::Fetched { since, max_stale } => {
                let now = Now { wall, boot: boot() };
                if since.age(now) > max_stale {
                    return Err(KeysUnavailable::TooOld);
                }
                Ok(())
            }
        }
    }

    fn since(&self) -> Option<Since> {
        match self.origin {
            Origin::Fetched { since, .. } => Some(since),
            Origin::Fixed | Origin::Nowhere => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Nowhere,
    Fixed,
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "only a refresher fetches")
    )]
    Fetched {
        since: Since,
        max_stale: Duration,
    },
}

/// When the request that brought or last confirmed keys was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    at: Now,
    /// How old they were at that boot time: those of a key file may be older than the machine is up.
    past: Duration,
}

impl Since {
    fn age(&self, now: Now) -> Duration {
        let boot = now.boot.saturating_sub(self.at.boot);
        let wall = now.wall.since(self.at.wall);
        wall.max(boot.saturating_add(self.past))
    }
}

#[cfg(feature = "http")]
impl From<Now> for Since {
    fn from(at: Now) -> Self {
        Self {
            at,
            past: Duration::ZERO,
        }
    }
}

/// Why keys cannot be relied on. It says nothing about the token: the answer to a client is 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysUnavailable {
    /// There are none: nothing was fetched yet, or a fixed set is empty.
    NoKeys,
    /// The last successful fetch is longer ago than `max_stale`.
    TooOld,
}

impl fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeys => "there are no keys yet",
            Self::TooOld => "the keys were last confirmed too long ago",
        })
    }
}

impl std::error::Error for KeysUnavailable {}

/// What is known of the keys of one source, see [`KeyCache::health`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How often the keys changed.
    pub generation: u64,
    /// How many keys can verify.
    pub usable_keys: usize,
    /// The keys of the source's document that cannot, each with its reason.
    pub skipped_keys: Vec<SkippedKey>,
    /// When the keys were last fetched or confirmed; `None` for a fixed set, or before the first
    /// success. For keys of a key file: its own time, and the boot time at which it was read.
    pub fetched_at: Option<Now>,
    past: Duration,
    /// Whether the last fetch failed, or none has ended yet and keys are those of a key file.
    pub is_failing: bool,
    /// How often a verification missed a key and asked for a fetch.
    pub bells_rung: u64,
    /// How many of those bells caused no fetch of their own: merged with one that was rung already,
    /// held back until the gate opened, or for a kid that is known to be absent.
    pub bells_held: u64,
    /// How many verifications relied on keys whose last refresh had failed.
    pub stale_serves: u64,
    /// When the next fetch starts, unless a bell brings it forward; `None` before the first one.
    #[cfg(feature = "http")]
    pub next_attempt: Option<Timestamp>,
    /// How many fetches in a row have failed.
    #[cfg(feature = "http")]
    pub failures: u32,
    /// Why the last failed fetch did, also after a later success.
    #[cfg(feature = "http")]
    pub last_error: Option<FetchError>,
    /// Why the key file could not be used when that was last tried; `None` if it could.
    #[cfg(feature = "http")]
    pub key_file_error: Option<KeyFileError>,
}

impl Health {
    /// How old the keys are: the larger of wall and boot-time age. `None` as for `fetched_at`.
    pub fn age(&self, now: Now) -> Option<Duration> {
        let (at, past) = (self.fetched_at?, self.past);
        Some(Since { at, past }.age(now))
    }
}

/// How the refresher gets on.
#[cfg(feature = "http")]
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) next_attempt: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) last_error: Option<FetchError>,
    pub(super) key_file_error: Option<KeyFileError>,
}

/// The refresher's side: one task writes, so load and store need not be one step.
#[cfg(feature = "http")]
impl KeyCache {
    /// Takes the one place of a refresher.
    pub(super) fn attach(&self) -> Result<(), SourceError> {
        if self.0.fixed {
            return Err(SourceError::FixedKeys);
        }
        match self.0.has_refresher.swap(true, Ordering::AcqRel) {
            true => Err(SourceError::HasRefresher),
            false => Ok(()),
        }
    }

    pub(super) fn detach(&self) {
        self.0.has_refresher.store(false, Ordering::Release);
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.0.bell
    }

    /// Publishes what a key file held, unless there are keys; returns whether it did. They are to be
    /// confirmed, so a key that is not among them may exist.
    pub(super) fn restore(
        &self,
        keys: KeySet,
        fetched_at: Timestamp,
        now: Now,
        max_stale: Duration,
    ) -> bool {
        let before = self.0.snapshot.load_full();
        if before.origin != Origin::Nowhere {
            return false;
        }
        let since = Since {
            at: Now {
                wall: fetched_at,
                boot: now.boot,
            },
            past: now.wall.since(fetched_at),
        };
        self.publish(Snapshot {
            keys: Arc::new(keys),
            generation: before.generation + 1,
            failing: true,
            origin: Origin::Fetched { since, max_stale },
        });
        true
    }

    /// Publishes other keys of the same time.
    pub(super) fn amend(&self, keys: KeySet) {
        let before = self.0.snapshot.load_full();
        self.publish(Snapshot {
            keys: Arc::new(keys),
            generation: before.generation + 1,
            ..Snapshot::clone(&before)
        });
    }

    /// Publishes what a fetch that started at `at` brought; returns whether the keys changed.
    pub(super) fn replace(&self, keys: KeySet, at: Now, max_stale: Duration) -> bool {
        let before = self.0.snapshot.load_full();
        let changed = before.origin == Origin::Nowhere || !is_same(&before.keys, &keys);
        let generation = before.generation + u64::from(changed);
        self.publish(Snapshot {
            keys: if changed {
                Arc::new(keys)
            } else {
                Arc::clone(&before.keys)
            },
            generation,
            failing: false,
            origin: Origin::Fetched {
                since: at.into(),
                max_stale,
            },
        });
        changed
    }

    /// The source said at `at` that the keys in hand are still its keys.
    pub(super) fn confirm(&self, at: Now, max_stale: Duration) {
        let before = self.0.snapshot.load_full();
        self.publish(Snapshot {
            failing: false,
            origin: Origin::Fetched {
                since: at.into(),
                max_stale,
            },
            ..Snapshot::clone(&before)
        });
    }

    /// A fetch failed: the keys stay.
    pub(super) fn fail(&self) {
        let before = self.0.snapshot.load_full();
        if !before.failing {
            self.publish(Snapshot {
                failing: true,
                ..Snapshot::clone(&before)
            });
        }
    }

    fn publish(&self, snapshot: Snapshot) {
        self.0.snapshot.store(Arc::new(snapshot));
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        self.0.progress.load_full()
    }

    pub(super) fn report(&self, progress: Progress) {
        self.0.progress.store(Arc::new(progress));
    }
}

/// Whether two sets hold the same keys for the same purposes, and skip the same ones.
#[cfg(feature = "http")]
fn is_same(one: &KeySet, other: &KeySet) -> bool {
    one.keys().len() == other.keys().len()
        && one.skipped() == other.skipped()
        && one
            .keys()
            .iter()
            .zip(other.keys())
            .all(|(one, other)| is_same_key(one, other))
}

#[cfg(feature = "http")]
pub(super) fn is_same_key(one: &VerifyingKey, other: &VerifyingKey) -> bool {
    one.kid() == other.kid()
        && one.issuer() == other.issuer()
        && one.algorithms() == other.algorithms()
        && one.thumbprint() == other.thumbprint()
}

/// How long fetched keys are relied on without being confirmed: 24 h.
#[cfg(feature = "http")]
pub(super) const MAX_STALE: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, VerifyingKey};

    const START: Now = Now {
        wall: Timestamp::from_secs(1_795_570_010),
        boot: Duration::from_secs(1000),
    };

    #[test]
    fn an_empty_cache_has_no_keys() {
        let cache = KeyCache::empty();
        assert_eq!(
            cache.load().usable(START.wall, || START.boot),
            Err(KeysUnavailable::NoKeys)
        );
    }

    #[test]
    fn a_fixed_set_never_asks_for_boot_time() {
        let key = VerifyingKey::hmac(&[7; 32], Algorithm::HS256).unwrap();
        let forever = Timestamp::from_millis(i64::MAX);
        for (keys, expected) in [
            (KeySet::from_keys([key]), Ok(())),
            (KeySet::default(), Err(KeysUnavailable::NoKeys)),
        ] {
            let cache = KeyCache::fixed(keys);
            assert_eq!(cache.load().usable(forever, || panic!()), expected);
        }
    }

    #[test]
    fn texts() {
        assert_eq!(
            [KeysUnavailable::NoKeys, KeysUnavailable::TooOld].map(|it| it.to_string()),
            [
                "there are no keys yet",
                "the keys were last confirmed too long ago"
            ]
        );
    }
}

#[cfg(test)]
#[cfg(feature = "http")]
mod refreshed {
    use super::*;

    const START: Now = Now {
        wall: Timestamp::from_secs(1_795_570_010),
        boot: Duration::from_secs(1000),
    };

    fn later(wall: i64, boot: u64) -> (Timestamp, Duration) {
        (
            Timestamp::from_secs(START.wall.as_secs() + wall),
            START.boot + Duration::from_secs(boot),
        )
    }

    #[track_caller]
    fn check(cache: &KeyCache, (wall, boot): (Timestamp, Duration), usable: bool) {
        let expected = if usable {
            Ok(())
        } else {
            Err(KeysUnavailable::TooOld)
        };
        let usable = cache.load_usable(wall, || boot).map(|_| ());
        assert_eq!(usable, expected);
    }

    #[test]
    fn fetched_keys_age_by_the_larger_of_two_clocks() {
        const DAY: u64 = 86_400;
        let cache = KeyCache::empty();
        assert!(cache.replace(KeySet::default(), START, MAX_STALE));
        check(&cache, later(DAY as i64, DAY), true);
        check(&cache, later(DAY as i64 + 1, 0), false);
        check(&cache, later(0, DAY + 1), false);
        check(&cache, later(-3600, DAY), true);
        check(&cache, later(-3600, DAY + 1), false);
        cache.confirm(
            Now {
                wall: later(60, 0).0,
                boot: later(0, 60).1,
            },
            MAX_STALE,
        );
        check(&cache, later(DAY as i64 + 60, DAY + 60), true);
    }

    #[test]
    fn a_failure_keeps_keys_and_generation_and_counts_stale_serves() {
        let cache = KeyCache::empty();
        cache.fail();
        assert!(cache.load().failing);
        cache.replace(KeySet::default(), START, MAX_STALE);
        assert!(!cache.load().failing);
        assert_eq!(cache.load().generation, 1);
        cache.fail();
        assert!(cache.load().failing);
        assert_eq!(cache.load().generation, 1);
        check(&cache, later(1, 1), true);
        check(&cache, later(1, 1), true);
        assert_eq!(cache.health().stale_serves, 2);
        check(&cache, later(86_400, 86_401), false);
        cache.confirm(START, MAX_STALE);
        check(&cache, later(1, 1), true);
        assert_eq!(cache.health().stale_serves, 2);
    }

    /// Down to what is skipped and why, which health tells.
    #[test]
    fn whatever_differs_is_a_change() {
        let set = |key: &str, more: &str| {
            let k = "A".repeat(86);
            let document = format!(r#"{{"keys":[{{"kty":"oct","k":"{k}",{key}}}{more}]}}"#);
            KeySet::from_json_with_symmetric(document.as_bytes()).unwrap()
        };
        let before = set(r#""kid":"a","issuer":"i""#, ",null");
        let cache = KeyCache::empty();
        let replace = |keys: &KeySet| cache.replace(keys.clone(), START, MAX_STALE);
        assert!(replace(&before));
        assert!(!replace(&before));
        for (key, more) in [
            (r#""kid":"b","issuer":"i""#, ",null"),
            (r#""kid":"a","issuer":"j""#, ",null"),
            (r#""kid":"a""#, ",null"),
            (r#""kid":"a","issuer":"i","alg":"HS256""#, ",null"),
            (r#""kid":"a","issuer":"i""#, ""),
            (r#""kid":"a","issuer":"i""#, r#",{"kid":"b"}"#),
        ] {
            let other = set(key, more);
            assert!(replace(&other), "{key} {more}");
            assert_eq!(cache.health().skipped_keys, other.skipped());
            assert!(replace(&before));
        }
        assert_eq!(cache.load().generation, 13);
    }

    #[test]
    fn one_refresher_a_cache_and_none_for_a_fixed_set() {
        let cache = KeyCache::empty();
        let other = cache.clone();
        assert_eq!(cache.attach(), Ok(()));
        assert_eq!(other.attach(), Err(SourceError::HasRefresher));
        cache.detach();
        assert_eq!(other.attach(), Ok(()));
        let fixed = KeyCache::fixed(KeySet::default());
        assert_eq!(fixed.attach(), Err(SourceError::FixedKeys));
    }
}
