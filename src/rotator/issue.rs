//! The seam between the rotator and a grant: how a token is asked for and what came.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::error::IssueError;
use super::record::Successor;
use super::store::{CredentialTag, StoreKey};
use crate::clock::Timestamp;
use crate::token::{FormatPreference, Token};
use crate::transport::Endpoint;

/// A future that [`Grant::request`] returns.
pub type Requesting<'a> =
    Pin<Box<dyn Future<Output = Result<http::Request<Vec<u8>>, IssueError>> + Send + 'a>>;

/// How a client gets a token: builds the request and reads the answer. Does not send it itself.
///
/// What goes without saying is as its [`Client`] has it.
pub trait Grant: Send + Sync + 'static {
    /// Who asks, and where.
    fn client(&self) -> &Client;

    /// All that changes the token, by name and in a fixed order: endpoint, client, grant, scopes
    /// (sorted), audience, resources, further parameters; no secret. The format asked for is added
    /// by the rotator.
    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)>;

    /// The token endpoint.
    fn endpoint(&self) -> &Endpoint {
        self.client().endpoint()
    }

    /// Tells the credential in use from any other.
    fn credential(&self, key: &StoreKey) -> CredentialTag {
        self.client().credential(key)
    }

    /// The scopes asked for, space-delimited.
    fn scope(&self) -> Option<&str> {
        self.client().asked_scope()
    }

    /// Whether a request made with [`Try::ask_for_jwt`] differs from one without.
    fn can_ask_for_jwt(&self) -> bool {
        self.client().can_ask_for_jwt()
    }

    /// Whether a request uses up what it is made of, and must not get lost: true for refresh tokens,
    /// which a service may take once and replace at each use; false for what can be sent or made
    /// again. Then no request is made without the store's claim, none of which anything may have been
    /// sent is repeated within its attempt, and none is broken off because a process is about to end.
    fn spends(&self) -> bool {
        false
    }

    /// The request of one try. It may take a while, such as for an assertion that is fetched
    /// elsewhere; that counts as part of the attempt, which has 25 s in all.
    ///
    /// # Errors
    ///
    /// If a secret, key or assertion is not to be had.
    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a>;

    /// Reads the answer to it.
    ///
    /// # Errors
    ///
    /// If it holds no token that can be used. An opaque one where a JWT is required can, as far as
    /// this method goes.
    fn read(&self, this: &Try, response: &http::Response<Vec<u8>>) -> Result<Answer, IssueError> {
        self.client().read(this, response)
    }

    /// The refresh token that the answer puts in place of the one that was sent, whether or not the
    /// access token beside it is of use. It goes into the store before that is handed out, and comes
    /// back among [`Try::successors`].
    fn successor(&self, _this: &Try, _response: &http::Response<Vec<u8>>) -> Option<Successor> {
        None
    }
}

/// A grant that is shared, or chosen while the program runs.
impl<G: Grant + ?Sized> Grant for Arc<G> {
    fn client(&self) -> &Client {
        (**self).client()
    }

    fn endpoint(&self) -> &Endpoint {
        (**self).endpoint()
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        (**self).facts()
    }

    fn credential(&self, key: &StoreKey) -> CredentialTag {
        (**self).credential(key)
    }

    fn scope(&self) -> Option<&str> {
        (**self).scope()
    }

    fn can_ask_for_jwt(&self) -> bool {
        (**self).can_ask_for_jwt()
    }

    fn spends(&self) -> bool {
        (**self).spends()
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        (**self).request(this)
    }

    fn read(&self, this: &Try, response: &http::Response<Vec<u8>>) -> Result<Answer, IssueError> {
        (**self).read(this, response)
    }

    fn successor(&self, this: &Try, response: &http::Response<Vec<u8>>) -> Option<Successor> {
        (**self).successor(this, response)
    }
}

/// One try to issue a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Wall time at its start.
    pub asked_at: Timestamp,
    /// The format that the policy wants.
    pub format: FormatPreference,
    /// Whether to send the parameter that asks for a JWT: the policy wants one, and the service did
    /// not just refuse the parameter.
    pub ask_for_jwt: bool,
    /// The lifetime of the client's last token, for an answer that tells none.
    pub last_lifetime: Option<Duration>,
    /// The lifetime that the policy wants, for the very first answer that tells none.
    pub wanted_lifetime: Duration,
    /// The refresh tokens in force where the service replaced one that the user gave: what
    /// [`Grant::successor`] said last, here and in other processes.
    pub successors: Vec<Successor>,
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The token; `issued_at` is [`Try::asked_at`].
    pub token: Token,
    /// A rotation that the service asks for (`refresh_in`), counted from `issued_at`.
    pub rotate_in: Option<Duration>,
}
