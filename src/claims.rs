//! Registered claims (RFC 7519 4.1, RFC 9068 2.2) as types.
//!
//! A claim that is present with a wrong type is an error here, never "absent".

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// The claims that the crate knows by name, and whatever else the token holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Claims {
    /// Issuer (RFC 7519 4.1.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Subject (RFC 7519 4.1.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Audience (RFC 7519 4.1.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// Expiration time (RFC 7519 4.1.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<NumericDate>,
    /// Not before (RFC 7519 4.1.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<NumericDate>,
    /// Issued at (RFC 7519 4.1.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<NumericDate>,
    /// Token id (RFC 7519 4.1.7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The client that asked for the token (RFC 8693 4.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Scopes (RFC 8693 4.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Scopes under the name that Entra and others use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scp: Option<Scope>,
    /// Every other claim.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Claims {
    /// Whether the token was granted `scope`, in `scope` or in `scp`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Every scope of the token, of `scope` and then of `scp`.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().chain(&self.scp).flat_map(Scope::iter)
    }
}

// By hand: a derived `flatten` reads every value twice, and changes numbers where some crate
// switched on serde_json's `arbitrary_precision`.
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Claims::default();
                let mut extra = Map::new();
                while let Some(Name(name)) = map.next_key()? {
                    match name.as_ref() {
                        "iss" => set(&mut claims.iss, &mut map)?,
                        "sub" => set(&mut claims.sub, &mut map)?,
                        "aud" => set(&mut claims.aud, &mut map)?,
                        "exp" => set(&mut claims.exp, &mut map)?,
                        "nbf" => set(&mut claims.nbf, &mut map)?,
                        "iat" => set(&mut claims.iat, &mut map)?,
                        "jti" => set(&mut claims.jti, &mut map)?,
                        "client_id" => set(&mut claims.client_id, &mut map)?,
                        "scope" => set(&mut claims.scope, &mut map)?,
                        "scp" => set(&mut claims.scp, &mut map)?,
                        other => {
                            let value = map.next_value()?;
                            if extra.insert(other.to_owned(), value).is_some() {
                                return Err(de::Error::custom("a claim is there twice"));
                            }
                        }
                    }
                }
                claims.extra = extra.into();
                Ok(claims)
            }
        }

        from.deserialize_map(Members)
    }
}

/// `null` is a value of a wrong type, not an absent claim.
fn set<'de, A, T>(claim: &mut Option<T>, map: &mut A) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    match claim.replace(map.next_value()?) {
        Some(_) => Err(de::Error::custom("a claim is there twice")),
        None => Ok(()),
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        from.deserialize_str(Text)
    }
}

/// The claims that have no field of their own in [`Claims`], as a map.
///
/// Few resource servers ask for them, so a verifier does not read them: the first one who does has
/// them read from the token's text.
#[derive(Clone, Default)]
pub struct Extra {
    text: Option<Arc<[u8]>>,
    claims: OnceLock<Map<String, Value>>,
}

impl Extra {
    /// Those of `payload`, the text of an object whose registered claims are of their types.
    pub(crate) fn of(payload: &[u8]) -> Self {
        Self {
            text: Some(payload.into()),
            claims: OnceLock::new(),
        }
    }

    fn read(&self) -> Map<String, Value> {
        let text = self.text.as_deref().unwrap_or(b"{}");
        let claims: Claims = serde_json::from_slice(text).unwrap_or_default();
        claims.extra.claims.into_inner().unwrap_or_default()
    }
}

impl Deref for Extra {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Map<String, Value> {
        self.claims.get_or_init(|| self.read())
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(claims: Map<String, Value>) -> Self {
        Self {
            text: None,
            claims: claims.into(),
        }
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(to)
    }
}

/// Who a token is for: one name or several (RFC 7519 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single string.
    One(String),
    /// An array of strings.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `name` is among them, compared byte by byte.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|audience| audience == name)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match OneOrMany::deserialize(from)? {
            OneOrMany::One(name) => Self::One(name),
            OneOrMany::Many(names) => Self::Many(names),
        })
    }
}

/// Scopes: one string with spaces in it (RFC 6749 3.3), or an array of strings.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Scope(OneOrMany);

impl Scope {
    /// No scope.
    pub(crate) const EMPTY: Self = Self(OneOrMany::Many(Vec::new()));

    /// From the space-delimited list that RFC 6749 3.3 speaks of.
    pub fn from_list(list: impl Into<String>) -> Self {
        Self(OneOrMany::One(list.into()))
    }

    /// Whether `scope` is among them, compared byte by byte.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|granted| granted == scope)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (list, names) = match &self.0 {
            OneOrMany::One(list) => (list.as_str(), [].as_slice()),
            OneOrMany::Many(names) => ("", names.as_slice()),
        };
        list.split(' ')
            .filter(|it| !it.is_empty())
            .chain(names.iter().map(String::as_str))
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Equal if the same scopes come in the same order, however they are written down.
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Scope {}

impl<'a> FromIterator<&'a str> for Scope {
    fn from_iter<I: IntoIterator<Item = &'a str>>(scopes: I) -> Self {
        Self(OneOrMany::Many(
            scopes.into_iter().map(str::to_owned).collect(),
        ))
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        OneOrMany::deserialize(from).map(Self)
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Strings;

        impl<'de> Visitor<'de> for Strings {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(OneOrMany::Many(names))
            }

            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<OneOrMany, A::Error> {
                Err(de::Error::invalid_type(de::Unexpected::Map, &self))
            }
        }

        from.deserialize_any(Strings)
    }
}

/// Seconds since the Unix epoch, whole or fractional (RFC 7519 2); not before it, and not past the
/// year 9999.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NumericDate(f64);

impl NumericDate {
    /// The last second of the year 9999: what is later was meant as milliseconds, or worse.
    pub const LATEST: f64 = 253_402_300_799.0;

    /// `None` if the number is not finite, below zero or past the year 9999.
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        // False for NaN as well. Negative zero is zero.
        (0.0..Self::LATEST + 1.0)
            .contains(&secs)
            .then_some(Self(secs))
    }

    /// Seconds since the Unix epoch.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        self.0
    }

    /// As a point in wall time, to the millisecond.
    pub fn to_timestamp(self) -> Timestamp {
        // Within a thousandth of i64's range, see `from_secs_f64`.
        Timestamp::from_millis((self.0 * 1000.0).floor() as i64)
    }
}

impl fmt::Display for NumericDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_timestamp(), f)
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_secs_f64(f64::deserialize(from)?)
            .ok_or_else(|| de::Error::custom("not a date from 1970 to the year 9999"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Result<Claims, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn one_or_many() {
        let one = claims(r#"{"aud":"a","scope":"read  write"}"#).unwrap();
        assert!(one.aud.unwrap().contains("a"));
        let many = claims(r#"{"aud":["a","b"],"scope":["read all"],"scp":"w"}"#).unwrap();
        assert!(
            many.aud.as_ref().unwrap().contains("b") && !many.aud.as_ref().unwrap().contains("c")
        );
        assert!(many.has_scope("read all") && many.has_scope("w") && !many.has_scope("read"));
    }

    #[test]
    fn a_wrong_type_is_never_absent() {
        for bad in [
            r#"{"aud":null}"#,
            r#"{"aud":[1]}"#,
            r#"{"aud":{"a":1}}"#,
            r#"{"iss":["a"]}"#,
            r#"{"sub":7}"#,
            r#"{"exp":"1"}"#,
            r#"{"exp":1e30}"#,
            r#"{"exp":253402300800}"#,
            r#"{"exp":-1}"#,
            r#"{"nbf":-0.5}"#,
            r#"{"iat":true}"#,
            r#"{"scope":[null]}"#,
            r#"{"jti":null}"#,
            r#"{"jti":"a","jti":"a"}"#,
            r#"{"x":1,"x":1}"#,
            r#"[null]"#,
        ] {
            assert!(claims(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn extra_claims_are_read_when_asked_for() {
        let json = r#"{"iss":"i","x":[1,"y"],"z":{"iss":"j"}}"#;
        let read = claims(json).unwrap().extra;
        let unread = Extra::of(json.as_bytes());
        assert!(unread.claims.get().is_none());
        assert_eq!(unread.clone(), read);
        assert_eq!(
            serde_json::to_string(&unread).unwrap(),
            r#"{"x":[1,"y"],"z":{"iss":"j"}}"#
        );
        assert_eq!(unread["z"]["iss"], "j");
        assert!(Extra::default().is_empty());
    }

    #[test]
    fn values_keep_their_spelling() {
        let json = r#"{"exp":1795570010,"nbf":1.5,"x":[1]}"#;
        assert_eq!(serde_json::to_string(&claims(json).unwrap()).unwrap(), json);
        let json = r#"{"scope":"a b","scp":["a","b"]}"#;
        let both = claims(json).unwrap();
        assert_eq!(serde_json::to_string(&both).unwrap(), json);
        assert_eq!(both.scope, both.scp);
        assert!(NumericDate::from_secs_f64(f64::NAN).is_none());
        assert!(NumericDate::from_secs_f64(f64::INFINITY).is_none());
        let zero = NumericDate::from_secs_f64(-0.0).unwrap();
        assert_eq!(serde_json::to_string(&zero).unwrap(), "0");
    }
}
