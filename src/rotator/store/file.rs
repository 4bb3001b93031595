use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, process};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Claim, Record, Store, StoreError, StoreKey, Storing};
use crate::clock::Timestamp;
use crate::disk;

/// Keeps records in one private file, for the processes of one user on one machine.
///
/// Beside `PATH` lie `PATH.lock`, which is never removed and whose kernel lock is the claim (so that
/// it ends with its holder, however that ends), for the time of a write `PATH.tmp`, and perhaps
/// `PATH.damaged`: what stood there once and could not be understood. Entries whose tokens expired
/// more than 30 days ago are dropped. Who writes without the lock, because its holder was silent for
/// too long, takes a name of its own, `PATH.*.tmp`; should it be killed meanwhile, later writers remove
/// that file once it is a minute old.
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

    fn make_folder(&self) -> Result<(), StoreError> {
        disk::make_folder(&self.path)?;
        check_folder(&fs::metadata(disk::folder(&self.path))?)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        disk::beside(&self.path, suffix)
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
        document.forget_the_long_gone(record);
        document.entries.insert(key.to_string(), &entry);
        let text = Zeroizing::new(serde_json::to_vec(&document).map_err(io::Error::from)?);
        Ok(disk::replace(&self.path, &text, temporary)?)
    }

    /// Removes what those who wrote without the lock left behind when they were killed. All times are
    /// by the clock of the file system.
    fn sweep(&self) -> io::Result<()> {
        let written = fs::metadata(&self.path)?.modified()?;
        for entry in fs::read_dir(disk::folder(&self.path))? {
            let entry = entry?;
            if !self.may_leave(&entry.file_name()) {
                continue;
            }
            let age = written.duration_since(entry.metadata()?.modified()?);
            if age.is_ok_and(|age| age > LONGEST_WRITE) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether it is a name that [`Self::temporary_of_its_own`] gives.
    fn may_leave(&self, name: &OsStr) -> bool {
        let (name, own) = (name.as_encoded_bytes(), self.path.file_name());
        let suffix = own.and_then(|own| name.strip_prefix(own.as_encoded_bytes()));
        let suffix = suffix.and_then(|it| std::str::from_utf8(it).ok());
        let parts: Vec<_> = suffix.unwrap_or_default().split('.').collect();
        let hexadecimal = |text: &str| text.bytes().all(|it| it.is_ascii_hexdigit());
        matches!(&*parts, ["", process, random, "tmp"]
            if process.parse::<u32>().is_ok() && random.len() == 16 && hexadecimal(random))
    }

    fn temporary_of_its_own(&self) -> PathBuf {
        self.beside(&format!(
            ".{}.{:016x}.tmp",
            process::id(),
            fastrand::u64(..)
        ))
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

    fn stamp(&self) -> Storing<'_, Option<Timestamp>> {
        Box::pin(async {
            let text = self.load()?.unwrap_or_default();
            Ok(Document::read(&text).and_then(|document| document.stamp()))
        })
    }
}

impl FileStore {
    fn claim(&self, key: &StoreKey, lock: Option<File>) -> Box<dyn Claim> {
        // The lock makes one fixed name safe, so that a process that is killed leaves at most one
        // such file, which the next one replaces. Without the lock, its holder may wake up and write,
        // and so may others without it: of this process, or of one with this number elsewhere.
        let temporary = match lock {
            Some(_) => self.beside(".tmp"),
            None => self.temporary_of_its_own(),
        };
        Box::new(FileClaim {
            temporary,
            store: self.clone(),
            key: *key,
            lock,
            process: process::id(),
        })
    }
}

struct FileClaim {
    store: FileStore,
    key: StoreKey,
    temporary: PathBuf,
    lock: Option<File>,
    process: u32,
}

impl Claim for FileClaim {
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()> {
        Box::pin(async {
            self.store.save(&self.key, record, &self.temporary)?;
            if self.lock.is_some() {
                // Best effort: what is left now, the next one removes.
                let _ = self.store.sweep();
            }
            Ok(())
        })
    }
}

impl Drop for FileClaim {
    fn drop(&mut self) {
        // Closing unlocks only if no child inherited the file. A child that drops what it inherited
        // must not unlock for its parent.
        if let Some(lock) = &self.lock
            && self.process == process::id()
        {
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

    /// Drops the entries of clients that nobody has run for long. What the time is tells the record
    /// that is about to be written; what cannot be understood is not judged.
    fn forget_the_long_gone(&mut self, record: &Record) {
        let Some(now) = record.stamp() else { return };
        self.entries.retain(|_, entry| {
            let entry: Option<Record> = serde_json::from_str(entry.get()).ok();
            let end = entry.and_then(|it| it.ends_at());
            end.is_none_or(|end| now.since(end) <= LONG)
        });
    }

    /// When any of its clients was last about to ask.
    fn stamp(&self) -> Option<Timestamp> {
        #[derive(Deserialize)]
        struct Stamped {
            requested_at: Option<Timestamp>,
        }
        let read = |entry: &&RawValue| serde_json::from_str(entry.get()).ok();
        let entries = self.entries.values().filter_map(read);
        entries.filter_map(|it: Stamped| it.requested_at).max()
    }

    fn record(&self, key: &StoreKey) -> Option<Record> {
        let entry = self.entries.get(&key.to_string())?;
        serde_json::from_str(entry.get()).ok()
    }
}

const VERSION: u32 = 1;

/// How long an entry stays after the last token in it has expired: 30 days.
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);

/// A temporary file that is older belongs to nobody. One that does all the same, as of a process that
/// was stopped, costs its owner that write and nobody a token.
const LONGEST_WRITE: Duration = Duration::from_secs(60);

/// A larger file is none of ours: 16 MiB.
const LARGEST: usize = 16 << 20;

/// Opens a file that must be private; `None` if there is none.
fn open_private(path: &Path, options: &mut OpenOptions) -> Result<Option<File>, StoreError> {
    disk::private_file(options);
    match options.open(path) {
        Ok(file) => {
            check_file(&file.metadata()?)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if disk::is_link(&error) => Err(StoreError::Exposed("it is a link".into())),
        Err(error) => Err(error.into()),
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error.kind().to_string().into())
    }
}

/// A folder that others may write to, such as a shared temporary one, lets them put their file in
/// place of ours.
fn check_folder(folder: &Metadata) -> Result<(), StoreError> {
    if !disk::is_own_or_roots(folder) {
        Err(StoreError::Exposed("its folder is another user's".into()))
    } else if disk::others_may_write(folder) {
        Err(StoreError::Exposed("others may write to its folder".into()))
    } else {
        Ok(())
    }
}

fn check_file(file: &Metadata) -> Result<(), StoreError> {
    if !file.is_file() {
        Err(StoreError::Unusable("it is no file".into()))
    } else if !disk::is_own(file) {
        Err(StoreError::Exposed("it is another user's".into()))
    } else if disk::others_may_open(file) {
        Err(StoreError::Exposed("others may open it".into()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_writer_without_the_lock_makes_may_be_swept() {
        for path in ["tokens.json", "of.orders/tokens", "tok.1.tmp"] {
            let store = FileStore { path: path.into() };
            let made = store.temporary_of_its_own();
            assert!(store.may_leave(made.file_name().unwrap()), "{made:?}");
        }
    }
}
