//! What a fork leaves to the child of a store's claims and connections.
#![cfg(all(unix, feature = "redis", feature = "testing"))]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "store/redis/server.rs"]
mod server;

use std::path::Path;

use server::Server;
use steadfast::rotator::store::{FileStore, RedisStore, Store, StoreKey};
use tokio::runtime::Runtime;

/// The exit status of a child that runs `work`, forked here and now.
#[track_caller]
fn in_a_child(work: impl FnOnce() -> bool) -> i32 {
    match fork::fork().unwrap() {
        fork::Fork::Child => std::process::exit(if work() { 7 } else { 8 }),
        fork::Fork::Parent(child) => fork::waitpid(child).unwrap() >> 8,
    }
}

fn key() -> StoreKey {
    StoreKey::of([("client", "a")])
}

// One test alone, since whatever another one does at the moment of the fork is cut short.
#[test]
fn claims_and_connections_are_the_parents() {
    let runtime = Runtime::new().unwrap();

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fork-stores");
    let _ = std::fs::remove_dir_all(&folder);
    let file = FileStore::open(folder.join("tokens.json")).unwrap();
    let is_free = || {
        let key = key();
        runtime.block_on(file.try_claim(&key)).unwrap().is_some()
    };
    let key = key();
    let mut held = runtime.block_on(file.try_claim(&key)).unwrap();
    let dropped = in_a_child(|| {
        drop(held.take());
        true
    });
    assert_eq!(dropped, 7);
    assert!(!is_free(), "the child gave the parent's claim back");
    drop(held);
    assert!(is_free());

    // In the child a connection of the parent is none, and what it does costs the parent nothing.
    let server = Server::start(&[]);
    let redis = RedisStore::new(&server.url()).unwrap();
    let reads = |runtime: &Runtime| runtime.block_on(redis.read(&key)).is_ok();
    assert!(reads(&runtime));
    assert_eq!(in_a_child(|| reads(&Runtime::new().unwrap())), 7);
    assert!(reads(&runtime));
}
