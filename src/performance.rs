//! Where the time goes. There is no code here.
//!
//! Figures are medians of nine runs of `cargo bench --features testing,tower --bench ratios` within a
//! quarter of an hour, and of one run each of `--bench spread` and `--bench keys`, on one core of a
//! shared two-core virtual machine (Intel Xeon, 2026), Rust 1.95, ring, a token of 800 bytes with nine
//! claims. Those of `ratios` are times on the core, not on the wall, and a ratio is the median of its
//! own rounds, in which both sides took turns: not quite the quotient of two times that stand here.
//! Instructions are counted by
//! callgrind (`sh tests/instructions.sh`), which sees neither the kernel's part of a clock's reading
//! nor the processor's instructions for SHA-256. The README says how to see each ratio.
//!
//! # A known token: 90 ns
//!
//! jsonwebtoken 9 verifies the same RS256 token in 23.6 µs, 262 times as long. About 750
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
//!   do not fight over one count: two threads take 1.01 times what one takes, with a hundred
//!   results held 0.96 times (by minima). An `ArcSwap` guard would be as cheap only
//!   until a thread holds eight of them.
//! - While key sets are swapped a thousand times a second the 99th percentile is 1.07 times the quiet
//!   one; above it, one call in a thousand looks for its key in the new set.
//! - A million distinct tokens took 9 to 18 MiB of the 32 MiB that a cache may weigh, and over 99.3 %
//!   of a hot set of 512 was still known: a way that was asked for lately is not given away while another
//!   one was not.
//!
//! # A new token: the signature and about 1 µs
//!
//! | algorithm | whole | signature alone | ratio |
//! |---|---|---|---|
//! | RS256 | 22.8 µs | 21.0 µs | 1.077 |
//! | PS256 | 23.7 µs | 21.9 µs | 1.077 |
//! | ES256 | 61.4 µs | 58.3 µs | 1.048 |
//! | EdDSA | 40.1 µs | 37.8 µs | 1.057 |
//!
//! These move with who else uses the processor: a run in a quieter hour of the same day gave 1.053,
//! 1.054, 1.020 and 1.039, with 1 300 instructions more than now. With HS256 the same instructions take
//! 0.9 µs; after 20 to 60 µs of another signature check they take two to three and a half times as long,
//! probably since they and their data have left the nearest caches by then.
//!
//! With HS256 the rest shows: 1.39 µs, 0.597 times jsonwebtoken 9 (2.35 µs); 1.70 µs with a claims type
//! of the caller, 0.734 times. Beside the signature these are 13 700 instructions:
//!
//! | step | instructions |
//! |---|---|
//! | decode base64url, by table and in pairs of four characters | 3 400 |
//! | one strict pass over the payload, borrowed: doubled members, types, depth, numbers, surrogates | 6 400 |
//! | room to decode into; split the token; its header is known by its text | 400 |
//! | the clock, issuer, keys by kid and algorithm, rules | 1 900 |
//! | claims as strings of their own, and their end | 1 600 |
//!
//! - An issuer writes the same header into every token, so a header that a good token had is not
//!   decoded and read again: 2 600 instructions saved. Nor is what follows it searched for dots and odd
//!   characters, which base64url refuses anyway. The same text is the same header, whoever wrote it.
//! - A claims type of the caller is read from the same text after the signature: 5 000 more.
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
//! | longer than allowed | 9 ns | 60 |
//! | opaque | 108 ns | 1 800 |
//! | malformed | 128 ns | 2 100 |
//! | of an issuer that is not trusted | 573 ns | 11 100 |
//! | expired, by what it says | 616 ns | 11 600 |
//! | of an unknown key | 847 ns | 15 400 |
//!
//! An unknown key is the dearest: its header is not known either, and the payload is read before,
//! since a stranger's token must not ring for another fetch.
//!
//! # A fresh token of the rotator: 78 ns
//!
//! Both clocks are 41 ns of it; the rest is one snapshot load, 130 instructions that decide, and a
//! clone of the token's `Arc`: four atomic steps in all.
//!
//! # A key set of a hundred keys
//!
//! | keys | parsed in | of that |
//! |---|---|---|
//! | RSA | 0.16 ms | JSON 0.06 ms, base64 0.01 ms, thumbprints |
//! | EC, P-256 | 5.4 ms | check of the points 5.0 ms |
//! | Ed25519 | 0.82 ms | JSON 0.06 ms, check of the points |
//!
//! One of them is found in 44 ns; replacing a set takes 0.23 µs, and readers do not wait.
//!
//! # What was promised, and what became of it
//!
//! The rows beside fast-jwt and jsonwebtoken 11 are of `sh benches/peers/run.sh`, whose whole table is in
//! the README; the others of the benches that it names.
//!
//! | path | promised | measured | |
//! |---|---|---|---|
//! | known, beside jsonwebtoken 9 | 180 times faster | 262 times | met |
//! | known, beside fast-jwt's cache | 15 times faster | 26 times (2.33 µs) | met |
//! | known, two threads; with a hundred results held | 1.15 times one thread | 1.01; 0.96 | met |
//! | known, 99th percentile under a thousand swaps a second | twice the quiet one | 1.07 times | met |
//! | first RS256, PS256, beside the raw check | 1.06 times | 1.077, 1.077 (1.053, 1.054) | in brackets in a quieter hour, see above: missed while others use the processor |
//! | first ES256 | 1.04 times | 1.048 (1.020) | likewise |
//! | first EdDSA | 1.04 times | 1.057 (1.039) | likewise |
//! | first HS256, beside jsonwebtoken 9 | 0.6 times | 0.597 | met, at the edge: 0.583 to 0.603 |
//! | first HS256, a claims type of the caller | 0.75 times | 0.734 | met |
//! | fill, beside first | 1 µs more | 0.2 to 0.3 µs | met |
//! | first RS256 on aws-lc-rs, beside jsonwebtoken 11 on it | 0.85 times | 0.77 times | met |
//! | first ES256, EdDSA, likewise | 0.97 times | 0.89, 0.91 times | met |
//! | refused before the payload is read | 500 ns | 9 to 128 ns | met |
//! | refused for its key | 500 ns | 847 ns | missed: the payload is read, to know the issuer |
//! | refused after the payload was read | 700 ns | 573, 616 ns | met |
//! | good tokens beside a flood of bad ones on the other core | their share | 0.97 times | met |
//! | a fresh token of the rotator, beside its clocks | twice | 1.90 times | met |
//! | a million tokens | 32 MiB; 95 % of a hot set | 9 to 18 MiB; 99.4 to 99.9 % | met |
//!
//! # What was tried and left out
//!
//! - base64 by `base64-simd`: 0.07 µs less for a token, for three more crates of unsafe code on what
//!   strangers send. The crate `base64`: 0.1 µs more, since it knows many alphabets.
//! - Hashing 48 characters instead of 24: 60 instructions more; the last 24 are signature already.
//! - Refusing an unknown kid before the payload is read would save most of that refusal; but then
//!   strangers could make a verifier fetch keys without naming one of its issuers.
