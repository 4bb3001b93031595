//! The command with a service on loopback and a home of its own.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use steadfast::testing::{Endpoint, OAuthService, RegisteredClient, ServiceConfig};

pub(crate) const CLIENT: &str = "orders-client";
pub(crate) const SECRET: &str = "s3cret of the/orders+client";

pub(crate) fn registered() -> RegisteredClient {
    RegisteredClient::new(CLIENT, SECRET).scopes(["orders:read", "orders:write"])
}

/// An empty folder for this user alone.
pub(crate) fn folder(theme: &str, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(theme)
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

/// The command in an environment without any setting.
pub(crate) fn bare(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    command
        .args(args)
        .env("HOME", home)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("STEADFAST_CLIENT_SECRET")
        .env_remove("STEADFAST_REDIS_URL")
        .stdin(Stdio::null());
    command
}

/// A service, and a home of its own for the command.
pub(crate) struct Case {
    pub(crate) service: OAuthService,
    pub(crate) home: PathBuf,
}

impl Case {
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, registered()).await
    }

    pub(crate) async fn with(name: &str, client: RegisteredClient) -> Self {
        let config = ServiceConfig::default().client(client);
        Self {
            service: OAuthService::start(config).await.unwrap(),
            home: folder("token", name),
        }
    }

    /// `steadfast token` without any setting.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        bare(&self.home, &[&["token"], args].concat())
    }

    /// `steadfast token` with what every client needs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.subcommand("token", args)
    }

    /// A subcommand with what every client needs.
    pub(crate) fn subcommand(&self, name: &str, args: &[&str]) -> Command {
        let url = self.service.token_url();
        let settings = [name, "--token-url", &url, "--client-id", CLIENT];
        let mut command = bare(&self.home, &settings);
        command.args(args).env("STEADFAST_CLIENT_SECRET", SECRET);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// `steadfast status` without a secret, which it does not need.
    pub(crate) fn status(&self, args: &[&str]) -> Ran {
        let mut command = self.subcommand("status", args);
        run(command.env_remove("STEADFAST_CLIENT_SECRET"))
    }

    /// Puts a text into a file at home.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.home.join(".cache/steadfast/tokens.json")
    }

    pub(crate) fn asked(&self) -> u64 {
        self.service.counters().received(Endpoint::Token)
    }

    pub(crate) fn age(&self, by: Duration) {
        age(&self.store(), by);
    }
}

/// Makes all that is stored older, by times that the command wrote itself.
pub(crate) fn age(store: &Path, by: Duration) {
    let by = i64::try_from(by.as_millis()).unwrap();
    let mut stored: Value = serde_json::from_slice(&fs::read(store).unwrap()).unwrap();
    for entry in stored["entries"].as_object_mut().unwrap().values_mut() {
        for time in TIMES {
            if let Some(time) = entry.pointer_mut(time).filter(|it| it.is_i64()) {
                *time = (time.as_i64().unwrap() - by).into();
            }
        }
    }
    fs::write(store, stored.to_string()).unwrap();
}

const TIMES: [&str; 9] = [
    "/token/issued_at",
    "/token/expires_at",
    "/former/issued_at",
    "/former/expires_at",
    "/requested_at",
    "/gate/opens_at",
    "/failed/since",
    "/failed/written_at",
    "/failed/next_attempt",
];

pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it, and looks for the secret in whatever it says.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    ran(command.output().unwrap())
}

#[track_caller]
pub(crate) fn ran(output: Output) -> Ran {
    let ran = Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    for said in [&ran.out, &ran.err] {
        assert!(
            !said.contains("s3cret") && !said.contains("of the/"),
            "{said}"
        );
    }
    assert!(!ran.err.contains("eyJ"), "{}", ran.err);
    ran
}

impl Ran {
    /// The token of a run that printed one, and has nothing to say.
    #[track_caller]
    pub(crate) fn token(self) -> String {
        assert_eq!(self.err, "");
        self.token_with("")
    }

    /// The token of a run that printed one, and says this.
    #[track_caller]
    pub(crate) fn token_with(self, words: &str) -> String {
        assert_eq!(self.status, 0, "{}", self.err);
        assert!(self.err.contains(words), "{}", self.err);
        let token = self.out.strip_suffix('\n').unwrap();
        assert!(!token.contains(char::is_whitespace) && !token.is_empty());
        token.into()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.err);
        self.line()
    }

    /// The one line of JSON, whatever the exit status.
    #[track_caller]
    pub(crate) fn line(&self) -> Value {
        assert_eq!(self.out.matches('\n').count(), 1, "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    /// A run that printed nothing but why.
    #[track_caller]
    pub(crate) fn failed(self, status: i32, why: &str) {
        assert_eq!(self.status, status, "{}", self.err);
        assert_eq!(self.out, "");
        assert!(self.err.starts_with("steadfast "), "{}", self.err);
        assert!(self.err.contains(why), "{}", self.err);
    }
}
