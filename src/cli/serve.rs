//! `steadfast serve`: the embedded OAuth service, until it is told to stop.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::policy::{IssuancePolicy, PolicyError, parse_duration};
use crate::testing::{OAuthService, RegisteredClient, ServiceConfig};

/// Run an OAuth service for tests on 127.0.0.1, with faults on demand
///
/// One JSON line on standard output tells its URLs and a client to use. Its keys are published and
/// its tokens can be guessed: nothing real may trust it.
///
/// Orders go by POST to control_url, such as /fault?kind=down&for=8h, kind being down, hang, slow
/// (by=5s), 502 or 429 (retry_after=5s), with endpoint=token and times=3 if wanted; /clear;
/// /expire; /keys?do=publish, then do=sign&kid=… and do=withdraw&kid=…; or do=replace.
/// GET /counters tells what it was asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Port of the service; 0 is any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Port that takes orders; 0 is any that is free
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// What tokens are drawn from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long tokens live, at most 24h; JWTs at most 12h
    #[arg(long, default_value = "12h", value_parser = parse_duration)]
    validity: Duration,
    /// The client that is registered; it may have any scope
    #[arg(long, default_value = "orders-client")]
    client_id: String,
    /// Takes client_id and client_secret in the body as well
    #[arg(long)]
    body_credentials: bool,
}

pub(super) fn run(args: Args) -> ExitCode {
    let config = match config(&args) {
        Ok(config) => config,
        Err(error) => {
            super::say("serve", &format_args!("--validity: {error}"));
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(serve(config, &args.client_id))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            super::say("serve", &error);
            ExitCode::FAILURE
        }
    }
}

fn config(args: &Args) -> Result<ServiceConfig, PolicyError> {
    // Only the validity of the policy counts here, so any legal rotation will do.
    let rotation = args.validity / 4..=args.validity / 2;
    let policy = IssuancePolicy::new(args.validity, rotation)?;
    let client = RegisteredClient::new(&args.client_id, SECRET).policy(policy);
    let config = ServiceConfig::default()
        .port(args.port)
        .control_port(args.control_port)
        .seed(args.seed)
        .client(client);
    Ok(if args.body_credentials {
        config.body_credentials()
    } else {
        config
    })
}

async fn serve(config: ServiceConfig, client_id: &str) -> io::Result<()> {
    let mut stop = Stop::listen()?;
    let service = OAuthService::start(config).await?;
    let mut out = io::stdout();
    writeln!(out, "{}", describe(&service, client_id))?;
    out.flush()?;
    super::say(
        "serve",
        &format_args!("serving {}, stop with Ctrl-C", service.url()),
    );
    stop.wait().await;
    service.stop().await;
    Ok(())
}

fn describe(service: &OAuthService, client_id: &str) -> Value {
    json!({
        "issuer": service.issuer(),
        "token_url": service.token_url(),
        "jwks_url": service.jwks_url(),
        "introspection_url": service.introspection_url(),
        "control_url": service.control_url(),
        "client_id": client_id,
        "client_secret": SECRET,
    })
}

/// No secret: it is printed.
const SECRET: &str = "orders-secret";

/// SIGINT and SIGTERM, listened for before anything is announced.
#[cfg(unix)]
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Stop;

#[cfg(not(unix))]
impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
