//! Headers of good tokens, by their text: an issuer writes the same one into every token.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::{Algorithm, Decoded, Header};

/// The headers that good tokens had lately.
///
/// The same text is the same header, whoever has written it, so finding it here says nothing about
/// the token: it only saves reading it again. Readers take no lock.
#[derive(Debug, Default)]
pub(crate) struct KnownHeaders(ArcSwap<Vec<Arc<KnownHeader>>>);

impl KnownHeaders {
    /// Those of this moment.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<Vec<Arc<KnownHeader>>>> {
        self.0.load()
    }

    /// The header of a good token, to be kept: out of `known`, those of before, or remembered from
    /// now on.
    pub(crate) fn learn(&self, known: &[Arc<KnownHeader>], jws: &Decoded<'_>) -> Arc<KnownHeader> {
        match jws.known {
            Some(found) => Arc::clone(found),
            None => self.add(known, jws.header_text, &jws.header),
        }
    }

    /// Keys come and go, so those before are dropped when there are many. Of two that are added at
    /// once one may be lost: it comes again.
    #[cold]
    fn add(&self, known: &[Arc<KnownHeader>], text: &str, header: &Header<'_>) -> Arc<KnownHeader> {
        let header = Arc::new(KnownHeader::new(text, header));
        if text.len() <= LONGEST {
            let kept = if known.len() < MOST { known } else { &[] };
            let headers = kept.iter().chain([&header]).cloned().collect();
            self.0.store(Arc::new(headers));
        }
        header
    }
}

/// The header that `text` is, if it is one of these.
#[inline]
pub(super) fn find<'k>(known: &'k [Arc<KnownHeader>], text: &str) -> Option<&'k Arc<KnownHeader>> {
    known.iter().find(|it| *it.text == *text)
}

/// A header and what it was read from, in base64url.
#[derive(Debug)]
pub(crate) struct KnownHeader {
    text: Box<str>,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<Box<str>>,
    typ: Option<Box<str>>,
}

impl KnownHeader {
    pub(crate) fn header(&self) -> Header<'_> {
        Header {
            algorithm: self.algorithm,
            kid: self.kid.as_deref().map(Into::into),
            typ: self.typ.as_deref().map(Into::into),
        }
    }

    pub(crate) fn new(text: &str, header: &Header<'_>) -> Self {
        Self {
            text: text.into(),
            algorithm: header.algorithm,
            kid: header.kid.as_deref().map(Into::into),
            typ: header.typ.as_deref().map(Into::into),
        }
    }
}

const MOST: usize = 8;
/// A few times as long as any that a key id makes.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;
    use crate::jose::{JwsError, Unverified, with_scratch};

    fn token(kid: &str) -> String {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#);
        format!("{}.e30.AAAA", BASE64_URL_SAFE_NO_PAD.encode(header))
    }

    fn learn(headers: &KnownHeaders, token: &str) {
        with_scratch(token.len(), |scratch| {
            let known = headers.load();
            let read = Unverified::parse_knowing(token, scratch, &known).unwrap();
            headers.learn(&known, &read.decode().unwrap());
        });
    }

    #[track_caller]
    fn check(headers: &KnownHeaders, token: &str, expected: bool) {
        let known = headers.load();
        let (text, _) = token.split_once('.').unwrap();
        assert_eq!(find(&known, text).is_some(), expected);
        with_scratch(token.len(), |scratch| {
            let read = Unverified::parse_knowing(token, scratch, &known).unwrap();
            let mut room = vec![0; token.len()];
            let fresh = Unverified::parse(token, &mut room).unwrap();
            assert_eq!(read.header().algorithm, fresh.header().algorithm);
            assert_eq!(read.header().kid, fresh.header().kid);
            assert_eq!(read.header().typ, fresh.header().typ);
            assert_eq!(read.decode().unwrap().payload, b"{}");
        });
    }

    #[test]
    fn the_same_header_read_or_known() {
        let (headers, token) = (KnownHeaders::default(), token("k"));
        check(&headers, &token, false);
        learn(&headers, &token);
        check(&headers, &token, true);
    }

    #[test]
    fn a_few_are_known() {
        let headers = KnownHeaders::default();
        for kid in 0..100 {
            let token = token(&kid.to_string());
            learn(&headers, &token);
            learn(&headers, &token);
            check(&headers, &token, true);
            assert_eq!(headers.load().len(), kid % MOST + 1);
        }
        learn(&headers, &token(&"k".repeat(LONGEST)));
        check(&headers, &token(&"k".repeat(LONGEST)), false);
    }

    type Outcome = Result<(Vec<u8>, Vec<u8>, Vec<u8>), JwsError>;

    fn outcome(token: &str, known: &[Arc<KnownHeader>]) -> Outcome {
        with_scratch(token.len(), |scratch| {
            let jws = Unverified::parse_knowing(token, scratch, known)?.decode()?;
            let [input, payload, signature] = [jws.signing_input, jws.payload, jws.signature];
            Ok((input.to_vec(), payload.to_vec(), signature.to_vec()))
        })
    }

    proptest! {
        /// With a known header less is looked at, and the answer is the same.
        #[test]
        fn whatever_comes_after_a_known_header(
            rest in prop_oneof![
                "[A-Za-z0-9_-]{0,12}",
                "\\.[A-Za-z0-9_-]{0,12}\\.[A-Za-z0-9_-]{0,12}",
                "\\.[A-Za-z0-9._=+-]{0,12}",
                "\\PC{0,12}",
                "\\.[ -~\\n]{0,6}\\.[ -~\\n\u{e9}]{0,6}",
            ],
        ) {
            let headers = KnownHeaders::default();
            let good = token("k");
            learn(&headers, &good);
            let (header, _) = good.split_once('.').unwrap();
            let token = format!("{header}{rest}");
            prop_assert_eq!(outcome(&token, &headers.load()), outcome(&token, &[]));
        }
    }
}
