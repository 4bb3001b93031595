//! The denylist: what was revoked here, before its time.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::error::Error;
use super::payload::{Claim, Payload};
use crate::claims::NumericDate;
use crate::clock::Timestamp;

/// Which tokens are refused although they are good, see
/// [`Verifier::denylist`](super::Verifier::denylist).
///
/// JWTs cannot be revoked at the service that issued them. This list is the resource server's own:
/// whoever learns of revocations [replaces it whole](Self::replace), and the next verification
/// already goes by the new one, for tokens of the token cache as well. Readers take no lock. Clones
/// share the list, and several verifiers may read it.
///
/// ```
/// use steadfast::clock::Timestamp;
/// use steadfast::verifier::{Denials, Denylist};
///
/// let denylist = Denylist::required(); // give a clone to `Verifier::denylist`
///
/// const ISSUER: &str = "https://login.example";
/// denylist.replace(
///     Denials::new()
///         .token(ISSUER, "f0f4a4c2-6f0e-4d52-9f6b-1f2f7a3f3f10")
///         .client(ISSUER, "orders-client", Timestamp::from_secs(1_795_570_010)),
/// );
/// ```
#[derive(Clone)]
pub struct Denylist(Arc<Shared>);

struct Shared {
    denials: ArcSwapOption<Denials>,
    /// Counts the replacements, each after it is in force.
    changes: AtomicU64,
}

impl Denylist {
    /// A list of these, and in force.
    pub fn new(denials: Denials) -> Self {
        Self::holding(Some(denials))
    }

    /// A list that is to be loaded first: until its first [`replace`](Self::replace) the answer for
    /// a token that is good otherwise is [`DenylistUnavailable`](Error::DenylistUnavailable) (503).
    pub fn required() -> Self {
        Self::holding(None)
    }

    fn holding(denials: Option<Denials>) -> Self {
        Self(Arc::new(Shared {
            denials: ArcSwapOption::from_pointee(denials),
            changes: AtomicU64::new(0),
        }))
    }

    /// Replaces all that is on the list. Verifications that begin after it returns go by the new
    /// one.
    pub fn replace(&self, denials: Denials) {
        self.0.denials.store(Some(Arc::new(denials)));
        // After the list: whoever reads the new count finds the new list, or a later one.
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    /// To be read before the list is asked; as long as it stays, so does the answer.
    #[inline]
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Whether the token that `marks` are of was revoked.
    ///
    /// # Errors
    ///
    /// If so, or if the list is not loaded.
    pub(super) fn check(&self, marks: &Marks) -> Result<(), Error> {
        match self.0.denials.load().as_ref() {
            None => Err(Error::DenylistUnavailable),
            Some(denials) if denials.has(marks) => Err(Error::Denied),
            Some(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Denylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denylist")
            .field("is_loaded", &self.0.denials.load().is_some())
            .field("changes", &self.0.changes)
            .finish()
    }
}

/// What is on a [`Denylist`]. Everything is denied under an issuer: names are unique under one only.
#[derive(Clone, Default)]
pub struct Denials(HashMap<String, OfIssuer>);

#[derive(Clone, Default)]
struct OfIssuer {
    tokens: HashSet<String>,
    subjects: HashMap<String, Timestamp>,
    clients: HashMap<String, Timestamp>,
    before: Option<Timestamp>,
}

impl Denials {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one token with this `jti`. Drop it from the list once the token's `exp` is past, leeway
    /// included.
    #[must_use]
    pub fn token(self, issuer: &str, jti: impl Into<String>) -> Self {
        self.under(issuer, |it| {
            it.tokens.insert(jti.into());
        })
    }

    /// Tokens with this `sub` that were issued at `until` or before, or do not say when.
    #[must_use]
    pub fn subject(self, issuer: &str, sub: impl Into<String>, until: Timestamp) -> Self {
        self.under(issuer, |it| deny(&mut it.subjects, sub.into(), until))
    }

    /// Tokens with this `client_id` that were issued at `until` or before, or do not say when.
    #[must_use]
    pub fn client(self, issuer: &str, client_id: impl Into<String>, until: Timestamp) -> Self {
        self.under(issuer, |it| deny(&mut it.clients, client_id.into(), until))
    }

    /// All tokens of the issuer that were issued before `before`, or do not say when.
    #[must_use]
    pub fn issuer(self, issuer: &str, before: Timestamp) -> Self {
        self.under(issuer, |it| it.before = it.before.max(Some(before)))
    }

    fn under(mut self, issuer: &str, deny: impl FnOnce(&mut OfIssuer)) -> Self {
        deny(self.0.entry(issuer.to_owned()).or_default());
        self
    }

    fn has(&self, marks: &Marks) -> bool {
        let issuer = marks.iss.as_deref().and_then(|iss| self.0.get(iss));
        issuer.is_some_and(|issuer| issuer.has(marks))
    }
}

/// Of two rules for one name the later time holds.
fn deny(names: &mut HashMap<String, Timestamp>, name: String, until: Timestamp) {
    let held = names.entry(name).or_insert(until);
    *held = until.max(*held);
}

impl OfIssuer {
    fn has(&self, marks: &Marks) -> bool {
        let by_name = |names: &HashMap<String, Timestamp>, name: &Option<Box<str>>| {
            let until = name.as_deref().and_then(|name| names.get(name));
            until.is_some_and(|until| marks.issued().is_none_or(|issued| issued <= *until))
        };
        let by_token = marks
            .jti
            .as_deref()
            .is_some_and(|it| self.tokens.contains(it));
        let by_time = |before| marks.issued().is_none_or(|issued| issued < before);
        by_token
            || by_name(&self.subjects, &marks.sub)
            || by_name(&self.clients, &marks.client_id)
            || self.before.is_some_and(by_time)
    }
}

/// It may be long, and holds names of people.
impl fmt::Debug for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denials")
            .field("issuers", &self.0.len())
            .finish_non_exhaustive()
    }
}

/// By what a token can be on the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    iss: Option<Box<str>>,
    jti: Option<Box<str>>,
    sub: Option<Box<str>>,
    client_id: Option<Box<str>>,
    iat: Option<NumericDate>,
}

impl Marks {
    pub(super) fn of(payload: &Payload<'_>) -> Self {
        let text = |claim: &Claim<Cow<'_, str>>| match claim {
            Claim::Is(text) => Some(text.as_ref().into()),
            Claim::Absent | Claim::WrongType => None,
        };
        Self {
            iss: text(&payload.iss),
            jti: text(&payload.jti),
            sub: text(&payload.sub),
            client_id: text(&payload.client_id),
            iat: match payload.iat {
                Claim::Is(iat) => Some(iat),
                Claim::Absent | Claim::WrongType => None,
            },
        }
    }

    fn issued(&self) -> Option<Timestamp> {
        self.iat.map(NumericDate::to_timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(iss: &str, jti: &str, sub: &str, client_id: &str, iat: Option<f64>) -> Marks {
        Marks {
            iss: Some(iss.into()),
            jti: Some(jti.into()),
            sub: Some(sub.into()),
            client_id: Some(client_id.into()),
            iat: iat.and_then(NumericDate::from_secs_f64),
        }
    }

    #[track_caller]
    fn check(denials: &Denials, marks: &Marks, denied: bool) {
        let expected = if denied { Err(Error::Denied) } else { Ok(()) };
        assert_eq!(Denylist::new(denials.clone()).check(marks), expected);
    }

    #[test]
    fn one_token() {
        let denials = Denials::new().token("i", "t");
        check(&denials, &marks("i", "t", "s", "c", None), true);
        check(&denials, &marks("i", "u", "t", "t", None), false);
        check(&denials, &marks("other", "t", "s", "c", None), false);
        check(&denials, &Marks::default(), false);
    }

    #[test]
    fn subjects_and_clients_up_to_a_time() {
        let at = Timestamp::from_secs(100);
        let subject = Denials::new().subject("i", "s", at);
        let client = Denials::new().client("i", "c", at);
        for denials in [&subject, &client] {
            for (iat, denied) in [
                (Some(100.0), true),
                (Some(99.5), true),
                (Some(100.5), false),
                (None, true),
            ] {
                check(denials, &marks("i", "t", "s", "c", iat), denied);
                check(denials, &marks("i", "t", "c", "s", iat), false);
                check(denials, &marks("other", "t", "s", "c", iat), false);
            }
        }
        let earlier = Timestamp::from_secs(50);
        let twice = subject.subject("i", "s", earlier).token("i", "t");
        check(&twice, &marks("i", "u", "s", "c", Some(100.0)), true);
        check(&twice, &marks("i", "t", "x", "x", Some(200.0)), true);
    }

    #[test]
    fn an_issuer_before_a_time() {
        let (early, late) = (Timestamp::from_secs(50), Timestamp::from_secs(100));
        let denials = Denials::new().issuer("i", late).issuer("i", early);
        for (iat, denied) in [(Some(99.9), true), (Some(100.0), false), (None, true)] {
            check(&denials, &marks("i", "t", "s", "c", iat), denied);
            check(&denials, &marks("other", "t", "s", "c", iat), false);
        }
    }

    #[test]
    fn required_until_loaded() {
        let list = Denylist::required();
        let error = list.check(&Marks::default()).unwrap_err();
        assert!(error.is_unavailable());
        assert_eq!(error.code().as_str(), "denylist_unavailable");
        list.clone().replace(Denials::new());
        assert_eq!(list.check(&Marks::default()), Ok(()));
        assert_eq!(list.changes(), 1);
    }
}
