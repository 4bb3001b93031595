//! An authorization server that is not ours, started for one test.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Runs until [`Server::stop`] or until it is dropped.
pub(crate) struct Server {
    command: &'static [&'static str],
    port: u16,
    running: Option<(Child, ChildStdin)>,
}

impl Server {
    /// Runs `command` with a free port as its last argument and waits until it says `ready`.
    #[track_caller]
    pub(crate) fn start(command: &'static [&'static str]) -> Self {
        let mut server = Self {
            command,
            port: free_port(),
            running: None,
        };
        server.start_again();
        server
    }

    /// On the same port, after [`Server::stop`].
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server runs already");
        let (program, arguments) = self.command.split_first().unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let stdin = child.stdin.take().unwrap();
        let ready = first_line(BufReader::new(child.stdout.take().unwrap()));
        self.running = Some((child, stdin));
        match ready.recv_timeout(START_TIMEOUT) {
            Ok(line) => assert_eq!(line, format!("ready {}", self.url(""))),
            Err(error) => panic!("{program} did not start: {error}"),
        }
    }

    /// Connections are refused from here on.
    pub(crate) fn stop(&mut self) {
        if let Some((mut child, stdin)) = self.running.take() {
            drop(stdin);
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a request without a body and returns the answer's body.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{method} {path}: {head}");
        body.to_owned()
    }
}

/// The script ends when its standard input does, also when the test's process is killed.
impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Reads on after the first line, so that the server never waits for a reader.
fn first_line(output: impl BufRead + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

const START_TIMEOUT: Duration = Duration::from_secs(60);
