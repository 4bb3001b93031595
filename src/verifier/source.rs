//! Where keys come from: a JWK Set URL, an issuer whose discovery document names one, or a file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::header::{
    ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::fetch_error::{FetchError, SourceError};
use super::fetched::{Fetched, Found, SourceName};
use super::watched::{WatchedFile, read};
use crate::clock::Now;
use crate::jose::{KeySet, LONGEST_DOCUMENT};
use crate::transport::{
    Endpoint, EndpointError, REQUEST_DEADLINE, Transport, TransportError, freshness,
};

/// A key source, with what was learned from its earlier answers.
pub(super) struct Source {
    place: Place,
    trusted_host: Option<String>,
    headers: HeaderMap,
    bearer_file: Option<PathBuf>,
    /// What that file held when this fetch began.
    bearer: Option<HeaderValue>,
    pin_origin: bool,
    discovered: Option<Discovered>,
    /// Of the last good key set, and the URL that it is good for.
    etag: Option<(Endpoint, HeaderValue)>,
}

enum Place {
    Keys(Endpoint),
    Issuer {
        /// As the documents must spell it.
        expected: String,
        at: Endpoint,
    },
    File(WatchedFile),
}

/// The key URL that discovery named.
#[derive(Clone)]
struct Discovered {
    url: Endpoint,
    /// The boot time at which it did; `None` if that was another process.
    at: Option<Duration>,
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
        let place = Place::Issuer {
            expected: issuer.to_owned(),
            at: endpoint(issuer, trusted_host)?,
        };
        Ok(Self::new(place, trusted_host))
    }

    pub(super) fn file(path: PathBuf) -> Self {
        Self::new(Place::File(WatchedFile::new(path)), None)
    }

    fn new(place: Place, trusted_host: Option<&str>) -> Self {
        Self {
            place,
            trusted_host: trusted_host.map(str::to_owned),
            headers: HeaderMap::new(),
            bearer_file: None,
            bearer: None,
            pin_origin: false,
            discovered: None,
            etag: None,
        }
    }

    pub(super) fn header(&mut self, name: HeaderName, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.headers.append(name, value);
    }

    pub(super) fn bearer_file(&mut self, path: PathBuf) {
        self.bearer_file = Some(path);
    }

    pub(super) fn expect_issuer(&mut self, issuer: String) {
        if let Place::Issuer { expected, .. } = &mut self.place {
            *expected = issuer;
        }
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
        self.bearer = self.read_bearer().await?;
        let issuer = match &mut self.place {
            Place::Keys(url) => {
                let url = url.clone();
                return self.keys(transport, &url).await;
            }
            Place::Issuer { expected, .. } => expected.clone(),
            Place::File(file) => return file.fetch().await,
        };
        let mut last = None;
        if let Some(Discovered { url, at }) = self.discovered.clone() {
            let is_due = at.is_none_or(|at| now.boot.saturating_sub(at) >= DISCOVERY_EVERY);
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
                self.discovered = Some(Discovered {
                    url: url.clone(),
                    at: Some(now.boot),
                });
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

    /// The file is read for each fetch: Kubernetes replaces such tokens within the hour.
    async fn read_bearer(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(path) = &self.bearer_file else {
            return Ok(None);
        };
        let token = read(path, LARGEST_BEARER)
            .await
            .map_err(|_| FetchError::NoBearer)?;
        let token = token.trim_ascii();
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
            .map_err(|_| FetchError::NoBearer)?;
        value.set_sensitive(true);
        match token {
            [] => Err(FetchError::NoBearer),
            _ => Ok(Some(value)),
        }
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
            keys: Some((keys, answer.into_body())),
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
        let Some(issuer) = self.base().map(Endpoint::url) else {
            return Ok(Vec::new());
        };
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
        let headers = request.headers_mut();
        if self
            .base()
            .is_some_and(|base| base.url().origin() == url.url().origin())
        {
            headers.clone_from(&self.headers);
            if let Some(bearer) = &self.bearer {
                headers.insert(AUTHORIZATION, bearer.clone());
            }
        }
        headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPES));
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        // A transport that is not ours may have no deadline.
        let answer = transport.send(url, request, LONGEST_DOCUMENT);
        match tokio::time::timeout(REQUEST_DEADLINE, answer).await {
            Err(_) => Err(TransportError::Timeout.into()),
            Ok(Ok(answer)) if answer.body().len() > LONGEST_DOCUMENT => {
                Err(TransportError::TooLarge.into())
            }
            Ok(answer) => Ok(answer?),
        }
    }

    /// The URL that the caller pointed to, if it is one.
    fn base(&self) -> Option<&Endpoint> {
        match &self.place {
            Place::Keys(url) | Place::Issuer { at: url, .. } => Some(url),
            Place::File(_) => None,
        }
    }

    /// What a key file is bound to; a file needs none.
    pub(super) fn name(&self) -> Option<SourceName> {
        match &self.place {
            Place::Keys(url) => Some(SourceName::JwksUri(url.as_str().to_owned())),
            Place::Issuer { expected, .. } => Some(SourceName::Issuer(expected.clone())),
            Place::File(_) => None,
        }
    }

    /// Where the keys in hand were found, for a process that comes after this one.
    pub(super) fn found(&self) -> Option<Found> {
        let url = match &self.place {
            Place::Keys(url) => url,
            Place::Issuer { .. } => &self.discovered.as_ref()?.url,
            Place::File(_) => return None,
        };
        let etag = self.etag.as_ref().filter(|(of, _)| of == url);
        Some(Found {
            url: url.as_str().to_owned(),
            etag: etag.and_then(|(_, etag)| Some(etag.to_str().ok()?.to_owned())),
        })
    }

    /// Goes on where another process ended. Discovery is due, and asked for the keys' URL first.
    pub(super) fn resume(&mut self, found: Found) {
        let Ok(url) = endpoint(&found.url, self.trusted_host.as_deref()) else {
            return;
        };
        if let Some(Ok(etag)) = found.etag.map(HeaderValue::try_from) {
            self.etag = Some((url.clone(), etag));
        }
        let origin = self.base().map(|base| base.url().origin());
        let is_elsewhere = origin != Some(url.url().origin());
        if matches!(self.place, Place::Issuer { .. }) && !(self.pin_origin && is_elsewhere) {
            self.discovered = Some(Discovered { url, at: None });
        }
    }
}

/// For events: scheme, host and port of a URL, since the rest may hold secrets.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Keys(url) | Place::Issuer { at: url, .. } => url.fmt(f),
            Place::File(file) => file.fmt(f),
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

/// How often discovery is read again: 24 h.
const DISCOVERY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// No bearer token is longer: 64 KiB.
const LARGEST_BEARER: usize = 64 * 1024;
const MEDIA_TYPES: &str = "application/jwk-set+json, application/json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::verifier::scripted::{Answer, Folder, Script, document, key_set, reply};

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

    /// Another URL that uses the same tag for other keys does not confirm those in hand.
    #[tokio::test]
    async fn an_etag_does_not_move_with_the_keys() {
        let issuer = "https://login.example";
        let place = "https://login.example/.well-known/openid-configuration";
        let moved = "https://keys.example/new";
        let script = Script::default();
        let tag = vec![("etag", "\"1\"".to_owned())];
        script.put(place, document(issuer, KEYS));
        script.put(KEYS, Answer::Reply(200, tag, key_set("a")));
        let mut source = Source::issuer(issuer, None).unwrap();
        assert!(source.fetch(&script, at(0)).await.is_ok());
        script.put(place, document(issuer, moved));
        script.put(KEYS, reply(410, ""));
        script.put(moved, reply(304, ""));
        script.asked();
        let error = source.fetch(&script, at(600)).await.err();
        assert_eq!(error, Some(FetchError::NothingToKeep));
        let (url, headers) = script.requests().pop().unwrap();
        assert_eq!(url, moved);
        assert!(!headers.contains_key(IF_NONE_MATCH));
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
        let too_large = format!("{}{}", key_set("a"), " ".repeat(LONGEST_DOCUMENT));
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

    #[tokio::test]
    async fn an_issuer_may_be_asked_by_another_url() {
        let inside = "https://keycloak.mesh/realms/a";
        let place = "https://keycloak.mesh/realms/a/.well-known/openid-configuration";
        let public = "https://login.example/realms/a";
        for (named, expected) in [
            (public, None),
            (inside, Some(FetchError::WrongIssuer)),
            (
                "https://login.example/realms/a/",
                Some(FetchError::WrongIssuer),
            ),
        ] {
            let script = script();
            script.put(place, document(named, KEYS));
            let mut source = Source::issuer(inside, None).unwrap();
            source.expect_issuer(public.to_owned());
            assert_eq!(source.fetch(&script, at(0)).await.err(), expected);
            let name = SourceName::Issuer(public.to_owned());
            assert_eq!(source.name(), Some(name), "whatever the URL");
        }
    }

    #[tokio::test]
    async fn a_bearer_is_read_for_each_fetch_and_goes_to_the_given_origin_only() {
        let folder = Folder::new("source-bearer");
        let issuer = "https://login.example";
        let place = "https://login.example/.well-known/openid-configuration";
        let script = script();
        script.put(place, document(issuer, KEYS));
        let mut source = Source::issuer(issuer, None).unwrap();
        let path = folder.write("token", "s3cret-1\n");
        source.bearer_file(path.clone());
        for token in ["s3cret-1", "s3cret-2"] {
            folder.write("token", format!("{token}\n"));
            assert!(source.fetch(&script, at(0)).await.is_ok());
            for (url, headers) in script.requests() {
                let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
                let expected = format!("Bearer {token}");
                assert_eq!(sent, (url == place).then_some(expected.as_bytes()), "{url}");
                assert!(!format!("{headers:?}").contains("s3cret"));
            }
            source.discovered = None;
        }
        for bad in ["", " \n", "a\nb", "\u{7f}"] {
            folder.write("token", bad);
            let error = source.fetch(&script, at(0)).await.err();
            assert_eq!(error, Some(FetchError::NoBearer), "{bad:?}");
        }
        std::fs::remove_file(path).unwrap();
        let error = source.fetch(&script, at(0)).await.err();
        assert_eq!(error, Some(FetchError::NoBearer));
        assert!(script.asked().is_empty(), "nobody is asked without it");
    }

    #[tokio::test]
    async fn another_process_goes_on_where_this_one_ended() {
        let issuer = "https://login.example";
        let place = "https://login.example/.well-known/openid-configuration";
        let script = script();
        let tag = vec![("etag", "\"1\"".to_owned())];
        script.put(KEYS, Answer::Reply(200, tag, key_set("a")));
        script.put(place, document(issuer, KEYS));
        let mut source = Source::issuer(issuer, None).unwrap();
        assert_eq!(source.found(), None);
        assert!(source.fetch(&script, at(0)).await.is_ok());
        let found = source.found().unwrap();
        let resumed = || {
            let mut source = Source::issuer(issuer, None).unwrap();
            source.resume(found.clone());
            script.asked();
            source
        };
        // Discovery is read again, and the entity tag holds for the same URL.
        script.put(KEYS, reply(304, ""));
        let fetched = resumed().fetch(&script, at(0)).await.unwrap();
        assert!(fetched.keys.is_none());
        assert_eq!(script.asked(), [place, KEYS]);
        // Discovery is down: the keys are where they were.
        script.put(place, reply(503, ""));
        assert!(resumed().fetch(&script, at(0)).await.is_ok());
        assert_eq!(script.asked(), [place, KEYS]);
        let mut pinned = resumed();
        pinned.discovered = None;
        pinned.pin_origin();
        pinned.resume(found.clone());
        let error = pinned.fetch(&script, at(0)).await.err();
        assert_eq!(error, Some(FetchError::Status(503)), "not elsewhere");
        // A URL that may not be asked is none.
        let mut source = Source::issuer(issuer, None).unwrap();
        source.resume(Found {
            url: "http://keys.example/jwks".to_owned(),
            etag: None,
        });
        let error = source.fetch(&script, at(0)).await.err();
        assert_eq!(error, Some(FetchError::Status(503)));
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
}
