//! A gRPC service on tonic, which verifies bearer tokens without ever waiting for their issuer.
//!
//! ```sh
//! cargo run --features tower --example tonic -- https://login.example https://orders.example
//! ```
//!
//! takes the issuer and the audience, and listens on 127.0.0.1:3000. It speaks `grpc.health.v1`, for
//! want of an interface of its own.

use steadfast::verifier::challenge::Challenge;
use steadfast::verifier::{KeyCache, Refresher, Trust, Verified, Verifier, VerifyLayer};
use tokio::net::TcpListener;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::layer::util::{Identity, Stack};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(issuer), Some(audience)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tonic ISSUER AUDIENCE".into());
    };
    // Until the first keys are here, tokens are answered with `unavailable`.
    let keys = KeyCache::empty();
    tokio::spawn(Refresher::discover(&issuer, keys.clone())?.run());
    let verifier = Verifier::new(Trust::issuer(issuer).audience(audience), keys);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let incoming = TcpIncoming::from(listener);
    app(verifier).serve_with_incoming(incoming).await?;
    Ok(())
}

/// The server's services, all behind one layer.
pub fn app(verifier: Verifier) -> Router<Stack<VerifyLayer, Identity>> {
    let layer = VerifyLayer::new(verifier)
        .challenge(Challenge::default().realm("health"))
        .require_scope("health:read");
    Server::builder()
        .layer(layer)
        .add_service(HealthServer::new(Healthy))
}

const SERVING: i32 = ServingStatus::Serving as i32;

/// Always well, and says to whom.
struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let token = request.extensions().get::<Verified>();
        let subject = token.and_then(|it| it.claims().sub.as_deref());
        let subject = subject.and_then(|it| it.parse().ok());
        let mut response = Response::new(HealthCheckResponse { status: SERVING });
        if let Some(subject) = subject {
            response.metadata_mut().insert("subject", subject);
        }
        Ok(response)
    }

    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask again instead"))
    }
}
