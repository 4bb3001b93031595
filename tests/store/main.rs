//! What every store must do, and what each must do besides.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[cfg(unix)]
mod file;
#[cfg(feature = "redis")]
mod redis;
mod sealed;
mod suite;

mod memory {
    use steadfast::rotator::store::MemoryStore;

    use crate::suite::Place;

    async fn place(_: &str) -> Place {
        let store = MemoryStore::new();
        Place::new(move || store.clone())
    }

    crate::every_rule!(super::place);
}

/// A store that takes a while to get its claim back, or says nothing for ever.
mod slow {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use steadfast::rotator::state::Record;
    use steadfast::rotator::store::{Claim, MemoryStore, Store, StoreError, StoreKey, Storing};

    use crate::suite::{Service, rotator};

    #[derive(Clone, Default)]
    struct Slow {
        memory: MemoryStore,
        given_back: Arc<AtomicBool>,
        reads_hang: bool,
        claims_hang: bool,
    }

    impl Store for Slow {
        fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
            match self.reads_hang {
                true => Box::pin(std::future::pending()),
                false => self.memory.read(key),
            }
        }

        fn try_claim<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
            match self.claims_hang {
                true => Box::pin(std::future::pending()),
                false => Box::pin(async { Ok(Some(Box::new(self.clone()) as Box<dyn Claim>)) }),
            }
        }

        fn claim_anyway<'a>(&'a self, _: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
            Box::pin(std::future::pending())
        }
    }

    impl Claim for Slow {
        fn write<'a>(&'a mut self, _: &'a Record) -> Storing<'a, ()> {
            Box::pin(async { Ok(()) })
        }

        fn release(&mut self) -> Storing<'_, ()> {
            Box::pin(async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                self.given_back.store(true, Ordering::Relaxed);
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn a_renewal_has_given_its_claim_back_when_it_lands() {
        let store = Slow::default();
        let service = Service::well();
        rotator(store.clone(), &service).token().await.unwrap();
        assert!(store.given_back.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_hangs_costs_seconds_and_no_token() {
        for (reads_hang, claims_hang) in [(true, false), (false, true), (true, true)] {
            let store = Slow {
                reads_hang,
                claims_hang,
                ..Slow::default()
            };
            let began = tokio::time::Instant::now();
            let rotator = rotator(store, &Service::well());
            rotator.token_once(Duration::ZERO).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(4));
            let silent = StoreError::Unusable("no answer in time".into());
            assert_eq!(rotator.health().store, Some(silent));
        }
    }
}
