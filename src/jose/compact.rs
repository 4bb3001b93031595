//! JWS in compact form (RFC 7515 7.1).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::MapAccess;

use super::base64url::decode_into;
use super::headers::{KnownHeader, find};
use super::json::{Members, Value, read_object};
use super::{Algorithm, JwsError};

/// The longest token that is looked at by default: 16 KiB.
pub const LONGEST_TOKEN: usize = 16 * 1024;

const LONGEST_HEADER: usize = 8 * 1024;
const MOST_HEADER_MEMBERS: usize = 64;
/// No token of anyone's has so many; a string of them costs nothing more to refuse.
const MOST_DOTS: usize = 1000;

/// What a string is that came as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A JWS in compact form: three parts, the first of which decodes to JSON.
    Jws,
    /// A JWE in compact form: five parts, the first of which is an object with `enc`. To who has no
    /// key for it, it is opaque.
    Jwe,
    /// Not ours to read.
    Opaque,
    /// Nothing that anyone should take for a token: empty, with white space, control or non-ASCII
    /// characters, JSON as such, or a broken JWS.
    Malformed,
}

/// Tells what `token` is, by its shape alone: nothing in it is checked.
///
/// ```
/// use steadfast::jose::{Shape, shape};
///
/// assert_eq!(shape("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"), Shape::Jws);
/// assert_eq!(shape("ory_at_x.y"), Shape::Opaque);
/// assert_eq!(shape("two words"), Shape::Malformed);
/// ```
pub fn shape(token: &str) -> Shape {
    if token.is_empty() || !is_graphic(token) || token.starts_with('{') {
        return Shape::Malformed;
    }
    let dots = memchr::memchr_iter(b'.', token.as_bytes())
        .take(MOST_DOTS + 1)
        .count();
    let first = first_part(token);
    match dots {
        2 if decoded(first, is_json) => Shape::Jws,
        4 if decoded(first, has_enc) => Shape::Jwe,
        _ if dots > MOST_DOTS || token.starts_with("eyJ") => Shape::Malformed,
        _ => Shape::Opaque,
    }
}

fn first_part(token: &str) -> &str {
    let end = memchr::memchr(b'.', token.as_bytes()).unwrap_or(token.len());
    token.get(..end).unwrap_or_default()
}

/// Without an early exit, so that the compiler makes vectors of it.
fn is_graphic(token: &str) -> bool {
    let all = |bytes: &[u8]| {
        let odd = bytes.iter().fold(0, |so_far, byte| {
            so_far | u8::from(!byte.is_ascii_graphic())
        });
        odd == 0
    };
    let (chunks, rest) = token.as_bytes().as_chunks::<64>();
    chunks.iter().all(|chunk| all(chunk)) && all(rest)
}

fn decoded(part: &str, holds: fn(&[u8]) -> bool) -> bool {
    with_scratch(part.len(), |scratch| {
        decode_into(part, scratch).is_some_and(|(bytes, _)| holds(bytes))
    })
}

/// JSON by its grammar; strictness is the reader's, so that a broken header is told from no header.
fn is_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

fn has_enc(bytes: &[u8]) -> bool {
    let mut found = Enc(false);
    read_object(bytes, MOST_HEADER_MEMBERS, &mut found).is_ok() && found.0
}

struct Enc(bool);

impl<'de> Members<'de> for Enc {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, _: &mut A) -> Result<bool, A::Error> {
        self.0 |= name == "enc";
        Ok(false)
    }
}

/// The members of a JOSE header that count here; all others were checked and dropped.
#[derive(Clone, Debug)]
pub struct Header<'a> {
    /// `alg`
    pub algorithm: Algorithm,
    /// `kid`
    pub kid: Option<Cow<'a, str>>,
    /// `typ`
    pub typ: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    fn read(json: &'a [u8]) -> Result<Self, JwsError> {
        let mut members = HeaderMembers::default();
        read_object(json, MOST_HEADER_MEMBERS, &mut members).map_err(JwsError::Malformed)?;
        let kid = text_or_absent(members.kid).ok_or(JwsError::Malformed("`kid` is no string"))?;
        let typ = text_or_absent(members.typ).ok_or(JwsError::Malformed("`typ` is no string"))?;
        let algorithm = match members.alg {
            Value::Text(name) => name.parse().ok(),
            _ => None,
        };
        let algorithm = algorithm.ok_or(JwsError::UnsupportedAlgorithm)?;
        // RFC 7515 4.1.11: no extension is understood here. RFC 7797 6: `b64` must not be false.
        if members.crit || !matches!(members.b64, Value::Absent | Value::Bool(true)) {
            return Err(JwsError::UnsupportedCritical);
        }
        Ok(Self {
            algorithm,
            kid,
            typ,
        })
    }
}

#[derive(Default)]
struct HeaderMembers<'a> {
    alg: Value<'a>,
    kid: Value<'a>,
    typ: Value<'a>,
    b64: Value<'a>,
    crit: bool,
}

impl<'de> Members<'de> for HeaderMembers<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let place = match name {
            "alg" => &mut self.alg,
            "kid" => &mut self.kid,
            "typ" => &mut self.typ,
            "b64" => &mut self.b64,
            _ => {
                self.crit |= name == "crit";
                return Ok(false);
            }
        };
        *place = map.next_value()?;
        Ok(true)
    }
}

fn text_or_absent(value: Value<'_>) -> Option<Option<Cow<'_, str>>> {
    match value {
        Value::Absent => Some(None),
        Value::Text(text) => Some(Some(text)),
        Value::Bool(_) | Value::Other => None,
    }
}

/// A compact JWS whose header was read, and nothing else. `Debug` shows that header alone, since
/// whoever has the whole can act with it.
pub struct Unverified<'a> {
    token: &'a str,
    header: Header<'a>,
    known: Option<&'a Arc<KnownHeader>>,
    parts: Parts<'a>,
    scratch: &'a mut [u8],
}

impl<'a> Unverified<'a> {
    /// Splits `token` and reads its header into `scratch`; a token that is longer than `scratch` is
    /// [`JwsError::TooLarge`].
    ///
    /// Nothing is allocated for a header without JSON escapes.
    pub fn parse(token: &'a str, scratch: &'a mut [u8]) -> Result<Self, JwsError> {
        Self::parse_knowing(token, scratch, &[])
    }

    /// The same, but a header that is one of `known` is not read again.
    #[inline(always)]
    pub(crate) fn parse_knowing(
        token: &'a str,
        scratch: &'a mut [u8],
        known: &'a [Arc<KnownHeader>],
    ) -> Result<Self, JwsError> {
        if token.len() > scratch.len() {
            return Err(JwsError::TooLarge);
        }
        let header_text = first_part(token);
        if let Some(known) = find(known, header_text) {
            // What comes after it is decoded next, whole, and then is refused for its shape.
            return Ok(Self {
                token,
                header: known.header(),
                known: Some(known),
                parts: Parts::around(header_text, token).ok_or_else(|| refusal(token))?,
                scratch,
            });
        }
        let parts = Parts::of(token).ok_or_else(|| refusal(token))?;
        let (header, scratch) = read_header(token, header_text, scratch)?;
        Ok(Self {
            token,
            header,
            known: None,
            parts,
            scratch,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Decodes payload and signature, which are as unverified as before.
    #[inline]
    pub fn decode(self) -> Result<Decoded<'a>, JwsError> {
        let parts = self.parts;
        let (payload, scratch) = decode_into(parts.payload, self.scratch)
            .ok_or_else(|| refusal_for(self.token, "the payload is not base64url"))?;
        let (signature, _) = decode_into(parts.signature, scratch)
            .ok_or_else(|| refusal_for(self.token, "the signature is not base64url"))?;
        Ok(Decoded {
            header: self.header,
            header_text: parts.header,
            known: self.known,
            signing_input: parts.signing_input.as_bytes(),
            payload,
            signature,
        })
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

fn read_header<'a>(
    token: &str,
    part: &str,
    scratch: &'a mut [u8],
) -> Result<(Header<'a>, &'a mut [u8]), JwsError> {
    let (json, scratch) = decode_into(part, scratch).ok_or_else(|| refusal(token))?;
    if json.len() > LONGEST_HEADER {
        return Err(refusal_for(token, "the header is longer than 8 KiB"));
    }
    let header = Header::read(json).map_err(|error| match error {
        JwsError::Malformed(rule) => refusal_for(token, rule),
        error => error,
    })?;
    Ok((header, scratch))
}

/// A compact JWS, decoded; its signature was not checked. `Debug` shows the header alone.
pub struct Decoded<'a> {
    /// The header.
    pub header: Header<'a>,
    /// What the header was read from, in base64url.
    pub(super) header_text: &'a str,
    /// The header, if it was known.
    pub(super) known: Option<&'a Arc<KnownHeader>>,
    /// What was signed: header, dot and payload as they stand in the token.
    pub signing_input: &'a [u8],
    /// The payload's bytes.
    pub payload: &'a [u8],
    /// The signature's bytes.
    pub signature: &'a [u8],
}

impl fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// Calls `f` with room to decode a token of `len` bytes: on the stack up to [`LONGEST_TOKEN`].
///
/// The room is zeroed, so a small token gets a small one.
pub fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    match len {
        0..=SMALL_TOKEN => with_stack::<SMALL_TOKEN, R>(f),
        _ if len <= LARGE_TOKEN => with_stack::<LARGE_TOKEN, R>(f),
        _ if len <= LONGEST_TOKEN => with_stack::<LONGEST_TOKEN, R>(f),
        _ => f(&mut vec![0; len]),
    }
}

const SMALL_TOKEN: usize = 1024;
const LARGE_TOKEN: usize = 4 * 1024;

/// Not inlined, so that a small token does not pay for the frame of a large one.
#[inline(never)]
fn with_stack<const N: usize, R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    f(&mut [0; N])
}

/// A token at its dots.
struct Parts<'a> {
    header: &'a str,
    signing_input: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` unless `token` has the shape of a JWS.
    fn of(token: &'a str) -> Option<Self> {
        let dots = memchr::memchr_iter(b'.', token.as_bytes());
        match dots.take(3).count() {
            2 if is_graphic(token) => Self::around(first_part(token), token),
            _ => None,
        }
    }

    /// What comes after `header`, at the last dot.
    fn around(header: &'a str, token: &'a str) -> Option<Self> {
        let last = memchr::memrchr(b'.', token.as_bytes())?;
        Some(Self {
            header,
            signing_input: token.get(..last)?,
            payload: token.get(header.len() + 1..last)?,
            signature: token.get(last + 1..)?,
        })
    }
}

fn refusal(token: &str) -> JwsError {
    refusal_for(token, "not a JWS in compact form")
}

/// Off the hot path: what is no JWS by its shape is not a broken one.
fn refusal_for(token: &str, rule: &'static str) -> JwsError {
    match shape(token) {
        Shape::Jws => JwsError::Malformed(rule),
        Shape::Malformed => JwsError::Malformed("not a JWS in compact form"),
        Shape::Jwe | Shape::Opaque => JwsError::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn base64url(bytes: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A token with this header, payload `{}` and four octets of signature.
    fn token(header: impl AsRef<[u8]>) -> String {
        format!("{}.e30.AAAAAA", base64url(header))
    }

    #[test]
    fn shapes() {
        let jwe = format!("{}.a.b.c.d", base64url(r#"{"alg":"dir","enc":"A128GCM"}"#));
        let jws_in_five = format!("{}.a.b.c.d", base64url(r#"{"alg":"HS256"}"#));
        for (token, expected) in [
            ("", Shape::Malformed),
            (" ", Shape::Malformed),
            ("a b", Shape::Malformed),
            ("abc\n", Shape::Malformed),
            ("abc\u{7f}", Shape::Malformed),
            ("ab\u{e9}", Shape::Malformed),
            ("{\"payload\":\"\"}", Shape::Malformed),
            ("{", Shape::Malformed),
            ("eyJ", Shape::Malformed),
            ("eyJhbGciOiJIUzI1NiJ9", Shape::Malformed),
            ("eyJhbGciOiJIUzI1NiJ9.e30", Shape::Malformed),
            ("eyJhbGciOiJIUzI1NiJ9.e30.a.b", Shape::Malformed),
            ("eyJhbGciOiJIUzI1NiJ.e30.", Shape::Malformed),
            ("eyJhbGciOiJIUzI1NiJ9=.e30.", Shape::Malformed),
            (&jws_in_five, Shape::Malformed),
            (&jwe, Shape::Jwe),
            ("eyJhbGciOiJIUzI1NiJ9.e30.", Shape::Jws),
            ("eyJhbGciOiJIUzI1NiJ9..", Shape::Jws),
            (&token(" { } "), Shape::Jws),
            (&token("\u{feff}{}"), Shape::Jws),
            (&token("[]"), Shape::Jws),
            (&token("{\"a\":\"\\ud800\"}"), Shape::Jws),
            ("ory_at_x.y", Shape::Opaque),
            ("d3a1f0", Shape::Opaque),
            ("..", Shape::Opaque),
            ("....", Shape::Opaque),
            ("a.b.c", Shape::Opaque),
            (&token("nonsense"), Shape::Opaque),
            (&".".repeat(1000), Shape::Opaque),
            (&".".repeat(1001), Shape::Malformed),
        ] {
            assert_eq!(shape(token), expected, "{token}");
        }
    }

    #[track_caller]
    fn refused(token: &str, expected: JwsError) {
        let parsed = with_scratch(token.len(), |scratch| {
            Unverified::parse(token, scratch)
                .and_then(Unverified::decode)
                .map(|_| ())
        });
        assert_eq!(parsed, Err(expected), "{token}");
    }

    #[test]
    fn not_a_jws() {
        let shape = JwsError::Malformed("not a JWS in compact form");
        for token in [
            "",
            "eyJ",
            "{}",
            "eyJhbGciOiJIUzI1NiJ9.e30.AA AA",
            "eyJh.e30.\n",
        ] {
            refused(token, shape.clone());
        }
        for token in ["opaque", "a.b", "a.b.c", "..", "a.b.c.d.e"] {
            refused(token, JwsError::Opaque);
        }
        refused(
            &format!("{}.a.b.c.d", base64url(r#"{"enc":"A128GCM"}"#)),
            JwsError::Opaque,
        );
    }

    #[test]
    fn headers_by_the_rules() {
        for (header, expected) in [
            ("[]", JwsError::Malformed("not a strict JSON object")),
            (
                "\u{feff}{}",
                JwsError::Malformed("not a strict JSON object"),
            ),
            (
                r#"{"alg":"RS256","alg":"RS256"}"#,
                JwsError::Malformed("a member is named twice"),
            ),
            (
                r#"{"alg":"RS256","x":1e400}"#,
                JwsError::Malformed("not a strict JSON object"),
            ),
            (
                r#"{"alg":"RS256","kid":null}"#,
                JwsError::Malformed("`kid` is no string"),
            ),
            (
                r#"{"alg":"RS256","kid":7}"#,
                JwsError::Malformed("`kid` is no string"),
            ),
            (
                r#"{"alg":"RS256","typ":["JWT"]}"#,
                JwsError::Malformed("`typ` is no string"),
            ),
            ("{}", JwsError::UnsupportedAlgorithm),
            (r#"{"alg":null}"#, JwsError::UnsupportedAlgorithm),
            (r#"{"alg":["RS256"]}"#, JwsError::UnsupportedAlgorithm),
            (r#"{"alg":"none"}"#, JwsError::UnsupportedAlgorithm),
            (r#"{"alg":"nOnE"}"#, JwsError::UnsupportedAlgorithm),
            (r#"{"alg":"rs256"}"#, JwsError::UnsupportedAlgorithm),
            (r#"{"alg":"RS256 "}"#, JwsError::UnsupportedAlgorithm),
            (r#"{"alg":""}"#, JwsError::UnsupportedAlgorithm),
            (
                r#"{"alg":"RS256","crit":["exp"]}"#,
                JwsError::UnsupportedCritical,
            ),
            (
                r#"{"alg":"RS256","crit":[]}"#,
                JwsError::UnsupportedCritical,
            ),
            (
                r#"{"alg":"RS256","crit":null}"#,
                JwsError::UnsupportedCritical,
            ),
            (
                r#"{"alg":"RS256","\u0063rit":["b64"],"b64":true}"#,
                JwsError::UnsupportedCritical,
            ),
            (
                r#"{"alg":"RS256","b64":false}"#,
                JwsError::UnsupportedCritical,
            ),
        ] {
            refused(&token(header), expected);
        }
    }

    #[test]
    fn header_limits() {
        let long = |len: usize| {
            let header = format!(r#"{{"alg":"HS256","x":"{}"}}"#, "a".repeat(len - 22));
            assert_eq!(header.len(), len);
            token(header)
        };
        with_scratch(LONGEST_TOKEN, |scratch| {
            assert!(Unverified::parse(&long(8192), scratch).is_ok());
        });
        refused(
            &long(8193),
            JwsError::Malformed("the header is longer than 8 KiB"),
        );
        let members: Vec<_> = (0..64).map(|it| format!("\"m{it}\":{it}")).collect();
        refused(
            &token(format!(r#"{{"alg":"HS256",{}}}"#, members.join(","))),
            JwsError::Malformed("too many members"),
        );
    }

    #[test]
    fn strict_base64url() {
        let payload = JwsError::Malformed("the payload is not base64url");
        let signature = JwsError::Malformed("the signature is not base64url");
        for (rest, expected) in [
            ("e30=.AAAA", &payload),
            ("e31.AAAA", &payload),
            ("e.AAAA", &payload),
            ("e3+_.AAAA", &payload),
            ("e3/_.AAAA", &payload),
            ("e30?.AAAA", &payload),
            ("e30.AAA=", &signature),
            ("e30.AAB", &signature),
            ("e30.A", &signature),
        ] {
            refused(&format!("eyJhbGciOiJIUzI1NiJ9.{rest}"), expected.clone());
        }
        refused(
            "eyJhbGciOiJIUzI1NiJ8.e30.AAAA",
            JwsError::Malformed("not a JWS in compact form"),
        );
    }

    #[test]
    fn what_is_read() {
        let header =
            r#"{"typ":"JWT","alg":"Ed25519","kid":"\u006b/=","jwk":{"kty":"oct"},"b64":true}"#;
        let token = token(header);
        let mut scratch = vec![0; token.len()];
        let parsed = Unverified::parse(&token, &mut scratch).unwrap();
        assert_eq!(parsed.header().algorithm, Algorithm::EdDSA);
        assert_eq!(parsed.header().kid.as_deref(), Some("k/="));
        assert!(matches!(parsed.header().typ, Some(Cow::Borrowed("JWT"))));
        let decoded = parsed.decode().unwrap();
        assert_eq!(decoded.payload, b"{}");
        assert_eq!(decoded.signature, [0; 4]);
        let signing_input = token.strip_suffix(".AAAAAA").unwrap();
        assert_eq!(decoded.signing_input, signing_input.as_bytes());
    }

    #[test]
    fn longer_than_the_scratch() {
        let token = token(r#"{"alg":"HS256"}"#);
        let mut scratch = vec![0; token.len() - 1];
        let parsed = Unverified::parse(&token, &mut scratch);
        assert_eq!(parsed.unwrap_err(), JwsError::TooLarge);
    }

    #[test]
    fn room_for_every_length() {
        for len in [0, 1, 2048, 2049, LONGEST_TOKEN, LONGEST_TOKEN + 1, 1 << 20] {
            let room = with_scratch(len, |scratch| scratch.len());
            assert!(room >= len, "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in any::<String>()) {
            with_scratch(text.len(), |scratch| {
                let parsed = Unverified::parse(&text, scratch).and_then(Unverified::decode);
                prop_assert!(parsed.is_err() || shape(&text) == Shape::Jws);
                Ok(())
            })?;
        }

        #[test]
        fn one_spelling(
            header in prop::sample::select(vec![r#"{"alg":"HS256"}"#, r#"{"alg":"ES256","kid":"a"}"#]),
            payload in any::<Vec<u8>>(),
            signature in any::<Vec<u8>>(),
        ) {
            let parts = [header.as_bytes(), &payload, &signature];
            let token = parts.map(base64url).join(".");
            let mut scratch = vec![0; token.len()];
            let decoded = Unverified::parse(&token, &mut scratch).unwrap().decode().unwrap();
            prop_assert_eq!(decoded.payload, payload);
            prop_assert_eq!(decoded.signature, signature);
        }
    }
}
