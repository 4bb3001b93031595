//! `steadfast token` and `steadfast status` with their tokens in a real Redis.

#![cfg(all(feature = "cli", feature = "redis", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;
#[allow(dead_code)]
#[path = "store/redis/server.rs"]
mod server;

use command::{CLIENT, Case, run};
use server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn machines_share_one_token_and_one_budget() {
    let case = Case::new("redis").await;
    let mut redis = Server::start(&["--requirepass", "s3cret"]);
    let url = redis.url_of(":s3cret@");
    let file = case.file("redis-url", &format!("{url}\n"));

    let token = run(case.command(&[]).env("STEADFAST_REDIS_URL", &url)).token();
    let args = ["--redis-url-file", file.as_str()];
    assert_eq!(case.run(&args).token(), token);
    // Whoever reads the server's memory or its disk has the token.
    let unsealed = serde_json::json!({"finding": "unsealed_store"});
    let json = [&args[..], &["--json"]].concat();
    for ran in [case.run(&json), case.status(&json)] {
        let findings = ran.json()["findings"].clone();
        assert!(
            findings.as_array().unwrap().contains(&unsealed),
            "{findings}"
        );
    }
    assert_eq!(case.status(&[]).status, 3, "another store");
    assert!(!case.store().exists());
    assert_eq!(case.asked(), 1);

    // A named file goes first.
    let place = case.home.join("named.json");
    let named = [&args[..], &["--store", place.to_str().unwrap()]].concat();
    assert_ne!(case.run(&named).token(), token);

    redis.stop();
    case.run(&args)
        .token_with("warning: the store cannot be used");
    case.status(&args).failed(2, "the store cannot be used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_replaced_there_and_not_sent_without_it() {
    let case = Case::new("redis-refresh").await;
    let mut redis = Server::start(&[]);
    let url = case.file("redis-url", &redis.url());
    let path = case.file("refresh", &case.service.grant_refresh_token(CLIENT));
    let args = [
        "--grant",
        "refresh_token",
        "--subject",
        "alice",
        "--refresh-token-file",
        &path,
        "--redis-url-file",
        &url,
    ];
    let first = case.run(&args).token();
    let refused = case.file("refused", &first);
    let second = case.run(&[&args[..], &["--rejected", &refused]].concat());
    let second = second.token();
    assert_ne!(second, first, "the service took what replaced the first");
    assert_eq!(case.asked(), 2);

    redis.stop();
    case.run(&args)
        .failed(3, "a refresh token is not sent without it");
    assert_eq!(case.asked(), 2);
}
