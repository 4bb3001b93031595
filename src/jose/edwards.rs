//! Which 32 bytes are an Ed25519 public key (RFC 8032 5.1.3) that one may trust.
//!
//! No backend tells: a key that is no point is found out with each signature anew, and under a key
//! of small order one signature is good for many messages. It is arithmetic on public numbers, no
//! more: is `y` below p = 2^255 - 19, is it none of the eight points of small order, and is
//! x² = (y² - 1) / (d·y² + 1) a square?

use super::KeyError;

/// Checks the encoding of a public key.
pub(super) fn check(encoded: &[u8; 32]) -> Result<(), KeyError> {
    let y = y_of(encoded);
    if SMALL_ORDER.contains(&y) {
        return Err(KeyError::SmallOrder);
    }
    if reduced(y) != y || !has_x(&y) {
        return Err(KeyError::NotOnCurve);
    }
    Ok(())
}

/// A number in limbs of 64 bits, the lowest first.
type Number = [u64; 4];

const P: Number = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, u64::MAX >> 1];
const P_MINUS_1: Number = [0xffff_ffff_ffff_ffec, u64::MAX, u64::MAX, u64::MAX >> 1];
const ONE: Number = [1, 0, 0, 0];
/// (p - 1) / 2
const HALF: Number = [0xffff_ffff_ffff_fff6, u64::MAX, u64::MAX, u64::MAX >> 2];
/// The curve's d (RFC 8032 5.1).
const D: Number = [
    0x75eb_4dca_1359_78a3,
    0x0070_0a4d_4141_d8ab,
    0x8cc7_4079_7779_e898,
    0x5203_6cee_2b6f_fe73,
];

/// `y` of the eight points of small order, the sign of `x` left away, and where there is room below
/// 2^255 for it, `y` + p.
const SMALL_ORDER: [Number; 7] = [
    ONE,
    P_MINUS_1,
    [0, 0, 0, 0],
    [
        0xb027_b2c2_8f95_e826,
        0xf098_eff2_89f4_c345,
        0x3933_c6d3_05ac_dfd5,
        0x05fc_536d_8802_38b1,
    ],
    [
        0x4fd8_4d3d_706a_17c7,
        0x0f67_100d_760b_3cba,
        0xc6cc_392c_fa53_202a,
        0x7a03_ac92_77fd_c74e,
    ],
    P,
    [0xffff_ffff_ffff_ffee, u64::MAX, u64::MAX, u64::MAX >> 1],
];

fn y_of(encoded: &[u8; 32]) -> Number {
    let mut limbs = encoded.chunks_exact(8).map(|limb| {
        let limb = limb.try_into().unwrap_or_default();
        u64::from_le_bytes(limb)
    });
    let mut y: Number = std::array::from_fn(|_| limbs.next().unwrap_or_default());
    let [.., top] = &mut y;
    *top &= u64::MAX >> 1; // without the sign of x
    y
}

/// Euler's criterion; u/v is a square exactly if u·v is, as v is never 0.
fn has_x(y: &Number) -> bool {
    let y2 = times(y, y);
    let u = plus(&y2, &P_MINUS_1);
    let v = plus(&times(&D, &y2), &ONE);
    reduced(power(&times(&u, &v), &HALF)) == ONE
}

fn power(base: &Number, exponent: &Number) -> Number {
    let bits = exponent
        .iter()
        .rev()
        .flat_map(|limb| (0..64).rev().map(move |bit| limb >> bit & 1 == 1));
    bits.fold(ONE, |so_far, bit| {
        let squared = times(&so_far, &so_far);
        if bit { times(&squared, base) } else { squared }
    })
}

fn times(a: &Number, b: &Number) -> Number {
    let mut wide = [0_u64; 8];
    for (at, a) in a.iter().enumerate() {
        let mut carry = 0;
        for (place, b) in wide.iter_mut().skip(at).zip(b) {
            (*place, carry) = split(wide_product(*a, *b) + u128::from(*place) + u128::from(carry));
        }
        if let Some(place) = wide.get_mut(at + 4) {
            *place = carry;
        }
    }
    let [low @ .., a, b, c, d] = wide;
    fold_in(low, [a, b, c, d])
}

fn plus(a: &Number, b: &Number) -> Number {
    let mut sum = *a;
    let carry = add(&mut sum, b);
    fold_in(sum, [carry, 0, 0, 0])
}

/// `low` + 2^256 · `high`, which is `low` + 38 · `high` modulo p; below 2^256, not below p.
fn fold_in(mut low: Number, high: Number) -> Number {
    let mut carry = 0;
    for (place, high) in low.iter_mut().zip(high) {
        (*place, carry) = split(wide_product(high, 38) + u128::from(*place) + u128::from(carry));
    }
    while carry != 0 {
        carry = add(&mut low, &[carry * 38, 0, 0, 0]);
    }
    low
}

/// Below p.
fn reduced(mut number: Number) -> Number {
    while !is_below_p(&number) {
        // 2^256 - p, added and carried out at the top.
        add(&mut number, &[19, 0, 0, 1 << 63]);
    }
    number
}

fn is_below_p(number: &Number) -> bool {
    number.iter().rev().lt(P.iter().rev())
}

/// Adds `b` to `a`; the carry.
fn add(a: &mut Number, b: &Number) -> u64 {
    let mut carry = 0;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, carry) = split(u128::from(*a) + u128::from(*b) + u128::from(carry));
    }
    carry
}

fn wide_product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// The low limb and the carry.
fn split(wide: u128) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "that is the split")]
    (wide as u64, (wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn y(limbs: Number) -> [u8; 32] {
        let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        bytes.try_into().unwrap()
    }

    #[test]
    fn points_and_others() {
        let points = [3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 19, 21, 23];
        for it in 2..24 {
            let expected = if points.contains(&it) {
                Ok(())
            } else {
                Err(KeyError::NotOnCurve)
            };
            assert_eq!(check(&y([it, 0, 0, 0])), expected, "y = {it}");
        }
        let mut base = [0x66; 32];
        base[0] = 0x58;
        assert_eq!(check(&base), Ok(()));
    }

    #[test]
    fn small_order_with_either_sign() {
        for number in SMALL_ORDER {
            let mut encoded = y(number);
            assert_eq!(check(&encoded), Err(KeyError::SmallOrder));
            encoded[31] |= 0x80;
            assert_eq!(check(&encoded), Err(KeyError::SmallOrder));
        }
    }

    #[test]
    fn y_not_below_p() {
        // p + 3, and 3 is one.
        let encoded = y([0xffff_ffff_ffff_fff0, u64::MAX, u64::MAX, u64::MAX >> 1]);
        assert_eq!(check(&encoded), Err(KeyError::NotOnCurve));
    }
}
