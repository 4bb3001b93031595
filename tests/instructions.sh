#!/bin/sh
# Counts the instructions of each hot path with callgrind, and fails where there are more than the ceiling below
# allows: sh tests/instructions.sh
#
# A count moves with the compiler and with the C library, hardly with the machine, and not at all with its load. A
# ceiling is about a tenth above the count when it was last set; whoever makes a path cheaper lowers it.
set -eu
cd "$(dirname "$0")/.."

# A path of benches/instructions.rs and the most that one call may cost, without what the clock costs in the kernel.
ceilings='
known/HS256          820
known/several        840
refuse/oversized      63
refuse/malformed    2280
refuse/opaque       2020
refuse/unknown-kid 17000
refuse/wrong-issuer 12200
refuse/expired     12700
token                290
'

# The same without the signature check, whose cost is that of ring: less the path raw/HS256.
ceilings_beside_the_signature='
first/HS256        15000
first/HS256-custom 20500
fill/HS256         16900
'

calls=200
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

cargo bench --quiet --features testing,tower --bench instructions --no-run
cargo bench --quiet --features testing,tower --bench instructions --no-run --message-format json > "$out/built"
bench=$(sed -n 's/.*"executable":"\([^"]*\/instructions-[^"]*\)".*/\1/p' "$out/built")

# count PATH: the instructions of one call.
count() {
    valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*::measured' \
        --callgrind-out-file="$out/callgrind" "$bench" "$1" "$calls" > "$out/log" 2>&1 || {
        cat "$out/log" >&2
        return 1
    }
    all=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$out/log")
    if [ "${all:-0}" -lt "$calls" ]; then
        echo "$1: nothing was counted" >&2
        return 1
    fi
    echo $((all / calls))
}

# check LESS: the table on standard input, each count less so many.
check() {
    while read -r path ceiling; do
        [ -n "$path" ] || continue
        counted=$(count "$path") || return
        counted=$((counted - $1))
        verdict=
        if [ "$counted" -gt "$ceiling" ]; then
            verdict='TOO MANY'
            : > "$out/failed"
        fi
        printf '%-22s %7s of %7s %s\n' "$path" "$counted" "$ceiling" "$verdict"
    done
}

raw=$(count raw/HS256)
echo "$ceilings" | check 0
echo "$ceilings_beside_the_signature" | check "$raw"
[ ! -e "$out/failed" ]
