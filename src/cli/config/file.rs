//! The file of settings, and what flags make of it.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::Settings;
use super::credential::secret_of_environment;
use super::error::{ConfigError, unreadable};
use crate::disk;

impl Settings {
    pub(super) fn with_file(self) -> Result<Self, ConfigError> {
        Ok(match &self.config {
            Some(path) => {
                let file = Self::from_file(path)?;
                self.over(file, secret_of_environment().is_some())
            }
            None => self,
        })
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = disk::read_text(path).map_err(|it| unreadable(path, &it))?;
        let settings = Self::from_toml(&text)
            .map_err(|(line, what)| ConfigError::Toml(path.into(), line, what))?;
        Ok(settings.of_folder(path.parent().unwrap_or(Path::new(""))))
    }

    /// With paths as a file in this folder means them.
    fn of_folder(mut self, folder: &Path) -> Self {
        for path in [
            &mut self.client_secret_file,
            &mut self.private_key_file,
            &mut self.certificate_file,
            &mut self.assertion_file,
            &mut self.subject_token_file,
            &mut self.actor_token_file,
            &mut self.refresh_token_file,
            &mut self.store,
            &mut self.seal_key_file,
            #[cfg(feature = "redis")]
            &mut self.redis_url_file,
        ] {
            *path = path.take().map(|path| folder.join(path));
        }
        self
    }

    pub(super) fn from_toml(text: &str) -> Result<Self, (usize, String)> {
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

    fn over(self, file: Self, secret_in_environment: bool) -> Self {
        let list = |own: Vec<String>, other| if own.is_empty() { other } else { own };
        // A secret of this process goes before one of the file.
        let secret_file = file.client_secret_file.filter(|_| !secret_in_environment);
        // So does a flag that names another place for tokens.
        #[cfg(feature = "redis")]
        let store = file.store.filter(|_| self.redis_url_file.is_none());
        #[cfg(not(feature = "redis"))]
        let store = file.store;
        Self {
            config: None,
            token_url: self.token_url.or(file.token_url),
            client_id: self.client_id.or(file.client_id),
            client_secret_file: self.client_secret_file.or(secret_file),
            private_key_file: self.private_key_file.or(file.private_key_file),
            key_id: self.key_id.or(file.key_id),
            certificate_file: self.certificate_file.or(file.certificate_file),
            assertion_audience: self.assertion_audience.or(file.assertion_audience),
            client_auth: self.client_auth.or(file.client_auth),
            grant: self.grant.or(file.grant),
            subject: self.subject.or(file.subject),
            assertion_file: self.assertion_file.or(file.assertion_file),
            subject_token_file: self.subject_token_file.or(file.subject_token_file),
            subject_token_type: self.subject_token_type.or(file.subject_token_type),
            actor: self.actor.or(file.actor),
            actor_token_file: self.actor_token_file.or(file.actor_token_file),
            actor_token_type: self.actor_token_type.or(file.actor_token_type),
            requested_token_type: self.requested_token_type.or(file.requested_token_type),
            refresh_token_file: self.refresh_token_file.or(file.refresh_token_file),
            provider: self.provider.or(file.provider),
            scope: list(self.scope, file.scope),
            audience: self.audience.or(file.audience),
            resource: list(self.resource, file.resource),
            format: self.format.or(file.format),
            rotate_every: self.rotate_every.or(file.rotate_every),
            validity: self.validity.or(file.validity),
            retries: self.retries.or(file.retries),
            min_validity: self.min_validity.or(file.min_validity),
            store: self.store.or(store),
            seal_key_file: self.seal_key_file.or(file.seal_key_file),
            #[cfg(feature = "redis")]
            redis_url_file: self.redis_url_file.or(file.redis_url_file),
            parameters: file.parameters,
            headers: file.headers,
        }
    }
}

pub(super) fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
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

#[cfg(test)]
mod tests {
    use clap::Args as _;

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

    /// The names of all flags but the one that names the file.
    fn flags() -> Vec<String> {
        let command = Settings::augment_args(clap::Command::new("settings"));
        let flags = command.get_arguments().filter_map(clap::Arg::get_long);
        flags
            .filter(|it| *it != "config")
            .map(str::to_owned)
            .collect()
    }

    /// A file with one setting.
    fn one(name: &str, text: &str, number: u8) -> Settings {
        match name {
            "retries" => read(&format!("retries = {number}")),
            _ => read(&format!("{name} = '{text}'")),
        }
    }

    #[track_caller]
    fn assert_same(one: &Settings, other: &Settings, name: &str) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "{name}");
    }

    #[test]
    fn each_flag_has_a_member_which_it_wins_over() {
        assert!(flags().len() > 20, "{:?}", flags());
        for flag in flags() {
            let (here, there) = (one(&flag, "here", 1), one(&flag, "there", 2));
            let nothing = format!("{:?}", Settings::default());
            assert_ne!(format!("{here:?}"), nothing, "{flag}");
            assert_same(&one(&flag.replace('-', "_"), "here", 1), &here, &flag);
            let of_file = Settings::default().over(one(&flag, "there", 2), false);
            assert_same(&of_file, &there, &flag);
            let of_flag = one(&flag, "here", 1).over(there, false);
            assert_same(&of_flag, &here, &flag);
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        for flag in flags() {
            let settings = one(&flag, "here", 1).of_folder(Path::new("/etc/orders"));
            let moved = format!("{settings:?}").contains("\"/etc/orders/here\"");
            let is_path = flag.ends_with("-file") || flag == "store";
            assert_eq!(moved, is_path, "{flag}");
            let absolute = one(&flag, "/here", 1).of_folder(Path::new("/etc/orders"));
            assert!(!format!("{absolute:?}").contains("/etc"), "{flag}");
        }
    }

    #[test]
    fn a_secret_of_the_environment_wins_over_one_of_the_file_and_not_over_a_flag() {
        let secret = |text| one("client_secret_file", text, 0);
        let both = Settings::default().over(secret("file"), true);
        assert_eq!(both.client_secret_file, None);
        let both = secret("flag").over(secret("file"), true);
        assert_eq!(both.client_secret_file, Some("flag".into()));
    }

    #[test]
    fn tables_are_of_the_file_alone() {
        let file = read("client-id = 'a'\n[parameters]\napp_tid = '7'\n[headers]\nx-zid = '8'");
        let both = read("client_id = 'b'").over(file, false);
        assert_eq!(both.parameters["app_tid"], "7");
        assert_eq!(both.headers["x-zid"], "8");
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
        let both = flags.over(file, false);
        assert_eq!(both.client_id.as_deref(), Some("flag"));
        assert_eq!(both.scope, ["flag"]);
        assert_eq!(both.audience.as_deref(), Some("file"));
        assert_eq!(both.policy().unwrap().retries(), 0);
    }
}
