use std::borrow::Cow;

use http::Response;

use crate::rotator::auth::{CERTIFICATE, SecretSource};
use crate::rotator::client::Client;
use crate::rotator::error::{IssueError, Reason};
use crate::rotator::record::Successor;
use crate::rotator::sent::Sent;
use crate::rotator::store::{CredentialTag, StoreKey};
use crate::rotator::{Grant, Requesting, Try, answer};
use crate::token::{ClientSecret, RefreshToken};

/// The refresh token grant (RFC 6749 6), for a subject who consented once.
///
/// A service may replace the refresh token at each use and take a second use of the old one for
/// theft (RFC 9700 4.14.2). So it is never sent without the store's claim, sent again within one
/// attempt only if nothing went out, and the one that replaces it is in the store before the access
/// token is handed out. A store that lasts is a must: with
/// [`MemoryStore`](crate::rotator::store::MemoryStore) the replacement is lost with the process, and
/// the next process sends a refresh token that was used before.
///
/// The user gives the `initial` refresh token, and never has to give another one while the service
/// goes on replacing it: the store remembers the latest ([`Successor`]). If another `initial` is given,
/// as after a new consent, that counts from then on. The store remembers the latest for either, so that
/// processes that were given the one and the other do not get in each other's way.
///
/// A certificate is part of the store key. A process whose
/// [`ClientCertificate`](crate::rotator::ClientCertificate) is replaced goes on; one that starts with
/// another certificate finds nothing in the store, and needs another `initial` if the service replaces
/// refresh tokens.
///
/// ```no_run
/// use std::path::PathBuf;
/// use steadfast::policy::IssuancePolicy;
/// use steadfast::rotator::store::FileStore;
/// use steadfast::rotator::{Client, RefreshTokenGrant, Rotator};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new("https://login.example/oauth2/token", "orders", "s3cret")?;
/// let consent = PathBuf::from("/run/secrets/alice.refresh-token");
/// let rotator = Rotator::new(
///     RefreshTokenGrant::new(client, "alice", consent),
///     IssuancePolicy::default(),
/// )
/// .store(FileStore::open("/var/lib/orders/tokens.json")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RefreshTokenGrant {
    client: Client,
    subject: String,
    initial: SecretSource,
}

impl RefreshTokenGrant {
    /// A grant for `subject`, who consented to what `initial` stands for. The name is part of the
    /// store key and is not sent.
    pub fn new(
        client: Client,
        subject: impl Into<String>,
        initial: impl Into<SecretSource>,
    ) -> Self {
        Self {
            client,
            subject: subject.into(),
            initial: initial.into(),
        }
    }

    fn initial(&self) -> Result<ClientSecret, IssueError> {
        let initial = self.initial.read();
        initial.map_err(|_| IssueError::transient(Reason::NoCredential))
    }

    /// Without the client's secret or certificate: to replace that is no reason for another consent.
    fn tag(&self, initial: &str) -> CredentialTag {
        let facts = self.facts();
        let lasting = facts.iter().filter(|(name, _)| *name != CERTIFICATE);
        let key = StoreKey::of(lasting.map(|(name, value)| (*name, &**value)));
        CredentialTag::of(&key, initial.as_bytes())
    }
}

impl Grant for RefreshTokenGrant {
    fn client(&self) -> &Client {
        &self.client
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut facts = self.client.facts("refresh_token");
        facts.push(("subject", (&*self.subject).into()));
        facts
    }

    fn credential(&self, key: &StoreKey) -> CredentialTag {
        let initial = self.initial.read().ok();
        let initial = initial.as_ref().map_or("", ClientSecret::expose);
        self.client.credential(key).and(key, initial.as_bytes())
    }

    fn spends(&self) -> bool {
        true
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        Box::pin(async move {
            let initial = self.initial()?;
            let tag = self.tag(initial.expose());
            let token = match this.successors.iter().find(|it| it.initial == tag) {
                Some(successor) => successor.refresh_token.expose(),
                None => initial.expose(),
            };
            let own = [("grant_type", "refresh_token"), ("refresh_token", token)];
            self.client.request(this, &own)
        })
    }

    fn successor(&self, this: &Try, response: &Response<Vec<u8>>) -> Option<Successor> {
        let refresh_token: RefreshToken = answer::refresh_token(response)?;
        let sent = Sent::before(response)?.parameter("refresh_token")?;
        // By what was sent: the file of the first one may have been replaced meanwhile.
        let mut links = this.successors.iter();
        let before = links.find(|it| it.refresh_token.expose() == sent);
        Some(Successor {
            refresh_token,
            number: before.map_or(0, |it| it.number).saturating_add(1),
            since: this.asked_at,
            initial: before.map_or_else(|| self.tag(sent), |it| it.initial),
        })
    }
}
