//! The verified-token cache: what was verified before is found again, not verified again.
//!
//! A table of sets of four ways. A token is looked for by a keyed hash of its end and is a hit only
//! if every byte is the same and the grounds on which it was found to be good still hold; so an entry
//! dies with its key, its time or its denylisting, within the same call. Only good tokens enter, so strangers cannot fill
//! it, and it belongs to one verifier, so two policies never share an entry. Readers take no lock
//! and, on a hit, allocate nothing.

use std::array;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use zeroize::Zeroizing;

use super::error::Error;
use super::grounds::Grounds;
use super::stripes::{STRIPES, stripe_of_thread};
use super::verified::{Facts, Stripe, Verified};
use crate::clock::Timestamp;

/// Tokens that one verifier found to be good.
pub(super) struct Seen<C> {
    hasher: RandomState,
    sets: Box<[Set<C>]>,
    /// What all entries weigh, see [`Entry::weight`].
    weight: AtomicUsize,
    /// The set that the sweep is at.
    hand: AtomicUsize,
    /// When the sweep goes on, in milliseconds since the epoch.
    next_sweep: AtomicI64,
}

impl<C> Seen<C> {
    /// Room for [`MOST_ENTRIES`] tokens and [`MOST_WEIGHT`] bytes.
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            sets: (0..SETS).map(|_| Set::new()).collect(),
            weight: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            next_sweep: AtomicI64::new(i64::MIN),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if *self.weight.get_mut() != 0 {
            *self = Self::new();
        }
    }

    /// Finds `token`, if `hold` says so of its grounds; if they no longer do, the entry goes. On an
    /// error it stays: that is about the call, not about the token.
    #[inline]
    pub(super) fn get(
        &self,
        token: &str,
        now: Timestamp,
        hold: impl FnOnce(&Grounds) -> Result<bool, Error>,
    ) -> Result<Option<Verified<C>>, Error> {
        self.sweep_if_due(now);
        let Some((set, tag)) = self.place(token) else {
            return Ok(None);
        };
        for way in set
            .ways
            .iter()
            .filter(|it| it.tag.load(Ordering::Relaxed) == tag)
        {
            let held = way.entry.load();
            match held.as_ref() {
                Some(entry) if entry.token.as_bytes() == token.as_bytes() => {
                    if !hold(&entry.grounds)? {
                        self.remove(way, entry);
                        return Ok(None);
                    }
                    // Written only if it is clear: the line stays shared among those who read it.
                    if !way.used.load(Ordering::Relaxed) {
                        way.used.store(true, Ordering::Relaxed);
                    }
                    return Ok(Some(entry.hand_out()));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Remembers a good token, in the place of one that was not asked for lately.
    pub(super) fn insert(&self, entry: Entry<C>) {
        let weight = entry.weight();
        if weight > MOST_WEIGHT / 64 {
            return;
        }
        let entry = Arc::new(entry);
        let Some((set, tag)) = self.place(&entry.token) else {
            return;
        };
        let Some(way) = set.victim(&entry.token, tag) else {
            return;
        };
        self.weight.fetch_add(weight, Ordering::Relaxed);
        // Entry and tag are two steps: whoever reads between them, or puts another token here at the
        // same time, at worst misses an entry that is there.
        let old = way.entry.swap(Some(entry));
        way.tag.store(tag, Ordering::Relaxed);
        way.used.store(false, Ordering::Relaxed);
        self.lighten(old);
        self.make_room();
    }

    fn place(&self, token: &str) -> Option<(&Set<C>, u32)> {
        // The signature's end differs for every token; comparing all of it comes later.
        let end = token.as_bytes().last_chunk::<HASHED>()?;
        let mut hasher = self.hasher.build_hasher();
        hasher.write(end);
        let hash = hasher.finish();
        let set = self.sets.get(hash as usize % SETS)?;
        Some((set, (hash >> 32) as u32 | 1))
    }

    fn remove(&self, way: &Way<C>, entry: &Arc<Entry<C>>) {
        let before = way.entry.compare_and_swap(entry, None);
        if before.as_ref().is_some_and(|it| Arc::ptr_eq(it, entry)) {
            self.weight.fetch_sub(entry.weight(), Ordering::Relaxed);
        }
    }

    fn lighten(&self, gone: Option<Arc<Entry<C>>>) {
        if let Some(gone) = gone {
            self.weight.fetch_sub(gone.weight(), Ordering::Relaxed);
        }
    }

    /// Drops what was not asked for lately until the rest is light enough; twice round at most, as
    /// the first round may only clear reference bits.
    fn make_room(&self) {
        for _ in 0..2 * self.sets.len() {
            if self.weight.load(Ordering::Relaxed) <= MOST_WEIGHT {
                return;
            }
            for way in self.next_set().into_iter().flat_map(|set| &set.ways) {
                if !way.used.swap(false, Ordering::Relaxed) {
                    self.lighten(way.entry.swap(None));
                }
            }
        }
    }

    fn next_set(&self) -> Option<&Set<C>> {
        let at = self.hand.fetch_add(1, Ordering::Relaxed);
        self.sets.get(at % self.sets.len())
    }

    /// Once a second one caller looks for expired tokens in a few sets: each set has its turn within
    /// about a minute, as long as anything is verified.
    #[inline]
    fn sweep_if_due(&self, now: Timestamp) {
        let due = self.next_sweep.load(Ordering::Relaxed);
        // A clock that was set back counts as well.
        if !(due.saturating_sub(SWEEP_EVERY_MS)..due).contains(&now.as_millis()) {
            self.sweep(due, now);
        }
    }

    #[cold]
    fn sweep(&self, due: i64, now: Timestamp) {
        let next = now.as_millis().saturating_add(SWEEP_EVERY_MS);
        let mine = self
            .next_sweep
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        for _ in 0..if mine { SWEEP_SETS } else { 0 } {
            for way in self.next_set().into_iter().flat_map(|set| &set.ways) {
                if let Some(entry) = way.entry.load().as_ref()
                    && entry.grounds.window.is_over(now)
                {
                    self.remove(way, entry);
                }
            }
        }
    }
}

impl<C> std::fmt::Debug for Seen<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

/// One line of the processor's cache: ways with their tags and reference bits beside them.
#[repr(align(64))]
struct Set<C> {
    ways: [Way<C>; WAYS],
}

impl<C> Set<C> {
    fn new() -> Self {
        Self {
            ways: array::from_fn(|_| Way {
                entry: ArcSwapOption::const_empty(),
                tag: AtomicU32::new(0),
                used: AtomicBool::new(false),
            }),
        }
    }

    /// The way to put `token` into: its own; else an empty one; else the first that was not used
    /// since the bits were last cleared, which happens only when all are set.
    fn victim(&self, token: &str, tag: u32) -> Option<&Way<C>> {
        let holds = |way: &&Way<C>| {
            way.tag.load(Ordering::Relaxed) == tag
                && way
                    .entry
                    .load()
                    .as_ref()
                    .is_some_and(|it| **it.token == *token)
        };
        let unused = |way: &&Way<C>| !way.used.load(Ordering::Relaxed);
        let mut ways = self.ways.iter();
        if let Some(way) = self.ways.iter().find(holds) {
            return Some(way);
        }
        if let Some(way) = ways.find(|way| way.entry.load().is_none()) {
            return Some(way);
        }
        if let Some(way) = self.ways.iter().find(unused) {
            return Some(way);
        }
        for way in &self.ways {
            way.used.store(false, Ordering::Relaxed);
        }
        self.ways.first()
    }
}

struct Way<C> {
    entry: ArcSwapOption<Entry<C>>,
    /// Tells most misses without following a pointer.
    tag: AtomicU32,
    used: AtomicBool,
}

/// A good token, on what grounds, and what it says.
pub(super) struct Entry<C> {
    /// Wiped when it goes.
    token: Zeroizing<Box<str>>,
    grounds: Grounds,
    facts: Arc<Facts<C>>,
    stripes: [OnceLock<Arc<Stripe<C>>>; STRIPES],
}

impl<C> Entry<C> {
    pub(super) fn new(token: &str, grounds: Grounds, facts: Arc<Facts<C>>) -> Self {
        Self {
            token: Zeroizing::new(token.into()),
            grounds,
            facts,
            stripes: array::from_fn(|_| OnceLock::new()),
        }
    }

    #[inline]
    pub(super) fn hand_out(&self) -> Verified<C> {
        let stripe = self.stripes.get(stripe_of_thread());
        match stripe {
            Some(stripe) => Verified::striped(Arc::clone(
                stripe.get_or_init(|| Arc::new(Stripe(Arc::clone(&self.facts)))),
            )),
            None => Verified::whole(Arc::clone(&self.facts)),
        }
    }

    /// An estimate of what it takes, in bytes: parsed claims are up to a few times their text.
    fn weight(&self) -> usize {
        size_of::<Self>() + size_of::<Facts<C>>() + 4 * self.token.len()
    }
}

/// How many tokens a verifier remembers.
pub(super) const MOST_ENTRIES: usize = 4096;
/// How many bytes all of them may weigh.
pub(super) const MOST_WEIGHT: usize = 32 * 1024 * 1024;
const WAYS: usize = 4;
const SETS: usize = MOST_ENTRIES / WAYS;
/// 24 characters are 18 bytes of signature, of any algorithm.
const HASHED: usize = 24;
const SWEEP_EVERY_MS: i64 = 1000;
/// All sets within 64 sweeps.
const SWEEP_SETS: usize = SETS / 64;

#[cfg(test)]
mod tests {
    use super::super::grounds::SignedBy;
    use super::super::keys::KeyCache;
    use super::super::rules::Window;
    use super::*;
    use crate::claims::NumericDate;
    use crate::jose::{Algorithm, Header, KeySet, KnownHeader, VerifyingKey};

    fn entry(token: &str, until: i64) -> Entry<()> {
        let secret = [7; 32];
        let key = VerifyingKey::hmac(&secret, Algorithm::HS256).unwrap();
        let header = Header {
            algorithm: Algorithm::HS256,
            kid: None,
            typ: None,
        };
        let facts = Facts {
            claims: (),
            text: None,
            registered: OnceLock::new(),
            header: Arc::new(KnownHeader::new("", &header)),
            exp: NumericDate::from_secs_f64(0.0).unwrap(),
        };
        let keys = KeyCache::fixed(KeySet::default());
        let grounds = Grounds {
            window: Window::until(Timestamp::from_secs(until)),
            binding: None,
            signed_by: SignedBy::new(0, &keys.load(), &key, Algorithm::HS256),
            clearance: None,
        };
        Entry::new(token, grounds, Arc::new(facts))
    }

    fn token(number: usize, len: usize) -> String {
        format!("{}{number:020}", "x".repeat(len - 20))
    }

    fn has(seen: &Seen<()>, token: &str, now: i64) -> bool {
        let now = Timestamp::from_secs(now);
        let found = seen.get(token, now, |grounds| Ok(grounds.window.contains(now)));
        found.unwrap().is_some()
    }

    fn entries(seen: &Seen<()>) -> impl Iterator<Item = Arc<Entry<()>>> {
        let ways = seen.sets.iter().flat_map(|set| &set.ways);
        ways.filter_map(|way| way.entry.load_full())
    }

    #[track_caller]
    fn check_weight(seen: &Seen<()>) {
        let weight: usize = entries(seen).map(|entry| entry.weight()).sum();
        assert_eq!(seen.weight.load(Ordering::Relaxed), weight);
        assert!(weight <= MOST_WEIGHT);
    }

    #[test]
    fn every_byte_counts() {
        let seen = Seen::new();
        let one = token(1, 100);
        seen.insert(entry(&one, 10));
        assert!(has(&seen, &one, 0));
        assert!(!has(&seen, &one.replacen('x', "y", 1), 0));
        assert!(!has(&seen, &one[1..], 0));
        assert!(!has(&seen, &format!("x{one}"), 0));
        assert!(!has(&seen, "short", 0));
    }

    #[test]
    fn an_error_is_about_the_call() {
        let seen = Seen::new();
        let one = token(1, 100);
        seen.insert(entry(&one, 10));
        let refused = seen.get(&one, Timestamp::from_secs(0), |_| Err(Error::Unconfirmed));
        assert_eq!(refused.unwrap_err(), Error::Unconfirmed);
        assert!(has(&seen, &one, 0));
    }

    #[test]
    fn an_entry_dies_with_its_time() {
        let seen = Seen::new();
        let one = token(1, 100);
        seen.insert(entry(&one, 10));
        assert!(has(&seen, &one, 9) && !has(&seen, &one, 10));
        assert_eq!(entries(&seen).count(), 0);
        check_weight(&seen);
    }

    #[test]
    fn the_same_token_takes_one_place() {
        let seen = Seen::new();
        for _ in 0..10 {
            seen.insert(entry(&token(1, 100), 10));
        }
        assert_eq!(entries(&seen).count(), 1);
        check_weight(&seen);
    }

    #[test]
    fn a_hot_set_survives_a_scan_and_memory_is_bounded() {
        let seen = Seen::new();
        let hot: Vec<_> = (0..MOST_ENTRIES / 8).map(|it| token(it, 100)).collect();
        let mut misses = 0;
        for scan in 0..50 {
            for token in &hot {
                if !has(&seen, token, 0) {
                    misses += usize::from(scan > 0);
                    seen.insert(entry(token, 10));
                }
            }
            for number in 0..MOST_ENTRIES / 8 {
                seen.insert(entry(&token(1_000_000 * (scan + 1) + number, 100), 10));
            }
        }
        assert!(misses * 20 < hot.len() * 49, "{misses} misses");
        assert!(entries(&seen).count() <= MOST_ENTRIES);
        check_weight(&seen);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let seen = Seen::new();
        for number in 0..2000 {
            seen.insert(entry(&token(number, 16_000), 10));
        }
        check_weight(&seen);
        assert!(entries(&seen).count() > 300);
        seen.insert(entry(&token(1, 200_000), 10));
        assert!(!has(&seen, &token(1, 200_000), 0));
    }

    #[test]
    fn the_sweep_finds_what_expired() {
        let seen = Seen::new();
        for number in 0..1000 {
            seen.insert(entry(&token(number, 100), 10));
        }
        for now in 10..10 + 64 + 2 {
            has(&seen, "anything", now);
        }
        assert_eq!(entries(&seen).count(), 0);
        check_weight(&seen);
    }
}
