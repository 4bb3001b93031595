#!/bin/sh
# Verifies the same tokens with steadfast and with its peers, side by side, and prints one table:
# sh benches/peers/run.sh [ROUNDS]
#
# Needs Node.js 20 and, for BoringSSL, cmake, a C++ compiler and libclang.
set -eu
cd "$(dirname "$0")"
rounds=${1:-5}

# Each on its own: a backend of steadfast is a feature, and features of one build are shared.
for package in on-ring on-aws-lc-rs contenders common; do
    cargo build --release --quiet --locked --package "$package"
done
npm ci --silent --no-audit --no-fund --prefix node

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 1' HUP INT TERM
bin=${CARGO_TARGET_DIR:-target}/release
"$bin/on-ring" cases > "$out/cases"

# Round by round, so that what else the machine does meets everybody.
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    echo "round $round of $rounds" >&2
    "$bin/on-ring" "$out/cases"
    "$bin/on-aws-lc-rs" "$out/cases"
    for name in jsonwebtoken-9 jsonwebtoken-11-aws-lc-rs jsonwebtoken-11-rust-crypto jwt-simple jwt-authorizer huskarl; do
        "$bin/contenders" "$out/cases" "$name"
    done
    node node/fast-jwt.mjs "$out/cases"
    node node/jose.mjs "$out/cases"
done > "$out/figures"
"$bin/table" < "$out/figures"
