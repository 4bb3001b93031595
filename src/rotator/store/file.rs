use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::{fs, process};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Claim, Record, Store, StoreError, StoreKey, Storing};

/// Keeps records in one private file, for the processes of one user on one machine.
///
/// Beside `PATH` lie `PATH.lock`, which is never removed and whose kernel lock is the claim (so that
/// it ends with its holder, however that ends), for the time of a write `PATH.tmp`, and perhaps
/// `PATH.damaged`: what stood there once and could not be understood.
///
/// The file and its lock belong to the effective user and are readable by nobody else, or else the
/// store refuses to work; links are not followed. There is one claim on the whole file, whatever the
/// key: a file serves the clients of one user, not a fleet.
///
/// Its methods do not wait for anything but the disk. A few hundred bytes are read and written where
/// the caller runs, since handing them to another thread would cost more and could be cut short by
/// the end of the runtime.
///
/// ```no_run
/// use steadfast::policy::IssuancePolicy;
/// use steadfast::rotator::store::FileStore;
/// use steadfast::rotator::{ClientCredentials, Rotator};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders", "s3cret")?;
/// let store = FileStore::open("/var/lib/orders/tokens.json")?;
/// let rotator = Rotator::new(grant, IssuancePolicy::default()).store(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// The store at `path`. Missing folders are made, for this user alone.
    ///
    /// # Errors
    ///
    /// If the place is not private, holds something that is no readable file, or holds nothing and
    /// cannot be written either.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { path: path.into() };
        store.make_folder()?;
        // A file that can be read and not written still serves the token in it.
        match open_private(&store.path, OpenOptions::new().read(true))? {
            Some(_) => Ok(store),
            None => store.open_lock().map(|_| store),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(suffix);
        name.into()
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn make_folder(&self) -> Result<(), StoreError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        private_folder(&mut builder);
        builder.create(self.folder())?;
        check_folder(&fs::metadata(self.folder())?)
    }

    fn open_lock(&self) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        open_private(&self.beside(".lock"), &mut options)?
            .ok_or(StoreError::Unusable("its folder is gone".into()))
    }

    /// What the file says; `None` if there is none.
    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(file) = open_private(&self.path, OpenOptions::new().read(true))? else {
            return Ok(None);
        };
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(LARGEST);
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(size.min(LARGEST) + 1));
        file.take(LARGEST as u64).read_to_end(&mut text)?;
        Ok(Some(text))
    }

    fn record(&self, key: &StoreKey) -> Result<Option<Record>, StoreError> {
        let text = self.load()?.unwrap_or_default();
        Ok(Document::read(&text).and_then(|document| document.record(key)))
    }

    /// Puts `record` in place of an older one, and leaves every other entry as it is.
    fn save(&self, key: &StoreKey, record: &Record, temporary: &Path) -> Result<(), StoreError> {
        let text = self.load()?;
        let mut document = match text.as_deref() {
            None => Document::default(),
            Some(text) => match Document::read(text) {
                Some(document) => document,
                None => {
                    fs::rename(&self.path, self.beside(".damaged"))?;
                    Document::default()
                }
            },
        };
        if document.record(key).is_some_and(|it| it.outran(record)) {
            return Ok(());
        }
        let entry = serde_json::value::to_raw_value(record).map_err(io::Error::from)?;
        document.entries.insert(key.to_string(), &entry);
        let text = Zeroizing::new(serde_json::to_vec(&document).map_err(io::Error::from)?);
        self.replace(&text, temporary)
    }

    /// All or nothing, also when the power goes: the new file is on the disk before it gets the
    /// name, and the name before anyone uses the token.
    fn replace(&self, text: &[u8], temporary: &Path) -> Result<(), StoreError> {
        let written = write_new(temporary, text).and_then(|()| fs::rename(temporary, &self.path));
        if let Err(error) = written {
            let _ = fs::remove_file(temporary);
            return Err(error.into());
        }
        sync_folder(self.folder())?;
        Ok(())
    }
}

impl Store for FileStore {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async { self.record(key) })
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            let lock = self.open_lock()?;
            match lock.try_lock() {
                Ok(()) => Ok(Some(self.claim(key, Some(lock)))),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error.into()),
            }
        })
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        Box::pin(async { Ok(self.claim(key, None)) })
    }
}

impl FileStore {
    fn claim(&self, key: &StoreKey, lock: Option<File>) -> Box<dyn Claim> {
        // The lock makes one fixed name safe, so that a process that is killed leaves at most one
        // such file, which the next one replaces. Without the lock, its holder may wake up and write.
        let suffix = match lock {
            Some(_) => ".tmp".to_owned(),
            None => format!(".{}.tmp", process::id()),
        };
        Box::new(FileClaim {
            temporary: self.beside(&suffix),
            store: self.clone(),
            key: *key,
            lock,
        })
    }
}

struct FileClaim {
    store: FileStore,
    key: StoreKey,
    temporary: PathBuf,
    lock: Option<File>,
}

impl Claim for FileClaim {
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()> {
        Box::pin(async { self.store.save(&self.key, record, &self.temporary) })
    }
}

impl Drop for FileClaim {
    fn drop(&mut self) {
        // Closing unlocks only if no child inherited the file.
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

/// The file's text. Entries are kept as they stand, so that one that is damaged, or was written by a
/// later version, costs nobody else anything.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    version: u32,
    #[serde(borrow)]
    entries: BTreeMap<String, &'a RawValue>,
}

impl Default for Document<'_> {
    fn default() -> Self {
        Self {
            version: VERSION,
            entries: BTreeMap::new(),
        }
    }
}

impl<'a> Document<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let document: Self = serde_json::from_slice(text).ok()?;
        (document.version == VERSION).then_some(document)
    }

    fn record(&self, key: &StoreKey) -> Option<Record> {
        let entry = self.entries.get(&key.to_string())?;
        serde_json::from_str(entry.get()).ok()
    }
}

const VERSION: u32 = 1;

/// A larger file is none of ours: 16 MiB.
const LARGEST: usize = 16 << 20;

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private_file(&mut options);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Opens a file that must be private; `None` if there is none.
fn open_private(path: &Path, options: &mut OpenOptions) -> Result<Option<File>, StoreError> {
    private_file(options);
    match options.open(path) {
        Ok(file) => {
            check_file(&file.metadata()?)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if is_link(&error) => Err(StoreError::Exposed("it is a link".into())),
        Err(error) => Err(error.into()),
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error.kind().to_string().into())
    }
}

#[cfg(unix)]
use unix::*;

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    use rustix::fs::OFlags;

    use super::*;

    pub(super) fn private_folder(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    /// Private from its creation. Links are not followed, and nobody waits for the other end of a
    /// pipe.
    pub(super) fn private_file(options: &mut OpenOptions) {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }

    /// A folder that others may write to, such as a shared temporary one, lets them put their file
    /// in place of ours.
    pub(super) fn check_folder(folder: &Metadata) -> Result<(), StoreError> {
        if folder.uid() != own_user() && folder.uid() != ROOT {
            Err(StoreError::Exposed("its folder is another user's".into()))
        } else if folder.mode() & 0o022 != 0 {
            Err(StoreError::Exposed("others may write to its folder".into()))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_file(file: &Metadata) -> Result<(), StoreError> {
        if !file.is_file() {
            Err(StoreError::Unusable("it is no file".into()))
        } else if file.uid() != own_user() {
            Err(StoreError::Exposed("it is another user's".into()))
        } else if file.mode() & 0o077 != 0 {
            Err(StoreError::Exposed("others may open it".into()))
        } else {
            Ok(())
        }
    }

    fn own_user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    const ROOT: u32 = 0;

    pub(super) fn is_link(error: &io::Error) -> bool {
        error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }

    /// A name that was given is on the disk once its folder is.
    pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
        match File::open(folder)?.sync_all() {
            // Some file systems sync no folders.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }
}

#[cfg(not(unix))]
use other::*;

/// Elsewhere a user's own folders are private by the rights that they inherit.
#[cfg(not(unix))]
mod other {
    use super::*;

    pub(super) fn private_folder(_: &mut DirBuilder) {}

    pub(super) fn private_file(_: &mut OpenOptions) {}

    pub(super) fn check_folder(_: &Metadata) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) fn check_file(file: &Metadata) -> Result<(), StoreError> {
        match file.is_file() {
            true => Ok(()),
            false => Err(StoreError::Unusable("it is no file".into())),
        }
    }

    pub(super) fn is_link(_: &io::Error) -> bool {
        false
    }

    pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}
