//! JSON Web Key Sets (RFC 7517 5), read key by key, and the JWS that they verify.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess};

use super::json::{Array, Fault, Kind, Members, read_object, take_members};
use super::jwk::{Jwk, Symmetric};
use super::{
    Algorithm, AlgorithmSet, Decoded, JwsError, KeyError, KeySetError, LONGEST_TOKEN, Unverified,
    VerifyingKey, with_scratch,
};

pub(crate) const LONGEST_DOCUMENT: usize = 512 * 1024;
const MOST_KEYS: usize = 128;
const MOST_TRIES: usize = 4;

/// A set of keys, parsed key by key: one that cannot be used is skipped with a reason, the others
/// stay. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keys: Vec<VerifyingKey>,
    skipped: Vec<SkippedKey>,
    /// Places of the keys with a `kid`, sorted by it and then by place.
    by_kid: Vec<usize>,
    /// Places of the keys without one.
    without_kid: Vec<usize>,
}

impl KeySet {
    /// From a JWK Set document; `oct` keys are skipped.
    ///
    /// At most 512 KiB and 128 keys. A document without any key that can be used is an error.
    ///
    /// ```
    /// use steadfast::jose::KeySet;
    ///
    /// let keys = KeySet::from_json(
    ///     br#"{"keys":[
    ///         {"kty":"OKP","crv":"Ed25519","x":"vzTtle-0RhA0-9pRtpT46eZtVrSRWarC80QbrfGNM_o"},
    ///         {"kty":"OKP","crv":"X25519","x":"AA"}
    ///     ]}"#,
    /// )?;
    /// assert_eq!(keys.keys().len(), 1);
    /// assert_eq!(
    ///     keys.skipped()[0].reason.to_string(),
    ///     "the key's curve is not supported"
    /// );
    /// # Ok::<(), steadfast::jose::KeySetError>(())
    /// ```
    pub fn from_json(document: &[u8]) -> Result<Self, KeySetError> {
        Self::read(document, Symmetric::Refused)
    }

    /// From a JWK Set document of your own; `oct` keys are taken. Never call it with a document
    /// that was fetched.
    pub fn from_json_with_symmetric(document: &[u8]) -> Result<Self, KeySetError> {
        Self::read(document, Symmetric::Taken)
    }

    fn read(document: &[u8], symmetric: Symmetric) -> Result<Self, KeySetError> {
        if document.len() > LONGEST_DOCUMENT {
            return Err(KeySetError::TooLarge);
        }
        let mut members = Document { keys: None };
        read_object(document, usize::MAX, &mut members).map_err(KeySetError::Json)?;
        let entries = match members.keys {
            Some(Array::Elements(entries)) => entries,
            Some(Array::TooLong) => return Err(KeySetError::TooManyKeys),
            Some(Array::Another) | None => return Err(KeySetError::NotAKeySet),
        };
        let keys = entries
            .iter()
            .map(|entry| (entry.kid().map(str::to_owned), entry.key(symmetric)));
        Self::of_usable(keys)
    }

    /// Of those keys that can be used, each with the `kid` that it is skipped under.
    pub(super) fn of_usable(
        entries: impl IntoIterator<Item = (Option<String>, Result<VerifyingKey, KeyError>)>,
    ) -> Result<Self, KeySetError> {
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, (kid, key)) in entries.into_iter().enumerate() {
            match key {
                _ if index == MOST_KEYS => return Err(KeySetError::TooManyKeys),
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(SkippedKey { index, kid, reason }),
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey(skipped));
        }
        Ok(Self::new(keys, skipped))
    }

    /// From keys.
    pub fn from_keys(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self::new(keys.into_iter().collect(), Vec::new())
    }

    /// The same set, and more keys after its own.
    #[cfg(feature = "http")]
    pub(crate) fn and(&self, more: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let keys = self.keys().iter().cloned().chain(more).collect();
        Self::new(keys, self.skipped().to_vec())
    }

    fn new(keys: Vec<VerifyingKey>, skipped: Vec<SkippedKey>) -> Self {
        let (mut by_kid, without_kid): (Vec<_>, Vec<_>) = keys
            .iter()
            .map(VerifyingKey::kid)
            .enumerate()
            .partition(|(_, kid)| kid.is_some());
        by_kid.sort_by_key(|(_, kid)| *kid);
        let places = |of: Vec<(usize, _)>| of.into_iter().map(|(place, _)| place).collect();
        let (by_kid, without_kid) = (places(by_kid), places(without_kid));
        Self(Arc::new(Inner {
            keys,
            skipped,
            by_kid,
            without_kid,
        }))
    }

    /// The keys that can be used, in the document's order.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.0.keys
    }

    /// The others.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.0.skipped
    }

    /// The at most four keys to try for a token, in order: those with its `kid`, then those without
    /// one; for a token without `kid` all. Only keys that verify `algorithm` are among them.
    pub fn candidates<'s>(
        &'s self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &'s VerifyingKey> + use<'s>, NoKey> {
        self.candidates_among(kid, algorithm, |_| true)
    }

    /// The same, as if there were only the keys that `counts` says.
    pub(crate) fn candidates_among<'s, F: Fn(&VerifyingKey) -> bool>(
        &'s self,
        kid: Option<&str>,
        algorithm: Algorithm,
        counts: F,
    ) -> Result<impl Iterator<Item = &'s VerifyingKey> + use<'s, F>, NoKey> {
        let fits = |key: &&VerifyingKey| key.algorithms().contains(algorithm) && counts(key);
        let mut tries = Tries::default();
        match kid {
            Some(kid) => {
                tries.add_all(self.with_kid(kid).filter(fits))?;
                let exact = tries.count > 0;
                let more = tries.add_all(self.without_kid().filter(fits));
                if !exact {
                    more?;
                }
            }
            None => tries.add_all(self.keys().iter().filter(fits))?,
        }
        match tries.count {
            0 => Err(self.why_none(kid, counts)),
            _ => Ok(tries.keys.into_iter().flatten()),
        }
    }

    fn with_kid<'s>(&'s self, kid: &str) -> impl Iterator<Item = &'s VerifyingKey> + use<'s> {
        let places = &self.0.by_kid;
        let first = places.partition_point(|place| self.kid_at(*place) < Some(kid));
        let end = places.partition_point(|place| self.kid_at(*place) <= Some(kid));
        self.at(places.get(first..end).unwrap_or_default())
    }

    fn kid_at(&self, place: usize) -> Option<&str> {
        self.keys().get(place).and_then(VerifyingKey::kid)
    }

    fn without_kid(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.at(&self.0.without_kid)
    }

    fn at<'s>(&'s self, places: &'s [usize]) -> impl Iterator<Item = &'s VerifyingKey> + use<'s> {
        places.iter().filter_map(|place| self.keys().get(*place))
    }

    /// Whether any key has a `kid`.
    pub(crate) fn has_kids(&self) -> bool {
        !self.0.by_kid.is_empty()
    }

    /// Why none of the keys that `counts` says has this `kid` and fits.
    pub(crate) fn why_none(
        &self,
        kid: Option<&str>,
        counts: impl Fn(&VerifyingKey) -> bool,
    ) -> NoKey {
        let Some(kid) = kid else {
            return NoKey::Unknown;
        };
        if self.with_kid(kid).any(counts) {
            NoKey::OtherAlgorithm
        } else if self
            .skipped()
            .iter()
            .any(|it| it.kid.as_deref() == Some(kid))
        {
            NoKey::Skipped
        } else {
            NoKey::Unknown
        }
    }

    /// Verifies a compact JWS of at most [`LONGEST_TOKEN`] bytes, whatever its payload: `typ`,
    /// claims and the keys' `issuer` are not looked at.
    pub fn verify_jws(&self, token: &str, allowed: AlgorithmSet) -> Result<Jws, JwsError> {
        if token.len() > LONGEST_TOKEN {
            return Err(JwsError::TooLarge);
        }
        with_scratch(token.len(), |scratch| {
            let unverified = Unverified::parse(token, scratch)?;
            let header = unverified.header();
            if !allowed.contains(header.algorithm) {
                return Err(JwsError::UnsupportedAlgorithm);
            }
            let keys = self.candidates(header.kid.as_deref(), header.algorithm)?;
            let decoded = unverified.decode()?;
            verify_with(keys, &decoded)?;
            Ok(Jws {
                algorithm: decoded.header.algorithm,
                kid: decoded.header.kid.map(Into::into),
                payload: decoded.payload.to_vec(),
            })
        })
    }
}

fn verify_with<'k>(
    mut keys: impl Iterator<Item = &'k VerifyingKey>,
    jws: &Decoded<'_>,
) -> Result<(), JwsError> {
    let algorithm = jws.header.algorithm;
    keys.any(|key| {
        key.verify(algorithm, jws.signing_input, jws.signature)
            .is_ok()
    })
    .then_some(())
    .ok_or(JwsError::BadSignature)
}

/// A key of the document that is not in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Place in the document's `keys`, or among the blocks of a PEM text, from 0.
    pub index: usize,
    /// Its `kid`, where it has one.
    pub kid: Option<String>,
    /// Why.
    pub reason: KeyError,
}

/// Why no key of a set can verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The set has no such kid (or, for a token without one, no key that fits).
    Unknown,
    /// The set has this kid, on a key that was skipped.
    Skipped,
    /// The set has this kid, on a key for other algorithms.
    OtherAlgorithm,
    /// More than four keys fit.
    TooMany,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no key of the set fits the token",
            Self::Skipped => "the token's key cannot be used",
            Self::OtherAlgorithm => "the token's key is for another algorithm",
            Self::TooMany => "too many keys of the set fit the token",
        })
    }
}

impl std::error::Error for NoKey {}

impl From<NoKey> for JwsError {
    /// The algorithm comes from the key (RFC 8725 3.1), so a key for others is the token's fault.
    fn from(why: NoKey) -> Self {
        match why {
            NoKey::OtherAlgorithm => Self::UnsupportedAlgorithm,
            why => Self::UnknownKey(why),
        }
    }
}

/// A JWS whose signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jws {
    /// `alg`
    pub algorithm: Algorithm,
    /// `kid` of the token's header
    pub kid: Option<String>,
    /// The payload, any bytes.
    pub payload: Vec<u8>,
}

/// The keys to try, without allocation.
#[derive(Default)]
struct Tries<'k> {
    keys: [Option<&'k VerifyingKey>; MOST_TRIES],
    count: usize,
}

impl<'k> Tries<'k> {
    /// Adds as many as there is room for.
    fn add_all(&mut self, keys: impl Iterator<Item = &'k VerifyingKey>) -> Result<(), NoKey> {
        for key in keys {
            let place = self.keys.get_mut(self.count).ok_or(NoKey::TooMany)?;
            *place = Some(key);
            self.count += 1;
        }
        Ok(())
    }
}

struct Document<'a> {
    keys: Option<Array<Entry<'a>, MOST_KEYS>>,
}

impl<'de> Members<'de> for Document<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if name != "keys" {
            return Ok(false);
        }
        self.keys = Some(map.next_value()?);
        Ok(true)
    }
}

/// One of `keys`, whatever it is.
enum Entry<'a> {
    Object(Box<Jwk<'a>>, Option<Fault>),
    Other,
}

impl Entry<'_> {
    fn kid(&self) -> Option<&str> {
        match self {
            Self::Object(jwk, _) => jwk.kid(),
            Self::Other => None,
        }
    }

    fn key(&self, symmetric: Symmetric) -> Result<VerifyingKey, KeyError> {
        match self {
            Self::Object(jwk, None) => jwk.key(symmetric),
            Self::Object(_, Some(_)) => Err(KeyError::RepeatedMember),
            Self::Other => Err(KeyError::NotAnObject),
        }
    }
}

impl<'de> Kind<'de> for Entry<'de> {
    fn other() -> Self {
        Self::Other
    }

    fn object<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error> {
        let mut jwk = Box::<Jwk<'_>>::default();
        let fault = take_members(members, usize::MAX, &mut *jwk)?;
        Ok(Self::Object(jwk, fault))
    }
}

impl<'de> Deserialize<'de> for Entry<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::test_keys::{jwk, signed, token, with};

    fn set(keys: &[Value]) -> KeySet {
        KeySet::from_json_with_symmetric(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn key(algorithm: Algorithm, kid: &str) -> Value {
        with(jwk(algorithm), json!({ "kid": kid }))
    }

    #[test]
    fn documents() {
        let key = jwk(Algorithm::ES256).to_string();
        let read = |text: String| {
            KeySet::from_json(text.as_bytes()).map(|set| (set.keys().len(), set.skipped().len()))
        };
        for (text, expected) in [
            (format!(r#"{{"keys":[{key}]}}"#), Ok((1, 0))),
            (
                format!(r#"{{"keys":[{key},null,5,[],"x"],"etag":{{}}}}"#),
                Ok((1, 4)),
            ),
            (key.clone(), Err(KeySetError::NotAKeySet)),
            (r#"{"keys":{}}"#.into(), Err(KeySetError::NotAKeySet)),
            (r#"{"keys":null}"#.into(), Err(KeySetError::NotAKeySet)),
            (
                r#"{"keys":[]}"#.into(),
                Err(KeySetError::NoUsableKey(vec![])),
            ),
            (
                format!(r#"{{"keys":[{key}],"keys":[]}}"#),
                Err(KeySetError::Json("a member is named twice")),
            ),
            (
                format!(r#"[{{"keys":[{key}]}}]"#),
                Err(KeySetError::Json("not a strict JSON object")),
            ),
            (
                format!(r#"{{"keys":[{key},]}}"#),
                Err(KeySetError::Json("not a strict JSON object")),
            ),
            (
                format!(r#"{{"keys":[{key},1e400]}}"#),
                Err(KeySetError::Json("not a strict JSON object")),
            ),
            (
                format!(r#"{{"keys":[{key}],"x":{}}}"#, "[".repeat(40)),
                Err(KeySetError::Json("nested too deep")),
            ),
            (" ".repeat(LONGEST_DOCUMENT + 1), Err(KeySetError::TooLarge)),
        ] {
            assert_eq!(read(text.clone()), expected, "{text}");
        }
    }

    #[test]
    fn at_most_128_keys() {
        let many = |count| {
            let key = jwk(Algorithm::EdDSA);
            let document = json!({ "keys": vec![key; count] });
            KeySet::from_json(document.to_string().as_bytes()).map(|set| set.keys().len())
        };
        assert_eq!(many(128), Ok(128));
        assert_eq!(many(129), Err(KeySetError::TooManyKeys));
    }

    #[test]
    fn skipped_with_a_reason() {
        let good = key(Algorithm::ES256, "good");
        let twice = good.to_string().replacen('{', r#"{"crv":"P-256","#, 1);
        let others = [
            with(good.clone(), json!({"kid": "off", "y": good["x"]})),
            with(good.clone(), json!({"kid": 7})),
            with(jwk(Algorithm::HS256), json!({"kid": "oct"})),
        ]
        .map(|it| it.to_string())
        .join(",");
        let document = format!(r#"{{"keys":[{twice},{others},null,{good}]}}"#);
        let set = KeySet::from_json(document.as_bytes()).unwrap();
        let skipped: Vec<_> = set
            .skipped()
            .iter()
            .map(|it| (it.index, it.kid.as_deref(), it.reason.clone()))
            .collect();
        assert_eq!(
            skipped,
            [
                (0, Some("good"), KeyError::RepeatedMember),
                (1, Some("off"), KeyError::NotOnCurve),
                (2, None, KeyError::WrongType("kid")),
                (3, Some("oct"), KeyError::Symmetric),
                (4, None, KeyError::NotAnObject),
            ]
        );
        assert_eq!(set.keys().len(), 1);
    }

    #[track_caller]
    fn candidates(set: &KeySet, kid: Option<&str>) -> Result<Vec<Option<String>>, NoKey> {
        set.candidates(kid, Algorithm::ES256)
            .map(|keys| keys.map(|key| key.kid().map(str::to_owned)).collect())
    }

    #[test]
    fn by_kid() {
        let set = set(&[
            key(Algorithm::ES256, "b"),
            key(Algorithm::ES256, "a"),
            key(Algorithm::EdDSA, "b"),
            key(Algorithm::EdDSA, "c"),
            with(jwk(Algorithm::ES256), json!({"kid": "d", "use": "enc"})),
        ]);
        let some = |kid: &str| Ok(vec![Some(kid.to_owned())]);
        assert_eq!(candidates(&set, Some("a")), some("a"));
        assert_eq!(candidates(&set, Some("b")), some("b"));
        assert_eq!(candidates(&set, Some("c")), Err(NoKey::OtherAlgorithm));
        assert_eq!(candidates(&set, Some("d")), Err(NoKey::Skipped));
        assert_eq!(candidates(&set, Some("e")), Err(NoKey::Unknown));
        assert_eq!(candidates(&set, Some("")), Err(NoKey::Unknown));
        let all = candidates(&set, None).unwrap();
        assert_eq!(all, [Some("b".into()), Some("a".into())]);
        let none = set.candidates(None, Algorithm::RS256).map(|_| ());
        assert_eq!(none, Err(NoKey::Unknown));
    }

    #[test]
    fn keys_without_kid_come_after() {
        let nameless = jwk(Algorithm::ES256);
        let keys = [
            &[nameless.clone(), key(Algorithm::ES256, "a")][..],
            &vec![nameless; 3],
        ]
        .concat();
        let set = set(&keys);
        let first_a = vec![Some("a".to_owned()), None, None, None];
        assert_eq!(candidates(&set, Some("a")), Ok(first_a));
        assert_eq!(candidates(&set, Some("x")), Ok(vec![None; 4]));
        assert_eq!(candidates(&set, None), Err(NoKey::TooMany));
    }

    #[test]
    fn at_most_four_tries() {
        let same = |count| set(&vec![key(Algorithm::ES256, "a"); count]);
        assert_eq!(candidates(&same(4), Some("a")).unwrap().len(), 4);
        assert_eq!(candidates(&same(5), Some("a")), Err(NoKey::TooMany));
        let nameless = set(&vec![jwk(Algorithm::ES256); 5]);
        assert_eq!(candidates(&nameless, Some("x")), Err(NoKey::TooMany));
    }

    #[test]
    fn a_hundred_keys() {
        let mut keys: Vec<_> = (0..100)
            .map(|it| key(Algorithm::ES256, &format!("k{it}")))
            .collect();
        keys.reverse();
        let set = set(&keys);
        for it in 0..100 {
            let kid = format!("k{it}");
            assert_eq!(candidates(&set, Some(&kid)), Ok(vec![Some(kid.clone())]));
        }
    }

    #[test]
    fn signatures() {
        let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
        for algorithm in signed() {
            let set = set(&[key(algorithm, "a")]);
            let token = token(algorithm, Some("a"));
            let jws = set.verify_jws(&token, all).unwrap();
            assert_eq!(jws.algorithm, algorithm);
            assert_eq!(jws.kid.as_deref(), Some("a"));
            assert_eq!(jws.payload, b"{}");
            let others = all.iter().filter(|it| *it != algorithm).collect();
            let refused = set.verify_jws(&token, others);
            assert_eq!(refused, Err(JwsError::UnsupportedAlgorithm));
        }
    }

    #[test]
    fn refusals() {
        let set = set(&[
            key(Algorithm::ES256, "a"),
            with(key(Algorithm::RS256, "r"), json!({"alg": "PS256"})),
        ]);
        let verify = |token: &str| {
            let verified = set.verify_jws(token, AlgorithmSet::ASYMMETRIC);
            verified.map(|jws| jws.kid).unwrap_err()
        };
        let other = verify(&token(Algorithm::RS256, Some("r")));
        assert_eq!(other, JwsError::UnsupportedAlgorithm);
        let unknown = verify(&token(Algorithm::ES256, Some("b")));
        assert_eq!(unknown, JwsError::UnknownKey(NoKey::Unknown));
        let (input, signature) = (token(Algorithm::ES256, None), token(Algorithm::ES384, None));
        let (input, _) = input.rsplit_once('.').unwrap();
        let (_, signature) = signature.rsplit_once('.').unwrap();
        let mixed = verify(&format!("{input}.{signature}"));
        assert_eq!(mixed, JwsError::BadSignature);
        let long = format!("{input}.{}", "A".repeat(LONGEST_TOKEN));
        assert_eq!(verify(&long), JwsError::TooLarge);
        assert_eq!(verify("opaque"), JwsError::Opaque);
    }

    /// Whatever bit is flipped, the token is refused: there is no second spelling of one.
    #[test]
    fn flipped_bits() {
        for algorithm in signed() {
            let set = set(&[jwk(algorithm)]);
            let all = AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC);
            let token = token(algorithm, None);
            assert!(set.verify_jws(&token, all).is_ok());
            for bit in 0..token.len() * 7 {
                let mut bytes = token.clone().into_bytes();
                bytes[bit / 7] ^= 1 << (bit % 7);
                let flipped = String::from_utf8(bytes).unwrap();
                assert!(set.verify_jws(&flipped, all).is_err(), "{algorithm} {bit}");
            }
        }
    }
}
