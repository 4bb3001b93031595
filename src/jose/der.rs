//! The little DER (X.690) that keys take: elements are walked over, never interpreted.

pub(super) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, of a certificate's version.
const VERSION: u8 = 0xa0;

/// Algorithm and key of a SubjectPublicKeyInfo (RFC 5280 4.1.2.7).
pub(super) fn public_key_info(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let info = whole(SEQUENCE, spki)?;
    let (algorithm, key) = element(SEQUENCE, info)?;
    let (unused_bits, key) = whole(BIT_STRING, key)?.split_first()?;
    (*unused_bits == 0).then_some((algorithm, key))
}

/// The SubjectPublicKeyInfo of a certificate (RFC 5280 4.1). Nothing else of it is looked at.
pub(super) fn public_key_info_of_certificate(certificate: &[u8]) -> Option<&[u8]> {
    let (fields, _) = element(SEQUENCE, whole(SEQUENCE, certificate)?)?;
    let fields = element(VERSION, fields).map_or(fields, |(_, rest)| rest);
    let (_serial, fields) = element(INTEGER, fields)?;
    let (_signature, fields) = element(SEQUENCE, fields)?;
    let (_issuer, fields) = element(SEQUENCE, fields)?;
    let (_validity, fields) = element(SEQUENCE, fields)?;
    let (_subject, fields) = element(SEQUENCE, fields)?;
    let (_, rest) = element(SEQUENCE, fields)?;
    fields.get(..fields.len() - rest.len())
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 A.1.1), both positive, with the octet 0 that
/// may stand before them.
pub(super) fn rsa_public(pkcs1: &[u8]) -> Option<(&[u8], &[u8])> {
    let (n, e) = element(INTEGER, whole(SEQUENCE, pkcs1)?)?;
    let e = whole(INTEGER, e)?;
    let positive = |it: &[u8]| it.first().is_some_and(|first| *first < 0x80);
    (positive(n) && positive(e)).then_some((n, e))
}

/// Content of the element that `der` is.
fn whole(tag: u8, der: &[u8]) -> Option<&[u8]> {
    element(tag, der)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(content, _)| content)
}

/// Content of the first element, and what follows it.
pub(super) fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([found, first], rest) = der.split_first_chunk()?;
    let (len, shortest, rest) = match first {
        0..=0x7f => (usize::from(*first), 0, rest),
        0x81 => rest
            .split_first()
            .map(|(len, rest)| (usize::from(*len), 0x80, rest))?,
        0x82 => rest
            .split_first_chunk()
            .map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), 0x100, rest))?,
        _ => return None,
    };
    rest.split_at_checked(len)
        .filter(|_| *found == tag && len >= shortest)
}

/// Of at most 64 KiB, which no key comes near.
pub(super) fn push_element(tag: u8, content: &[u8], der: &mut Vec<u8>) {
    let [_, _, .., high, low] = content.len().to_be_bytes();
    match (high, low) {
        (0, 0..=0x7f) => der.extend([tag, low]),
        (0, _) => der.extend([tag, 0x81, low]),
        _ => der.extend([tag, 0x82, high, low]),
    }
    der.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        for len in [0, 1, 127, 128, 255, 256, 65_535] {
            let (content, mut der) = (vec![7; len], Vec::new());
            push_element(OCTET_STRING, &content, &mut der);
            assert_eq!(whole(OCTET_STRING, &der), Some(&content[..]));
            der.push(9);
            assert_eq!(element(OCTET_STRING, &der), Some((&content[..], &[9][..])));
            assert_eq!(whole(OCTET_STRING, &der), None);
            assert_eq!(element(INTEGER, &der), None);
            assert_eq!(element(OCTET_STRING, &der[..len]), None);
        }
    }

    #[test]
    fn lengths_in_one_spelling() {
        assert_eq!(element(INTEGER, &[INTEGER, 0x81, 1, 5]), None);
        assert_eq!(element(INTEGER, &[INTEGER, 0x82, 0, 1, 5]), None);
        assert_eq!(element(INTEGER, &[INTEGER, 0x80, 5, 0, 0]), None);
    }

    #[test]
    fn a_key_is_of_whole_octets() {
        let info = |bits: &[u8]| {
            let (mut info, mut der) = (Vec::new(), Vec::new());
            push_element(SEQUENCE, &[], &mut info);
            push_element(BIT_STRING, bits, &mut info);
            push_element(SEQUENCE, &info, &mut der);
            public_key_info(&der).map(|(_, key)| key.to_vec())
        };
        assert_eq!(info(&[0, 5]), Some(vec![5]));
        assert_eq!(info(&[1, 4]), None);
        assert_eq!(info(&[]), None);
    }

    #[test]
    fn numbers_of_an_rsa_key() {
        let key = |n: &[u8], e: &[u8], rest: &[u8]| {
            let (mut numbers, mut der) = (Vec::new(), Vec::new());
            push_element(INTEGER, n, &mut numbers);
            push_element(INTEGER, e, &mut numbers);
            numbers.extend_from_slice(rest);
            push_element(SEQUENCE, &numbers, &mut der);
            rsa_public(&der).map(|(n, e)| (n.to_vec(), e.to_vec()))
        };
        assert_eq!(key(&[0, 0x81], &[3], &[]), Some((vec![0, 0x81], vec![3])));
        assert_eq!(key(&[0x81], &[3], &[]), None);
        assert_eq!(key(&[1], &[0x83], &[]), None);
        assert_eq!(key(&[], &[3], &[]), None);
        assert_eq!(key(&[1], &[3], &[5, 0]), None);
    }
}
