//! The parameters of a request.

use super::answer::OAuthError;

/// The parameters of a request, form-encoded in its body and in its query.
#[derive(Debug, Default)]
pub(super) struct Form {
    body: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

impl Form {
    pub(super) fn parse(body: &str, query: &str) -> Self {
        Self {
            body: pairs(body),
            query: pairs(query),
        }
    }

    /// The value of a parameter of the body that may be there once (RFC 6749 3.2).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        only(values(&self.body, name))
    }

    /// The value of a parameter that may be there once, in body or query.
    pub(super) fn one_anywhere(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        only(values(&self.body, name).chain(values(&self.query, name)))
    }

    /// The values of a parameter of the body that may be repeated.
    pub(super) fn many(&self, name: &str) -> impl Iterator<Item = &str> {
        values(&self.body, name)
    }

    /// Whether a parameter of the body is there twice that may not be (RFC 6749 3.2), known or not.
    pub(super) fn has_repeats(&self) -> bool {
        let mut names: Vec<_> = self.body.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !REPEATABLE.contains(name));
        names.sort_unstable();
        names.windows(2).any(|pair| pair.first() == pair.last())
    }

    /// Whether the query has a parameter.
    pub(super) fn in_query(&self, name: &str) -> bool {
        values(&self.query, name).next().is_some()
    }

    /// Every parameter, wherever it is.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.body.iter().chain(&self.query);
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// RFC 8693 2.1, RFC 8707 2.
const REPEATABLE: [&str; 2] = ["audience", "resource"];

fn pairs(encoded: &str) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(encoded.as_bytes()).into_owned();
    // RFC 6749 3.2: a parameter without a value is treated as if it were not there.
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

fn values<'a>(pairs: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    let named = pairs.iter().filter(move |(it, _)| it == name);
    named.map(|(_, value)| value.as_str())
}

fn only<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, OAuthError> {
    let first = values.next();
    match values.next() {
        Some(_) => Err(OAuthError::invalid_request("a parameter is repeated")),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_and_often() {
        let form = Form::parse("a=1&b=x+y&b=%C3%A9&c=&d", "a=2&e=3");
        assert_eq!(form.one("a").unwrap(), Some("1"));
        assert!(form.one_anywhere("a").is_err());
        assert!(form.one("b").is_err());
        assert_eq!(form.many("b").collect::<Vec<_>>(), ["x y", "é"]);
        assert_eq!(form.one("c").unwrap(), None);
        assert_eq!(form.one("d").unwrap(), None);
        assert_eq!(form.one_anywhere("e").unwrap(), Some("3"));
        assert!(form.in_query("e") && !form.in_query("b"));
        assert_eq!(form.all().count(), 5);
        assert!(form.has_repeats());
        assert!(!Form::parse("a=1&audience=x&audience=y&d&d", "a=1").has_repeats());
    }
}
