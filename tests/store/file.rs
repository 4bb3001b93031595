//! What the file store must do besides.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast::rotator::state::Record;
use steadfast::rotator::store::{FileStore, Store, StoreError};

use crate::suite::{Place, claim, key, read, record, write};

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

/// A new file.
async fn place(name: &str) -> Place {
    let path = fresh(&format!("rules-{name}")).join("tokens.json");
    Place::new(move || FileStore::open(&path).unwrap())
}

crate::every_rule!(super::place);

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
async fn what_a_writer_without_the_lock_left_behind_is_swept() {
    let (store, path) = filled("swept").await;
    let age = |path: &Path, seconds| {
        let file = fs::File::options().append(true).create(true).open(path);
        let written = fs::metadata(beside(path.parent().unwrap(), "/tokens.json")).unwrap();
        let then = written.modified().unwrap() - Duration::from_secs(seconds);
        file.unwrap().set_modified(then).unwrap();
    };
    let left = beside(&path, ".4711.0123456789abcdef.tmp");
    let fresh = beside(&path, ".4712.fedcba9876543210.tmp");
    let foreign = [
        ".4711.0123456789abcdef",
        ".4711.0123456789abcde.tmp",
        ".4711.0123456789abcdeg.tmp",
        ".one.0123456789abcdef.tmp",
        ".damaged",
        ".old.tmp",
    ];
    let foreign = foreign.map(|suffix| beside(&path, suffix));
    for path in foreign.iter().chain([&left]) {
        age(path, 3600);
    }
    age(&fresh, 30);
    // Nothing is swept by those who do not hold the lock.
    let mut claim = store.claim_anyway(&key("a")).await.unwrap();
    claim.write(&record(2, "second")).await.unwrap();
    assert!(left.exists());
    write(&store, "a", &record(3, "third")).await;
    assert!(!left.exists());
    assert!(fresh.exists(), "its writer may be at work");
    assert!(foreign.iter().all(|it| it.exists()));
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
async fn a_client_that_is_long_gone_leaves_its_entry_for_a_month() {
    let (store, path) = filled("gone").await;
    let unreadable = r#""later":{"token":"of a later version"}"#;
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace(r#""entries":{"#, &format!(r#""entries":{{{unreadable},"#));
    fs::write(&path, text).unwrap();
    let expiry = record(1, "first").ends_at().unwrap();
    for (days, kept) in [(0, true), (30, true), (31, false)] {
        let after = Duration::from_secs(days * 24 * 3600 + 1);
        let record = Record {
            requested_at: Some(expiry.plus(after - Duration::from_secs(1))),
            ..record(days, "other")
        };
        write(&store, "b", &record).await;
        assert_eq!(read(&store, "a").await.is_some(), kept, "{days} days");
        assert_eq!(read(&store, "b").await, Some(record));
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(unreadable),
        "what cannot be read is not judged"
    );
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

/// As when the holder of the claim was stopped, and several clients of one process pass it by.
#[test]
fn those_without_the_claim_write_side_by_side() {
    let path = fresh("side-by-side").join("tokens.json");
    let store = FileStore::open(&path).unwrap();
    let write_often = |name: &'static str| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let key = key(name);
            for generation in 1..=100 {
                let mut claim = store.claim_anyway(&key).await.unwrap();
                claim.write(&record(generation, name)).await.unwrap();
            }
        });
    };
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            scope.spawn(|| write_often(name));
        }
    });
    assert!(!beside(&path, ".damaged").exists());
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 2, "the file and its lock");
}
