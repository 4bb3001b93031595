//! On what grounds a token was found to be good, and whether they still hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::confirmation::Binding;
use super::denylist::{Denylist, Marks};
use super::error::Error;
use super::keys::Snapshot;
use super::rules::Window;
use crate::clock::Timestamp;
use crate::jose::{Algorithm, Thumbprint, VerifyingKey};

/// All that a verdict rests on and that may change after it.
#[derive(Debug)]
pub(super) struct Grounds {
    pub(super) window: Window,
    pub(super) binding: Option<Binding>,
    pub(super) signed_by: SignedBy,
    /// Where the verifier has a denylist.
    pub(super) clearance: Option<Clearance>,
}

impl Grounds {
    /// Whether its claims still hold, and it is not on `denylist`, which must be the one that it was
    /// held against at first. The key is another matter.
    #[inline]
    pub(super) fn hold(&self, denylist: Option<&Denylist>, now: Timestamp) -> bool {
        self.window.contains(now) && denylist.is_none_or(|list| self.are_cleared_by(list))
    }

    #[inline]
    fn are_cleared_by(&self, denylist: &Denylist) -> bool {
        let clearance = self.clearance.as_ref();
        clearance.is_some_and(|clearance| clearance.holds(denylist))
    }
}

/// The key that verified a token. The same kid with other material is another key, and so is the
/// same material in another source.
#[derive(Debug)]
pub(super) struct SignedBy {
    /// Which source of the verifier.
    pub(super) source: usize,
    kid: Option<Arc<str>>,
    algorithm: Algorithm,
    thumbprint: Thumbprint,
    issuer: Option<Arc<str>>,
    /// The generation of keys under which it was last found.
    generation: AtomicU64,
}

impl SignedBy {
    pub(super) fn new(
        source: usize,
        keys: &Snapshot,
        key: &VerifyingKey,
        algorithm: Algorithm,
    ) -> Self {
        Self {
            source,
            kid: key.shared_kid(),
            algorithm,
            thumbprint: key.thumbprint(),
            issuer: key.shared_issuer(),
            generation: AtomicU64::new(keys.generation),
        }
    }

    /// Whether it is among `keys`, which must be of its source.
    #[inline]
    pub(super) fn is_in(&self, keys: &Snapshot) -> bool {
        self.generation.load(Ordering::Relaxed) == keys.generation || self.look_for(keys)
    }

    /// Keys changed since it was last asked for.
    #[cold]
    fn look_for(&self, keys: &Snapshot) -> bool {
        let found = keys.keys.keys().iter().any(|key| self.is(key));
        if found {
            self.generation.store(keys.generation, Ordering::Relaxed);
        }
        found
    }

    fn is(&self, key: &VerifyingKey) -> bool {
        key.kid() == self.kid.as_deref()
            && key.issuer() == self.issuer.as_deref()
            && key.algorithms().contains(self.algorithm)
            && key.thumbprint() == self.thumbprint
    }
}

/// That a token was not on a denylist.
#[derive(Debug)]
pub(super) struct Clearance {
    marks: Marks,
    /// How often the list had changed by then.
    changes: AtomicU64,
}

impl Clearance {
    /// Holds a token with these marks against `denylist`.
    pub(super) fn by(denylist: &Denylist, marks: Marks) -> Result<Self, Error> {
        let changes = denylist.changes();
        denylist.check(&marks)?;
        Ok(Self {
            marks,
            changes: AtomicU64::new(changes),
        })
    }

    #[inline]
    fn holds(&self, denylist: &Denylist) -> bool {
        let changes = denylist.changes();
        self.changes.load(Ordering::Relaxed) == changes || self.renew(denylist, changes)
    }

    /// The list changed since it was last asked.
    #[cold]
    fn renew(&self, denylist: &Denylist, changes: u64) -> bool {
        let cleared = denylist.check(&self.marks).is_ok();
        if cleared {
            self.changes.store(changes, Ordering::Relaxed);
        }
        cleared
    }
}

#[cfg(test)]
mod tests {
    use super::super::denylist::Denials;
    use super::super::payload::Payload;
    use super::*;

    fn marks() -> Marks {
        let mut payload = Payload::default();
        payload.read(br#"{"iss":"i","jti":"t"}"#).unwrap();
        Marks::of(&payload)
    }

    /// It may be asked by many before the token is forgotten.
    #[test]
    fn a_clearance_that_is_over_stays_over() {
        let list = Denylist::new(Denials::new());
        let clearance = Clearance::by(&list, marks()).unwrap();
        assert!(clearance.holds(&list));
        list.replace(Denials::new().token("i", "t"));
        assert!(!clearance.holds(&list) && !clearance.holds(&list));
        list.replace(Denials::new());
        assert!(clearance.holds(&list));
        list.replace(Denials::new().token("i", "t"));
        let refused = Clearance::by(&list, marks());
        assert_eq!(refused.unwrap_err(), Error::Denied);
    }

    /// A list that is replaced while a token is held against it has cleared it for nobody else.
    #[test]
    fn no_clearance_outlives_the_list_that_it_was_by() {
        const ROUNDS: usize = 3000;
        let lists: Vec<_> = (0..ROUNDS).map(|_| Denylist::new(Denials::new())).collect();
        let (begun, ended) = (AtomicU64::new(0), AtomicU64::new(0));
        let wait = |count: &AtomicU64, round: usize| {
            while count.load(Ordering::Acquire) < round as u64 {
                std::thread::yield_now();
            }
        };
        let cleared = std::thread::scope(|scope| {
            scope.spawn(|| {
                for (round, list) in lists.iter().enumerate() {
                    let denials = Denials::new().token("i", "t");
                    wait(&begun, round + 1);
                    list.replace(denials);
                    ended.fetch_add(1, Ordering::Release);
                }
            });
            let by = |(round, list)| {
                let marks = marks();
                begun.fetch_add(1, Ordering::Release);
                // So that every moment of the replacement is met.
                (0..round % 100).for_each(|_| std::hint::spin_loop());
                let clearance = Clearance::by(list, marks);
                wait(&ended, round + 1);
                clearance.is_ok_and(|it| it.holds(list))
            };
            lists.iter().enumerate().map(by).filter(|it| *it).count()
        });
        assert_eq!(cleared, 0);
    }
}
