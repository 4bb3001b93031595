//! What sealing adds to a store.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use steadfast::policy::IssuancePolicy;
use steadfast::rotator::state::Record;
use steadfast::rotator::store::{MemoryStore, SealKey, SealKeyError, Sealed, Store};
use steadfast::rotator::{ClientCredentials, Rotator};

use crate::suite::{Place, claim, issued_at, key, read, record, write};

pub(crate) fn seal_key(byte: u8) -> SealKey {
    SealKey::new([byte; 32])
}

fn sealed(store: &MemoryStore, byte: u8) -> Sealed<MemoryStore> {
    Sealed::new(store.clone(), seal_key(byte))
}

async fn place(_: &str) -> Place {
    let store = MemoryStore::new();
    Place::new(move || sealed(&store, 7))
}

crate::every_rule!(super::place);

#[cfg(unix)]
mod file {
    use std::path::Path;

    use steadfast::rotator::store::{FileStore, Sealed};

    use crate::suite::Place;

    async fn place(name: &str) -> Place {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sealed");
        let path = folder.join(name).join("tokens.json");
        let _ = std::fs::remove_file(&path);
        let open = move || FileStore::open(&path).unwrap();
        Place::new(move || Sealed::new(open(), super::seal_key(7)))
    }

    crate::every_rule!(super::place);
}

/// What lies in the store beneath, and the store.
async fn filled() -> (MemoryStore, Record) {
    let store = MemoryStore::new();
    write(&sealed(&store, 7), "a", &record(3, "first")).await;
    let stored = read(&store, "a").await.unwrap();
    (store, stored)
}

#[tokio::test]
async fn the_store_learns_what_it_needs_and_no_more() {
    let (_, stored) = filled().await;
    assert_eq!(stored.generation, 3);
    assert_eq!(stored.ends_at(), record(3, "first").ends_at());
    assert_eq!(stored.life(), record(3, "first").life());
    let text = serde_json::to_string(&stored).unwrap();
    // Short ones stand in what is encrypted by chance.
    let open = text.replace(&*stored.sealed.as_ref().unwrap().text, "");
    for secret in ["first", "read write", "900", "0.25"] {
        assert!(!open.contains(secret), "{secret} in {open}");
    }
    assert!(!text.contains("first") && !text.contains("read write"));
}

#[tokio::test]
async fn each_write_looks_different() {
    let (store, before) = filled().await;
    write(&sealed(&store, 7), "a", &record(3, "first")).await;
    let after = read(&store, "a").await.unwrap();
    assert_ne!(before.sealed, after.sealed);
}

#[tokio::test]
async fn another_key_is_a_miss() {
    let (store, _) = filled().await;
    assert_eq!(read(&sealed(&store, 8), "a").await, None);
    assert!(read(&sealed(&store, 7), "a").await.is_some());
}

#[tokio::test]
async fn what_was_moved_changed_or_never_sealed_is_a_miss_and_is_replaced() {
    let (_, good) = filled().await;
    let text = good.sealed.clone().unwrap().text;
    let with = |text: &str| {
        let mut record = good.clone();
        record.sealed.as_mut().unwrap().text = text.into();
        record
    };
    let flipped = match text.strip_prefix('A') {
        Some(rest) => format!("B{rest}"),
        None => format!("A{}", &text[1..]),
    };
    let last = |by: &str| format!("{}{by}", &text[..text.len() - 4]);
    for (what, name, damaged) in [
        ("moved", "b", good.clone()),
        (
            "another generation",
            "a",
            Record {
                generation: 4,
                ..good.clone()
            },
        ),
        ("nonce", "a", with(&flipped)),
        ("tag", "a", with(&last("AAAA"))),
        ("cut", "a", with(&last(""))),
        ("empty", "a", with("")),
        ("short", "a", with("AAAA")),
        ("not base64", "a", with("%%%")),
        ("never sealed", "a", record(9, "foreign")),
    ] {
        let store = MemoryStore::new();
        write(&store, name, &damaged).await;
        let sealed = sealed(&store, 7);
        assert_eq!(read(&sealed, name).await, None, "{what}");
        write(&sealed, name, &record(1, "mine")).await;
        let found = read(&sealed, name)
            .await
            .unwrap_or_else(|| panic!("{what}"));
        assert_eq!(found.token, record(1, "mine").token, "{what}");
        assert!(found.generation > damaged.generation, "{what}");
        assert_eq!(read(&sealed, "c").await, None);
    }
}

/// A stamp first, then what came of the request.
#[tokio::test]
async fn what_follows_a_damaged_record_under_one_claim_is_kept() {
    let store = MemoryStore::new();
    write(&store, "a", &record(9, "foreign")).await;
    let sealed = sealed(&store, 7);
    let mut claim = claim(&sealed, "a").await.unwrap();
    let stamp = Record {
        requested_at: Some(issued_at()),
        ..Record::default()
    };
    claim.write(&stamp).await.unwrap();
    claim.write(&record(1, "mine")).await.unwrap();
    let found = read(&sealed, "a").await.unwrap();
    assert_eq!(found.token, record(1, "mine").token);
}

#[test]
fn the_seal_key_is_part_of_the_store_key() {
    let rotator = || {
        let grant = ClientCredentials::new("https://login.example/token", "orders", "s3cret");
        Rotator::new(grant.unwrap(), IssuancePolicy::default())
    };
    let of = |byte| {
        rotator()
            .store(sealed(&MemoryStore::new(), byte))
            .store_key()
    };
    let plain = rotator().store_key();
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
    assert_ne!(of(7), plain);
    let chosen: Arc<dyn Store> = Arc::new(sealed(&MemoryStore::new(), 7));
    assert_eq!(rotator().store(chosen).store_key(), of(7));
    assert_eq!(rotator().store(MemoryStore::new()).store_key(), plain);
}

#[tokio::test]
async fn keys_in_text() {
    let text = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
    let padded = format!("  {text}=\n");
    for good in [text, &padded] {
        let store = MemoryStore::new();
        let one = Sealed::new(store.clone(), SealKey::from_base64(good).unwrap());
        write(&one, "a", &record(1, "first")).await;
        assert!(read(&sealed(&store, 2), "a").await.is_some(), "{good}");
    }
    let slashes = "//////////////////////////////////////////8=";
    let url_safe = slashes.replace('/', "_");
    let id = |text| SealKey::from_base64(text).unwrap().id();
    assert_eq!(id(slashes), id(&url_safe));
    for (bad, error, says) in [
        (
            "AgIC",
            SealKeyError::WrongLength,
            "the seal key is not 32 bytes long",
        ),
        (
            "",
            SealKeyError::WrongLength,
            "the seal key is not 32 bytes long",
        ),
        (
            "secret!",
            SealKeyError::NotBase64,
            "the seal key is not base64",
        ),
    ] {
        let found = SealKey::from_base64(bad).unwrap_err();
        assert_eq!((found, found.to_string().as_str()), (error, says));
    }
}

#[test]
fn keys_in_files() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join("seal-key");
    fs::write(&path, "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n").unwrap();
    assert_eq!(SealKey::from_file(&path).unwrap().id(), seal_key(2).id());
    let missing = SealKey::from_file(folder.join("no-seal-key")).unwrap_err();
    assert_eq!(missing, SealKeyError::Unreadable(ErrorKind::NotFound));
    let text = "the seal key cannot be read: entity not found";
    assert_eq!(missing.to_string(), text);
}

#[tokio::test]
async fn nothing_printed_holds_a_secret() {
    let key_text = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=";
    let seal_key = SealKey::from_base64(key_text).unwrap();
    let store = Sealed::new(MemoryStore::new(), seal_key.clone());
    write(&store, "a", &record(1, "first")).await;
    let record = store.read(&key("a")).await;
    let printed = format!("{store:?} {store:#?} {seal_key:?} {record:#?}");
    for secret in ["first", key_text, "secretsecret", "115, 101"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}
