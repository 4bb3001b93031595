//! The example server on axum, over real sockets.

#![cfg(all(feature = "axum", feature = "http"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../examples/axum.rs"]
#[allow(dead_code, unreachable_pub)]
mod example;
mod tokens;

use axum::Router;
use axum::routing::get;
use http::{Method, Request, Response};
use serde_json::json;
use steadfast::transport::{Endpoint, HttpTransport, Transport};
use steadfast::verifier::{KeyCache, Verified, Verifier, VerifyLayer};
use tokens::{Issuer, NOW};
use tokio::net::TcpListener;

const PARAMETERS: &str = r#"Bearer realm="orders", resource_metadata="https://orders.example/.well-known/oauth-protected-resource""#;

/// A server on loopback, and a client of it.
struct Server {
    url: String,
    client: HttpTransport,
}

impl Server {
    async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self {
            url,
            client: HttpTransport::new(),
        }
    }

    async fn example() -> Self {
        Self::start(example::app(tokens::verifier(Issuer::new().keys()))).await
    }

    async fn ask(&self, method: Method, path: &str, authorization: &[&str]) -> Answer {
        let url = format!("{}{path}", self.url);
        let request = Request::builder().method(method).uri(&url);
        let request = authorization
            .iter()
            .fold(request, |it, value| it.header("authorization", *value));
        let request = request.body(Vec::new()).unwrap();
        let endpoint = Endpoint::new(&url).unwrap();
        Answer(self.client.send(&endpoint, request, 1024).await.unwrap())
    }

    async fn get(&self, path: &str, authorization: &[&str]) -> Answer {
        self.ask(Method::GET, path, authorization).await
    }
}

struct Answer(Response<Vec<u8>>);

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        Some(self.0.headers().get(name)?.to_str().unwrap())
    }

    #[track_caller]
    fn is(&self, status: u16, body: &str) {
        let text = String::from_utf8_lossy(self.0.body());
        assert_eq!((self.0.status().as_u16(), &*text), (status, body));
    }

    /// Is a refusal whose challenge ends so.
    #[track_caller]
    fn challenges(&self, status: u16, error: &str) {
        self.is(status, "");
        let expected = format!("{PARAMETERS}{error}");
        assert_eq!(self.header("www-authenticate"), Some(&*expected));
        assert_eq!(self.header("retry-after"), None);
    }
}

/// `Authorization` with these scopes.
fn scoped(scope: &str) -> String {
    format!("Bearer {}", Issuer::new().token(json!({"scope": scope})))
}

#[tokio::test]
async fn five_answers() {
    let server = Server::example().await;
    let get = async |authorization: &[&str]| server.get("/orders", authorization).await;
    let good = scoped("orders:read");
    get(&[&good]).await.is(200, "orders of app");

    get(&[]).await.challenges(401, "");
    let unreadable = r#", error="invalid_request""#;
    get(&[&good, &good]).await.challenges(400, unreadable);
    let expired = Issuer::new().token(json!({"scope": "orders:read", "exp": NOW - 3600}));
    get(&[&format!("Bearer {expired}")]).await.challenges(
        401,
        r#", error="invalid_token", error_description="the access token expired""#,
    );
    get(&[&scoped("orders:write")])
        .await
        .challenges(403, r#", error="insufficient_scope", scope="orders:read""#);

    let dark: Verifier = Verifier::new(tokens::trust(), KeyCache::empty());
    let dark = Server::start(example::app(dark)).await;
    let unavailable = dark.get("/orders", &[&good]).await;
    unavailable.is(503, "");
    assert_eq!(unavailable.header("retry-after"), Some("30"));
    assert_eq!(unavailable.header("www-authenticate"), None);
}

#[tokio::test]
async fn a_handler_may_ask_for_more() {
    let server = Server::example().await;
    let post = async |scope| server.ask(Method::POST, "/orders", &[&scoped(scope)]).await;
    post("orders:read orders:write")
        .await
        .is(200, "ordered by app");
    post("orders:read").await.challenges(
        403,
        r#", error="insufficient_scope", scope="orders:read orders:write""#,
    );
}

#[tokio::test]
async fn an_optional_token_is_absent_or_good() {
    let server = Server::example().await;
    let get = async |authorization: &[&str]| server.get("/greeting", authorization).await;
    get(&[]).await.is(200, "hello, stranger");
    get(&["Basic YTpi"]).await.is(200, "hello, stranger");
    get(&[&scoped("")]).await.is(200, "hello, app");
    get(&["Bearer e30"]).await.challenges(
        401,
        r#", error="invalid_token", error_description="the access token is not a JWT""#,
    );
    get(&["Bearer"])
        .await
        .challenges(400, r#", error="invalid_request""#);
}

/// The layer lets pass who says nothing; a handler that needs a token does not.
#[tokio::test]
async fn an_extractor_asks_for_what_the_layer_does_not() {
    let layer = VerifyLayer::new(tokens::verifier(Issuer::new().keys()));
    let layer = layer.challenge(example::challenge()).allow_anonymous();
    let app = Router::new().route("/", get(must::<steadfast::claims::Claims>));
    let server = Server::start(app.layer(layer)).await;
    server.get("/", &[]).await.challenges(401, "");
    server.get("/", &[&scoped("")]).await.is(200, "passed");
}

#[tokio::test]
async fn without_its_layer_a_handler_is_never_reached() {
    #[derive(serde::Deserialize)]
    struct Other {}

    let layer = || VerifyLayer::new(tokens::verifier(Issuer::new().keys())).allow_anonymous();
    let of_other_claims = Router::new()
        .route("/must", get(must::<Other>))
        .route("/may", get(may::<Other>))
        .layer(layer());
    let without = Router::new()
        .route("/must", get(must::<Other>))
        .route("/may", get(may::<Other>));
    for app in [of_other_claims, without] {
        let server = Server::start(app).await;
        for path in ["/must", "/may"] {
            server.get(path, &[]).await.is(500, "");
            server.get(path, &[&scoped("")]).await.is(500, "");
        }
    }
}

async fn must<C: Send + Sync + 'static>(_: Verified<C>) -> &'static str {
    "passed"
}

async fn may<C: Send + Sync + 'static>(_: Option<Verified<C>>) -> &'static str {
    "passed"
}

/// All of it at once: a client with its rotator, a server with its refresher, and a service that is
/// not there when it is needed.
#[cfg(feature = "testing")]
#[tokio::test]
async fn the_service_may_be_down() {
    use steadfast::testing::{Fault, JwtIssuing, OAuthService, RegisteredClient, ServiceConfig};
    use steadfast::verifier::{Refresher, Trust};
    use steadfast::{ClientCredentials, IssuancePolicy, Rotator};

    let client = RegisteredClient::new("orders", "s3cret").jwt(JwtIssuing::Always);
    let config = ServiceConfig::default().client(client);
    let service = OAuthService::start(config).await.unwrap();
    let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
    let grant = grant.scope("orders:read").audience(tokens::AUDIENCE);
    let rotator = Rotator::new(grant, IssuancePolicy::default());

    let keys = KeyCache::empty();
    let refresher = Refresher::discover(service.issuer(), keys.clone()).unwrap();
    let trust = Trust::issuer(service.issuer()).audience(tokens::AUDIENCE);
    let server = Server::start(example::app(Verifier::new(trust, keys))).await;
    let get = async || {
        let token = rotator.token().await.unwrap();
        let authorization = format!("Bearer {}", token.expose());
        server.get("/orders", &[&authorization]).await
    };

    get().await.is(503, "");
    let handle = refresher.handle();
    tokio::spawn(refresher.run());
    handle.ready().await.unwrap();
    get().await.is(200, "orders of orders");
    service.fault(Fault::down());
    get().await.is(200, "orders of orders");
}
