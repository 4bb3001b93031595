//! Where the time goes. There is no code here.
//!
//! Figures are medians of one run each of `cargo bench --features testing,tower --bench ratios`, and of
//! `--bench spread` and `--bench keys`, on one core of a shared two-core virtual machine (Intel Xeon,
//! 2026), Rust 1.95, ring, a token of 800 bytes with nine claims. Those of `ratios` are times on the
//! core, not on the wall, and a ratio is the median of its own rounds, in which both sides took turns:
//! not quite the quotient of two times that stand here. Instructions are counted by
//! callgrind (`sh tests/instructions.sh`), which sees neither the kernel's part of a clock's reading
//! nor the processor's instructions for SHA-256. The README says how to see each ratio.
//!
//! # A known token: 80 ns
//!
//! jsonwebtoken 9 verifies the same RS256 token in 20.4 µs, 255 times as long. About 750
//! instructions:
//!
//! | step | instructions |
//! |---|---|
//! | read the wall clock, as whole milliseconds | 90 |
//! | hash the last 24 characters with SipHash and random keys, and pick a set of four ways | 200 |
//! | load the entry whose tag fits | 60 |
//! | compare all 800 bytes | 130 |
//! | load the snapshot of its source's keys; are they too old, did they change since | 90 |
//! | time window, denylist, confirmation; hand out a stripe; the calls themselves | 180 |
//!
//! - Three sources and a denylist cost 14 instructions more: an entry knows its source by number, and
//!   whether keys or denylist have changed is one comparison of counts. Only after a change is the
//!   key looked for, or the denylist asked, again.
//! - The result is a handle out of eight `Arc`s per entry, so that threads that verify the same token
//!   do not fight over one count: two threads take 1.00 times what one takes, with a hundred
//!   results held 1.01 times (by minima). An `ArcSwap` guard would be as cheap only
//!   until a thread holds eight of them.
//! - While key sets are swapped a thousand times a second the 99th percentile is 1.15 times the quiet
//!   one; above it, one call in a thousand looks for its key in the new set.
//! - A million distinct tokens took at most 15 MiB of the 32 MiB that a cache may weigh, and 99.6 %
//!   of a hot set of 512 was still known: a way that was asked for lately is not given away while another
//!   one was not.
//!
//! # A new token: the signature and about 1 µs
//!
//! | algorithm | whole | signature alone | ratio |
//! |---|---|---|---|
//! | RS256 | 20.3 µs | 19.2 µs | 1.053 |
//! | PS256 | 21.6 µs | 20.5 µs | 1.054 |
//! | ES256 | 53.2 µs | 52.2 µs | 1.020 |
//! | EdDSA | 35.5 µs | 34.3 µs | 1.039 |
//!
//! With HS256 the rest shows: 1.36 µs, 0.66 times jsonwebtoken 9 (2.05 µs); 1.72 µs with a claims type
//! of the caller, 0.80 times. Beside the signature these are 15 000 instructions:
//!
//! | step | instructions |
//! |---|---|
//! | decode base64url, by table and in pairs of four characters | 3 400 |
//! | one strict pass over the payload, borrowed: doubled members, types, depth, numbers, surrogates | 6 800 |
//! | split the token; its header is known by its text | 900 |
//! | the clock, issuer, keys by kid and algorithm, rules | 2 200 |
//! | claims as strings of their own, and their end | 1 700 |
//!
//! - An issuer writes the same header into every token, so a header that a good token had is not
//!   decoded and read again: 2 600 instructions saved. The same text is the same header, whoever
//!   wrote it.
//! - A claims type of the caller is read from the same text after the signature: 4 900 more.
//! - To put the token into the cache costs 1 700 instructions: 0.2 µs more with HS256, 0.2 to 0.3 µs
//!   with algorithms whose check leaves the processor's caches cold.
//! - Allocations: one for each claim that is a string, one for the whole; two more in the token cache.
//!   For RSA ring makes five of its own.
//!
//! # A refusal
//!
//! Nothing is allocated before the signature is good, but for texts with escapes and for what a list has
//! beyond 16 strings.
//!
//! | token | time | instructions |
//! |---|---|---|
//! | longer than allowed | 8 ns | 60 |
//! | opaque | 99 ns | 1 700 |
//! | malformed | 118 ns | 1 900 |
//! | of an issuer that is not trusted | 562 ns | 12 000 |
//! | expired, by what it says | 616 ns | 12 500 |
//! | of an unknown key | 763 ns | 15 700 |
//!
//! An unknown key is the dearest: its header is not known either, and the payload is read before,
//! since a stranger's token must not ring for another fetch.
//!
//! # A fresh token of the rotator: 76 ns
//!
//! Both clocks are 37 ns of it; the rest is one snapshot load, 160 instructions that decide, and a
//! clone of the token's `Arc`: four atomic steps in all.
//!
//! # A key set of a hundred keys
//!
//! | keys | parsed in | of that |
//! |---|---|---|
//! | RSA | 0.16 ms | JSON 0.06 ms, base64 0.01 ms, thumbprints |
//! | EC, P-256 | 4.9 ms | check of the points 4.6 ms |
//! | Ed25519 | 0.77 ms | JSON 0.06 ms, check of the points |
//!
//! One of them is found in 43 ns; replacing a set takes 0.23 µs, and readers do not wait.
//!
//! # What was promised, and what became of it
//!
//! The rows beside fast-jwt and jsonwebtoken 11 are of `sh benches/peers/run.sh`, whose whole table is in
//! the README; the others of the benches that it names.
//!
//! | path | promised | measured | |
//! |---|---|---|---|
//! | known, beside jsonwebtoken 9 | 180 times faster | 255 times | met |
//! | known, beside fast-jwt's cache | 15 times faster | 27 times (2.38 µs) | met |
//! | known, two threads; with a hundred results held | 1.15 times one thread | 1.00; 1.01 | met |
//! | known, 99th percentile under a thousand swaps a second | twice the quiet one | 1.15 times | met |
//! | first RS256, PS256, beside the raw check | 1.06 times | 1.053, 1.054 | met |
//! | first ES256 | 1.04 times | 1.020 | met |
//! | first EdDSA | 1.04 times | 1.039 | met, at the edge: 1.044 and more under load |
//! | first HS256, beside jsonwebtoken 9 | 0.6 times | 0.66 | missed: the strict pass, see above |
//! | first HS256, a claims type of the caller | 0.75 times | 0.80 | missed, likewise |
//! | fill, beside first | 1 µs more | 0.2 to 0.3 µs | met |
//! | first RS256 on aws-lc-rs, beside jsonwebtoken 11 on it | 0.85 times | 0.78 times | met |
//! | first ES256, EdDSA, likewise | 0.97 times | 0.94, 0.91 times | met |
//! | refused before the payload is read | 500 ns | 8 to 118 ns | met |
//! | refused for its key | 500 ns | 763 ns | missed: the payload is read, to know the issuer |
//! | refused after the payload was read | 700 ns | 562, 616 ns | met |
//! | good tokens beside a flood of bad ones on the other core | their share | 1.00 times | met |
//! | a fresh token of the rotator, beside its clocks | twice | 2.04 times | missed: four atomic steps |
//! | a million tokens | 32 MiB; 95 % of a hot set | 15 MiB; 99.61 % | met |
//!
//! # What was tried and left out
//!
//! - base64 by `base64-simd`: 0.07 µs less for a token, for three more crates of unsafe code on what
//!   strangers send. The crate `base64`: 0.1 µs more, since it knows many alphabets.
//! - Hashing 48 characters instead of 24: 60 instructions more; the last 24 are signature already.
//! - Refusing an unknown kid before the payload is read would save most of that refusal; but then
//!   strangers could make a verifier fetch keys without naming one of its issuers.
