//! A connection that is there when it is needed, and not waited for when it cannot be had.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, ServerErrorKind,
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, error::Elapsed, timeout};
use tokio_rustls::TlsConnector;

use super::super::{LONGEST_ANSWER_OF_A_STORE, StoreError};
use crate::transport::{CaError, ca_file_tls, platform_tls};

/// A Redis server, and the connection to it while there is one.
pub(super) struct Server {
    address: Address,
    login: RedisConnectionInfo,
    link: ArcSwapOption<Link>,
}

enum Address {
    Tcp(String, u16),
    /// Whom it trusts is found out when it is first needed, if no file was given.
    Tls(String, u16, OnceLock<Option<Arc<ClientConfig>>>),
    Unix(PathBuf),
}

impl Server {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = || StoreError::unusable("its URL is none of Redis");
        let (plain, tls) = match url.strip_prefix("rediss://") {
            Some(rest) => (format!("redis://{rest}"), true),
            None => (url.to_owned(), false),
        };
        let parsed = plain.into_connection_info().map_err(|_| wrong())?;
        let address = match parsed.addr() {
            ConnectionAddr::Tcp(host, port) if tls => {
                Address::Tls(host.clone(), *port, OnceLock::new())
            }
            ConnectionAddr::Tcp(host, port) => Address::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(wrong()),
        };
        Ok(Self {
            address,
            login: parsed.redis_settings().clone().set_skip_set_lib_name(),
            link: ArcSwapOption::empty(),
        })
    }

    /// With the certificate authorities of a file, where there is TLS at all.
    pub(super) fn trusting(mut self, path: &Path) -> Result<Self, CaError> {
        let trusted = ca_file_tls(path)?.map(Arc::new);
        if let Address::Tls(_, _, trust) = &mut self.address {
            *trust = OnceLock::from(trusted);
        }
        Ok(self)
    }

    /// Whether what is said goes over a network in the clear.
    pub(super) fn is_plain(&self) -> bool {
        match &self.address {
            Address::Tcp(host, _) => !is_loopback(host),
            Address::Tls(..) | Address::Unix(_) => false,
        }
    }

    /// Asks, and waits no longer than [`LONGEST_ANSWER_OF_A_STORE`] for the answer. The command may
    /// be run twice.
    ///
    /// In a task of its own: what was begun is then ended whoever waits for it, and where the runtime
    /// has no timers or no I/O, its panic is an error.
    pub(super) async fn ask<T>(self: &Arc<Self>, command: Cmd) -> Result<T, StoreError>
    where
        T: FromRedisValue + Send + 'static,
    {
        let no_runtime = || StoreError::unusable("no tokio runtime with timers and I/O is here");
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        let server = Arc::clone(self);
        let asked = async move {
            let answer = timeout(LONGEST_ANSWER_OF_A_STORE, server.ask_twice(&command)).await;
            answer.unwrap_or_else(|error| {
                server.link.store(None);
                Err(error.into())
            })
        };
        runtime
            .spawn(asked)
            .await
            .unwrap_or_else(|_| Err(no_runtime()))
    }

    /// Over the connection that is there, and if that is lost, over a new one.
    async fn ask_twice<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        if let Some(link) = self.link.load_full()
            && link.is_of_use()
        {
            match link.ask(command).await {
                Err(error) if error.is_unrecoverable_error() => {}
                answer => return answer.map_err(StoreError::from),
            }
        }
        // Two that come here at once connect twice, and the later connection stays.
        let link = self.connect().await?;
        let answer = link.ask(command).await;
        self.link.store(answer.is_ok().then_some(link));
        answer.map_err(StoreError::from)
    }

    async fn connect(&self) -> Result<Arc<Link>, StoreError> {
        let stream = self.open().await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&self.login, stream, config).await;
        let (connection, driver) = made?;
        Ok(Arc::new(Link {
            connection,
            driver: tokio::spawn(timeout(2 * YOUTH, driver)),
            since: Instant::now(),
            process: process::id(),
        }))
    }

    async fn open(&self) -> Result<Box<dyn Stream>, StoreError> {
        match &self.address {
            Address::Tcp(host, port) => Ok(Box::new(connect(host, *port).await?)),
            Address::Tls(host, port, trust) => {
                let trust = trust.get_or_init(|| platform_tls().map(Arc::new));
                let trust = trust.clone().ok_or(StoreError::unusable(NO_TLS))?;
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| StoreError::unusable(NO_TLS))?;
                let tls = TlsConnector::from(trust);
                let stream = tls.connect(name, connect(host, *port).await?).await;
                Ok(Box::new(stream.map_err(|_| StoreError::unusable(NO_TLS))?))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
        }
    }
}

/// Where it is, and neither user nor password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.login.db();
        match &self.address {
            Address::Tcp(host, port) => write!(f, "redis://{host}:{port}/{database}"),
            Address::Tls(host, port, _) => write!(f, "rediss://{host}:{port}/{database}"),
            Address::Unix(path) => write!(f, "redis+unix://{}?db={database}", path.display()),
        }
    }
}

/// One connection. It is used for as long as one renewal takes, since those that idle for an hour
/// may die in a network without a word.
struct Link {
    connection: MultiplexedConnection,
    driver: JoinHandle<Result<(), Elapsed>>,
    since: Instant,
    /// A fork leaves the driver behind in the parent, and nobody answers here.
    process: u32,
}

impl Link {
    fn is_of_use(&self) -> bool {
        let is_here = self.process == process::id();
        is_here && self.since.elapsed() < YOUTH && !self.driver.is_finished()
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It would wait for answers that nobody waits for any more. That of a parent is its own.
        if self.process == process::id() {
            self.driver.abort();
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

impl From<Elapsed> for StoreError {
    fn from(_: Elapsed) -> Self {
        Self::no_answer()
    }
}

/// What Redis says is cut to what it is about: its words may repeat ours.
impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        let refused = "Redis refuses the user or the password";
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) => Self::unusable(refused),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
                Self::unusable("Redis gives this user too few rights")
            }
            (_, Some("NOAUTH" | "WRONGPASS")) => Self::unusable(refused),
            (_, Some(code)) if is_code(code) => Self::unusable(format!("Redis answers {code}")),
            (ErrorKind::Io, _) => Self::unusable("the connection to Redis is lost"),
            _ => Self::unusable("Redis answers something else"),
        }
    }
}

/// The first word of an error, such as `READONLY` or `OOM`.
fn is_code(code: &str) -> bool {
    code.len() <= 20 && code.bytes().all(|it| it.is_ascii_uppercase())
}

const NO_TLS: &str = "no TLS to Redis: its certificate is not trusted, or it speaks none";

const YOUTH: Duration = Duration::from_secs(30);
