use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, cmd};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::{Claim, Record, Store, StoreError, StoreKey, Storing};
use crate::policy::Finding;
use crate::transport::CaError;

mod server;

use server::Server;

/// Keeps records in Redis (7 or later), for a fleet, or for short-lived workers without a disk.
///
/// A record lies under `PREFIX1:{KEY}` and ends by itself, a day after the last token in it has
/// expired. The claim is a lease under `PREFIX1:{KEY}:lease` with a random owner: it ends after
/// 35 s, longer than a renewal holds it, and only its owner gives it back before. A record is
/// replaced only if it is still the one that was compared with, so a slow holder, whose lease is
/// another's by now, cannot write over a newer token.
///
/// Nothing is connected to before it is needed, each call takes a second at the most, and a
/// connection that is lost, or older than 30 s, is replaced. While Redis is away, a rotator goes on
/// with the token it has in memory.
///
/// A user with `+get +set +del +eval +select ~PREFIX*` has all the rights that it takes.
///
/// ```no_run
/// use steadfast::policy::IssuancePolicy;
/// use steadfast::rotator::store::{RedisStore, SealKey, Sealed};
/// use steadfast::rotator::{ClientCredentials, Rotator};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::new("rediss://orders:s3cret@redis.example/0")?;
/// let store = Sealed::new(store, SealKey::from_file("/run/secrets/seal-key")?);
///
/// let grant = ClientCredentials::new("https://login.example/oauth2/token", "orders", "s3cret")?;
/// let rotator = Rotator::new(grant, IssuancePolicy::default()).store(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    server: Arc<Server>,
    prefix: Box<str>,
}

impl RedisStore {
    /// The store at `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, or `rediss://…` with TLS,
    /// which trusts whom the platform trusts; or at `redis+unix:///PATH`. User and password are
    /// percent-encoded.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] if `url` is none of these.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Server::parse(url).map(Self::at)
    }

    /// Like [`Self::new`], trusting the certificate authorities of a PEM file and no other.
    ///
    /// # Errors
    ///
    /// As there, or if the file cannot be read or holds no certificate that can be used.
    pub fn with_ca_file(url: &str, path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let unusable = |error: CaError| StoreError::unusable(error.to_string());
        let server = Server::parse(url)?.trusting(path.as_ref());
        server.map(Self::at).map_err(unusable)
    }

    /// What the names of all keys begin with; `steadfast:` if nothing is said.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    fn at(server: Server) -> Self {
        Self {
            server: Arc::new(server),
            prefix: "steadfast:".into(),
        }
    }

    /// The braces keep both on one node of a cluster. A later version of what is written gets another
    /// number, so that neither version takes the other's records for damaged ones.
    fn names(&self, key: &StoreKey) -> Names {
        let record = format!("{}{VERSION}:{{{key}}}", self.prefix);
        Names {
            lease: format!("{record}:lease"),
            record,
        }
    }

    fn claim(&self, key: &StoreKey, owner: Option<Owner>) -> RedisClaim {
        RedisClaim {
            server: Arc::clone(&self.server),
            names: self.names(key),
            owner,
        }
    }
}

impl Store for RedisStore {
    fn read<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Record>> {
        Box::pin(async {
            let text = get(&self.server, &self.names(key)).await?;
            Ok(understood(&text))
        })
    }

    fn try_claim<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Option<Box<dyn Claim>>> {
        Box::pin(async {
            let owner = random_owner()?;
            // Made before it is known to be granted: should the answer get lost, this gives it back.
            let mut claim = self.claim(key, Some(owner));
            let asked = script(TAKE_LEASE, &claim.names.lease)
                .arg(owner.as_slice())
                .arg(millis(LEASE))
                .to_owned();
            let granted: bool = self.server.ask(asked).await?;
            if !granted {
                claim.owner = None;
            }
            Ok(granted.then(|| Box::new(claim) as Box<dyn Claim>))
        })
    }

    fn claim_anyway<'a>(&'a self, key: &'a StoreKey) -> Storing<'a, Box<dyn Claim>> {
        Box::pin(async { Ok(Box::new(self.claim(key, None)) as Box<dyn Claim>) })
    }

    fn findings(&self) -> Vec<Finding> {
        let plain = self.server.is_plain().then_some(Finding::PlainStore);
        [Finding::UnsealedStore].into_iter().chain(plain).collect()
    }
}

/// Without the user and the password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.server)
            .field("prefix", &self.prefix)
            .finish()
    }
}

struct RedisClaim {
    server: Arc<Server>,
    names: Names,
    /// `None` if the lease is not held, or not any more.
    owner: Option<Owner>,
}

impl RedisClaim {
    fn give_back(&mut self) -> Option<Cmd> {
        let owner = self.owner.take()?;
        Some(
            script(GIVE_LEASE_BACK, &self.names.lease)
                .arg(owner.as_slice())
                .to_owned(),
        )
    }
}

impl Claim for RedisClaim {
    fn write<'a>(&'a mut self, record: &'a Record) -> Storing<'a, ()> {
        Box::pin(async {
            let text = serde_json::to_vec(record).map(Zeroizing::new);
            let text = text.map_err(|_| StoreError::unusable("nothing can be written"))?;
            let life = millis(record.life().saturating_add(LONGER_THAN_LIFE));
            // Another one writes in between only without the claim, so rarely; and not for ever.
            for _ in 0..MOST_WRITES {
                let found = get(&self.server, &self.names).await?;
                if understood(&found).is_some_and(|it| it.outran(record)) {
                    return Ok(());
                }
                let replace = script(REPLACE, &self.names.record)
                    .arg(&**found)
                    .arg(&**text)
                    .arg(life)
                    .to_owned();
                if self.server.ask(replace).await? {
                    return Ok(());
                }
            }
            Err(StoreError::Busy)
        })
    }

    fn release(&mut self) -> Storing<'_, ()> {
        Box::pin(async {
            match self.give_back() {
                Some(back) => self.server.ask::<bool>(back).await.map(drop),
                None => Ok(()),
            }
        })
    }
}

impl Drop for RedisClaim {
    fn drop(&mut self) {
        // Without a runtime the lease ends by itself.
        if let Some(back) = self.give_back()
            && let Ok(runtime) = Handle::try_current()
        {
            let server = Arc::clone(&self.server);
            runtime.spawn(async move { server.ask::<bool>(back).await });
        }
    }
}

struct Names {
    record: String,
    lease: String,
}

type Owner = [u8; 16];

fn random_owner() -> Result<Owner, StoreError> {
    let mut owner = Owner::default();
    let filled = SystemRandom::new().fill(&mut owner);
    filled.map_err(|_| StoreError::unusable("the system has no randomness"))?;
    Ok(owner)
}

/// What the record's key holds; nothing if there is none.
async fn get(server: &Arc<Server>, names: &Names) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let get = cmd("GET").arg(&names.record).to_owned();
    let text: Option<Vec<u8>> = server.ask(get).await?;
    Ok(Zeroizing::new(text.unwrap_or_default()))
}

fn understood(text: &[u8]) -> Option<Record> {
    serde_json::from_slice(text).ok()
}

/// Each may be run twice, should the answer to the first time get lost.
fn script(text: &str, key: &str) -> Cmd {
    cmd("EVAL").arg(text).arg(1).arg(key).to_owned()
}

fn millis(duration: Duration) -> i64 {
    let longest = LONGEST_LIFE.min(duration).as_millis();
    i64::try_from(longest).unwrap_or(i64::MAX)
}

const TAKE_LEASE: &str = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) \
     or redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end return 0";

const GIVE_LEASE_BACK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] \
     then return redis.call('DEL', KEYS[1]) end return 0";

/// Done already is done.
const REPLACE: &str = "local found = redis.call('GET', KEYS[1]) or '' \
     if found ~= ARGV[1] and found ~= ARGV[2] then return 0 end \
     redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1";

const VERSION: u32 = 1;

/// A renewal holds the claim for 25 s at the most.
const LEASE: Duration = Duration::from_secs(35);

/// Failures, the gate and what was learned about the service count beyond the token's end.
const LONGER_THAN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Redis counts in milliseconds from 1970, which must not overflow: a hundred years.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const MOST_WRITES: u32 = 5;
