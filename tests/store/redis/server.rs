//! A Redis server of one test, empty, on a free port.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use redis::Connection;

pub(crate) struct Server {
    port: u16,
    tls: bool,
    arguments: Vec<String>,
    running: Option<Child>,
    connections: AtomicU32,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::with(arguments, false)
    }

    pub(crate) fn start_tls() -> Self {
        let [certificate, key, ca] = ["server.pem", "server.key.pem", "ca.pem"]
            .map(|name| tls_file(name).to_str().unwrap().to_owned());
        let arguments = [
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "no",
        ];
        Self::with(&arguments, true)
    }

    fn with(arguments: &[&str], tls: bool) -> Self {
        let mut server = Self {
            port: 0,
            tls,
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
            running: None,
            connections: AtomicU32::new(0),
        };
        // Another test's server may have taken the port in between.
        for _ in 0..10 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn start_again(&mut self) {
        self.stop();
        assert!(self.try_start(), "redis-server does not start again");
    }

    /// Killed: nothing is kept.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// It holds still until what is returned is dropped.
    #[cfg(unix)]
    pub(crate) fn pause(&self) -> Paused {
        let id = self.running.as_ref().unwrap().id();
        signal(id, "-STOP");
        Paused(id)
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("")
    }

    /// `user` ends with an `@`.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://{user}127.0.0.1:{}", self.port)
    }

    /// A connection that is not the store's.
    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().unwrap()
    }

    /// How many were made by [`Self::connect`], and to see whether it runs.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        let connection = redis::Client::open(self.url())?.get_connection()?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }

    fn try_start(&mut self) -> bool {
        let port = self.port.to_string();
        let ports = match self.tls {
            true => ["--port", "0", "--tls-port", &port],
            false => ["--port", &port, "--tls-port", "0"],
        };
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(ports)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn();
        self.running = Some(child.unwrap_or_else(|error| panic!("redis-server: {error}")));
        self.connections = AtomicU32::new(0);
        self.is_up()
    }

    /// Waits until it answers, or has ended.
    fn is_up(&mut self) -> bool {
        for _ in 0..1000 {
            if self.running.as_mut().unwrap().try_wait().unwrap().is_some() {
                return false;
            }
            let up = match self.tls {
                true => std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok(),
                false => self.try_connect().is_ok(),
            };
            if up {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(unix)]
pub(crate) struct Paused(u32);

#[cfg(unix)]
impl Drop for Paused {
    fn drop(&mut self) {
        signal(self.0, "-CONT");
    }
}

#[cfg(unix)]
fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

pub(crate) fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
