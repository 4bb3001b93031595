//! What every store must do, and what the file store must do besides.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use steadfast::clock::Timestamp;
use steadfast::rotator::state::{Issued, Record};
use steadfast::rotator::store::{
    Claim, CredentialTag, FileStore, MemoryStore, Store, StoreError, StoreKey,
};
use steadfast::token::{AccessToken, LifetimeSource, Token, TokenFormat};

fn key(name: &str) -> StoreKey {
    StoreKey::of([("client", name)])
}

fn record(generation: u64, token: &str) -> Record {
    let issued_at = Timestamp::from_secs(1_795_570_010);
    let token = Token {
        access_token: AccessToken::new(token).unwrap(),
        format: TokenFormat::Opaque,
        issued_at,
        expires_at: issued_at.plus(Duration::from_secs(3600)),
        lifetime_source: LifetimeSource::ExpiresIn,
        scope: Some("read write".into()),
    };
    Record {
        generation,
        token: Some(Issued {
            token: Arc::new(token),
            fraction: 0.25,
            rotate_in: Some(Duration::from_secs(900)),
            credential: CredentialTag::of(&key("a"), b"secret"),
        }),
        requested_at: Some(issued_at),
        ..Record::default()
    }
}

async fn claim(store: &dyn Store, name: &str) -> Option<Box<dyn Claim>> {
    store.try_claim(&key(name)).await.unwrap()
}

async fn read(store: &dyn Store, name: &str) -> Option<Record> {
    store.read(&key(name)).await.unwrap()
}

async fn write(store: &dyn Store, name: &str, record: &Record) {
    claim(store, name)
        .await
        .unwrap()
        .write(record)
        .await
        .unwrap();
}

// Every store

async fn keeps_records(store: &dyn Store) {
    assert_eq!(read(store, "a").await, None);
    write(store, "a", &record(1, "first")).await;
    write(store, "b", &record(7, "other")).await;
    assert_eq!(read(store, "a").await, Some(record(1, "first")));
    write(store, "a", &record(2, "second")).await;
    assert_eq!(read(store, "a").await, Some(record(2, "second")));
    assert_eq!(read(store, "b").await, Some(record(7, "other")));
    assert_eq!(read(store, "c").await, None);
}

async fn has_one_claim_at_a_time(store: &dyn Store) {
    let mut held = claim(store, "a").await.unwrap();
    assert!(claim(store, "a").await.is_none());
    held.write(&record(1, "stamp")).await.unwrap();
    assert!(claim(store, "a").await.is_none(), "a write does not end it");
    assert_eq!(read(store, "a").await, Some(record(1, "stamp")));
    held.write(&record(2, "answer")).await.unwrap();
    drop(held);
    assert!(claim(store, "a").await.is_some());
}

async fn can_be_written_without_the_claim_but_not_over_what_is_newer(store: &dyn Store) {
    write(store, "a", &record(1, "old")).await;
    let stopped = claim(store, "a").await.unwrap();
    let key = key("a");
    let mut other = store.claim_anyway(&key).await.unwrap();
    other.write(&record(3, "newer")).await.unwrap();
    assert_eq!(read(store, "a").await, Some(record(3, "newer")));
    other.write(&record(2, "late")).await.unwrap();
    assert_eq!(read(store, "a").await, Some(record(3, "newer")));
    drop(other);
    assert!(claim(store, "a").await.is_none(), "it is still held");
    drop(stopped);
}

#[tokio::test]
async fn memory() {
    keeps_records(&MemoryStore::new()).await;
    has_one_claim_at_a_time(&MemoryStore::new()).await;
    can_be_written_without_the_claim_but_not_over_what_is_newer(&MemoryStore::new()).await;
}

#[cfg(unix)]
mod file {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    use super::*;

    /// A folder that is not there yet.
    fn fresh(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("store")
            .join(name);
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn beside(path: &Path, suffix: &str) -> PathBuf {
        format!("{}{suffix}", path.display()).into()
    }

    /// A store with one entry, and its file.
    async fn filled(name: &str) -> (FileStore, PathBuf) {
        let path = fresh(name).join("tokens.json");
        let store = FileStore::open(&path).unwrap();
        write(&store, "a", &record(1, "first")).await;
        (store, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn assert_exposed<T>(result: Result<T, StoreError>, why: &str) {
        match result.err() {
            Some(StoreError::Exposed(text)) => assert_eq!(&*text, why),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn is_a_store() {
        let open = |name| FileStore::open(fresh(name).join("tokens.json")).unwrap();
        keeps_records(&open("keeps")).await;
        has_one_claim_at_a_time(&open("claim")).await;
        can_be_written_without_the_claim_but_not_over_what_is_newer(&open("anyway")).await;
    }

    #[tokio::test]
    async fn outlives_its_process() {
        let (store, path) = filled("outlives").await;
        drop(store);
        let store = FileStore::open(&path).unwrap();
        assert_eq!(read(&store, "a").await, Some(record(1, "first")));
    }

    #[tokio::test]
    async fn is_private_from_the_start() {
        let folder = fresh("private");
        let path = folder.join("deep/er/tokens.json");
        let store = FileStore::open(&path).unwrap();
        for made in ["", "deep", "deep/er"] {
            assert_eq!(mode(&folder.join(made)), 0o700, "{made}");
        }
        let mut claim = claim(&store, "a").await.unwrap();
        claim.write(&record(1, "first")).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&beside(&path, ".lock")), 0o600);
        let names = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 2, "nothing else is left lying there");
    }

    #[tokio::test]
    async fn refuses_what_others_may_open() {
        let (store, path) = filled("modes").await;
        for wide in [0o644, 0o640, 0o620, 0o604, 0o601] {
            chmod(&path, wide);
            assert_exposed(FileStore::open(&path), "others may open it");
            assert_exposed(store.read(&key("a")).await, "others may open it");
            let mut claim = claim(&store, "a").await.unwrap();
            assert_exposed(claim.write(&record(2, "x")).await, "others may open it");
            assert_eq!(mode(&path), wide, "it is left alone");
        }
        chmod(&path, 0o600);
        chmod(&beside(&path, ".lock"), 0o666);
        assert_exposed(store.try_claim(&key("a")).await, "others may open it");
        assert_eq!(read(&store, "a").await, Some(record(1, "first")));
    }

    #[tokio::test]
    async fn refuses_a_folder_that_others_may_write_to() {
        let (_, path) = filled("shared").await;
        for (wide, fine) in [
            (0o777, false),
            (0o1777, false),
            (0o770, false),
            (0o702, false),
            (0o755, true),
        ] {
            chmod(path.parent().unwrap(), wide);
            match FileStore::open(&path) {
                Ok(_) => assert!(fine, "{wide:o}"),
                error => assert_exposed(error, "others may write to its folder"),
            }
        }
    }

    #[tokio::test]
    async fn follows_no_link() {
        let (store, path) = filled("links").await;
        let elsewhere = beside(&path, ".elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        for target in [elsewhere.as_path(), Path::new("/nowhere")] {
            symlink(target, &path).unwrap();
            assert_exposed(FileStore::open(&path), "it is a link");
            assert_exposed(store.read(&key("a")).await, "it is a link");
            fs::remove_file(&path).unwrap();
        }
        let lock = beside(&path, ".lock");
        fs::remove_file(&lock).unwrap();
        symlink(&elsewhere, &lock).unwrap();
        assert_exposed(store.try_claim(&key("a")).await, "it is a link");
    }

    #[tokio::test]
    async fn refuses_what_belongs_to_another_user() {
        let (store, path) = filled("owner").await;
        // Only root can give a file away.
        if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
            assert_exposed(store.read(&key("a")).await, "it is another user's");
        } else {
            assert_exposed(
                FileStore::open("/dev/tokens.json"),
                "its folder is another user's",
            );
        }
    }

    #[tokio::test]
    async fn a_left_over_temporary_file_is_replaced() {
        let (store, path) = filled("left-over").await;
        let precious = beside(&path, ".precious");
        fs::write(&precious, "precious").unwrap();
        let temporary = beside(&path, ".tmp");
        fs::write(&temporary, "half a fi").unwrap();
        write(&store, "a", &record(2, "second")).await;
        symlink(&precious, &temporary).unwrap();
        write(&store, "a", &record(3, "third")).await;
        assert_eq!(read(&store, "a").await, Some(record(3, "third")));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert_eq!(mode(&path), 0o600);
        assert!(!temporary.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_damaged_or_foreign_is_a_miss_and_kept_aside() {
        let (store, path) = filled("damaged").await;
        let good = fs::read_to_string(&path).unwrap();
        let half = &good[..good.len() / 2];
        for damaged in [
            "not json",
            "\0\0\0\0",
            "[]",
            "{}",
            "null",
            half,
            r#"{"version":2,"entries":{}}"#,
            r#"{"version":1,"entries":[]}"#,
            r#"{"version":1,"entries":{},"more":1"#,
        ] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(read(&store, "a").await, None, "{damaged}");
            write(&store, "a", &record(1, "first")).await;
            assert_eq!(read(&store, "a").await, Some(record(1, "first")));
            let aside = beside(&path, ".damaged");
            assert_eq!(fs::read_to_string(&aside).unwrap(), damaged);
            assert_eq!(mode(&aside), 0o600);
        }
    }

    #[tokio::test]
    async fn an_empty_file_is_an_empty_store() {
        let (store, path) = filled("empty").await;
        fs::write(&path, "").unwrap();
        assert_eq!(read(&store, "a").await, None);
        write(&store, "a", &record(1, "first")).await;
        assert!(!beside(&path, ".damaged").exists());
    }

    #[tokio::test]
    async fn a_damaged_entry_costs_nobody_else_anything() {
        let (store, path) = filled("entry").await;
        let foreign = r#"{"from":"a later version","generation":"seven"}"#;
        let text = fs::read_to_string(&path).unwrap();
        let entry = format!(r#""entries":{{"{}":{foreign},"#, key("b"));
        fs::write(&path, text.replace(r#""entries":{"#, &entry)).unwrap();
        assert_eq!(read(&store, "b").await, None);
        write(&store, "a", &record(2, "second")).await;
        assert_eq!(read(&store, "a").await, Some(record(2, "second")));
        assert!(fs::read_to_string(&path).unwrap().contains(foreign));
        write(&store, "b", &record(1, "mine")).await;
        assert_eq!(read(&store, "b").await, Some(record(1, "mine")));
    }

    #[tokio::test]
    async fn a_late_answer_does_not_replace_a_rivals() {
        let (store, _) = filled("late").await;
        let key = key("a");
        let mut slow = store.try_claim(&key).await.unwrap().unwrap();
        let mut fast = store.claim_anyway(&key).await.unwrap();
        fast.write(&record(2, "fast")).await.unwrap();
        slow.write(&record(2, "slow")).await.unwrap();
        assert_eq!(read(&store, "a").await, Some(record(2, "fast")));
        slow.write(&record(1, "slower")).await.unwrap();
        assert_eq!(read(&store, "a").await, Some(record(2, "fast")));
        slow.write(&record(3, "next")).await.unwrap();
        assert_eq!(read(&store, "a").await, Some(record(3, "next")));
    }

    #[test]
    fn a_place_that_cannot_be_used_is_told_at_once() {
        let folder = fresh("unusable");
        fs::create_dir_all(folder.join("folder")).unwrap();
        chmod(&folder, 0o700);
        fs::write(folder.join("file"), "").unwrap();
        for place in ["file/tokens.json", "file/deep/tokens.json", "folder"] {
            let error = FileStore::open(folder.join(place)).unwrap_err();
            assert!(matches!(error, StoreError::Unusable(_)), "{place}: {error}");
        }
        let error = FileStore::open("/proc/steadfast/tokens.json").unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{error}");
    }

    #[test]
    fn a_pipe_is_no_store_and_blocks_nobody() {
        let folder = fresh("pipe");
        fs::create_dir_all(&folder).unwrap();
        chmod(&folder, 0o700);
        let path = folder.join("tokens.json");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        chmod(&path, 0o600);
        let error = FileStore::open(&path).unwrap_err();
        assert_eq!(error, StoreError::Unusable("it is no file".into()));
    }

    #[tokio::test]
    async fn nothing_printed_holds_a_token() {
        let (store, _) = filled("printed").await;
        let record = read(&store, "a").await;
        assert!(!format!("{store:?} {record:#?}").contains("first"));
    }
}
