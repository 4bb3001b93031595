use std::collections::HashMap;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Claim, Record, Store, StoreKey, Storing};

/// Keeps records for as long as the process lives. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    records: HashMap<StoreKey, Record>,
    /// By whom: a fork copies this memory, and leaves the holder behind in the parent.
    claimed: HashMap<StoreKey, u32>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        let record = self.entries().records.get(key).cloned();
        Box::pin(async move { Ok(record) })
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        let process = process::id();
        let holder = self.entries().claimed.insert(*key, process);
        let claim = (holder != Some(process)).then(|| MemoryClaim {
            store: self.clone(),
            key: *key,
            held: true,
        });
        Box::pin(async move { Ok(claim.map(|claim| Box::new(claim) as Box<dyn Claim>)) })
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        let claim = MemoryClaim {
            store: self.clone(),
            key: *key,
            held: false,
        };
        Box::pin(async move { Ok(Box::new(claim) as Box<dyn Claim>) })
    }
}

struct MemoryClaim {
    store: MemoryStore,
    key: StoreKey,
    held: bool,
}

impl Claim for MemoryClaim {
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()> {
        let mut entries = self.store.entries();
        let stored = entries.records.get(&self.key);
        if !stored.is_some_and(|it| it.outran(record)) {
            entries.records.insert(self.key, record.clone());
        }
        drop(entries);
        Box::pin(async { Ok(()) })
    }
}

impl Drop for MemoryClaim {
    fn drop(&mut self) {
        if self.held {
            self.store.entries().claimed.remove(&self.key);
        }
    }
}
