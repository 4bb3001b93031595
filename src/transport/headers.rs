//! What answers say of times (RFC 9110 10.2.3, 6.6.1; RFC 9111).

use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, DATE, HeaderMap, RETRY_AFTER};

use crate::clock::Timestamp;

/// How long the service asks to be left alone: `Retry-After` in seconds or as a date
/// (RFC 9110 10.2.3). `None` without the header or where it cannot be read.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match seconds(text) {
        Some(wait) => Some(wait),
        None => Some(http_date(text)?.since(date(headers).unwrap_or(now))),
    }
}

/// When the service says that it answered: `Date` (RFC 9110 6.6.1).
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// How long an answer stays fresh: `max-age` of `Cache-Control` less `Age` (RFC 9111 4.2), zero for
/// `no-cache` and `no-store`. `None` where nothing is said.
pub fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let mut max_age = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().ok()?.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store") {
                return Some(Duration::ZERO);
            }
            if name.eq_ignore_ascii_case("max-age") {
                max_age = max_age.or(seconds(argument.trim().trim_matches('"')));
            }
        }
    }
    let age = headers
        .get(AGE)
        .and_then(|age| seconds(age.to_str().ok()?.trim()));
    Some(max_age?.saturating_sub(age.unwrap_or_default()))
}

/// Delta-seconds (RFC 9111 1.2.2): digits only; too many of them mean "very long".
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    const NOW: Timestamp = Timestamp::from_secs(1_795_570_010);

    #[test]
    fn retry_after_in_both_forms() {
        let wait = |pairs: &[_]| retry_after(&headers(pairs), NOW);
        assert_eq!(
            wait(&[("retry-after", "120")]),
            Some(Duration::from_secs(120))
        );
        assert_eq!(
            wait(&[("retry-after", "Wed, 25 Nov 2026 01:27:50 GMT")]),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            wait(&[
                ("retry-after", "Wed, 25 Nov 2026 01:27:50 GMT"),
                ("date", "Wed, 25 Nov 2026 01:27:40 GMT")
            ]),
            Some(Duration::from_secs(10)),
            "by the service's own clock"
        );
        assert_eq!(
            wait(&[("retry-after", "99999999999999999999999")])
                .unwrap()
                .as_secs(),
            4294967295
        );
        assert_eq!(wait(&[("retry-after", "-1")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn freshness_as_found_in_the_world() {
        let fresh = |pairs: &[_]| freshness(&headers(pairs)).map(|it| it.as_secs());
        assert_eq!(
            fresh(&[("cache-control", "public, max-age=15, stale-if-error=86400")]),
            Some(15)
        );
        assert_eq!(
            fresh(&[("cache-control", "public, max-age=21532"), ("age", "532")]),
            Some(21000)
        );
        assert_eq!(
            fresh(&[("cache-control", "max-age=10"), ("age", "11")]),
            Some(0)
        );
        assert_eq!(fresh(&[("cache-control", "no-cache")]), Some(0));
        assert_eq!(
            fresh(&[("cache-control", "No-Store, Max-Age=3600")]),
            Some(0)
        );
        assert_eq!(fresh(&[("cache-control", "private")]), None);
        assert_eq!(fresh(&[("cache-control", "max-age=soon")]), None);
        assert_eq!(fresh(&[]), None);
    }
}
