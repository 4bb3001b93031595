//! What is left of a secret in this process once its request is over. Alone in its process, since it
//! looks through all of its memory.

#![cfg(all(feature = "http", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{Client, RefreshTokenGrant, Rotator};

/// So long that what is freed is not all used again at once.
const LENGTH: u32 = 20_000;

/// A slash before each letter, so that it looks another way in a form.
fn letter(at: u32) -> u8 {
    b'a' + u8::try_from(at.wrapping_mul(2_654_435_761) >> 20 & 0xF).unwrap()
}

fn secret() -> String {
    let letters = (0..LENGTH).map(|it| char::from(letter(it)));
    letters.flat_map(|it| ['/', it]).collect()
}

/// Whether 64 letters from the middle of the secret begin here, as a form spells them. Never spelled
/// out here, or else this would find itself.
fn is_secret(text: &[u8]) -> bool {
    let mut letters = (LENGTH / 2..).map(letter);
    let pairs: Vec<_> = text.chunks_exact(4).take(64).collect();
    let spelled = |it: &&[u8]| it.starts_with(b"%2F") && it.last().copied() == letters.next();
    pairs.len() == 64 && pairs.iter().all(spelled)
}

/// How often the memory of this process holds it.
fn found() -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut text = vec![0; 1 << 20];
    let mut found = 0;
    for line in maps.lines().filter(|it| it.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [mut start, end] = [start, end].map(|it| u64::from_str_radix(it, 16).unwrap());
        while start < end {
            let length = (end - start).min(1 << 20);
            let chunk = text.get_mut(..usize::try_from(length).unwrap()).unwrap();
            if memory.read_exact_at(chunk, start).is_ok() {
                found += (0..chunk.len())
                    .filter(|it| chunk.get(*it..).is_some_and(is_candidate))
                    .filter(|it| chunk.get(*it..).is_some_and(is_secret))
                    .count();
            }
            start += length;
        }
    }
    found
}

/// Quick, since it is asked of each byte.
fn is_candidate(text: &[u8]) -> bool {
    text.starts_with(b"%2F")
}

/// The middle of it, in a form.
fn spelled() -> Vec<u8> {
    let letters = (LENGTH / 2..).map(letter).take(64);
    letters.flat_map(|it| [b'%', b'2', b'F', it]).collect()
}

#[tokio::test]
async fn the_form_that_holds_a_secret_is_wiped() {
    // That it would be found; then it is wiped here, too.
    let mut seen = spelled();
    assert!(found() >= 1);
    seen.fill(0);
    assert_eq!((found(), seen.len()), (0, 256));
    // Nobody listens there, so nothing is written, and nobody but this crate has it in hand.
    let client = Client::public("http://127.0.0.1:1/token", "orders").unwrap();
    let grant = RefreshTokenGrant::new(client, "alice", secret());
    let rotator = Rotator::new(grant, IssuancePolicy::default().with_retries(0).unwrap());
    rotator.token().await.unwrap_err();
    assert_eq!(found(), 0);
}
