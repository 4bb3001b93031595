//! Requests and responses, of [`http`] and of reqwest, as the outbound layer sees them.

use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::origins::Target;

/// A request that can carry a token: [`http::Request`] or [`reqwest::Request`].
pub trait Outgoing: sealed::Request {}

/// An answer to it: [`http::Response`] or [`reqwest::Response`].
pub trait Returning: sealed::Response {}

impl<B> Outgoing for http::Request<B> {}
impl<B> Returning for http::Response<B> {}
impl Outgoing for reqwest::Request {}
impl Returning for reqwest::Response {}

/// What is needed of them, and nobody else's business.
mod sealed {
    use super::{HeaderMap, Method, StatusCode, Target, Url};

    pub trait Request {
        /// Where it goes. `None` for a mere path: only its client knows.
        fn target(&self) -> Option<Target<'_>>;
        /// The whole of that, where an answer can tell the like.
        fn url(&self) -> Option<&Url>;
        fn method(&self) -> &Method;
        fn headers(&self) -> &HeaderMap;
        fn headers_mut(&mut self) -> &mut HeaderMap;
    }

    pub trait Response {
        /// Where it came from, if it tells.
        fn url(&self) -> Option<&Url>;
        fn status(&self) -> StatusCode;
        fn headers(&self) -> &HeaderMap;
    }
}

pub(super) use sealed::{Request, Response};

impl<B> Request for http::Request<B> {
    fn target(&self) -> Option<Target<'_>> {
        let uri = self.uri();
        Some((uri.scheme_str()?, uri.host()?, uri.port_u16()))
    }

    fn url(&self) -> Option<&Url> {
        None
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl Request for reqwest::Request {
    fn target(&self) -> Option<Target<'_>> {
        let url = self.url();
        Some((url.scheme(), url.host_str()?, url.port()))
    }

    fn url(&self) -> Option<&Url> {
        Some(self.url())
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl<B> Response for http::Response<B> {
    fn url(&self) -> Option<&Url> {
        None
    }

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }
}

impl Response for reqwest::Response {
    fn url(&self) -> Option<&Url> {
        Some(self.url())
    }

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }
}
