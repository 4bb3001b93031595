//! Base64url as RFC 7515 2 has it: no padding, no spare bits, so that bytes have one spelling.
//!
//! A verification that meets a token anew decodes all of it, and this takes half as long as the
//! crate `base64`, which knows many alphabets and says where a fault is.

/// Decodes `text` into the front of `room`: the decoded bytes, and the room left. `None` if it is
/// not base64url, or `room` is smaller than the bytes.
pub(super) fn decode_into<'r>(text: &str, room: &'r mut [u8]) -> Option<(&'r [u8], &'r mut [u8])> {
    let (quads, rest) = text.as_bytes().as_chunks::<4>();
    let rest = Rest::of(rest)?;
    let (decoded, room) = room.split_at_mut_checked(quads.len() * 3 + rest.len)?;
    let (pairs, odd) = quads.as_chunks::<2>();
    let (sixes, end) = decoded.as_chunks_mut::<6>();
    let mut faults = rest.bits;
    for ([one, other], six) in pairs.iter().zip(sixes) {
        let (one, other) = (bits_of(*one), bits_of(*other));
        faults |= one | other;
        let [octets @ .., _, _] = (u64::from(one) | u64::from(other) << 24).to_le_bytes();
        *six = octets;
    }
    let mut end = end.iter_mut();
    for bits in odd.iter().map(|quad| bits_of(*quad)).chain([rest.bits]) {
        faults |= bits;
        let [octets @ .., _] = bits.to_le_bytes();
        octets
            .iter()
            .zip(&mut end)
            .for_each(|(octet, to)| *to = *octet);
    }
    (faults & FAULT == 0).then_some((decoded, room))
}

/// What comes after the last four characters.
struct Rest {
    bits: u32,
    len: usize,
}

impl Rest {
    fn of(characters: &[u8]) -> Option<Self> {
        let (bits, len) = match *characters {
            [] => (0, 0),
            [a, b] => (bits_of([a, b, ZERO, ZERO]), 1),
            [a, b, c] => (bits_of([a, b, c, ZERO]), 2),
            _ => return None,
        };
        let spare = (bits & 0x00ff_ffff) >> (8 * len);
        (spare == 0).then_some(Self { bits, len })
    }
}

/// Three octets, the first one lowest, or something with [`FAULT`].
#[inline]
fn bits_of([a, b, c, d]: [u8; 4]) -> u32 {
    value(&FIRST, a) | value(&SECOND, b) | value(&THIRD, c) | value(&FOURTH, d)
}

#[inline]
fn value(table: &[u32; 256], character: u8) -> u32 {
    table.get(usize::from(character)).copied().unwrap_or(FAULT)
}

/// A character for six bits of zero.
const ZERO: u8 = b'A';
/// Above the 24 bits that four characters stand for.
const FAULT: u32 = 1 << 31;

static FIRST: [u32; 256] = table(18);
static SECOND: [u32; 256] = table(12);
static THIRD: [u32; 256] = table(6);
static FOURTH: [u32; 256] = table(0);

/// What each character stands for, so far from the end of 24 bits (RFC 4648 4 and 5, table 2).
const fn table(from_the_end: u32) -> [u32; 256] {
    let mut table = [FAULT; 256];
    let mut character = 0;
    while character < 256 {
        #[expect(clippy::indexing_slicing, reason = "below its length, at compile time")]
        if let Some(value) = six_bits(character as u8) {
            // The first octet lowest, where it was highest.
            table[character] = (value << from_the_end << 8).swap_bytes();
        }
        character += 1;
    }
    table
}

const fn six_bits(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(value as u32)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut room = vec![0; text.len()];
        decode_into(text, &mut room).map(|(bytes, _)| bytes.to_vec())
    }

    #[track_caller]
    fn as_the_crate_does(text: &str) {
        let expected = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        assert_eq!(decoded(text), expected, "{text:?}");
    }

    /// Whatever two characters stand at the end of a text of whatever length.
    #[test]
    fn every_end() {
        for before in ["", "A", "_-", "z09"] {
            for a in 0..=127_u8 {
                for b in 0..=127_u8 {
                    let end = format!("{before}{}{}", char::from(a), char::from(b));
                    as_the_crate_does(&end);
                    as_the_crate_does(&format!("AAAA{end}"));
                }
            }
        }
        as_the_crate_does("A");
        as_the_crate_does("AAAA\u{e9}\u{e9}");
    }

    #[test]
    fn the_room_may_be_exact_and_not_smaller() {
        for len in 0..20 {
            let text = BASE64_URL_SAFE_NO_PAD.encode(vec![7; len]);
            let (bytes, left) = (vec![7; len], [9; 2]);
            let mut room = vec![9; len + 2];
            let expected = Some((bytes.as_slice(), left.to_vec()));
            let found = decode_into(&text, &mut room).map(|(it, left)| (it, left.to_vec()));
            assert_eq!(found, expected);
            assert!(decode_into(&text, &mut vec![0; len]).is_some());
            if len > 0 {
                assert!(decode_into(&text, &mut vec![0; len - 1]).is_none());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(decoded(&BASE64_URL_SAFE_NO_PAD.encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text(text in "[A-Za-z0-9_=+/. -]{0,40}") {
            prop_assert_eq!(decoded(&text), BASE64_URL_SAFE_NO_PAD.decode(&text).ok());
        }
    }
}
