//! What many threads write at once is kept in a few places, each on a line of its own in the
//! processor's cache, so that they do not fight over one.

use std::array;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many places.
pub(super) const STRIPES: usize = 8;

/// The place of this thread, below [`STRIPES`].
#[inline]
pub(super) fn stripe_of_thread() -> usize {
    /// Threads are numbered as they come; the number decides nothing but which place is used.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    MINE.try_with(|it| *it).unwrap_or(0) % STRIPES
}

/// A count.
#[derive(Debug)]
pub(super) struct Counter([Line; STRIPES]);

#[derive(Debug)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Counter {
    pub(super) fn new() -> Self {
        Self(array::from_fn(|_| Line(AtomicU64::new(0))))
    }

    #[inline]
    pub(super) fn add(&self, some: u64) {
        if let Some(Line(count)) = self.0.get(stripe_of_thread()) {
            count.fetch_add(some, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        let counts = self
            .0
            .iter()
            .map(|Line(count)| count.load(Ordering::Relaxed));
        counts.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_counts() {
        let counter = Counter::new();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..100).for_each(|_| counter.add(1)));
            }
        });
        assert_eq!(counter.get(), 200 * STRIPES as u64);
    }
}
