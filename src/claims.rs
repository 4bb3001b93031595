//! Registered claims (RFC 7519 4.1, RFC 9068 2.2) as types.
//!
//! A claim that is present with a wrong type is an error here, never "absent".

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The claims that the crate knows by name, and whatever else the token holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// Issuer (RFC 7519 4.1.1).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub iss: Option<String>,
    /// Subject (RFC 7519 4.1.2).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub sub: Option<String>,
    /// Audience (RFC 7519 4.1.3).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub aud: Option<Audience>,
    /// Expiration time (RFC 7519 4.1.4).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub exp: Option<NumericDate>,
    /// Not before (RFC 7519 4.1.5).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub nbf: Option<NumericDate>,
    /// Issued at (RFC 7519 4.1.6).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub iat: Option<NumericDate>,
    /// Token id (RFC 7519 4.1.7).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub jti: Option<String>,
    /// The client that asked for the token (RFC 8693 4.3).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub client_id: Option<String>,
    /// Scopes (RFC 8693 4.2).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub scope: Option<Scope>,
    /// Scopes under the name that Entra and others use.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub scp: Option<Scope>,
    /// Every other claim.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
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

/// `null` is a value of a wrong type, not an absent claim.
fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Whether `scope` is among them, compared byte by byte.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|granted| granted == scope)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match OneOrMany::deserialize(from)? {
            OneOrMany::One(list) => Self(
                list.split(' ')
                    .filter(|it| !it.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            OneOrMany::Many(names) => Self(names),
        })
    }
}

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

/// Seconds since the Unix epoch, whole or fractional (RFC 7519 2), not past the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NumericDate(f64);

impl NumericDate {
    /// The last second of the year 9999: what is later was meant as milliseconds, or worse.
    pub const LATEST: f64 = 253_402_300_799.0;

    /// `None` if the number is not finite or not within the year 9999, either way.
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        // False for NaN as well.
        (secs.abs() < Self::LATEST + 1.0).then_some(Self(secs))
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
            .ok_or_else(|| de::Error::custom("not a date within the year 9999"))
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
            r#"{"iat":true}"#,
            r#"{"scope":[null]}"#,
            r#"{"jti":null}"#,
        ] {
            assert!(claims(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_keep_their_spelling() {
        let json = r#"{"exp":1795570010,"nbf":1.5,"x":[1]}"#;
        assert_eq!(serde_json::to_string(&claims(json).unwrap()).unwrap(), json);
        assert!(NumericDate::from_secs_f64(f64::NAN).is_none());
        assert!(NumericDate::from_secs_f64(f64::INFINITY).is_none());
    }
}
