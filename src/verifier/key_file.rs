//! Keys on disk, so that a resource server can start while the service is down.
//!
//! The file is a JWK Set (RFC 7517 5) with one more member, `steadfast`, which tells where and when
//! it was fetched. So whatever reads a JWK Set reads it, too.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::fetched::{Found, SourceName};
use super::watched::on_disk;
use crate::clock::Timestamp;
use crate::disk;
use crate::jose::{KeySet, LONGEST_DOCUMENT};

/// The key file of one source, as its refresher uses it.
pub(super) struct KeyFile {
    place: Place,
    /// What is written again when the source says that its keys are still these.
    document: Arc<Vec<u8>>,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf, source: SourceName) -> Self {
        Self {
            place: Place { path, source },
            document: Arc::default(),
        }
    }

    /// What the file holds; `None` if there is none.
    pub(super) async fn load(&mut self, now: Timestamp) -> Result<Option<Kept>, KeyFileError> {
        let place = self.place.clone();
        let kept = on_disk(move || place.load(now))
            .await
            .unwrap_or_else(|error| Err(KeyFileError::Unreadable(error.kind())))?;
        if let Some(kept) = &kept {
            self.document = Arc::clone(&kept.document);
        }
        Ok(kept)
    }

    /// Replaces the file; without a new document, by the one in it with the new time.
    pub(super) async fn save(
        &mut self,
        document: Option<Vec<u8>>,
        fetched_at: Timestamp,
        found: Option<Found>,
    ) -> Result<(), KeyFileError> {
        if let Some(document) = document {
            self.document = Arc::new(document);
        }
        let (place, document) = (self.place.clone(), Arc::clone(&self.document));
        on_disk(move || place.save(&document, fetched_at, found))
            .await
            .unwrap_or_else(|error| Err(KeyFileError::Unwritable(error.kind())))
    }
}

#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    source: SourceName,
}

/// What a key file holds.
pub(super) struct Kept {
    pub(super) keys: KeySet,
    document: Arc<Vec<u8>>,
    /// When the request that brought or confirmed them was started.
    pub(super) fetched_at: Timestamp,
    pub(super) found: Option<Found>,
}

impl Place {
    fn load(&self, now: Timestamp) -> Result<Option<Kept>, KeyFileError> {
        let Some(file) = open(&self.path)? else {
            return Ok(None);
        };
        let mut document = Vec::new();
        file.take(LONGEST_DOCUMENT as u64 + 1)
            .read_to_end(&mut document)
            .map_err(|error| KeyFileError::Unreadable(error.kind()))?;
        let keys = KeySet::from_json(&document).map_err(|_| KeyFileError::Damaged)?;
        let Read { steadfast: note } =
            serde_json::from_slice(&document).map_err(|_| KeyFileError::Damaged)?;
        if note.version != VERSION {
            return Err(KeyFileError::Damaged);
        }
        if note.source != self.source {
            return Err(KeyFileError::OtherSource);
        }
        // Nobody can tell how old they are.
        if note.fetched_at > now {
            return Err(KeyFileError::FromTheFuture);
        }
        Ok(Some(Kept {
            keys,
            document: Arc::new(document),
            fetched_at: note.fetched_at,
            found: note.found,
        }))
    }

    /// Replaces the file; `document` is a JWK Set that was read as one.
    fn save(
        &self,
        document: &[u8],
        fetched_at: Timestamp,
        found: Option<Found>,
    ) -> Result<(), KeyFileError> {
        let Set { keys } = serde_json::from_slice(document).map_err(|_| KeyFileError::Damaged)?;
        let text = serde_json::to_vec(&Written {
            keys,
            steadfast: &Note {
                version: VERSION,
                source: self.source.clone(),
                fetched_at,
                found,
            },
        })
        .map_err(|_| KeyFileError::Damaged)?;
        if text.len() > LONGEST_DOCUMENT {
            return Err(KeyFileError::TooLarge);
        }
        self.write(&text)
            .map_err(|error| KeyFileError::Unwritable(error.kind()))
    }

    fn write(&self, text: &[u8]) -> std::io::Result<()> {
        disk::make_folder(&self.path)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        disk::private_file(&mut options);
        // The lock makes one name of the temporary file safe. Another process that holds it is
        // writing what the same source said.
        let lock = options.open(disk::beside(&self.path, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => disk::replace(&self.path, text, &disk::beside(&self.path, ".tmp")),
            Err(std::fs::TryLockError::WouldBlock) => Ok(()),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Keys decide whom to trust, so nobody but us and root may have written them.
fn open(path: &Path) -> Result<Option<File>, KeyFileError> {
    let mut options = OpenOptions::new();
    options.read(true);
    disk::without_waiting(&mut options);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyFileError::Unreadable(error.kind())),
    };
    let facts = file
        .metadata()
        .map_err(|error| KeyFileError::Unreadable(error.kind()))?;
    if !facts.is_file() {
        return Err(KeyFileError::NotAFile);
    }
    if !disk::is_own_or_roots(&facts) || disk::others_may_write(&facts) {
        return Err(KeyFileError::Exposed);
    }
    Ok(Some(file))
}

/// Where and when keys were fetched.
#[derive(Serialize, Deserialize)]
struct Note {
    version: u32,
    source: SourceName,
    fetched_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

#[derive(Deserialize)]
struct Read {
    steadfast: Note,
}

#[derive(Serialize)]
struct Written<'a> {
    keys: Vec<Entry<'a>>,
    steadfast: &'a Note,
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<Entry<'a>>,
}

/// One of `keys`, as it stands, so that a key that was skipped stays skipped for the same reason; but
/// private members lose their values, and so does what is no object.
enum Entry<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str(text.get()) {
            Ok(Pairs(pairs)) => Self::Object(pairs),
            Err(_) => Self::Other,
        })
    }
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(pairs) => serializer.collect_map(pairs.iter().map(|(name, value)| {
                let is_private = PRIVATE.contains(&name.as_str());
                (name, (!is_private).then_some(value))
            })),
            Self::Other => serializer.serialize_unit(),
        }
    }
}

/// An object's members in order, repeated ones as well.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Why a key file is not used, or not written. Verifications go on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read.
    Unreadable(ErrorKind),
    /// It is no regular file.
    NotAFile,
    /// It is another user's, or others may write to it.
    Exposed,
    /// What is in it is no key set with a key that can be used, or was not written by this crate.
    Damaged,
    /// It was written for another issuer or key URL.
    OtherSource,
    /// Its keys were fetched later than now, so that nobody can tell how old they are.
    FromTheFuture,
    /// The key set would be larger than 512 KiB in the file.
    TooLarge,
    /// It cannot be written.
    Unwritable(ErrorKind),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable(kind) => return write!(f, "the key file cannot be read: {kind}"),
            Self::NotAFile => "the key file is no regular file",
            Self::Exposed => "the key file is another user's, or others may write to it",
            Self::Damaged => "the key file is damaged",
            Self::OtherSource => "the key file is of another source",
            Self::FromTheFuture => "the key file is from the future",
            Self::TooLarge => "the key set is too large for the key file",
            Self::Unwritable(kind) => return write!(f, "the key file cannot be written: {kind}"),
        })
    }
}

impl std::error::Error for KeyFileError {}

const VERSION: u32 = 1;

/// RFC 7518 6.2.2, 6.3.2 and 6.4, RFC 9964.
const PRIVATE: [&str; 10] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"];

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::jose::KeyError;
    use crate::verifier::scripted::{Folder, key_set};

    const NOW: Timestamp = Timestamp::from_secs(1_795_570_010);

    fn source() -> SourceName {
        SourceName::JwksUri("https://keys.example/jwks".to_owned())
    }

    fn place(folder: &Folder) -> Place {
        Place {
            path: folder.path("keys.json"),
            source: source(),
        }
    }

    fn save(place: &Place, document: &str) -> Result<(), KeyFileError> {
        place.save(document.as_bytes(), NOW, None)
    }

    #[track_caller]
    fn misses(place: &Place, expected: KeyFileError) {
        assert_eq!(place.load(NOW).err(), Some(expected));
    }

    /// Rewrites the file's note.
    fn edit(place: &Place, change: impl FnOnce(&mut Value)) {
        let mut file: Value = serde_json::from_slice(&fs::read(&place.path).unwrap()).unwrap();
        change(&mut file["steadfast"]);
        fs::write(&place.path, file.to_string()).unwrap();
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = Folder::new("key-file-round");
        let place = place(&folder);
        assert!(place.load(NOW).unwrap().is_none());
        save(&place, &key_set("a")).unwrap();
        let kept = place.load(NOW).unwrap().unwrap();
        assert_eq!(kept.keys.keys()[0].kid(), Some("a"));
        assert_eq!((kept.fetched_at, kept.found), (NOW, None));
        // A document that was read from the file can be written again.
        save(&place, str::from_utf8(&kept.document).unwrap()).unwrap();
        assert_eq!(fs::read(&place.path).unwrap(), *kept.document);
        assert!(KeySet::from_json(&fs::read(&place.path).unwrap()).is_ok());
    }

    #[test]
    fn a_file_that_is_not_of_this_source_or_time_is_a_miss() {
        let folder = Folder::new("key-file-note");
        let place = place(&folder);
        let damaged = KeyFileError::Damaged;
        for (member, value, expected) in [
            ("version", json!(2), damaged),
            ("version", json!("1"), damaged),
            ("fetched_at", json!(null), damaged),
            (
                "source",
                json!({"other": "https://keys.example/jwks"}),
                damaged,
            ),
            (
                "source",
                json!({"jwks_uri": "https://keys.example/jwks2"}),
                KeyFileError::OtherSource,
            ),
            (
                "source",
                json!({"issuer": "https://keys.example/jwks"}),
                KeyFileError::OtherSource,
            ),
            (
                "fetched_at",
                json!(NOW.as_millis() + 1),
                KeyFileError::FromTheFuture,
            ),
        ] {
            save(&place, &key_set("a")).unwrap();
            edit(&place, |note| note[member] = value);
            misses(&place, expected);
        }
    }

    #[test]
    fn a_damaged_file_is_a_miss() {
        let folder = Folder::new("key-file-damaged");
        let place = place(&folder);
        save(&place, &key_set("a")).unwrap();
        let whole = fs::read(&place.path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&place.path, &whole[..cut]).unwrap();
            misses(&place, KeyFileError::Damaged);
        }
        let long = [&whole[..], &vec![b' '; LONGEST_DOCUMENT]].concat();
        for other in [key_set("a").into_bytes(), b"{}".to_vec(), long] {
            fs::write(&place.path, other).unwrap();
            misses(&place, KeyFileError::Damaged);
        }
    }

    #[test]
    fn symmetric_keys_and_private_members_are_not_kept() {
        let folder = Folder::new("key-file-secrets");
        let place = place(&folder);
        let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
        let x = "LQ3FvJSPPtbaP_x78I9OsdQnmBQrrlhtxYgaUFodslQ";
        let document = format!(
            r#"{{"keys":[{{"kty":"oct","kid":"s","k":"{secret}"}},
                {{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}","d":"{secret}","d":1}},
                {{"kty":"OKP","crv":"Ed25519","kid":"b","x":"{x}","d":"{secret}"}},
                null,[{{"d":"{secret}"}}]]}}"#
        );
        let fetched = KeySet::from_json(document.as_bytes()).unwrap();
        save(&place, &document).unwrap();
        let text = fs::read_to_string(&place.path).unwrap();
        assert!(!text.contains("c2VjcmV0"), "{text}");
        let kept = place.load(NOW).unwrap().unwrap().keys;
        assert_eq!(kept.keys().len(), 1);
        assert_eq!(kept.skipped(), fetched.skipped());
        let reasons: Vec<_> = kept.skipped().iter().map(|it| it.reason.clone()).collect();
        assert_eq!(
            reasons,
            [
                KeyError::Symmetric,
                KeyError::RepeatedMember,
                KeyError::NotAnObject,
                KeyError::NotAnObject
            ]
        );
        // Not even for those who take symmetric keys from files.
        let lenient = KeySet::from_json_with_symmetric(text.as_bytes()).unwrap();
        assert_eq!(lenient.keys().len(), 1);
        // One that someone wrote into the file is skipped as well.
        let forged = text.replacen(r#""k":null"#, &format!(r#""k":"{secret}""#), 1);
        assert_ne!(forged, text);
        fs::write(&place.path, forged).unwrap();
        let kept = place.load(NOW).unwrap().unwrap().keys;
        assert_eq!(kept.skipped()[0].reason, KeyError::Symmetric);
    }

    #[test]
    fn no_private_member_is_kept() {
        let folder = Folder::new("key-file-members");
        let place = place(&folder);
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"] {
            let member = format!(r#""{name}":"c2VjcmV0","kty""#);
            save(&place, &key_set("a").replacen(r#""kty""#, &member, 1)).unwrap();
            let text = fs::read_to_string(&place.path).unwrap();
            assert!(text.contains(&format!(r#""{name}":null"#)), "{text}");
            assert!(!text.contains("c2VjcmV0"), "{text}");
        }
    }

    #[test]
    fn it_does_not_outgrow_the_cap() {
        let folder = Folder::new("key-file-cap");
        let place = place(&folder);
        save(&place, &key_set("a")).unwrap();
        let padding = "x".repeat(LONGEST_DOCUMENT - key_set("b").len() - 10);
        let large = key_set("b").replacen(r#""kty""#, &format!(r#""z":"{padding}","kty""#), 1);
        assert!(KeySet::from_json(large.as_bytes()).is_ok());
        assert_eq!(save(&place, &large), Err(KeyFileError::TooLarge));
        let kept = place.load(NOW).unwrap().unwrap().keys;
        assert_eq!(kept.keys()[0].kid(), Some("a"), "the old one stays");
    }

    #[cfg(unix)]
    #[test]
    fn only_files_that_nobody_else_may_have_written_are_read() {
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

        let folder = Folder::new("key-file-private");
        let place = place(&folder);
        save(&place, &key_set("a")).unwrap();
        let mode = |mode| fs::set_permissions(&place.path, fs::Permissions::from_mode(mode));
        let written = fs::metadata(&place.path).unwrap().permissions().mode();
        assert_eq!(written & 0o777, 0o600);
        for exposed in [0o620, 0o602, 0o666] {
            mode(exposed).unwrap();
            misses(&place, KeyFileError::Exposed);
        }
        for private in [0o600, 0o644, 0o440] {
            mode(private).unwrap();
            assert!(place.load(NOW).is_ok());
        }
        let link = Place {
            path: folder.path("link"),
            source: source(),
        };
        symlink(&place.path, &link.path).unwrap();
        assert!(link.load(NOW).is_ok(), "links are followed");
        mode(0o666).unwrap();
        misses(&link, KeyFileError::Exposed);
        mode(0o600).unwrap();
        // Only root may try this.
        if chown(&place.path, Some(12_345), None).is_ok() {
            misses(&link, KeyFileError::Exposed);
        }
        let folder_itself = Place {
            path: folder.as_ref().to_owned(),
            source: source(),
        };
        misses(&folder_itself, KeyFileError::NotAFile);
    }

    #[cfg(unix)]
    #[test]
    fn writing_follows_no_link_and_leaves_nothing_behind() {
        let folder = Folder::new("key-file-link");
        let target = folder.write("target", "theirs");
        let place = Place {
            path: folder.path("new/folder/keys.json"),
            source: source(),
        };
        save(&place, &key_set("a")).unwrap();
        fs::remove_file(&place.path).unwrap();
        std::os::unix::fs::symlink(&target, &place.path).unwrap();
        save(&place, &key_set("a")).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        let mut names: Vec<_> = fs::read_dir(folder.path("new/folder"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["keys.json", "keys.json.lock"]);
    }

    #[test]
    fn a_place_that_cannot_be_written() {
        let folder = Folder::new("key-file-unwritable");
        let file = folder.write("file", "");
        let place = Place {
            path: file.join("keys.json"),
            source: source(),
        };
        let error = save(&place, &key_set("a")).unwrap_err();
        assert!(matches!(error, KeyFileError::Unwritable(_)), "{error:?}");
    }

    #[test]
    fn who_writes_at_the_same_time_as_another_lets_it_be() {
        let folder = Folder::new("key-file-lock");
        let place = place(&folder);
        let lock = folder.write("keys.json.lock", "");
        let lock = File::open(lock).unwrap();
        lock.lock().unwrap();
        assert_eq!(save(&place, &key_set("a")), Ok(()));
        assert!(place.load(NOW).unwrap().is_none());
        lock.unlock().unwrap();
        assert_eq!(save(&place, &key_set("a")), Ok(()));
        assert!(place.load(NOW).unwrap().is_some());
    }

    #[test]
    fn texts() {
        for (error, text) in [
            (
                KeyFileError::Unreadable(ErrorKind::PermissionDenied),
                "the key file cannot be read: permission denied",
            ),
            (KeyFileError::NotAFile, "the key file is no regular file"),
            (
                KeyFileError::Exposed,
                "the key file is another user's, or others may write to it",
            ),
            (KeyFileError::Damaged, "the key file is damaged"),
            (
                KeyFileError::OtherSource,
                "the key file is of another source",
            ),
            (
                KeyFileError::FromTheFuture,
                "the key file is from the future",
            ),
            (
                KeyFileError::TooLarge,
                "the key set is too large for the key file",
            ),
            (
                KeyFileError::Unwritable(ErrorKind::StorageFull),
                "the key file cannot be written: no storage space",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
