//! What the Redis store must do besides, with a real server.

use std::time::Duration;

use redis::Commands as _;
use steadfast::policy::Finding;
use steadfast::rotator::store::{RedisStore, SealKey, Sealed, Store, StoreError};

use crate::suite::{Place, claim, key, read, record, soon, write};

#[cfg(feature = "testing")]
mod fleet;
mod server;

use server::Server;

async fn place(_: &str) -> Place {
    let server = Server::start(&[]);
    Place::new(move || store(&server))
}

crate::every_rule!(super::place);

mod sealed {
    use super::*;

    async fn place(_: &str) -> Place {
        let server = Server::start(&[]);
        let key = SealKey::new([7; 32]);
        Place::new(move || Sealed::new(store(&server), key.clone()))
    }

    crate::every_rule!(super::place);
}

fn store(server: &Server) -> RedisStore {
    RedisStore::new(&server.url()).unwrap()
}

fn record_of(name: &str) -> String {
    format!("steadfast:1:{{{}}}", key(name))
}

fn lease_of(name: &str) -> String {
    format!("{}:lease", record_of(name))
}

#[track_caller]
fn assert_unusable<T>(result: Result<T, StoreError>, why: &str) {
    match result.err() {
        Some(StoreError::Unusable(text)) => assert_eq!(&*text, why),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_between(found: i64, from: i64, to: i64) {
    assert!((from..=to).contains(&found), "{found}");
}

const DAY: i64 = 24 * 3600 * 1000;

// Times

#[tokio::test]
async fn a_record_ends_a_day_after_its_token() {
    let server = Server::start(&[]);
    let store = store(&server);
    let mut redis = server.connect();
    write(&store, "a", &record(1, "first")).await;
    let left: i64 = redis.pttl(record_of("a")).unwrap();
    assert_between(left, DAY + 3_590_000, DAY + 3_600_000);

    // Half an hour later only half an hour of the token is left.
    let mut later = record(1, "first");
    later.requested_at = Some(later.requested_at.unwrap().plus(Duration::from_secs(1800)));
    write(&store, "a", &later).await;
    let left: i64 = redis.pttl(record_of("a")).unwrap();
    assert_between(left, DAY + 1_790_000, DAY + 1_800_000);

    write(&store, "b", &Default::default()).await;
    let left: i64 = redis.pttl(record_of("b")).unwrap();
    assert_between(left, DAY - 10_000, DAY);
}

#[tokio::test]
async fn a_lease_outlives_a_renewal_and_not_its_owner() {
    let server = Server::start(&[]);
    let (one, other) = (store(&server), store(&server));
    let mut redis = server.connect();
    let dead = claim(&one, "a").await.unwrap();
    let left: i64 = redis.pttl(lease_of("a")).unwrap();
    assert_between(left, 30_000, 35_000);

    let () = redis.pexpire(lease_of("a"), 1).unwrap();
    soon("the end of the lease", async || {
        claim(&other, "a").await.is_some()
    })
    .await;
    drop(dead);
}

// Owners

#[tokio::test]
async fn a_lease_is_given_back_by_its_owner_alone() {
    let server = Server::start(&[]);
    let (one, other) = (store(&server), store(&server));
    let mut redis = server.connect();
    let mut slow = claim(&one, "a").await.unwrap();
    let owner: Vec<u8> = redis.get(lease_of("a")).unwrap();
    let () = redis.del(lease_of("a")).unwrap();
    let _next = claim(&other, "a").await.unwrap();
    let next: Vec<u8> = redis.get(lease_of("a")).unwrap();
    assert_ne!(owner, next);

    slow.release().await.unwrap();
    drop(slow);
    assert_eq!(redis.get::<_, Vec<u8>>(lease_of("a")).unwrap(), next);
}

#[tokio::test]
async fn a_slow_holder_does_not_write_over_a_newer_token() {
    let server = Server::start(&[]);
    let (one, other) = (store(&server), store(&server));
    write(&one, "a", &record(1, "first")).await;
    let mut slow = claim(&one, "a").await.unwrap();
    let () = server.connect().del(lease_of("a")).unwrap();
    let mut next = claim(&other, "a").await.unwrap();
    next.write(&record(2, "newer")).await.unwrap();
    for late in [record(1, "first"), record(2, "slow")] {
        slow.write(&late).await.unwrap();
        assert_eq!(read(&one, "a").await, Some(record(2, "newer")));
    }
}

/// Between the comparison and the write another one writes.
#[tokio::test]
async fn of_writes_at_the_same_moment_the_newest_stays() {
    let server = Server::start(&[]);
    let stores: Vec<_> = (0..10).map(|_| store(&server)).collect();
    let writes: Vec<_> = (1..)
        .zip(stores.clone())
        .map(|(generation, store)| {
            tokio::spawn(async move {
                let key = key("a");
                let mut claim = store.claim_anyway(&key).await.unwrap();
                claim
                    .write(&record(generation, &format!("{generation}")))
                    .await
            })
        })
        .collect();
    let mut last = 0;
    for (generation, write) in (1..).zip(writes) {
        match write.await.unwrap() {
            Ok(()) => last = generation,
            Err(error) => assert_eq!(error, StoreError::Busy),
        }
    }
    let found = read(&stores[0], "a").await.unwrap().generation;
    assert!(found >= last, "{found} stands where {last} was written");
}

// What is there

#[tokio::test]
async fn what_is_damaged_or_foreign_is_a_miss_and_is_replaced() {
    let server = Server::start(&[]);
    let store = store(&server);
    let mut redis = server.connect();
    for damaged in [
        "",
        "not json",
        "\0",
        "7",
        r#"{"generation":"seven"}"#,
        r#"{"generation":1,"token":{}}"#,
    ] {
        let () = redis.set(record_of("a"), damaged).unwrap();
        assert_eq!(read(&store, "a").await, None, "{damaged}");
        write(&store, "a", &record(1, "first")).await;
        assert_eq!(
            read(&store, "a").await,
            Some(record(1, "first")),
            "{damaged}"
        );
    }
    let () = redis.del(record_of("a")).unwrap();
    let () = redis.lpush(record_of("a"), "a list").unwrap();
    let wrong_type = "Redis answers WRONGTYPE";
    assert_unusable(store.read(&key("a")).await, wrong_type);
}

#[tokio::test]
async fn a_later_version_lives_beside_this_one() {
    let server = Server::start(&[]);
    let store = store(&server);
    let mut redis = server.connect();
    let later = record_of("a").replace(":1:", ":2:");
    let () = redis.set(&later, "of a later version").unwrap();
    assert_eq!(read(&store, "a").await, None);
    write(&store, "a", &record(1, "first")).await;
    assert_eq!(
        redis.get::<_, String>(&later).unwrap(),
        "of a later version"
    );
}

#[tokio::test]
async fn prefix_and_database_keep_clients_apart() {
    let server = Server::start(&[]);
    let one = store(&server);
    write(&one, "a", &record(1, "first")).await;
    let elsewhere = [
        RedisStore::new(&server.url()).unwrap().prefix("team:"),
        RedisStore::new(&format!("{}/3", server.url())).unwrap(),
    ];
    for store in elsewhere {
        assert_eq!(read(&store, "a").await, None, "{store:?}");
        assert!(claim(&store, "a").await.is_some(), "{store:?}");
    }
}

#[tokio::test]
async fn a_sealed_record_shows_no_token() {
    let server = Server::start(&[]);
    let store = Sealed::new(store(&server), SealKey::new([7; 32]));
    write(&store, "a", &record(1, "first")).await;
    let text: String = server.connect().get(record_of("a")).unwrap();
    assert!(!text.contains("first"), "{text}");
    let left: i64 = server.connect().pttl(record_of("a")).unwrap();
    assert_between(left, DAY + 3_590_000, DAY + 3_600_000);
}

// Connections

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let mut server = Server::start(&[]);
    let store = store(&server);
    write(&store, "a", &record(1, "first")).await;
    server.stop();
    for _ in 0..2 {
        let gone = store.read(&key("a")).await.unwrap_err();
        assert_eq!(gone, StoreError::Unusable("connection refused".into()));
    }
    server.start_again();
    assert_eq!(read(&store, "a").await, None, "it kept nothing");
    write(&store, "a", &record(1, "first")).await;

    // Lost without anyone having asked in between.
    server.stop();
    server.start_again();
    assert_eq!(read(&store, "a").await, None);
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let server = Server::start(&[]);
    let store = store(&server);
    for generation in 1..20 {
        write(&store, "a", &record(generation, "first")).await;
    }
    let stats: String = redis::cmd("INFO")
        .arg("stats")
        .query(&mut server.connect())
        .unwrap();
    // The one that asks, and the one that waited for the start, are others.
    let made = stats
        .lines()
        .find(|it| it.starts_with("total_connections_received"));
    let made: u32 = made
        .unwrap()
        .split_once(':')
        .unwrap()
        .1
        .trim()
        .parse()
        .unwrap();
    assert_eq!(made - server.connections(), 1, "{made}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_a_second() {
    let server = Server::start(&[]);
    let store = store(&server);
    write(&store, "a", &record(1, "first")).await;
    let paused = server.pause();
    assert_unusable(store.read(&key("a")).await, "no answer in time");
    assert_unusable(store.try_claim(&key("a")).await, "no answer in time");
    drop(paused);
    assert_eq!(read(&store, "a").await, Some(record(1, "first")));
}

#[test]
fn a_store_outlives_the_runtime_that_connected_it() {
    let server = Server::start(&[]);
    let store = store(&server);
    for generation in 1..4 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        runtime.block_on(write(&store, "a", &record(generation, "first")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let nothing = "no tokio runtime with timers and I/O is here";
    assert_unusable(runtime.block_on(store.read(&key("a"))), nothing);
    drop(runtime);
    let key = key("a");
    let mut reading = store.read(&key);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match reading.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => assert_unusable(answer, nothing),
        std::task::Poll::Pending => panic!("it waits for a runtime"),
    }
}

// Users and TLS

fn with_user() -> Server {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    let rules = [
        "on",
        ">p@ss:w/rd%",
        "resetkeys",
        "~steadfast:*",
        "+get",
        "+set",
        "+del",
        "+eval",
    ];
    let mut setting = redis::cmd("ACL");
    setting.arg("SETUSER").arg("orders").arg(&rules[..]);
    let () = setting.query(&mut redis).unwrap();
    let () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("requirepass")
        .arg("another")
        .query(&mut redis)
        .unwrap();
    server
}

#[tokio::test]
async fn a_user_and_a_password() {
    let server = with_user();
    let at = |user: &str| RedisStore::new(&server.url_of(user)).unwrap();
    let store = at("orders:p%40ss%3Aw%2Frd%25@");
    write(&store, "a", &record(1, "first")).await;
    assert_eq!(read(&store, "a").await, Some(record(1, "first")));

    let refused = "Redis refuses the user or the password";
    for user in ["orders:wrong@", "nobody:p%40ss@", "", ":wrong@"] {
        let read = at(user).read(&key("a")).await;
        assert_unusable(read, refused);
    }
    let elsewhere = store.prefix("elsewhere:");
    let few = "Redis gives this user too few rights";
    assert_unusable(elsewhere.read(&key("a")).await, few);
    assert_eq!(read(&at(":another@"), "a").await, Some(record(1, "first")));
}

#[tokio::test]
async fn nothing_printed_holds_a_password() {
    let server = with_user();
    let url = server.url_of("orders:hunter2@");
    let store = RedisStore::new(&url).unwrap();
    let error = store.read(&key("a")).await.unwrap_err();
    let wrong = RedisStore::new("redis://orders:hunter2@redis.example:port/").unwrap_err();
    let printed = format!("{store:?} {store:#?} {error:?} {error} {wrong:?} {wrong}");
    for secret in ["hunter2", "orders"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn what_is_no_address() {
    for url in [
        "",
        "redis",
        "redis://",
        "http://localhost",
        "redis://localhost/one",
        "redis://localhost:99999",
        "rediss://",
        "rediss:///run/redis.sock",
    ] {
        assert_unusable(RedisStore::new(url), "its URL is none of Redis");
    }
    for url in [
        "redis://localhost",
        "rediss://:p@[::1]:7000/15",
        "redis+unix:///run/redis.sock",
    ] {
        RedisStore::new(url).unwrap();
    }
}

#[test]
fn findings() {
    let of = |url| RedisStore::new(url).unwrap().findings();
    let unsealed = [Finding::UnsealedStore];
    let both = [Finding::UnsealedStore, Finding::PlainStore];
    assert_eq!(of("redis://redis.example"), both);
    assert_eq!(of("rediss://redis.example"), unsealed);
    for near in [
        "redis://localhost",
        "redis://127.0.0.1:7000",
        "redis://[::1]",
        "redis+unix:///a",
    ] {
        assert_eq!(of(near), unsealed, "{near}");
    }
    let plain = RedisStore::new("redis://redis.example").unwrap();
    let sealed = Sealed::new(plain, SealKey::new([7; 32]));
    assert_eq!(sealed.findings(), [Finding::PlainStore]);
}

#[tokio::test]
async fn tls_with_an_authority_of_its_own() {
    let server = Server::start_tls();
    let own = server::tls_file("ca.pem");
    let store = RedisStore::with_ca_file(&server.url(), &own).unwrap();
    write(&store, "a", &record(1, "first")).await;
    assert_eq!(read(&store, "a").await, Some(record(1, "first")));

    let no_trust = "no TLS to Redis: its certificate is not trusted, or it speaks none";
    let other = RedisStore::with_ca_file(&server.url(), server::tls_file("other-ca.pem"));
    assert_unusable(other.unwrap().read(&key("a")).await, no_trust);
    let platform = RedisStore::new(&server.url()).unwrap();
    assert_unusable(platform.read(&key("a")).await, no_trust);

    let plain = Server::start(&[]);
    let url = plain.url().replace("redis://", "rediss://");
    let store = RedisStore::with_ca_file(&url, &own).unwrap();
    assert_unusable(store.read(&key("a")).await, "no answer in time");

    let missing = RedisStore::with_ca_file(&url, server::tls_file("absent.pem"));
    assert_unusable(missing, "the certificates cannot be read: entity not found");
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_on_the_same_machine() {
    let folder = std::env::temp_dir().join(format!("steadfast-{}", std::process::id()));
    let _ = std::fs::create_dir(&folder);
    let socket = folder.join("redis.sock");
    let _server = Server::start(&["--unixsocket", socket.to_str().unwrap()]);
    let store = RedisStore::new(&format!("redis+unix://{}?db=2", socket.display())).unwrap();
    write(&store, "a", &record(1, "first")).await;
    assert_eq!(read(&store, "a").await, Some(record(1, "first")));
    std::fs::remove_dir_all(&folder).unwrap();
}
