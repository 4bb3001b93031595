//! Where keys come from: a JWK Set URL, or an issuer whose discovery document names one.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::clock::Now;
use crate::jose::{KeySet, KeySetError};
use crate::transport::{
    Endpoint, EndpointError, REQUEST_DEADLINE, Transport, TransportError, freshness,
};

/// A key source, with what was learned from its earlier answers.
pub(super) struct Source {
    place: Place,
    trusted_host: Option<String>,
    headers: HeaderMap,
    pin_origin: bool,
    /// The key URL that discovery named, and the boot time at which it did.
    discovered: Option<(Endpoint, Duration)>,
    /// Of the last good key set, and the URL that it is good for.
    etag: Option<(Endpoint, HeaderValue)>,
}

enum Place {
    Keys(Endpoint),
    /// The issuer as it was written, and as a URL.
    Issuer(String, Endpoint),
}

/// A fetch that succeeded.
pub(super) struct Fetched {
    /// The keys; `None` if those in hand are still the right ones.
    pub(super) keys: Option<KeySet>,
    /// How long the answer says that it stays fresh.
    pub(super) fresh_for: Option<Duration>,
}

impl Source {
    pub(super) fn jwks(url: &str, trusted_host: Option<&str>) -> Result<Self, EndpointError> {
        let place = Place::Keys(endpoint(url, trusted_host)?);
        Ok(Self::new(place, trusted_host))
    }

    pub(super) fn issuer(issuer: &str, trusted_host: Option<&str>) -> Result<Self, SourceError> {
        // RFC 8414 2: neither query nor fragment.
        if issuer.contains(['?', '#']) {
            return Err(SourceError::NotAnIssuer);
        }
        let url = endpoint(issuer, trusted_host)?;
        Ok(Self::new(
            Place::Issuer(issuer.to_owned(), url),
            trusted_host,
        ))
    }

    fn new(place: Place, trusted_host: Option<&str>) -> Self {
        Self {
            place,
            trusted_host: trusted_host.map(str::to_owned),
            headers: HeaderMap::new(),
            pin_origin: false,
            discovered: None,
            etag: None,
        }
    }

    pub(super) fn header(&mut self, name: HeaderName, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.headers.append(name, value);
    }

    pub(super) fn pin_origin(&mut self) {
        self.pin_origin = true;
    }

    /// Gets the keys, reading discovery first where that is due: one fetch, of one to five
    /// requests.
    pub(super) async fn fetch(
        &mut self,
        transport: &dyn Transport,
        now: Now,
    ) -> Result<Fetched, FetchError> {
        let issuer = match &self.place {
            Place::Keys(url) => {
                let url = url.clone();
                return self.keys(transport, &url).await;
            }
            Place::Issuer(issuer, _) => issuer.clone(),
        };
        let mut last = None;
        if let Some((url, at)) = self.discovered.clone() {
            let is_due = now.boot.saturating_sub(at) >= DISCOVERY_EVERY;
            if is_due {
                last = Some(url);
            } else {
                match self.keys(transport, &url).await {
                    // The keys have moved.
                    Err(FetchError::Status(404 | 410)) => {}
                    answer => return answer,
                }
            }
        }
        let url = match (self.discover(transport, &issuer).await, last) {
            (Ok(url), _) => {
                self.discovered = Some((url.clone(), now.boot));
                url
            }
            // No new word from discovery is no reason to let good keys age.
            (
                Err(FetchError::Transport(_) | FetchError::Status(_) | FetchError::NoDocument),
                Some(url),
            ) => url,
            (Err(error), _) => return Err(error),
        };
        self.keys(transport, &url).await
    }

    async fn keys(
        &mut self,
        transport: &dyn Transport,
        url: &Endpoint,
    ) -> Result<Fetched, FetchError> {
        let etag = match &self.etag {
            Some((of, etag)) if of == url => Some(etag.clone()),
            _ => None,
        };
        let answer = self.get(transport, url, etag.as_ref()).await?;
        let fresh_for = freshness(answer.headers());
        let keys = match answer.status() {
            StatusCode::OK => KeySet::from_json(answer.body()).map_err(FetchError::KeySet)?,
            StatusCode::NOT_MODIFIED if etag.is_some() => {
                return Ok(Fetched {
                    keys: None,
                    fresh_for,
                });
            }
            StatusCode::NOT_MODIFIED => return Err(FetchError::NothingToKeep),
            other => return Err(FetchError::Status(other.as_u16())),
        };
        let etag = answer.headers().get(ETAG).cloned();
        self.etag = etag.map(|etag| (url.clone(), etag));
        Ok(Fetched {
            keys: Some(keys),
            fresh_for,
        })
    }

    /// Asks each place where the document may be until one has it. A service that is down is not
    /// asked twice.
    async fn discover(
        &self,
        transport: &dyn Transport,
        issuer: &str,
    ) -> Result<Endpoint, FetchError> {
        let mut first = None;
        for url in self.well_known()? {
            match self.document(transport, &url, issuer).await {
                Err(error) if error.may_lie_elsewhere() => first = first.or(Some(error)),
                answer => return answer,
            }
        }
        Err(first.unwrap_or(FetchError::NoDocument))
    }

    async fn document(
        &self,
        transport: &dyn Transport,
        url: &Endpoint,
        issuer: &str,
    ) -> Result<Endpoint, FetchError> {
        let answer = self.get(transport, url, None).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let document: Document =
            serde_json::from_slice(answer.body()).map_err(|_| FetchError::NoDocument)?;
        // OpenID Connect Discovery 4.3, RFC 8414 3.3: identical.
        if document.issuer != issuer {
            return Err(FetchError::WrongIssuer);
        }
        let keys = endpoint(&document.jwks_uri, self.trusted_host.as_deref())
            .map_err(FetchError::KeyUrl)?;
        if url.is_https() && !keys.is_https() {
            return Err(FetchError::KeyUrl(EndpointError::Insecure));
        }
        if self.pin_origin && keys.url().origin() != url.url().origin() {
            return Err(FetchError::OtherOrigin);
        }
        Ok(keys)
    }

    /// Where the document of an issuer may be: OpenID Connect Discovery 4 appends to the issuer,
    /// RFC 8414 3 puts its own name between host and path, and many append that, too (RFC 8414 5).
    fn well_known(&self) -> Result<Vec<Endpoint>, FetchError> {
        let issuer = self.base().url();
        let path = issuer.path().trim_end_matches('/');
        let mut paths = vec![
            format!("{path}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("{path}/.well-known/oauth-authorization-server"),
        ];
        paths.dedup();
        let at = |path: String| {
            let mut url = Url::clone(issuer);
            url.set_path(&path);
            endpoint(url.as_str(), self.trusted_host.as_deref()).map_err(FetchError::KeyUrl)
        };
        paths.into_iter().map(at).collect()
    }

    async fn get(
        &self,
        transport: &dyn Transport,
        url: &Endpoint,
        etag: Option<&HeaderValue>,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = url.uri();
        // The caller's headers may hold a credential: they go where the caller pointed, and not to
        // another host that a document names.
        if url.url().origin() == self.base().url().origin() {
            request.headers_mut().clone_from(&self.headers);
        }
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPES));
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        // A transport that is not ours may have no deadline.
        let answer = transport.send(url, request, LARGEST_BODY);
        match tokio::time::timeout(REQUEST_DEADLINE, answer).await {
            Err(_) => Err(TransportError::Timeout.into()),
            Ok(Ok(answer)) if answer.body().len() > LARGEST_BODY => {
                Err(TransportError::TooLarge.into())
            }
            Ok(answer) => Ok(answer?),
        }
    }

    /// The URL that the caller pointed to.
    pub(super) fn base(&self) -> &Endpoint {
        match &self.place {
            Place::Keys(url) | Place::Issuer(_, url) => url,
        }
    }
}

fn endpoint(url: &str, trusted_host: Option<&str>) -> Result<Endpoint, EndpointError> {
    match trusted_host {
        Some(host) => Endpoint::allowing_http_to(host, url),
        None => Endpoint::new(url),
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Why a key source cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The URL is not one that may be asked.
    Url(EndpointError),
    /// An issuer with a query or a fragment (RFC 8414 2).
    NotAnIssuer,
    /// The cache holds a fixed set, which nothing may replace.
    FixedKeys,
    /// Another refresher feeds the cache.
    HasRefresher,
}

impl From<EndpointError> for SourceError {
    fn from(error: EndpointError) -> Self {
        Self::Url(error)
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(error) => return error.fmt(f),
            Self::NotAnIssuer => "an issuer has neither query nor fragment",
            Self::FixedKeys => "a fixed key set is not refreshed",
            Self::HasRefresher => "another refresher feeds these keys",
        })
    }
}

impl std::error::Error for SourceError {}

/// Why a fetch of keys failed. What went wrong, never where or with what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer came, or one above 512 KiB.
    Transport(TransportError),
    /// An answer with this status, where 200 was wanted.
    Status(u16),
    /// 304, though no keys are in hand that it could speak of.
    NothingToKeep,
    /// The answer is no key set, or none of its keys can be used.
    KeySet(KeySetError),
    /// What should be a discovery document is not one: no JSON, no `issuer`, no `jwks_uri`.
    NoDocument,
    /// The discovery document is another issuer's.
    WrongIssuer,
    /// The discovery document's key URL may not be asked.
    KeyUrl(EndpointError),
    /// The discovery document's key URL is on another origin, which `pin_origin()` refuses.
    OtherOrigin,
    /// The transport panicked.
    Panicked,
    /// The refresher was stopped before it had an answer.
    Stopped,
}

impl FetchError {
    /// Whether this answer leaves it open that the discovery document is at another place.
    fn may_lie_elsewhere(&self) -> bool {
        match self {
            Self::Status(status) => *status < 500 && *status != 429,
            Self::NoDocument | Self::WrongIssuer => true,
            _ => false,
        }
    }
}

impl From<TransportError> for FetchError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport(error) => return error.fmt(f),
            Self::Status(status) => return write!(f, "the answer has status {status}"),
            Self::NothingToKeep => "the answer has status 304, but there are no keys to keep",
            Self::KeySet(error) => return error.fmt(f),
            Self::NoDocument => "the answer is no discovery document",
            Self::WrongIssuer => "the discovery document is another issuer's",
            Self::KeyUrl(error) => return write!(f, "the key URL is refused: {error}"),
            Self::OtherOrigin => "the key URL is refused: not on the issuer's origin",
            Self::Panicked => "the transport panicked",
            Self::Stopped => "the refresher was stopped",
        })
    }
}

impl std::error::Error for FetchError {}

/// How often discovery is read again: 24 h.
const DISCOVERY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// No key set and no discovery document is larger: 512 KiB.
const LARGEST_BODY: usize = 512 * 1024;
const MEDIA_TYPES: &str = "application/jwk-set+json, application/json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::verifier::scripted::{Answer, Script, document, key_set, reply};

    const KEYS: &str = "https://keys.example/jwks";

    fn at(boot: u64) -> Now {
        Now {
            wall: Timestamp::from_secs(1_795_570_010),
            boot: Duration::from_secs(boot),
        }
    }

    fn script() -> Script {
        let script = Script::default();
        script.put(KEYS, reply(200, key_set("a")));
        script
    }

    /// Fetches from `issuer`, with one document at `url`; returns the outcome and what was asked.
    async fn discovered(
        issuer: &str,
        url: &str,
        answer: Answer,
    ) -> (Option<FetchError>, Vec<String>) {
        let script = script();
        script.put(url, answer);
        let mut source = Source::issuer(issuer, None).unwrap();
        let fetched = source.fetch(&script, at(0)).await;
        (fetched.err(), script.asked())
    }

    #[tokio::test]
    async fn a_document_is_found_in_each_spelling() {
        let connect = ".well-known/openid-configuration";
        let oauth = ".well-known/oauth-authorization-server";
        for (issuer, places) in [
            (
                "https://login.example",
                vec![
                    format!("https://login.example/{connect}"),
                    format!("https://login.example/{oauth}"),
                ],
            ),
            (
                "https://login.example/",
                vec![
                    format!("https://login.example/{connect}"),
                    format!("https://login.example/{oauth}"),
                ],
            ),
            (
                "https://login.example/realms/a%20b/",
                vec![
                    format!("https://login.example/realms/a%20b/{connect}"),
                    format!("https://login.example/{oauth}/realms/a%20b"),
                    format!("https://login.example/realms/a%20b/{oauth}"),
                ],
            ),
        ] {
            for (index, place) in places.iter().enumerate() {
                let (error, asked) = discovered(issuer, place, document(issuer, KEYS)).await;
                assert_eq!(error, None, "{place}");
                let mut expected = places[..=index].to_vec();
                expected.push(KEYS.to_owned());
                assert_eq!(asked, expected);
            }
            let (error, asked) =
                discovered(issuer, "https://nowhere.example", reply(200, "")).await;
            assert_eq!(error, Some(FetchError::Status(404)));
            assert_eq!(asked, places);
        }
    }

    #[tokio::test]
    async fn documents_that_are_refused() {
        let issuer = "https://login.example";
        let other = "https://login.example/other";
        for (answer, expected, requests) in [
            (
                Answer::Fails(TransportError::Connect),
                FetchError::Transport(TransportError::Connect),
                1,
            ),
            (reply(503, "down"), FetchError::Status(503), 1),
            (reply(429, "slower"), FetchError::Status(429), 1),
            (reply(302, ""), FetchError::Status(302), 2),
            (reply(200, "<html>"), FetchError::NoDocument, 2),
            (reply(200, "{}"), FetchError::NoDocument, 2),
            (reply(200, "[".repeat(100_000)), FetchError::NoDocument, 2),
            (
                reply(200, format!("{{\"a\":{}", "[".repeat(100_000))),
                FetchError::NoDocument,
                2,
            ),
            (document(other, KEYS), FetchError::WrongIssuer, 2),
            (
                document("https://login.example/", KEYS),
                FetchError::WrongIssuer,
                2,
            ),
            (
                document(issuer, "http://keys.example/jwks"),
                FetchError::KeyUrl(EndpointError::Insecure),
                1,
            ),
            (
                document(issuer, "http://127.0.0.1/jwks"),
                FetchError::KeyUrl(EndpointError::Insecure),
                1,
            ),
            (
                document(issuer, "/jwks"),
                FetchError::KeyUrl(EndpointError::NotAUrl),
                1,
            ),
        ] {
            let url = "https://login.example/.well-known/openid-configuration";
            let (error, asked) = discovered(issuer, url, answer).await;
            assert_eq!(error, Some(expected));
            assert_eq!(asked.len(), requests, "{error:?}");
        }
    }

    #[tokio::test]
    async fn key_urls_that_are_taken() {
        async fn fetch(
            issuer: &str,
            keys: &str,
            host: Option<&str>,
            pin: bool,
        ) -> Option<FetchError> {
            let script = Script::default();
            script.put(keys, reply(200, key_set("a")));
            let url = format!("{issuer}/.well-known/openid-configuration");
            script.put(&url, document(issuer, keys));
            let mut source = Source::issuer(issuer, host).unwrap();
            if pin {
                source.pin_origin();
            }
            source.fetch(&script, at(0)).await.err()
        }
        let mesh = Some("idp.mesh");
        let insecure = Some(FetchError::KeyUrl(EndpointError::Insecure));
        for (issuer, keys, host, pin, expected) in [
            (
                "https://a.example",
                "https://b.example/k",
                None,
                false,
                None,
            ),
            (
                "https://a.example",
                "https://b.example/k",
                None,
                true,
                Some(FetchError::OtherOrigin),
            ),
            ("https://a.example", "https://a.example/k", None, true, None),
            (
                "http://127.0.0.1:8",
                "http://127.0.0.1:9/k",
                None,
                false,
                None,
            ),
            (
                "http://127.0.0.1:8",
                "http://b.example/k",
                None,
                false,
                insecure.clone(),
            ),
            ("http://idp.mesh", "http://idp.mesh/k", mesh, false, None),
            (
                "http://idp.mesh",
                "http://b.example/k",
                mesh,
                false,
                insecure.clone(),
            ),
            (
                "https://a.example",
                "http://idp.mesh/k",
                mesh,
                false,
                insecure,
            ),
        ] {
            assert_eq!(
                fetch(issuer, keys, host, pin).await,
                expected,
                "{issuer} {keys}"
            );
        }
    }

    #[tokio::test]
    async fn discovery_is_read_once_a_day_and_when_the_keys_have_moved() {
        let issuer = "https://login.example";
        let place = "https://login.example/.well-known/openid-configuration";
        let script = script();
        script.put(place, document(issuer, KEYS));
        let mut source = Source::issuer(issuer, None).unwrap();
        let day = 24 * 3600;
        for (boot, expected) in [
            (0, vec![place, KEYS]),
            (600, vec![KEYS]),
            (day - 1, vec![KEYS]),
            (day, vec![place, KEYS]),
            (day + 600, vec![KEYS]),
        ] {
            assert!(source.fetch(&script, at(boot)).await.is_ok());
            assert_eq!(script.asked(), expected);
        }
        // Moved: found in the same fetch.
        let moved = "https://keys.example/new";
        for status in [404, 410] {
            script.put(KEYS, reply(status, ""));
            script.put(moved, reply(200, key_set("b")));
            script.put(place, document(issuer, moved));
            assert!(source.fetch(&script, at(day + 1200)).await.is_ok());
            assert_eq!(script.asked(), [KEYS, place, moved]);
            script.put(KEYS, reply(200, key_set("a")));
            script.put(moved, reply(status, ""));
            script.put(place, document(issuer, KEYS));
            assert!(source.fetch(&script, at(day + 1200)).await.is_ok());
            assert_eq!(script.asked(), [moved, place, KEYS]);
        }
        // Due again, while discovery is down: the keys are fetched from where they were.
        let other = "https://login.example/.well-known/oauth-authorization-server";
        for (answer, expected) in [
            (reply(503, ""), vec![place, KEYS]),
            (reply(503, ""), vec![place, KEYS]),
            (reply(404, ""), vec![place, other, KEYS]),
            (reply(200, "<html>"), vec![place, other, KEYS]),
        ] {
            script.put(place, answer);
            assert!(source.fetch(&script, at(3 * day)).await.is_ok());
            assert_eq!(script.asked(), expected);
        }
        // A document of someone else is no outage.
        script.put(place, document("https://evil.example", KEYS));
        let error = source.fetch(&script, at(3 * day)).await.err();
        assert_eq!(error, Some(FetchError::WrongIssuer));
    }

    #[tokio::test]
    async fn an_etag_goes_back_to_the_url_it_came_from() {
        let script = script();
        let tagged = |status, body: String| {
            let headers = vec![
                ("etag", "\"1\"".into()),
                ("cache-control", "max-age=900".into()),
            ];
            Answer::Reply(status, headers, body)
        };
        script.put(KEYS, reply(304, ""));
        let mut source = Source::jwks(KEYS, None).unwrap();
        let error = source.fetch(&script, at(0)).await.err();
        assert_eq!(error, Some(FetchError::NothingToKeep));
        script.put(KEYS, tagged(200, key_set("a")));
        let fetched = source.fetch(&script, at(0)).await.unwrap();
        assert!(fetched.keys.is_some());
        assert_eq!(fetched.fresh_for, Some(Duration::from_secs(900)));
        script.put(KEYS, tagged(304, String::new()));
        let fetched = source.fetch(&script, at(0)).await.unwrap();
        assert!(fetched.keys.is_none());
        let sent: Vec<_> = script
            .requests()
            .into_iter()
            .map(|(_, headers)| headers.get(IF_NONE_MATCH).cloned())
            .collect();
        let tag = Some(HeaderValue::from_static("\"1\""));
        assert_eq!(sent, [None, None, tag]);
        // A set without a tag takes the old one away.
        script.put(KEYS, reply(200, key_set("b")));
        assert!(source.fetch(&script, at(0)).await.is_ok());
        script.put(KEYS, reply(304, ""));
        let error = source.fetch(&script, at(0)).await.err();
        assert_eq!(error, Some(FetchError::NothingToKeep));
    }

    #[tokio::test]
    async fn answers_that_are_no_key_set() {
        for answer in [
            reply(200, "<html>welcome</html>"),
            reply(200, r#"{"keys":[]}"#),
            reply(200, r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#),
            reply(200, "[]"),
            reply(200, ""),
        ] {
            let script = script();
            script.put(KEYS, answer);
            let mut source = Source::jwks(KEYS, None).unwrap();
            let error = source.fetch(&script, at(0)).await.err().unwrap();
            assert!(matches!(error, FetchError::KeySet(_)), "{error:?}");
        }
        let too_large = format!("{}{}", key_set("a"), " ".repeat(LARGEST_BODY));
        for (answer, expected) in [
            (reply(200, too_large), TransportError::TooLarge.into()),
            (reply(500, key_set("a")), FetchError::Status(500)),
            (reply(204, ""), FetchError::Status(204)),
            (reply(301, ""), FetchError::Status(301)),
        ] {
            let script = script();
            script.put(KEYS, answer);
            let mut source = Source::jwks(KEYS, None).unwrap();
            assert_eq!(source.fetch(&script, at(0)).await.err(), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_transport_without_deadlines_is_given_one() {
        let script = script();
        script.put(KEYS, Answer::Hangs);
        let mut source = Source::jwks(KEYS, None).unwrap();
        let error = source.fetch(&script, at(0)).await.err();
        assert_eq!(error, Some(TransportError::Timeout.into()));
    }

    #[tokio::test]
    async fn own_headers_go_to_the_given_origin_only() {
        let script = script();
        let issuer = "https://login.example";
        let place = "https://login.example/.well-known/openid-configuration";
        script.put(place, document(issuer, KEYS));
        let mut source = Source::issuer(issuer, None).unwrap();
        let secret = HeaderValue::from_static("Bearer s3cret");
        source.header(http::header::AUTHORIZATION, secret);
        assert!(source.fetch(&script, at(0)).await.is_ok());
        for (url, headers) in script.requests() {
            assert_eq!(headers.contains_key("authorization"), url == place, "{url}");
            assert!(!format!("{headers:?}").contains("s3cret"));
        }
    }

    #[test]
    fn places_that_are_no_source() {
        let error = |issuer| Source::issuer(issuer, None).err();
        assert_eq!(
            error("https://login.example?a=b"),
            Some(SourceError::NotAnIssuer)
        );
        assert_eq!(
            error("https://login.example#a"),
            Some(SourceError::NotAnIssuer)
        );
        let insecure = SourceError::Url(EndpointError::Insecure);
        assert_eq!(error("http://login.example"), Some(insecure));
        assert_eq!(
            error("login.example"),
            Some(SourceError::Url(EndpointError::NotAUrl))
        );
    }

    #[test]
    fn texts() {
        for (error, text) in [
            (TransportError::Connect.into(), "no connection"),
            (FetchError::Status(503), "the answer has status 503"),
            (
                FetchError::NothingToKeep,
                "the answer has status 304, but there are no keys to keep",
            ),
            (
                FetchError::KeySet(KeySetError::NotAKeySet),
                "the document has no array `keys`",
            ),
            (
                FetchError::NoDocument,
                "the answer is no discovery document",
            ),
            (
                FetchError::WrongIssuer,
                "the discovery document is another issuer's",
            ),
            (
                FetchError::KeyUrl(EndpointError::NotAUrl),
                "the key URL is refused: not an absolute https URL",
            ),
            (
                FetchError::OtherOrigin,
                "the key URL is refused: not on the issuer's origin",
            ),
            (FetchError::Panicked, "the transport panicked"),
            (FetchError::Stopped, "the refresher was stopped"),
        ] {
            assert_eq!(error.to_string(), text);
        }
        for (error, text) in [
            (
                SourceError::Url(EndpointError::NotAUrl),
                "not an absolute https URL",
            ),
            (
                SourceError::NotAnIssuer,
                "an issuer has neither query nor fragment",
            ),
            (SourceError::FixedKeys, "a fixed key set is not refreshed"),
            (
                SourceError::HasRefresher,
                "another refresher feeds these keys",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
