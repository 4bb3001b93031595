//! What the cargo features bring into the tree of dependencies, as `cargo tree` tells it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn without_features_there_is_no_runtime_no_http_client_and_no_tls() {
    let tree = normal_tree(&["--no-default-features"]);
    assert_absent(&tree, &["http", "tower-service"]);
    assert_absent(&tree, RUNTIMES_AND_CLIENTS);
    assert!(tree.contains("ring"), "{tree:?}");
}

#[test]
fn http_alone_brings_no_tls() {
    let tree = normal_tree(&["--no-default-features", "--features", "http"]);
    assert!(tree.contains("reqwest"), "{tree:?}");
    assert_absent(
        &tree,
        &["hyper-rustls", "native-tls", "rustls", "tokio-rustls"],
    );
}

/// A resource server with a fixed key set needs neither runtime nor client of ours.
#[test]
fn the_edge_brings_no_runtime_no_http_client_and_no_tls() {
    let tower = normal_tree(&["--no-default-features", "--features", "tower"]);
    assert!(tower.contains("tower-service"), "{tower:?}");
    assert_absent(&tower, &["axum-core"]);
    let axum = normal_tree(&["--no-default-features", "--features", "axum"]);
    assert!(axum.contains("axum-core"), "{axum:?}");
    assert_absent(&axum, &["axum", "tonic"]);
    for tree in [tower, axum] {
        assert_absent(&tree, RUNTIMES_AND_CLIENTS);
    }
}

#[test]
fn ring_is_the_only_crypto_library_unless_aws_lc_is_asked_for() {
    for features in [&["--no-default-features"][..], &[], &["--features", "cli"]] {
        let tree = normal_tree(features);
        assert!(tree.contains("ring"), "{features:?}: {tree:?}");
        assert_absent(&tree, OTHER_CRYPTO_LIBRARIES);
        assert_absent(&tree, AWS_LC);
    }
    let tree = normal_tree(&["--all-features"]);
    assert!(tree.contains("aws-lc-rs"), "{tree:?}");
    assert_absent(&tree, OTHER_CRYPTO_LIBRARIES);
}

const RUNTIMES_AND_CLIENTS: &[&str] = &[
    "async-std",
    "h2",
    "hyper",
    "hyper-util",
    "isahc",
    "mio",
    "native-tls",
    "reqwest",
    "rustls",
    "rustls-platform-verifier",
    "smol",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tower",
    "ureq",
];

const AWS_LC: &[&str] = &["aws-lc-rs", "aws-lc-sys"];

const OTHER_CRYPTO_LIBRARIES: &[&str] = &[
    "aws-lc-fips-sys",
    "boring",
    "boring-sys",
    "curve25519-dalek",
    "digest",
    "ecdsa",
    "ed25519-compact",
    "ed25519-dalek",
    "graviola",
    "hmac",
    "k256",
    "libsodium-sys",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "p256",
    "p384",
    "p521",
    "rsa",
    "rustls-rustcrypto",
    "sha2",
    "wolfssl",
];

/// The names of the packages that a user of the library builds.
#[track_caller]
fn normal_tree(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn assert_absent(tree: &BTreeSet<String>, names: &[&str]) {
    let found: Vec<_> = names.iter().filter(|name| tree.contains(**name)).collect();
    assert!(found.is_empty(), "in the tree: {found:?}");
}
