#!/bin/sh
# Every test of this project: sh tests/run.sh
#
# Installs what is missing (apt, npm, cargo), so a machine with Rust alone will do. Each step's seconds are printed;
# a step that fails lets the others run and fails the whole. Only tests on foreign vectors may be left out, where
# STEADFAST_VECTORS names no folder: the last line counts them.
set -eu

if [ -n "${STEADFAST_VECTORS:-}" ]; then
    STEADFAST_VECTORS=$(cd "$STEADFAST_VECTORS" && pwd)
    export STEADFAST_VECTORS
else
    unset STEADFAST_VECTORS
fi
cd "$(dirname "$0")/.."

export CARGO_INCREMENTAL=0
tools=$PWD/target/tools
PATH=$tools/node/node_modules/.bin:$PATH:$tools/bin
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 1' HUP INT TERM
failed=

# step NAME COMMAND...
step() {
    name=$1
    shift
    printf '\n==> %s\n' "$name"
    since=$(date +%s)
    rm -f "$out/failed"
    { "$@" 2>&1 || : > "$out/failed"; } | tee -a "$out/log"
    word=passed
    if [ -e "$out/failed" ]; then
        word=FAILED
        failed="$failed
  $name"
    fi
    printf '<== %s: %s in %s s\n' "$name" "$word" "$(($(date +%s) - since))"
}

# need STEP...: the same, but nothing goes on without it.
need() {
    step "$@"
    [ ! -e "$out/failed" ] || finish
}

finish() {
    if [ -n "$failed" ]; then
        printf '\nFAILED:%s\n' "$failed"
        exit 1
    fi
    left_out=$(grep -o 'left out: [^ ]* (STEADFAST_VECTORS is not set)' "$out/log" | sort -u | wc -l)
    if [ "$left_out" -gt 0 ]; then
        printf '\npassed, but %s tests were left out: STEADFAST_VECTORS is not set\n' "$((left_out))"
    else
        printf '\npassed\n'
    fi
}

have() {
    command -v "$1" > /dev/null
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

node_is_new() {
    have node && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}

debian_packages() {
    missing=
    for pair in cc:gcc c++:g++ glewlwyd:glewlwyd sqlite3:sqlite3 openssl:openssl python3:python3 npm:npm redis-server:redis-server valgrind:valgrind; do
        have "${pair%%:*}" || missing="$missing ${pair#*:}"
    done
    [ -n "$missing" ] || return 0
    as_root apt-get update || return
    # shellcheck disable=SC2086 # one word a package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
}

node_packages() {
    if ! node_is_new; then
        npm install --no-save --no-audit --no-fund --prefix "$tools/node" node@22.23.3
        hash -r
        node_is_new || return
    fi
    npm ci --no-audit --no-fund --ignore-scripts --prefix tests/interop/oidc-provider
}

features='http tls redis blocking tower reqwest-middleware axum metrics aws-lc-rs testing cli'

cargo_tools() {
    have cargo-fuzz || cargo install cargo-fuzz --version 0.13.2 --locked --root "$tools"
}

crates() {
    host=$(rustc -vV | sed -n 's/^host: //p')
    cargo fetch --locked --target "$host" &&
        cargo fetch --locked --target "$host" --manifest-path fuzz/Cargo.toml &&
        cargo fetch --locked --target "$host" --manifest-path benches/peers/Cargo.toml
}

lint() {
    cargo clippy --all-targets "$@" -- --deny warnings
}

# What another crate may switch on in serde_json for all. Five tests are left out, as what they are about cannot hold
# then: serde_json allocates for every number that it reads.
numbers_as_text() {
    cargo test --all-features --features serde_json/arbitrary_precision,serde_json/preserve_order -- \
        --exact --skip refusals --skip a_forged_token_with_all_that_a_verifier_can_be_told \
        --skip a_new_token --skip a_new_token_with_a_claims_type_of_the_caller \
        --skip a_new_token_into_the_token_cache
}

fuzz() {
    cargo fuzz run --sanitizer none "$1" -- -max_total_time=10
}

need 'debian packages' debian_packages
need 'node packages' node_packages
need 'cargo tools' cargo_tools
need 'crates' crates

step 'fmt' cargo fmt --check
step 'fmt: fuzz' cargo fmt --check --manifest-path fuzz/Cargo.toml
step 'fmt: peers' cargo fmt --check --all --manifest-path benches/peers/Cargo.toml
export RUSTDOCFLAGS='--deny warnings'

# Alone first: what tests depend on would lend its features to the library.
step 'build: no features' cargo check --no-default-features
for feature in $features; do
    step "build: $feature" cargo check --no-default-features --features "$feature"
done

step 'lint: no features' lint --no-default-features
for feature in $features; do
    step "lint: $feature" lint --no-default-features --features "$feature"
done
step 'lint: default features' lint
step 'lint: all features' lint --all-features
# The peers themselves need more compilers than one.
step 'lint: peers' cargo clippy --manifest-path benches/peers/Cargo.toml --locked \
    --package common --package on-ring --package server -- --deny warnings
step 'lint: interop' cargo clippy --all-features --test interop -- --deny warnings
step 'doc: no features' cargo doc --no-deps --no-default-features
step 'doc: default features' cargo doc --no-deps
step 'doc: all features' cargo doc --no-deps --all-features

step 'test: no features' cargo test --no-default-features
for feature in $features; do
    step "test: $feature" cargo test --no-default-features --features "$feature"
done
step 'test: default features' cargo test
step 'test: all features' cargo test --all-features
step 'test: numbers as text' numbers_as_text
step 'interop: ring' cargo test --no-default-features --features cli --test interop
step 'interop: aws-lc-rs' cargo test --all-features --test interop
step 'instructions' sh tests/instructions.sh
step 'benches' cargo test --all-features --bench '*'

need 'fuzz: build' cargo fuzz build --sanitizer none
for target in $(cargo fuzz list); do
    step "fuzz: $target" fuzz "$target"
done

finish
