//! The bell: how a verification that missed a key tells the refresher, without waiting for it.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::stripes::Counter;

/// Why a verification rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring<'a> {
    /// The set has no key of this kid.
    UnknownKey(&'a str),
    /// The key of this kid did not sign the token: it may have been replaced under the same kid.
    BadSignature,
    /// The kid is known, but on no key for the token's algorithm.
    NoKeyForAlgorithm,
    /// The token names no kid, and no key verifies it.
    NoKid,
    /// There are no keys, or none that are recent enough.
    NoKeys,
    /// It is no verification: the caller asked for fresh keys.
    #[cfg(feature = "http")]
    OnRequest,
}

/// A mailbox that any number of threads write and one refresher empties.
///
/// Ringing is a handful of atomic operations: no lock, no allocation, no runtime. Rings that say
/// nothing new are merged, so a flood wakes the refresher once for each time it looks.
#[derive(Debug)]
pub(super) struct Bell {
    hasher: RandomState,
    /// Hashes of unknown kids; zero is a free place.
    kids: [AtomicU64; PLACES],
    /// Someone rang whose kid has no place above, or for another reason.
    anonymous: AtomicBool,
    /// Something was written since the refresher last looked.
    waiting: AtomicBool,
    rung: Counter,
    held: Counter,
    #[cfg(feature = "http")]
    refresher: atomic_waker::AtomicWaker,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            kids: array::from_fn(|_| AtomicU64::new(0)),
            anonymous: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            rung: Counter::new(),
            held: Counter::new(),
            #[cfg(feature = "http")]
            refresher: atomic_waker::AtomicWaker::new(),
        }
    }

    pub(super) fn ring(&self, why: Ring<'_>) {
        self.rung.add(1);
        let news = match why {
            Ring::UnknownKey(kid) => self.write(self.hash(kid)),
            _ => self.write_anonymous(),
        };
        if !news {
            self.hold(1);
        } else if !self.waiting.swap(true, Ordering::AcqRel) {
            #[cfg(feature = "http")]
            self.refresher.wake();
        }
    }

    /// Bells that caused no fetch of their own, so far: merged with one that was rung already, held
    /// back by the gate, or for a kid that is known to be absent.
    pub(super) fn held(&self) -> u64 {
        self.held.get()
    }

    /// All bells, so far.
    pub(super) fn rung(&self) -> u64 {
        self.rung.get()
    }

    pub(super) fn hold(&self, bells: u64) {
        self.held.add(bells);
    }

    /// Keyed per bell, so that nobody can choose kids that collide; never zero.
    fn hash(&self, kid: &str) -> u64 {
        self.hasher.hash_one(kid) | 1
    }

    /// Returns whether that was news.
    fn write(&self, hash: u64) -> bool {
        let (before, after) = self.kids.split_at(hash as usize / 2 % PLACES);
        for place in after.iter().chain(before).take(PROBES) {
            // Looked at first: in a flood the places are taken, and reading them costs little.
            let before = match place.load(Ordering::Acquire) {
                0 => place
                    .compare_exchange(0, hash, Ordering::AcqRel, Ordering::Acquire)
                    .unwrap_or_else(|taken| taken),
                taken => taken,
            };
            if before == 0 || before == hash {
                return before == 0;
            }
        }
        self.write_anonymous()
    }

    fn write_anonymous(&self) -> bool {
        !self.anonymous.load(Ordering::Acquire) && !self.anonymous.swap(true, Ordering::AcqRel)
    }
}

/// What was rung since the refresher last looked.
#[cfg(feature = "http")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rings {
    /// Somebody rang who named no kid.
    pub(super) anonymous: bool,
    /// Hashes of the kids that were named.
    pub(super) kids: Vec<u64>,
}

#[cfg(feature = "http")]
impl Bell {
    /// Empties the mailbox.
    pub(super) fn take(&self) -> Rings {
        // The flag goes first: a ring that comes while the places are read raises it again, and at
        // worst the next look finds nothing.
        if !self.waiting.swap(false, Ordering::AcqRel) {
            return Rings::default();
        }
        let kids = self.kids.iter().map(|it| it.swap(0, Ordering::AcqRel));
        Rings {
            anonymous: self.anonymous.swap(false, Ordering::AcqRel),
            kids: kids.filter(|hash| *hash != 0).collect(),
        }
    }

    /// Completes once the mailbox holds something. For one task at a time.
    pub(super) async fn heard(&self) {
        std::future::poll_fn(|context| {
            self.refresher.register(context.waker());
            if self.waiting.load(Ordering::Acquire) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

/// How many kids the mailbox holds.
pub(super) const PLACES: usize = 128;
/// How many places are tried for one kid.
const PROBES: usize = 8;

#[cfg(test)]
#[cfg(feature = "http")]
mod tests {
    use super::*;

    #[test]
    fn rings_are_merged_and_counted() {
        let bell = Bell::new();
        assert_eq!(bell.take(), Rings::default());
        bell.ring(Ring::UnknownKey("a"));
        bell.ring(Ring::UnknownKey("a"));
        bell.ring(Ring::UnknownKey("b"));
        let rings = bell.take();
        assert_eq!((rings.anonymous, rings.kids.len()), (false, 2));
        bell.ring(Ring::BadSignature);
        bell.ring(Ring::NoKid);
        bell.ring(Ring::NoKeyForAlgorithm);
        let rings = bell.take();
        assert_eq!((rings.anonymous, rings.kids.len()), (true, 0));
        assert_eq!(bell.take(), Rings::default());
        assert_eq!((bell.rung(), bell.held()), (6, 3));
    }

    #[test]
    fn a_flood_of_kids_ends_as_an_anonymous_ring() {
        let bell = Bell::new();
        for kid in 0..10_000 {
            bell.ring(Ring::UnknownKey(&kid.to_string()));
        }
        let rings = bell.take();
        assert!(rings.anonymous && rings.kids.len() <= PLACES);
        assert!(rings.kids.len() > PLACES / 2);
    }

    #[test]
    fn no_ring_is_lost_between_threads() {
        let bell = Bell::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let bell = &bell;
                scope.spawn(move || {
                    for kid in 0..2_000 {
                        bell.ring(Ring::UnknownKey(&format!("{thread}/{}", kid % 20)));
                    }
                });
            }
            scope.spawn(|| (0..500).for_each(|_| drop(bell.take())));
        });
        bell.ring(Ring::UnknownKey("last"));
        assert!(bell.take().kids.contains(&bell.hash("last")));
        assert_eq!(bell.rung(), 8_001);
    }

    #[tokio::test]
    async fn a_ring_wakes_the_one_who_listens() {
        let bell = std::sync::Arc::new(Bell::new());
        let listener = tokio::spawn({
            let bell = std::sync::Arc::clone(&bell);
            async move { bell.heard().await }
        });
        tokio::task::yield_now().await;
        assert!(!listener.is_finished());
        bell.ring(Ring::NoKid);
        listener.await.unwrap();
        bell.heard().await;
        assert!(bell.take().anonymous);
    }
}
