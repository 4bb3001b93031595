//! The settings of a client, from flags and from a file: one list for both.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::policy::{IssuancePolicy, PolicyError, parse_duration, parse_range};
use crate::rotator::{ClientCredentials, Preset, SecretSource};
use crate::token::FormatPreference;
use crate::transport::Endpoint;

/// What is known of a client. Values are texts here; [`Settings::client`] reads them.
///
/// In TOML the names are those of the flags, with `_` or `-`; `scope` and `resource` are a text or
/// a list of them, and paths are relative to the file. There is no member for the secret itself.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// The same settings as TOML; flags win
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The token endpoint
    #[arg(long, value_name = "URL")]
    #[serde(alias = "token-url")]
    token_url: Option<String>,
    /// The client's id; its secret is in STEADFAST_CLIENT_SECRET or in a file
    #[arg(long, value_name = "ID")]
    #[serde(alias = "client-id")]
    client_id: Option<String>,
    /// A file with the client's secret; one line end is cut
    #[arg(long, value_name = "FILE")]
    #[serde(alias = "client-secret-file")]
    client_secret_file: Option<PathBuf>,
    /// How the service wants to be asked: generic, neo or uaa [default: generic]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// A scope to ask for; may be repeated
    #[arg(long, value_name = "S")]
    #[serde(deserialize_with = "one_or_many")]
    scope: Vec<String>,
    /// The audience to ask for
    #[arg(long, value_name = "A")]
    audience: Option<String>,
    /// A resource to ask for (RFC 8707); may be repeated
    #[arg(long, value_name = "R")]
    #[serde(deserialize_with = "one_or_many")]
    resource: Vec<String>,
    /// prefer-jwt, require-jwt or opaque [default: prefer-jwt]
    #[arg(long)]
    format: Option<String>,
    /// The age at which a token is replaced is drawn from this range [default: 1h..2h]
    #[arg(long, value_name = "RANGE")]
    #[serde(alias = "rotate-every")]
    rotate_every: Option<String>,
    /// How long tokens shall live, at most 24h [default: 12h]
    #[arg(long, value_name = "DURATION")]
    validity: Option<String>,
    /// Tries after the first one, 0 to 2 [default: 1]
    #[arg(long, value_name = "N")]
    retries: Option<u8>,
    /// Renew a token that lives shorter than this, counted to at most half its lifetime
    #[arg(long, value_name = "DURATION")]
    #[serde(alias = "min-validity")]
    min_validity: Option<String>,
    /// The file that tokens are kept in [default: steadfast/tokens.json in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
}

/// What a command that acts for a client needs.
pub(super) struct Client {
    pub(super) grant: ClientCredentials,
    pub(super) policy: IssuancePolicy,
    pub(super) min_validity: Duration,
    pub(super) store: StorePlace,
}

/// Where tokens are kept.
pub(super) enum StorePlace {
    /// Where the user said.
    Given(PathBuf),
    /// Where caches are; `None` if this user has no such place.
    Default(Option<PathBuf>),
}

impl Settings {
    /// Reads the file, lets the flags win, and makes sense of the rest.
    pub(super) fn client(self) -> Result<Client, ConfigError> {
        let settings = match &self.config {
            Some(path) => {
                let file = Self::from_file(path)?;
                self.over(file)
            }
            None => self,
        };
        Ok(Client {
            policy: settings.policy()?,
            min_validity: match &settings.min_validity {
                Some(text) => parse_duration(text).map_err(|it| bad("min-validity", it))?,
                None => Duration::ZERO,
            },
            grant: settings.grant()?,
            store: match settings.store {
                Some(path) => StorePlace::Given(path),
                None => StorePlace::Default(default_store()),
            },
        })
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|it| unreadable(path, &it))?;
        let mut settings = Self::from_toml(&text)
            .map_err(|(line, what)| ConfigError::Toml(path.into(), line, what))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut settings.client_secret_file, &mut settings.store] {
            *path = path.take().map(|path| folder.join(path));
        }
        Ok(settings)
    }

    fn from_toml(text: &str) -> Result<Self, (usize, String)> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|at| text.get(..at.start));
            let line = before.unwrap_or_default().matches('\n').count() + 1;
            // The library's own text shows the line, and so perhaps a secret that is none of ours.
            let what = match error.message() {
                message if message.starts_with("unknown field") => message.into(),
                _ => "not TOML, or a value of the wrong type".into(),
            };
            (line, what)
        })
    }

    fn over(self, file: Self) -> Self {
        let list = |own: Vec<String>, other| if own.is_empty() { other } else { own };
        // A secret of this process goes before one of the file.
        let secret_file = match secret_of_environment() {
            Some(_) => None,
            None => file.client_secret_file,
        };
        Self {
            config: None,
            token_url: self.token_url.or(file.token_url),
            client_id: self.client_id.or(file.client_id),
            client_secret_file: self.client_secret_file.or(secret_file),
            provider: self.provider.or(file.provider),
            scope: list(self.scope, file.scope),
            audience: self.audience.or(file.audience),
            resource: list(self.resource, file.resource),
            format: self.format.or(file.format),
            rotate_every: self.rotate_every.or(file.rotate_every),
            validity: self.validity.or(file.validity),
            retries: self.retries.or(file.retries),
            min_validity: self.min_validity.or(file.min_validity),
            store: self.store.or(file.store),
        }
    }

    fn policy(&self) -> Result<IssuancePolicy, ConfigError> {
        let default = IssuancePolicy::default();
        let validity = match &self.validity {
            Some(text) => parse_duration(text).map_err(|it| bad("validity", it))?,
            None => default.validity(),
        };
        let rotate_every = match &self.rotate_every {
            Some(text) => parse_range(text).map_err(|it| bad("rotate-every", it))?,
            None => default.rotate_every(),
        };
        let format = match &self.format {
            Some(text) => FormatPreference::from_str(text).map_err(|it| bad("format", it))?,
            None => default.format(),
        };
        let policy = IssuancePolicy::new(validity, rotate_every)
            .and_then(|it| it.with_retries(self.retries.unwrap_or(default.retries())))
            .map_err(ConfigError::Policy)?;
        Ok(policy.with_format(format))
    }

    fn grant(&self) -> Result<ClientCredentials, ConfigError> {
        let url = self.token_url.as_deref().ok_or(missing("token-url"))?;
        let endpoint = Endpoint::new(url).map_err(|it| bad("token-url", it))?;
        let client_id = self.client_id.as_deref().ok_or(missing("client-id"))?;
        let preset = match &self.provider {
            Some(name) => Preset::from_str(name).map_err(|it| bad("provider", it))?,
            None => Preset::default(),
        };
        let mut grant = ClientCredentials::at(endpoint, client_id, self.secret()?).preset(preset);
        for scope in &self.scope {
            grant = grant.scope(scope);
        }
        for resource in &self.resource {
            grant = grant.resource(resource);
        }
        Ok(match &self.audience {
            Some(audience) => grant.audience(audience),
            None => grant,
        })
    }

    fn secret(&self) -> Result<SecretSource, ConfigError> {
        match (&self.client_secret_file, secret_of_environment()) {
            (Some(path), _) => {
                let source = SecretSource::from(path.clone());
                source.read().map_err(|it| unreadable(path, &it))?;
                Ok(source)
            }
            (None, Some(secret)) => Ok(secret.into()),
            (None, None) => Err(ConfigError::NoSecret),
        }
    }
}

const SECRET: &str = "STEADFAST_CLIENT_SECRET";

fn secret_of_environment() -> Option<String> {
    env::var(SECRET).ok().filter(|secret| !secret.is_empty())
}

/// A relative XDG_CACHE_HOME is as good as none (XDG Base Directory Specification).
fn default_store() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).map(PathBuf::from);
    let caches = folder("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .filter(|path| path.is_absolute())?;
    Some(caches.join("steadfast/tokens.json"))
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

/// Why there is no [`Client`]: each is a mistake of the user's.
#[derive(Debug)]
pub(super) enum ConfigError {
    /// A setting that is needed.
    Missing(&'static str),
    /// A setting that means nothing, and why.
    Bad(&'static str, String),
    /// Settings that make no policy.
    Policy(PolicyError),
    /// No secret anywhere.
    NoSecret,
    /// A file that cannot be read.
    Unreadable(PathBuf, io::ErrorKind),
    /// A line of a file that is no setting.
    Toml(PathBuf, usize, String),
}

fn missing(setting: &'static str) -> ConfigError {
    ConfigError::Missing(setting)
}

fn bad(setting: &'static str, why: impl fmt::Display) -> ConfigError {
    ConfigError::Bad(setting, why.to_string())
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::Unreadable(path.into(), error.kind())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(setting) => write!(f, "--{setting} is missing"),
            Self::Bad(setting, why) => write!(f, "--{setting}: {why}"),
            Self::Policy(error) => error.fmt(f),
            Self::NoSecret => write!(
                f,
                "no client secret: set {SECRET} or name a file with --client-secret-file"
            ),
            Self::Unreadable(path, kind) => write!(f, "{}: {kind}", path.display()),
            Self::Toml(path, line, what) => write!(f, "{}, line {line}: {what}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Settings {
        Settings::from_toml(text).unwrap()
    }

    #[test]
    fn toml_has_the_names_of_the_flags() {
        for text in [
            "token_url = 'u'\nrotate_every = '1h'\nscope = 'a b'\nresource = ['r', 's']\nretries = 2",
            "token-url = 'u'\nrotate-every = '1h'\nscope = ['a b']\nresource = ['r', 's']\nretries = 2",
        ] {
            let settings = read(text);
            assert_eq!(settings.token_url.as_deref(), Some("u"));
            assert_eq!(settings.rotate_every.as_deref(), Some("1h"));
            assert_eq!(settings.scope, ["a b"]);
            assert_eq!(settings.resource, ["r", "s"]);
            assert_eq!(settings.retries, Some(2));
        }
    }

    #[test]
    fn mistakes_name_their_line_and_show_no_value() {
        for (text, line, what) in [
            (
                "client_id = 'a'\nclient_secret = 's3cret'",
                2,
                "unknown field `client_secret`",
            ),
            ("config = 's3cret'", 1, "unknown field `config`"),
            (
                "\n\nretries = 's3cret'",
                3,
                "not TOML, or a value of the wrong type",
            ),
            ("scope = [1]", 1, "not TOML, or a value of the wrong type"),
            (
                "client_id = s3cret",
                1,
                "not TOML, or a value of the wrong type",
            ),
        ] {
            let (at, said) = Settings::from_toml(text).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(said.starts_with(what), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn flags_win() {
        let flags = read("client_id = 'flag'\nscope = 'flag'");
        let file = read("client_id = 'file'\nscope = ['a', 'b']\naudience = 'file'\nretries = 0");
        let both = flags.over(file);
        assert_eq!(both.client_id.as_deref(), Some("flag"));
        assert_eq!(both.scope, ["flag"]);
        assert_eq!(both.audience.as_deref(), Some("file"));
        assert_eq!(both.policy().unwrap().retries(), 0);
    }

    #[test]
    fn policies() {
        let policy = read("validity = '6h'\nrotate_every = '30m..1h'\nformat = 'opaque'").policy();
        let policy = policy.unwrap();
        assert_eq!(policy.validity(), Duration::from_secs(6 * 3600));
        assert_eq!(policy.format(), FormatPreference::Opaque);
        assert_eq!(read("").policy().unwrap(), IssuancePolicy::default());
        for (text, why) in [
            ("validity = '25h'", "validity must be at most 24h"),
            (
                "validity = '2h'",
                "rotation must end within half of the validity",
            ),
            (
                "validity = 'long'",
                "--validity: expected an integer and ms, s, m, h or d, such as 90s",
            ),
            (
                "rotate_every = '1h-2h'",
                "--rotate-every: expected an integer and ms, s, m, h or d, such as 90s",
            ),
            ("retries = 3", "retries must be 0, 1 or 2"),
            (
                "format = 'jwt'",
                "--format: expected prefer-jwt, require-jwt or opaque",
            ),
        ] {
            assert_eq!(read(text).policy().unwrap_err().to_string(), why, "{text}");
        }
    }
}
