//! Where the time goes. There is no code here.
//!
//! Figures are medians of one run of `cargo bench --features testing,tower --bench ratios` on one
//! core of a shared two-core virtual machine (Intel Xeon, 2026), Rust 1.95, ring, a token of 800
//! bytes with nine claims. They are times on the core, not on the wall. Instructions are counted by
//! callgrind (`sh tests/instructions.sh`), which sees neither the kernel's part of a clock's reading
//! nor the processor's instructions for SHA-256. The README says how to see each ratio.
//!
//! # A known token: 88 ns
//!
//! jsonwebtoken 9 verifies the same RS256 token in 22.6 µs, 256 times as long. About 750
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
//!   do not fight over one count: two threads take 0.98 times what one takes, also with a hundred
//!   results held (by minima, `--bench spread`). An `ArcSwap` guard would be as cheap only
//!   until a thread holds eight of them.
//! - While key sets are swapped a thousand times a second the 99th percentile is 1.03 times the quiet
//!   one; above it, one call in a thousand looks for its key in the new set.
//! - A million distinct tokens took at most 11 MiB of the 32 MiB that a cache may weigh, and 99.7 %
//!   of a hot set of 512 was still known: a way that was asked for lately is not given away while another
//!   one was not.
//!
//! # A new token: the signature and 1 µs
//!
//! | algorithm | whole | signature alone | ratio |
//! |---|---|---|---|
//! | RS256 | 21.1 µs | 20.0 µs | 1.055 |
//! | PS256 | 22.6 µs | 21.6 µs | 1.051 |
//! | ES256 | 57.5 µs | 56.5 µs | 1.021 |
//! | EdDSA | 39.0 µs | 37.4 µs | 1.044 |
//!
//! With HS256 the rest shows: 1.48 µs, 0.64 times jsonwebtoken 9 (2.31 µs); 1.79 µs with a claims type
//! of the caller, 0.78 times. Beside the signature these are 15 000 instructions:
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
//! - To put the token into the cache costs 1 700 instructions: 0.2 µs more with HS256, 0.3 to 0.4 µs
//!   with algorithms whose check leaves the processor's caches cold.
//! - Allocations: one for each claim that is a string, one for the whole; two more in the token cache.
//!   For RSA ring makes five of its own.
//!
//! # A refusal
//!
//! Nothing is allocated before the signature is good.
//!
//! | token | time | instructions |
//! |---|---|---|
//! | longer than allowed | 8 ns | 60 |
//! | opaque | 103 ns | 1 700 |
//! | malformed | 123 ns | 2 000 |
//! | of an issuer that is not trusted | 652 ns | 12 000 |
//! | expired, by what it says | 687 ns | 12 500 |
//! | of an unknown key | 855 ns | 15 700 |
//!
//! An unknown key is the dearest: its header is not known either, and the payload is read before,
//! since a stranger's token must not ring for another fetch.
//!
//! # A fresh token of the rotator: 84 ns
//!
//! Both clocks are 41 ns of it; the rest is one snapshot load, 160 instructions that decide, and a
//! clone of the token's `Arc`: four atomic steps in all. (This row is of a later run.)
//!
//! # A key set of a hundred keys
//!
//! | keys | parsed in | of that |
//! |---|---|---|
//! | RSA | 0.25 ms | JSON 0.1 ms, base64 0.02 ms, thumbprints |
//! | EC, P-256 | 10 ms | check of the points 10 ms |
//! | Ed25519 | 1.9 ms | check of the points |
//!
//! One of them is found in 60 ns; replacing a set takes 0.13 µs, and readers do not wait.
//!
//! # What was promised, and what became of it
//!
//! The rows beside fast-jwt and jsonwebtoken 11 are of `sh benches/peers/run.sh`, whose whole table is in
//! the README; the others of the benches that it names.
//!
//! | path | promised | measured | |
//! |---|---|---|---|
//! | known, beside jsonwebtoken 9 | 180 times faster | 256 times | met |
//! | known, beside fast-jwt's cache | 15 times faster | 27 times (2.38 µs) | met |
//! | known, two threads; with a hundred results held | 1.15 times one thread | 0.98; 0.98 | met |
//! | known, 99th percentile under a thousand swaps a second | twice the quiet one | 1.03 times | met |
//! | first RS256, PS256, beside the raw check | 1.06 times | 1.055, 1.051 | met |
//! | first ES256 | 1.04 times | 1.021 | met |
//! | first EdDSA | 1.04 times | 1.044 | missed: 1.7 µs beside a check of 39 µs |
//! | first HS256, beside jsonwebtoken 9 | 0.6 times | 0.64 | missed: the strict pass, see above |
//! | first HS256, a claims type of the caller | 0.75 times | 0.78 | missed, likewise |
//! | fill, beside first | 1 µs more | 0.2 to 0.4 µs | met |
//! | first RS256 on aws-lc-rs, beside jsonwebtoken 11 on it | 0.85 times | 0.78 times | met |
//! | first ES256, EdDSA, likewise | 0.97 times | 0.94, 0.91 times | met |
//! | refused before the payload is read | 500 ns | 8 to 123 ns | met |
//! | refused for its key | 500 ns | 855 ns | missed: the payload is read, to know the issuer |
//! | refused after the payload was read | 700 ns | 652, 687 ns | met |
//! | good tokens beside a flood of bad ones on the other core | their share | 1.00 times | met |
//! | a fresh token of the rotator, beside its clocks | twice | 2.06 times, under load | missed: four atomic steps |
//! | a million tokens | 32 MiB; 95 % of a hot set | 11 MiB; 99.75 % | met |
//!
//! # What was tried and left out
//!
//! - base64 by `base64-simd`: 0.07 µs less for a token, for three more crates of unsafe code on what
//!   strangers send. The crate `base64`: 0.1 µs more, since it knows many alphabets.
//! - Hashing 48 characters instead of 24: 60 instructions more; the last 24 are signature already.
//! - Refusing an unknown kid before the payload is read would save most of that refusal; but then
//!   strangers could make a verifier fetch keys without naming one of its issuers.
