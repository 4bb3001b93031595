//! A client that shows everything: one request on a socket, headers and errors as they come.

use std::io;

use steadfast::testing::OAuthService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// `client:secret`
pub const BASIC: (&str, &str) = ("authorization", "Basic Y2xpZW50OnNlY3JldA==");

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (it, value) = line.split_once(": ")?;
            it.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// A member of the answer that is a string.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        let json = self.json();
        let text = json[member].as_str();
        text.unwrap_or_else(|| panic!("no {member}: {self:?}"))
            .to_owned()
    }
}

/// Sends one request on a connection of its own.
pub async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let (mut stream, request) = open(method, url, headers, body, "close").await?;
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(parse(&reply))
}

/// Sends a request and returns the connection, unanswered.
pub async fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<TcpStream> {
    let (mut stream, request) = open(method, url, headers, body, "keep-alive").await?;
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn open(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    connection: &str,
) -> io::Result<(TcpStream, String)> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let stream = TcpStream::connect(host).await?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    let length = body.len();
    request += &format!("connection: {connection}\r\ncontent-length: {length}\r\n\r\n{body}");
    Ok((stream, request))
}

fn parse(reply: &str) -> Reply {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    Reply {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A token request of `client` with these further parameters.
pub async fn token(service: &OAuthService, parameters: &str) -> Reply {
    let body = format!("grant_type=client_credentials{parameters}");
    let url = service.token_url();
    send("POST", &url, &[FORM, BASIC], &body).await.unwrap()
}

pub async fn get(url: &str) -> Reply {
    send("GET", url, &[], "").await.unwrap()
}

pub async fn introspect(service: &OAuthService, token: &str) -> Reply {
    let (url, body) = (service.introspection_url(), format!("token={token}"));
    send("POST", &url, &[FORM, BASIC], &body).await.unwrap()
}

/// What becomes of a request: its status, or how the connection ended.
pub async fn outcome(method: &str, url: &str) -> Result<u16, io::ErrorKind> {
    let reply = send(method, url, &[], "").await;
    reply
        .map(|reply| reply.status)
        .map_err(|error| error.kind())
}

/// How a connection ends on which an answer is awaited.
pub async fn end_of(mut stream: TcpStream) -> io::ErrorKind {
    let mut reply = [0; 4096];
    match stream.read(&mut reply).await {
        Ok(0) => panic!("closed, not reset"),
        Ok(n) => panic!("answered: {}", String::from_utf8_lossy(&reply[..n])),
        Err(error) => error.kind(),
    }
}
