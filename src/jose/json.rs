//! Strict JSON objects: what serde_json lets pass in members that nobody reads is refused here, too.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use arrayvec::ArrayVec;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One who takes the members of a strict JSON object.
pub(crate) trait Members<'de> {
    /// Takes the value of member `name` from `map` with `next_value` and returns true, or leaves it
    /// and returns false: then it is walked and checked by the reader.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads `text` as one JSON object, strictly: UTF-8, nothing after it, no member named twice at the
/// top level, nested at most 32 deep, no lone surrogates, only finite numbers, also in members that
/// nobody takes. Returns which rule was broken.
pub(crate) fn read_object<'de, M: Members<'de>>(
    text: &'de [u8],
    most_members: usize,
    members: &mut M,
) -> Result<(), &'static str> {
    read_object_in(utf8(text)?, most_members, members)
}

/// What [`read_object`] asks first.
pub(crate) fn utf8(text: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(text).map_err(|_| "not UTF-8")
}

/// The rest of [`read_object`].
pub(crate) fn read_object_in<'de, M: Members<'de>>(
    text: &'de str,
    most_members: usize,
    members: &mut M,
) -> Result<(), &'static str> {
    if too_deep(text.as_bytes()) {
        return Err("nested too deep");
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let object = Object {
        most_members,
        members,
    };
    let fault = json
        .deserialize_map(object)
        .and_then(|fault| json.end().map(|()| fault))
        .map_err(|_| "not a strict JSON object")?;
    fault.map_or(Ok(()), |fault| Err(fault.rule()))
}

/// What is wrong with an object that is JSON all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Repeated,
    TooMany,
}

impl Fault {
    fn rule(self) -> &'static str {
        match self {
            Self::Repeated => "a member is named twice",
            Self::TooMany => "too many members",
        }
    }
}

/// Gives the members of `map` to `members`, to the end; one that is at fault is only walked.
pub(crate) fn take_members<'de, A: MapAccess<'de>, M: Members<'de>>(
    mut map: A,
    most: usize,
    members: &mut M,
) -> Result<Option<Fault>, A::Error> {
    let mut names = Names::new(most);
    let mut first_fault = None;
    while let Some(Text(name)) = map.next_key()? {
        let fault = names.fault(&name);
        if fault.is_some() || !members.member(&name, &mut map)? {
            walk_value(&name, &mut map)?;
        }
        if fault.is_none() {
            names.add(name);
        }
        first_fault = first_fault.or(fault);
    }
    Ok(first_fault)
}

/// Walks what comes as an object; the number, if it is one in truth.
///
/// Where any crate of a build switches on serde_json's `arbitrary_precision`, a number comes as an
/// object with one member, whose value is an owned string. No text that is parsed gives an owned
/// one, so an object that really has such a member is refused, in every build.
pub(crate) fn walk_object<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<f64>, A::Error> {
    let mut number = None;
    while let Some(Text(name)) = map.next_key()? {
        number = walk_value(&name, &mut map)?;
    }
    Ok(number)
}

fn walk_value<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<f64>, A::Error> {
    match name.strip_prefix(PRIVATE) {
        None => map.next_value::<Anything>().map(|_| None),
        Some("Number") => match map.next_value::<Digits>()?.0.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(de::Error::custom("not a finite number")),
        },
        Some(_) => Err(de::Error::custom("a name that is not for use")),
    }
}

/// What serde_json names its own members by; it reads such an object as something else.
const PRIVATE: &str = "$serde_json::private::";

/// An owned string, and no other.
struct Digits(String);

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Owned;

        impl Visitor<'_> for Owned {
            type Value = Digits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Digits, E> {
                Err(E::custom("a string that stands in the text"))
            }

            fn visit_string<E>(self, digits: String) -> Result<Digits, E> {
                Ok(Digits(digits))
            }
        }

        from.deserialize_string(Owned)
    }
}

struct Object<'m, M> {
    most_members: usize,
    members: &'m mut M,
}

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = Option<Fault>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        take_members(map, self.most_members, self.members)
    }
}

/// The names seen so far: without allocation up to 64 that are spelled without escapes.
struct Names<'de> {
    most: usize,
    count: usize,
    plain: ArrayVec<&'de str, 64>,
    others: Option<HashSet<Cow<'de, str>>>,
    /// One bit for each (length, last byte) seen, so that most new names need no comparison.
    marks: u64,
}

impl<'de> Names<'de> {
    fn new(most: usize) -> Self {
        Self {
            most,
            count: 0,
            plain: ArrayVec::new(),
            others: None,
            marks: 0,
        }
    }

    /// What is wrong with one more member of this name; if nothing is, it is to be added.
    #[inline]
    fn fault(&mut self, name: &str) -> Option<Fault> {
        let mark = mark(name);
        if self.marks & mark != 0 && self.has(name) {
            return Some(Fault::Repeated);
        }
        if self.count == self.most {
            return Some(Fault::TooMany);
        }
        self.marks |= mark;
        None
    }

    #[cold]
    fn has(&self, name: &str) -> bool {
        self.plain.contains(&name) || self.others.as_ref().is_some_and(|it| it.contains(name))
    }

    #[inline]
    fn add(&mut self, name: Cow<'de, str>) {
        self.count += 1;
        match name {
            Cow::Borrowed(text) if self.plain.try_push(text).is_ok() => {}
            name => self.add_other(name),
        }
    }

    #[cold]
    fn add_other(&mut self, name: Cow<'de, str>) {
        self.others.get_or_insert_default().insert(name);
    }
}

fn mark(name: &str) -> u64 {
    let last = name.as_bytes().last().copied().unwrap_or_default();
    1 << ((name.len() ^ (usize::from(last) << 1)) % 64)
}

/// `{` and `[` at most this deep in each other.
const DEEPEST: usize = 32;

/// Counts brackets, and looks at where they stand only if there are enough of them.
fn too_deep(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'{', b'[', text)
        .nth(DEEPEST)
        .is_some()
        && deepest(text) > DEEPEST
}

fn deepest(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A string, borrowed where it has no escapes.
pub(super) struct Text<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Strings;

        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        from.deserialize_str(Strings)
    }
}

/// A type that is made of whatever JSON value stands there.
pub(crate) trait Kind<'de>: Sized {
    /// Of all that the methods below do not tell apart.
    fn other() -> Self;

    fn borrowed_text(_: &'de str) -> Self {
        Self::other()
    }

    fn text(_: &str) -> Self {
        Self::other()
    }

    fn boolean(_: bool) -> Self {
        Self::other()
    }

    fn array<A: SeqAccess<'de>>(mut elements: A) -> Result<Self, A::Error> {
        while let Some(Anything) = elements.next_element()? {}
        Ok(Self::other())
    }

    fn object<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error> {
        walk_object(members).map(|_| Self::other())
    }

    fn read<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ByKind(PhantomData))
    }
}

/// Any JSON value, walked and checked, kept nowhere.
pub(crate) struct Anything;

impl Kind<'_> for Anything {
    fn other() -> Self {
        Self
    }
}

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(from)
    }
}

/// A member's value as far as it matters whether it is a string or a boolean; anything else was
/// walked and checked.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Value<'de> {
    #[default]
    Absent,
    Text(Cow<'de, str>),
    Bool(bool),
    Other,
}

impl<'de> Kind<'de> for Value<'de> {
    fn other() -> Self {
        Self::Other
    }

    fn borrowed_text(text: &'de str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    fn text(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }

    fn boolean(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(from)
    }
}

/// An array of at most so many elements.
pub(super) enum Array<T, const MOST: usize> {
    Elements(Vec<T>),
    TooLong,
    Another,
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Kind<'de> for Array<T, MOST> {
    fn other() -> Self {
        Self::Another
    }

    fn array<A: SeqAccess<'de>>(mut elements: A) -> Result<Self, A::Error> {
        let mut taken = Vec::new();
        while taken.len() < MOST {
            match elements.next_element()? {
                Some(element) => taken.push(element),
                None => return Ok(Self::Elements(taken)),
            }
        }
        let mut too_long = false;
        while let Some(Anything) = elements.next_element()? {
            too_long = true;
        }
        Ok(if too_long {
            Self::TooLong
        } else {
            Self::Elements(taken)
        })
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Array<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(from)
    }
}

struct ByKind<K>(PhantomData<K>);

impl<'de, K: Kind<'de>> Visitor<'de> for ByKind<K> {
    type Value = K;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<K, E> {
        Ok(K::other())
    }

    fn visit_bool<E>(self, it: bool) -> Result<K, E> {
        Ok(K::boolean(it))
    }

    fn visit_i64<E>(self, _: i64) -> Result<K, E> {
        Ok(K::other())
    }

    fn visit_u64<E>(self, _: u64) -> Result<K, E> {
        Ok(K::other())
    }

    fn visit_f64<E>(self, _: f64) -> Result<K, E> {
        Ok(K::other())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<K, E> {
        Ok(K::borrowed_text(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<K, E> {
        Ok(K::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<K, A::Error> {
        K::array(elements)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<K, A::Error> {
        K::object(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes nothing.
    struct Nothing;

    impl<'de> Members<'de> for Nothing {
        fn member<A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
            Ok(false)
        }
    }

    fn read(text: impl AsRef<[u8]>) -> Result<(), &'static str> {
        read_object(text.as_ref(), usize::MAX, &mut Nothing)
    }

    #[test]
    fn strict_objects() {
        for text in [
            "{}",
            " {\"a\" : 1}\n\t ",
            r#"{"a":1,"A":1,"a ":{"b":1,"b":2}}"#,
            r#"{"a":"\ud83d\ude00","b":"\u0000","c":"{[{[{["}"#,
            r#"{"a":[null,true,-0,1e300,12345678901234567890123,"x",{},[]]}"#,
            r#"{"a":{"$serde_json":"5","serde_json::private::Number":"5"}}"#,
        ] {
            assert_eq!(read(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_else() {
        for text in [
            "",
            "null",
            "5",
            "\"a\"",
            "[]",
            "[1]",
            "{",
            "{}x",
            "{}{}",
            "{},",
            "\u{feff}{}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "{\"a\":\"\t\"}",
            r#"{"a":1e400}"#,
            r#"{"a":-1e400}"#,
            r#"{"a":[{"b":1e400}]}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\udc00\ud800"}"#,
            r#"{"\ud800":1}"#,
            r#"{"a":{"\ud800":1}}"#,
            r#"{"a":["\ud800x"]}"#,
            r#"{"a":{"$serde_json::private::Number":"5"}}"#,
            r#"{"a":{"$serde_json::private::Number":"\u0035"}}"#,
            r#"{"a":[{"$serde_json::private::RawValue":"5"}]}"#,
            r#"{"\u0024serde_json::private::RawValue":"{}"}"#,
            r#"{"a":{"$serde_json::private::Number":5}}"#,
            r#"{"a":{"\u0024serde_json::private::Number":"x"}}"#,
            r#"{"$serde_json::private::Number":"x"}"#,
        ] {
            assert_eq!(read(text), Err("not a strict JSON object"), "{text}");
        }
        assert_eq!(read(b"{\"a\":\"\xff\"}"), Err("not UTF-8"));
        assert_eq!(read(b"{\"a\":\"\xed\xa0\x80\"}"), Err("not UTF-8"));
    }

    #[test]
    fn members_named_twice() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"\u0061":1,"a":1}"#,
            r#"{"\u0061":1,"\u0061":1}"#,
            r#"{"":1,"b":2,"":3}"#,
        ] {
            assert_eq!(read(text), Err("a member is named twice"), "{text}");
        }
        let broken = r#"{"a":1,"a":1,"b":"\ud800"}"#;
        assert_eq!(read(broken), Err("not a strict JSON object"));
    }

    fn numbered(count: usize) -> String {
        let members: Vec<_> = (0..count).map(|it| format!("\"m{it}\":{it}")).collect();
        members.join(",")
    }

    #[test]
    fn many_members() {
        let many = numbered(20_000);
        assert_eq!(read(format!("{{{many}}}")), Ok(()));
        for repeated in ["m0", "m63", "m64", "m19999", "\\u006d64"] {
            let text = format!("{{{many},\"{repeated}\":0}}");
            assert_eq!(read(text), Err("a member is named twice"), "{repeated}");
        }
    }

    #[test]
    fn at_most_so_many_members() {
        let at_most = |most, count| {
            let text = format!("{{{}}}", numbered(count));
            read_object(text.as_bytes(), most, &mut Nothing)
        };
        assert_eq!(at_most(64, 64), Ok(()));
        assert_eq!(at_most(64, 65), Err("too many members"));
    }

    fn nested(depth: usize, open: &str, close: &str) -> String {
        let inner = depth - 1;
        format!("{{\"a\":{}1{}}}", open.repeat(inner), close.repeat(inner))
    }

    #[test]
    fn depth() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert_eq!(read(nested(32, open, close)), Ok(()));
            assert_eq!(read(nested(33, open, close)), Err("nested too deep"));
            assert_eq!(read(nested(5000, open, close)), Err("nested too deep"));
        }
        let wide = format!("{{\"a\":[{}{{}}]}}", "[],".repeat(500));
        assert_eq!(read(wide), Ok(()));
        let in_a_string = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(500));
        assert_eq!(read(in_a_string), Ok(()));
        let after_a_string = format!("{{\"a\\\\\":{}", "[".repeat(500));
        assert_eq!(read(after_a_string), Err("nested too deep"));
    }

    #[test]
    fn kinds_of_values() {
        let value = |text: &'static str| serde_json::from_str::<Value<'_>>(text).unwrap();
        assert_eq!(value("\"a\""), Value::Text("a".into()));
        assert_eq!(value("\"\\u0061\""), Value::Text("a".into()));
        assert_eq!(value("true"), Value::Bool(true));
        for other in ["null", "1", "-1", "1.5", "[]", "{}", "[\"a\"]"] {
            assert_eq!(value(other), Value::Other, "{other}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn takes_what_is_written_by_the_book(value in json()) {
            let expected = value.is_object();
            prop_assert_eq!(read(value.to_string()).is_ok(), expected);
        }

        #[test]
        fn takes_only_json(text in r#"[{}\[\]":,\\ue0-9a-c. -]{0,24}"#) {
            if read(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
            }
        }
    }
}
