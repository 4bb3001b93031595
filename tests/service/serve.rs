//! The command `steadfast serve`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::{FORM, outcome, send};

/// A process that does not outlive its test.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> Serve {
    let child = Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .arg("serve")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Serve(child)
}

/// None if it ends before.
fn first_line(serve: &mut Serve) -> String {
    let mut line = String::new();
    let out = serve.0.stdout.as_mut().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    line
}

fn serve(arguments: &[&str]) -> (Serve, Value) {
    let mut serve = start(arguments);
    let line = first_line(&mut serve);
    (serve, serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn serves_until_told_to_stop() {
    let mut tokens = BTreeSet::new();
    for (signal, seed) in [(Signal::INT, "7"), (Signal::TERM, "7"), (Signal::TERM, "8")] {
        let settings = ["--seed", seed, "--validity", "1h", "--client-id", "shop"];
        let (mut serve, urls) = serve(&[&settings[..], &["--body-credentials"]].concat());
        let url = |name: &str| urls[name].as_str().unwrap().to_owned();
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            url("client_id"),
            url("client_secret")
        );
        let reply = send("POST", &url("token_url"), &[FORM], &body)
            .await
            .unwrap();
        assert_eq!(reply.json()["expires_in"], 3600);
        assert_eq!(urls["client_id"], "shop");
        tokens.insert(reply.json()["access_token"].to_string());
        let fault = format!("{}/fault?kind=down", url("control_url"));
        assert_eq!(outcome("POST", &fault).await, Ok(200));
        assert!(outcome("GET", &url("jwks_url")).await.is_err());
        kill_process(Pid::from_child(&serve.0), signal).unwrap();
        assert!(serve.0.wait().unwrap().success());
    }
    assert_eq!(tokens.len(), 2, "the same seed draws the same");
}

#[test]
fn ports_are_those_that_were_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for flag in ["--port", "--control-port"] {
        let mut serve = start(&[flag, &taken]);
        assert_eq!(first_line(&mut serve), "", "{flag}");
        assert_eq!(serve.0.wait().unwrap().code(), Some(1), "{flag}");
    }
}

#[test]
fn refuses_what_is_no_validity() {
    for validity in ["25h", "0s", "1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_steadfast"))
            .args(["serve", "--validity", validity])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{validity}");
        assert!(output.stdout.is_empty());
    }
}
