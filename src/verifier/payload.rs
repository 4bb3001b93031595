//! One strict pass over a payload: the claims that rules speak of, borrowed from it.
//!
//! Nothing here is verified. The pass runs before the signature is checked, so it allocates nothing
//! for a payload without escapes and without long lists, and a claim of a wrong type is noted, not yet refused.

use std::borrow::Cow;
use std::fmt;

use arrayvec::ArrayVec;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::confirmation::Binding;
use super::error::Error;
use crate::claims::{Audience, Claims, Extra, NumericDate, Scope};
use crate::jose::{Anything, Members, read_object_in, utf8, walk_object};

/// A claim as it stands in a payload. Present with a wrong type is never "absent".
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Claim<T> {
    #[default]
    Absent,
    WrongType,
    Is(T),
}

impl<T> Claim<T> {
    fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::WrongType, Self::Is)
    }

    fn map<U>(&self, of: impl FnOnce(&T) -> U) -> Claim<U> {
        match self {
            Self::Absent => Claim::Absent,
            Self::WrongType => Claim::WrongType,
            Self::Is(value) => Claim::Is(of(value)),
        }
    }

    /// Its value, `None` where it is absent.
    #[inline]
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&T>, Error> {
        match self {
            Self::Is(value) => Ok(Some(value)),
            Self::Absent => Ok(None),
            Self::WrongType => Err(Error::MalformedClaim(name.into())),
        }
    }

    /// Its value, which must be there.
    #[inline]
    pub(super) fn required(&self, name: &'static str) -> Result<&T, Error> {
        self.optional(name)?.ok_or(Error::MissingClaim(name.into()))
    }
}

/// What the rules read in a payload.
#[derive(Debug, Default)]
pub(super) struct Payload<'a> {
    text: &'a str,
    pub(super) iss: Claim<Cow<'a, str>>,
    pub(super) sub: Claim<Cow<'a, str>>,
    pub(super) jti: Claim<Cow<'a, str>>,
    pub(super) client_id: Claim<Cow<'a, str>>,
    pub(super) aud: Claim<Texts<'a>>,
    pub(super) scope: Claim<Texts<'a>>,
    pub(super) scp: Claim<Texts<'a>>,
    pub(super) exp: Claim<NumericDate>,
    pub(super) nbf: Claim<NumericDate>,
    pub(super) iat: Claim<NumericDate>,
    /// Whether it says that it is an ID token or another that is not for resource servers.
    pub(super) not_for_access: bool,
    /// What it is bound to (RFC 7800).
    pub(super) cnf: Option<Binding>,
    /// Whether there are claims that are not kept here.
    extra: bool,
}

impl<'a> Payload<'a> {
    /// Reads `text`, the decoded payload, into one that is empty: it is large, and is not moved.
    pub(super) fn read(&mut self, text: &'a [u8]) -> Result<(), Error> {
        self.text = utf8(text).map_err(Error::Malformed)?;
        read_object_in(self.text, MOST_MEMBERS, self).map_err(Error::Malformed)
    }

    /// The crate's own claims type.
    pub(super) fn to_claims(&self) -> Claims {
        let text = |claim: &Claim<Cow<'_, str>>| match claim {
            Claim::Is(text) => Some(text.as_ref().to_owned()),
            _ => None,
        };
        let date = |claim: &Claim<NumericDate>| match claim {
            Claim::Is(date) => Some(*date),
            _ => None,
        };
        let scope = |claim: &Claim<Texts<'_>>| match claim {
            Claim::Is(texts) => Some(texts.to_scope()),
            _ => None,
        };
        Claims {
            iss: text(&self.iss),
            sub: text(&self.sub),
            aud: match &self.aud {
                Claim::Is(texts) => Some(texts.to_audience()),
                _ => None,
            },
            exp: date(&self.exp),
            nbf: date(&self.nbf),
            iat: date(&self.iat),
            jti: text(&self.jti),
            client_id: text(&self.client_id),
            scope: scope(&self.scope),
            scp: scope(&self.scp),
            extra: match self.extra {
                true => Extra::of(self.text.as_bytes()),
                false => Extra::default(),
            },
        }
    }

    /// A claims type of the caller, read from the same text.
    pub(super) fn to_custom<C: for<'de> Deserialize<'de>>(&self) -> Result<C, Error> {
        serde_json::from_str(self.text).map_err(|_| Error::MalformedClaim(CUSTOM.into()))
    }

    /// What any claim says, as far as it is a string or an array of strings: whether one of them is
    /// `wanted`. A claim that is not kept here is looked for in the text again.
    pub(super) fn says(&self, name: &str, wanted: Wanted<'_>) -> Claim<Said> {
        match name {
            "iss" => said(&self.iss, wanted),
            "sub" => said(&self.sub, wanted),
            "jti" => said(&self.jti, wanted),
            "client_id" => said(&self.client_id, wanted),
            "aud" => said_among(&self.aud, wanted),
            _ => self.search(name, wanted),
        }
    }

    fn search(&self, name: &str, wanted: Wanted<'_>) -> Claim<Said> {
        let mut search = Search {
            name,
            wanted,
            found: Claim::Absent,
        };
        // It was read before, so it can be read.
        match read_object_in(self.text, MOST_MEMBERS, &mut search) {
            Ok(()) => search.found,
            Err(_) => Claim::WrongType,
        }
    }

    /// The text that was read.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }
}

impl<'a> Members<'a> for Payload<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let read = Reader::default();
        match name {
            "iss" => self.iss = map.next_value_seed(read)?.text(),
            "sub" => self.sub = map.next_value_seed(read)?.text(),
            "jti" => self.jti = map.next_value_seed(read)?.text(),
            "client_id" => self.client_id = map.next_value_seed(read)?.text(),
            "exp" => self.exp = map.next_value_seed(read)?.date(),
            "nbf" => self.nbf = map.next_value_seed(read)?.date(),
            "iat" => self.iat = map.next_value_seed(read)?.date(),
            "aud" => Texts::read(&mut self.aud, map)?,
            "scope" => Texts::read(&mut self.scope, map)?,
            "scp" => Texts::read(&mut self.scp, map)?,
            other => {
                self.extra = true;
                return self.mark(other, map);
            }
        }
        Ok(true)
    }
}

impl<'a> Payload<'a> {
    /// Claims that only matter by what they say of the token's purpose.
    fn mark<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "cnf" => {
                self.cnf = Some(map.next_value()?);
                return Ok(true);
            }
            // RFC 8725 3.12; OpenID Connect Core 2, 3.1.3.6 and 3.3.2.11.
            "at_hash" | "c_hash" => self.not_for_access = true,
            // Keycloak and its kin.
            "typ" => {
                let typ = map.next_value_seed(Reader::default())?.text();
                self.not_for_access |= matches!(typ, Claim::Is(typ)
                    if ["ID", "Refresh", "Offline", "Logout"].iter().any(|it| typ.eq_ignore_ascii_case(it)));
                return Ok(true);
            }
            // Cognito.
            "token_use" => {
                let purpose = map.next_value_seed(Reader::default())?.text();
                self.not_for_access |= !matches!(purpose, Claim::Is(it) if it == "access");
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }
}

/// Tells which strings are looked for.
pub(super) type Wanted<'w> = &'w dyn Fn(&str) -> bool;

/// What a claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Whether it is one string, not an array.
    pub(super) one: bool,
    /// Whether it is, or has among its strings, one that is wanted.
    pub(super) wanted: bool,
}

impl Claim<Said> {
    pub(super) fn is_wanted_string(&self) -> bool {
        matches!(self, Self::Is(said) if said.one && said.wanted)
    }
}

fn said(claim: &Claim<Cow<'_, str>>, wanted: Wanted<'_>) -> Claim<Said> {
    claim.map(|text| Said {
        one: true,
        wanted: wanted(text),
    })
}

fn said_among(claim: &Claim<Texts<'_>>, wanted: Wanted<'_>) -> Claim<Said> {
    claim.map(|texts| Said {
        one: texts.one,
        wanted: texts.iter().any(wanted),
    })
}

/// Looks for one claim.
struct Search<'s> {
    name: &'s str,
    wanted: Wanted<'s>,
    found: Claim<Said>,
}

impl<'a> Members<'a> for Search<'_> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if name != self.name {
            return Ok(false);
        }
        let mut texts = Claim::Absent;
        Texts::read(&mut texts, map)?;
        self.found = said_among(&texts, self.wanted);
        Ok(true)
    }
}

/// One string or several. The first few are kept without an allocation, up to one that is spelled
/// with escapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Texts<'a> {
    first: ArrayVec<&'a str, 16>,
    rest: Vec<Cow<'a, str>>,
    one: bool,
}

impl<'a> Texts<'a> {
    /// Reads `claim` where it stands, since it is large.
    fn read<A: MapAccess<'a>>(claim: &mut Claim<Self>, map: &mut A) -> Result<(), A::Error> {
        *claim = Claim::Is(Self::default());
        if let Claim::Is(texts) = claim {
            match map.next_value_seed(Reader(Some(texts)))? {
                Value::Text(text) => {
                    texts.one = true;
                    texts.add(text);
                    return Ok(());
                }
                Value::Texts => return Ok(()),
                Value::Number(_) | Value::Other => {}
            }
        }
        *claim = Claim::WrongType;
        Ok(())
    }

    fn add(&mut self, text: Cow<'a, str>) {
        match text {
            Cow::Borrowed(text) if self.rest.is_empty() && self.first.try_push(text).is_ok() => {}
            text => self.rest.push(text),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let first = self.first.iter().copied();
        first.chain(self.rest.iter().map(AsRef::as_ref))
    }

    fn to_audience(&self) -> Audience {
        match self.iter().next() {
            Some(text) if self.one => Audience::One(text.to_owned()),
            _ => Audience::Many(self.iter().map(str::to_owned).collect()),
        }
    }

    fn to_scope(&self) -> Scope {
        match self.iter().next() {
            Some(text) if self.one => Scope::from_list(text),
            _ => self.iter().collect(),
        }
    }
}

/// Any JSON value, as far as a claim may be it.
enum Value<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    /// An array of strings, which are where the reader was told to put them.
    Texts,
    Other,
}

impl<'a> Value<'a> {
    fn text(self) -> Claim<Cow<'a, str>> {
        match self {
            Self::Text(text) => Claim::Is(text),
            _ => Claim::WrongType,
        }
    }

    fn date(self) -> Claim<NumericDate> {
        match self {
            Self::Number(secs) => Claim::from_option(NumericDate::from_secs_f64(secs)),
            _ => Claim::WrongType,
        }
    }
}

/// Reads a [`Value`]; where to put an array of strings.
#[derive(Default)]
struct Reader<'r, 'de>(Option<&'r mut Texts<'de>>);

impl<'de> DeserializeSeed<'de> for Reader<'_, 'de> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_, 'de> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value<'de>, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value<'de>, E> {
        // Exact in the range of dates; beyond it only "too large" matters.
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value<'de>, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value<'de>, E> {
        if number.is_finite() {
            Ok(Value::Number(number))
        } else {
            Err(E::custom("a number out of range"))
        }
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        if let Some(texts) = self.0 {
            loop {
                match seq.next_element_seed(Reader::default())? {
                    Some(Value::Text(text)) => texts.add(text),
                    Some(_) => break,
                    None => return Ok(Value::Texts),
                }
            }
        }
        while seq.next_element::<Anything>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        Ok(walk_object(map)?.map_or(Value::Other, Value::Number))
    }
}

/// The longest token has room for no more than a few thousand.
const MOST_MEMBERS: usize = 1024;

/// Stands for a claim's name where a claims type of the caller does not fit.
const CUSTOM: &str = "that the caller's claims type asks for";
