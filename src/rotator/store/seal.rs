use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::{Claim, Record, Store, StoreError, StoreKey, Storing};
use crate::clock::Timestamp;
use crate::disk;
use crate::policy::Finding;
use crate::rotator::record::Ciphertext;

/// A store whose records only the holders of a key can read: AES-256-GCM, bound to the
/// [`StoreKey`] and the generation, so that no record passes for another one.
///
/// Whoever may write to the store can still take records away or bring an older one back; a rotator
/// takes an older one for what it is. Clients with another key, or none, share no token with these.
///
/// ```no_run
/// use steadfast::rotator::store::{FileStore, SealKey, Sealed};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SealKey::from_file("/run/secrets/seal-key")?;
/// let store = Sealed::new(FileStore::open("/var/lib/orders/tokens.json")?, key);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sealed<S> {
    store: Arc<S>,
    key: SealKey,
}

impl<S: Store> Sealed<S> {
    /// Seals with `key` whatever is put into `store`, and takes out only what it was sealed with.
    pub fn new(store: S, key: SealKey) -> Self {
        Self {
            store: Arc::new(store),
            key,
        }
    }

    fn claim(&self, key: &StoreKey, claim: Box<dyn Claim>) -> Box<dyn Claim> {
        Box::new(SealedClaim {
            store: Arc::clone(&self.store),
            seal: self.key.clone(),
            key: *key,
            claim,
            least: 0,
        })
    }
}

impl<S: Store> Store for Sealed<S> {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async {
            let stored = self.store.read(key).await?;
            Ok(stored.and_then(|it| self.key.open(key, &it)))
        })
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            let claim = self.store.try_claim(key).await?;
            Ok(claim.map(|it| self.claim(key, it)))
        })
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        Box::pin(async { Ok(self.claim(key, self.store.claim_anyway(key).await?)) })
    }

    fn stamp(&self) -> Storing<'_, Option<Timestamp>> {
        self.store.stamp()
    }

    fn seal_id(&self) -> Option<String> {
        Some(self.key.id())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.store.findings();
        findings.retain(|it| *it != Finding::UnsealedStore);
        findings
    }
}

/// Both seal with the same key.
impl<S> Clone for Sealed<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            key: self.key.clone(),
        }
    }
}

struct SealedClaim<S> {
    store: Arc<S>,
    seal: SealKey,
    key: StoreKey,
    claim: Box<dyn Claim>,
    /// The generation that outdoes a record that could not be opened, for all that is written under
    /// this claim: who claimed has not read it.
    least: u64,
}

impl<S: Store> Claim for SealedClaim<S> {
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()> {
        Box::pin(async {
            let Self {
                store,
                seal,
                key,
                least,
                ..
            } = &mut *self;
            // One that cannot be opened is a miss, and must not pass for a newer one for ever.
            if let Some(stored) = store.read(key).await?
                && seal.open(key, &stored).is_none()
            {
                *least = stored.generation.saturating_add(1);
            }
            let mut record = record.clone();
            record.generation = record.generation.max(*least);
            let sealed = seal.seal(key, &record);
            let sealed = sealed.ok_or(StoreError::unusable("nothing can be sealed"))?;
            self.claim.write(&sealed).await
        })
    }

    fn release(&mut self) -> Storing<'_, ()> {
        self.claim.release()
    }
}

/// The 256 bits that a [`Sealed`] store seals with. Every holder reads what the others wrote.
#[derive(Clone)]
pub struct SealKey(Arc<Zeroizing<[u8; 32]>>);

impl SealKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// From base64 of 32 random bytes, in either alphabet; space around it is cut.
    ///
    /// # Errors
    ///
    /// If the text is anything else.
    pub fn from_base64(text: &str) -> Result<Self, SealKeyError> {
        let text = Zeroizing::new(text.trim().replace('-', "+").replace('_', "/"));
        let bytes = Zeroizing::new(BASE64.decode(&*text).map_err(|_| SealKeyError::NotBase64)?);
        let bytes = <[u8; 32]>::try_from(bytes.as_slice());
        bytes.map(Self::new).map_err(|_| SealKeyError::WrongLength)
    }

    /// From a file that holds what [`Self::from_base64`] takes, as `openssl rand -base64 32` makes it.
    ///
    /// # Errors
    ///
    /// If it cannot be read or holds anything else.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SealKeyError> {
        let text = disk::read(path.as_ref());
        let text = text.map_err(|error| SealKeyError::Unreadable(error.kind()))?;
        Self::from_base64(std::str::from_utf8(&text).map_err(|_| SealKeyError::NotBase64)?)
    }

    /// Names the key without telling it: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:016x}", self.tag(b"id", b"").unwrap_or_default())
    }

    /// `None` if the system has no randomness.
    fn seal(&self, key: &StoreKey, record: &Record) -> Option<Record> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut text = Zeroizing::new(serde_json::to_vec(record).ok()?);
        let aad = Aad::from(context(key, record.generation));
        let tag = self.cipher()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            aad,
            &mut text,
        );
        let whole = [nonce.as_slice(), &text, tag.ok()?.as_ref()].concat();
        let token = record.token.as_ref();
        Some(Record {
            generation: record.generation,
            requested_at: record.requested_at,
            sealed: Some(Ciphertext {
                text: URL_SAFE_NO_PAD.encode(whole).into(),
                token: token.and_then(|it| self.tag(b"token", it.token.expose().as_bytes())),
                ends_at: record.ends_at(),
            }),
            ..Record::default()
        })
    }

    /// `None` if it was sealed with another key, for another place or not at all.
    fn open(&self, key: &StoreKey, record: &Record) -> Option<Record> {
        let whole = URL_SAFE_NO_PAD.decode(&*record.sealed.as_ref()?.text);
        let mut whole = Zeroizing::new(whole.ok()?);
        let (nonce, text) = whole.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(context(key, record.generation));
        let text = self.cipher()?.open_in_place(nonce, aad, text).ok()?;
        let opened: Record = serde_json::from_slice(text).ok()?;
        opened.sealed.is_none().then_some(opened)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        let prk = self.prk();
        let key = prk.expand(&[b"seal"], &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(key)))
    }

    /// 64 bits that say nothing of `text` without the key.
    fn tag(&self, purpose: &[u8], text: &[u8]) -> Option<u64> {
        let prk = self.prk();
        let purpose = [purpose];
        let key = prk.expand(&purpose, hmac::HMAC_SHA256).ok()?;
        let tag = hmac::sign(&hmac::Key::from(key), text);
        let (first, _) = tag.as_ref().split_first_chunk()?;
        Some(u64::from_be_bytes(*first))
    }

    /// One key for each purpose comes of it (RFC 5869).
    fn prk(&self) -> Prk {
        Salt::new(HKDF_SHA256, b"steadfast seal 1").extract(&**self.0)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id())
    }
}

/// Why something is no [`SealKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealKeyError {
    /// The file cannot be read.
    Unreadable(ErrorKind),
    /// It is not base64.
    NotBase64,
    /// It is not 32 bytes.
    WrongLength,
}

impl fmt::Display for SealKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "the seal key cannot be read: {kind}"),
            Self::NotBase64 => f.write_str("the seal key is not base64"),
            Self::WrongLength => f.write_str("the seal key is not 32 bytes long"),
        }
    }
}

impl std::error::Error for SealKeyError {}

/// What a sealed record is bound to.
fn context(key: &StoreKey, generation: u64) -> [u8; 40] {
    let mut context = [0; 40];
    let bytes = key.as_bytes().iter().copied();
    for (to, from) in context
        .iter_mut()
        .zip(bytes.chain(generation.to_be_bytes()))
    {
        *to = from;
    }
    context
}

/// Padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
