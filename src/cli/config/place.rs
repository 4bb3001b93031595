//! Where a client's tokens are kept.

use std::env;
#[cfg(feature = "redis")]
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Settings;
use super::error::{ConfigError, bad};
#[cfg(feature = "redis")]
use super::error::{unreadable, wrong};
#[cfg(feature = "redis")]
use crate::rotator::SecretSource;
#[cfg(feature = "redis")]
use crate::rotator::store::RedisStore;
use crate::rotator::store::{FileStore, SealKey, Sealed, Store, StoreError};

/// Where tokens are kept, and with which key they are sealed there.
pub(in crate::cli) struct StorePlace {
    place: Place,
    seal: Option<SealKey>,
}

enum Place {
    /// A file that the user named.
    Given(PathBuf),
    /// Where caches are; `None` if this user has no such place.
    Default(Option<PathBuf>),
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

impl StorePlace {
    /// A file that the user named.
    pub(in crate::cli) fn is_given(&self) -> bool {
        matches!(self.place, Place::Given(_))
    }

    /// Without it a command goes on.
    pub(in crate::cli) fn is_default(&self) -> bool {
        matches!(self.place, Place::Default(_))
    }

    pub(in crate::cli) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Given(path) => Some(path),
            Place::Default(path) => path.as_deref(),
            #[cfg(feature = "redis")]
            Place::Redis(_) => None,
        }
    }

    pub(in crate::cli) fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        let homeless = || StoreError::Unusable("neither XDG_CACHE_HOME nor HOME is set".into());
        let store: Arc<dyn Store> = match &self.place {
            #[cfg(feature = "redis")]
            Place::Redis(store) => Arc::new(store.clone()),
            _ => Arc::new(FileStore::open(self.file().ok_or_else(homeless)?)?),
        };
        Ok(match &self.seal {
            Some(key) => Arc::new(Sealed::new(store, key.clone())),
            None => store,
        })
    }

    /// What is wrong with it, and where it is.
    pub(in crate::cli) fn tell(&self, error: &StoreError) -> String {
        match self.file() {
            Some(path) => format!("{error} ({})", path.display()),
            None => error.to_string(),
        }
    }
}

impl Settings {
    pub(super) fn store_place(&self) -> Result<StorePlace, ConfigError> {
        let seal = self.seal_key_file.as_ref().map(SealKey::from_file);
        Ok(StorePlace {
            place: self.place()?,
            seal: seal.transpose().map_err(|it| bad("seal-key-file", it))?,
        })
    }

    #[cfg(not(feature = "redis"))]
    fn place(&self) -> Result<Place, ConfigError> {
        Ok(self.file_place())
    }

    /// The URL may hold a password, so it is told by a file or the environment alone.
    #[cfg(feature = "redis")]
    fn place(&self) -> Result<Place, ConfigError> {
        match (&self.store, &self.redis_url_file, env::var(REDIS_URL)) {
            (None, Some(path), _) => {
                let url = SecretSource::from(path.clone()).read();
                let url = url.map_err(|it| unreadable(path, &it))?;
                let store = RedisStore::new(url.expose());
                Ok(Place::Redis(store.map_err(|it| bad("redis-url-file", it))?))
            }
            (None, None, Ok(url)) if !url.is_empty() => {
                let store = RedisStore::new(&url);
                Ok(Place::Redis(store.map_err(|it| wrong(REDIS_URL, it))?))
            }
            (None, None, Err(VarError::NotUnicode(_))) => Err(wrong(REDIS_URL, "not UTF-8")),
            _ => Ok(self.file_place()),
        }
    }

    fn file_place(&self) -> Place {
        match &self.store {
            Some(path) => Place::Given(path.clone()),
            None => Place::Default(default_store()),
        }
    }
}

#[cfg(feature = "redis")]
const REDIS_URL: &str = "STEADFAST_REDIS_URL";

/// A relative XDG_CACHE_HOME is as good as none (XDG Base Directory Specification).
fn default_store() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).map(PathBuf::from);
    let caches = folder("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .filter(|path| path.is_absolute())?;
    Some(caches.join("steadfast/tokens.json"))
}
