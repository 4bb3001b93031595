#!/bin/sh
# An axum server under load on loopback, without and with the layer, and with a new token each request:
# sh benches/peers/server.sh [SECONDS] [ROUNDS]
#
# Needs wrk.
set -eu
cd "$(dirname "$0")"
seconds=${1:-5}
rounds=${2:-3}
# Where they do not last, one comes again after many times as many others as the token cache has room for.
new_tokens=$((seconds * 30000))

cargo build --release --quiet --locked --package server
server=${CARGO_TARGET_DIR:-target}/release/server

out=$(mktemp -d)
pids=
trap 'kill $pids 2> /dev/null || true; rm -rf "$out"' EXIT
trap 'exit 1' HUP INT TERM
"$server" tokens 1 > "$out/known"
"$server" tokens "$new_tokens" > "$out/new"

# serve MODE: starts a server of its own for each run, so that no run finds tokens that another one brought.
serve() {
    "$server" "$1" > "$out/address" &
    pid=$!
    pids="$pids $pid"
    until [ -s "$out/address" ]; do sleep 0.1; done
}

# load NAME MODE TOKENS: one run.
load() {
    serve "$2"
    printf '%-20s' "$1"
    wrk --threads 1 --connections 32 --duration "${seconds}s" --script server/wrk.lua "$(cat "$out/address")" -- "$3" |
        tail -n 1
    kill "$pid"
    wait "$pid" 2> /dev/null || true
    rm "$out/address"
}

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    load 'without the layer' bare "$out/known"
    load 'known token' layer "$out/known"
    load 'new token each' layer "$out/new"
done
