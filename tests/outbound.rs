//! The rotator's token on the way out: where it goes, and what follows a 401. The same tests for the
//! tower layer and for the middleware.

#![cfg(all(
    feature = "testing",
    any(feature = "reqwest-middleware", feature = "tower")
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod resource;

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request, Url};
use resource::{Reply, Resource, http_client};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::{ClientCredentials, Origins, Preset, Rotator, Status};
use steadfast::testing::{Fault, ManualClock, OAuthService, RegisteredClient, ServiceConfig};

const SECOND: Duration = Duration::from_secs(1);
const ANY: &[&str] = &[];

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(feature = "tower")]
    Layer,
    #[cfg(feature = "reqwest-middleware")]
    Middleware,
}

const KINDS: &[Kind] = &[
    #[cfg(feature = "tower")]
    Kind::Layer,
    #[cfg(feature = "reqwest-middleware")]
    Kind::Middleware,
];

impl Kind {
    /// The status of the answer, or why there is none.
    async fn send(self, world: &World, request: Request) -> Result<u16, String> {
        let (rotator, origins) = (world.rotator.clone(), world.origins.clone());
        let http = http_client();
        match self {
            #[cfg(feature = "tower")]
            Self::Layer => {
                let layer = steadfast::rotator::RotatorLayer::new(rotator, origins);
                let service = tower::Layer::layer(&layer, http);
                let response = tower::ServiceExt::oneshot(service, request).await;
                let response = response.map_err(|it| it.to_string())?;
                Ok(response.status().as_u16())
            }
            #[cfg(feature = "reqwest-middleware")]
            Self::Middleware => {
                let middleware = steadfast::rotator::RotatorMiddleware::new(rotator, origins);
                let client = reqwest_middleware::ClientBuilder::new(http).with(middleware);
                let response = client.build().execute(request).await;
                let response = response.map_err(|it| it.to_string())?;
                Ok(response.status().as_u16())
            }
        }
    }
}

/// A service, a rotator whose token is a minute old, and a resource.
struct World {
    service: OAuthService,
    clock: ManualClock,
    rotator: Rotator,
    resource: Resource,
    origins: Origins,
}

impl World {
    async fn with(rule: impl Fn(Option<&str>, usize) -> Reply + Send + Sync + 'static) -> Self {
        let world = Self::new(rule).await;
        world.rotator.token().await.unwrap();
        world.clock.advance(60 * SECOND);
        world
    }

    async fn new(rule: impl Fn(Option<&str>, usize) -> Reply + Send + Sync + 'static) -> Self {
        let clock = ManualClock::default();
        let client = RegisteredClient::new("orders", "s3cret");
        let config = ServiceConfig::default().clock(clock.clone()).client(client);
        let service = OAuthService::start(config).await.unwrap();
        let grant = ClientCredentials::new(&service.token_url(), "orders", "s3cret").unwrap();
        let grant = grant.preset(Preset::Neo);
        let policy = IssuancePolicy::default().with_retries(0).unwrap();
        let resource = Resource::start(rule).await;
        Self {
            rotator: Rotator::new(grant, policy).clock(Arc::new(clock.clone())),
            origins: Origins::new(&resource.url).unwrap(),
            service,
            clock,
            resource,
        }
    }

    fn request(&self) -> Request {
        to(&self.resource.url)
    }

    async fn bearer(&self) -> Option<String> {
        let token = self.rotator.token().await.unwrap();
        Some(format!("Bearer {}", token.access_token.expose()))
    }

    fn issued(&self) -> u64 {
        self.service.counters().tokens_issued
    }
}

fn to(url: &str) -> Request {
    let mut request = Request::new(Method::POST, Url::parse(url).unwrap());
    *request.body_mut() = Some("an order".into());
    request
}

async fn until_replaced(world: &World, former: &Option<String>) {
    let replaced = async {
        while world.bearer().await == *former {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(10 * SECOND, replaced).await.unwrap();
}

#[tokio::test]
async fn the_token_goes_with_a_request() {
    for kind in KINDS {
        let world = World::new(|_, _| Reply::Fine).await;
        assert_eq!(kind.send(&world, world.request()).await, Ok(200));
        let expected = (world.bearer().await, "an order".to_owned());
        assert_eq!(world.resource.asked(), [expected], "{kind:?}");
    }
}

#[tokio::test]
async fn and_to_no_other_origin() {
    for kind in KINDS {
        let world = World::with(|_, _| Reply::Fine).await;
        let other = Resource::start(|_, _| Reply::Refused(ANY)).await;
        assert_eq!(kind.send(&world, to(&other.url)).await, Ok(401));
        assert_eq!(other.authorizations(), [None], "{kind:?}");
        assert_eq!(world.issued(), 1);
    }
}

#[tokio::test]
async fn nor_along_with_a_redirect() {
    // A GET could be repeated, if the token were to blame.
    for (kind, method) in KINDS
        .iter()
        .flat_map(|it| [(it, Method::POST), (it, Method::GET)])
    {
        let other = Resource::start(|_, _| Reply::Refused(ANY)).await;
        let url = other.url.clone();
        let world = World::with(move |_, _| Reply::SeeOther(url.clone())).await;
        let mut request = world.request();
        *request.method_mut() = method.clone();
        assert_eq!(kind.send(&world, request).await, Ok(401));
        assert_eq!(other.authorizations(), [None], "{kind:?} {method}");
        assert_eq!(world.resource.authorizations(), [world.bearer().await]);
        // No token went to the one that answered 401, so none is to blame.
        assert_eq!(world.issued(), 1);
    }
}

/// What redirected the request took the token, and has carried it out.
#[tokio::test]
async fn what_was_redirected_is_repeated_only_if_idempotent() {
    for kind in KINDS {
        for (method, asked) in [(Method::POST, 2), (Method::PUT, 4), (Method::GET, 4)] {
            let world = World::with(|_, nth| match nth {
                1 | 3 => Reply::SeeOther("/orders/1".into()),
                2 => Reply::Refused(ANY),
                _ => Reply::Fine,
            });
            let world = world.await;
            let former = world.bearer().await;
            let mut request = world.request();
            *request.method_mut() = method.clone();
            let status = if asked == 2 { 401 } else { 200 };
            assert_eq!(kind.send(&world, request).await, Ok(status));
            let seen = world.resource.asked().len();
            assert_eq!(seen, asked, "{kind:?} {method}");
            // Later requests gain by it.
            until_replaced(&world, &former).await;
            assert_eq!(world.issued(), 2);
        }
    }
}

#[tokio::test]
async fn a_credential_that_the_caller_gave_stays() {
    for kind in KINDS {
        let world = World::with(|_, _| Reply::Refused(ANY)).await;
        let mut request = world.request();
        let own = HeaderValue::from_static("Bearer own");
        request.headers_mut().insert(AUTHORIZATION, own);
        assert_eq!(kind.send(&world, request).await, Ok(401));
        let own = Some("Bearer own".to_owned());
        assert_eq!(world.resource.authorizations(), [own], "{kind:?}");
        assert_eq!(world.issued(), 1);
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_request_sent_once_more() {
    for kind in KINDS {
        let challenges = &[r#"Bearer realm="orders", error="invalid_token""#];
        let world = World::with(|_, nth| match nth {
            1 => Reply::Refused(challenges),
            _ => Reply::Fine,
        });
        let world = world.await;
        let former = world.bearer().await;
        assert_eq!(kind.send(&world, world.request()).await, Ok(200));
        let latest = world.bearer().await;
        assert_ne!(former, latest);
        let asked = [former, latest].map(|it| (it, "an order".to_owned()));
        assert_eq!(world.resource.asked(), asked, "{kind:?}");
        assert_eq!(world.issued(), 2);
    }
}

#[tokio::test]
async fn once_more_and_no_further() {
    for kind in KINDS {
        let world = World::with(|_, _| Reply::Refused(ANY)).await;
        assert_eq!(kind.send(&world, world.request()).await, Ok(401));
        assert_eq!(
            (world.resource.asked().len(), world.issued()),
            (2, 2),
            "{kind:?}"
        );
        // The gate is closed now, so there is no other token, and no use in a replay.
        world.clock.advance(2 * SECOND);
        assert_eq!(kind.send(&world, world.request()).await, Ok(401));
        assert_eq!(
            (world.resource.asked().len(), world.issued()),
            (3, 2),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn no_replay_with_the_same_token() {
    for kind in KINDS {
        let world = World::with(|_, _| Reply::Refused(ANY)).await;
        world.service.fault(Fault::down());
        assert_eq!(kind.send(&world, world.request()).await, Ok(401));
        assert_eq!(
            world.resource.authorizations(),
            [world.bearer().await],
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_the_tokens_fault_costs_no_token() {
    const CHALLENGES: [&[&str]; 3] = [
        &[r#"Bearer error="insufficient_scope", scope="orders:write""#],
        &["Basic realm=\"Bearer\""],
        &["Negotiate", r#"DPoP error="invalid_token""#],
    ];
    for kind in KINDS {
        for challenges in CHALLENGES {
            let world = World::with(|_, _| Reply::Refused(challenges)).await;
            assert_eq!(kind.send(&world, world.request()).await, Ok(401));
            assert_eq!(world.resource.asked().len(), 1, "{kind:?} {challenges:?}");
            assert_eq!(world.issued(), 1);
        }
    }
}

#[tokio::test]
async fn a_stream_is_not_sent_twice_but_the_token_is_replaced() {
    for kind in KINDS {
        let world = World::with(|_, nth| match nth {
            1 => Reply::Refused(ANY),
            _ => Reply::Fine,
        });
        let world = world.await;
        let former = world.bearer().await;
        assert_eq!(kind.send(&world, streamed(&world)).await, Ok(401));
        assert_eq!(
            world.resource.asked(),
            [(former.clone(), "stream".to_owned())]
        );
        until_replaced(&world, &former).await;
        assert_eq!(world.issued(), 2, "{kind:?}");
        assert_eq!(kind.send(&world, world.request()).await, Ok(200));
    }
}

fn streamed(world: &World) -> Request {
    let mut request = world.request();
    let stream = reqwest::Body::wrap(http_body_util::Full::new(bytes::Bytes::from("stream")));
    *request.body_mut() = Some(stream);
    request
}

#[tokio::test]
async fn a_token_that_just_came_is_not_replaced_for_a_stream() {
    for kind in KINDS {
        let world = World::new(|_, _| Reply::Refused(ANY)).await;
        assert_eq!(kind.send(&world, streamed(&world)).await, Ok(401));
        assert_eq!(world.rotator.health().status, Status::Fresh, "{kind:?}");
    }
}

#[tokio::test]
async fn a_token_that_just_came_is_sent_again_after_a_second() {
    for kind in KINDS {
        let world = World::new(|_, nth| match nth {
            1 => Reply::Refused(ANY),
            _ => Reply::Fine,
        });
        let world = world.await;
        let tick = async {
            world.clock.until_sleepers(1).await;
            assert_eq!(world.clock.next_wakeup(), Some(SECOND));
            world.clock.advance(SECOND);
        };
        let (status, ()) = tokio::join!(kind.send(&world, world.request()), tick);
        assert_eq!(status, Ok(200));
        let bearer = world.bearer().await;
        assert_eq!(world.resource.authorizations(), [bearer.clone(), bearer]);
        assert_eq!(world.issued(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    for kind in KINDS {
        let world = World::new(|_, _| Reply::Fine).await;
        world.service.fault(Fault::down());
        let error = kind.send(&world, world.request()).await.unwrap_err();
        assert!(error.contains("token"), "{kind:?} {error}");
        assert_eq!(world.resource.asked(), []);
    }
}
