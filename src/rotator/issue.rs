//! The seam between the rotator and a grant: how a token is asked for and what came.

use std::borrow::Cow;
use std::time::Duration;

use super::error::IssueError;
use super::store::{CredentialTag, StoreKey};
use crate::clock::Timestamp;
use crate::token::{FormatPreference, Token};
use crate::transport::Endpoint;

/// How a client gets a token: builds the request and reads the answer. Sends nothing itself.
pub trait Grant: Send + Sync + 'static {
    /// The token endpoint.
    fn endpoint(&self) -> &Endpoint;

    /// All that changes the token, by name and in a fixed order: endpoint, client, grant, scopes
    /// (sorted), audience, resources, further parameters; no secret. The format asked for is added
    /// by the rotator.
    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)>;

    /// Tells the credential in use from any other.
    fn credential(&self, key: &StoreKey) -> CredentialTag;

    /// The scopes asked for, space-delimited.
    fn scope(&self) -> Option<&str> {
        None
    }

    /// Whether a request made with [`Try::ask_for_jwt`] differs from one without.
    fn can_ask_for_jwt(&self) -> bool;

    /// The request of one try.
    ///
    /// # Errors
    ///
    /// If a secret, key or assertion is not to be had.
    fn request(&self, this: &Try) -> Result<http::Request<Vec<u8>>, IssueError>;

    /// Reads the answer to it.
    ///
    /// # Errors
    ///
    /// If it holds no token that can be used. An opaque one where a JWT is required can, as far as
    /// this method goes.
    fn read(&self, this: &Try, response: &http::Response<Vec<u8>>) -> Result<Answer, IssueError>;
}

/// One try to issue a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The token; `issued_at` is [`Try::asked_at`].
    pub token: Token,
    /// A rotation that the service asks for (`refresh_in`), counted from `issued_at`.
    pub rotate_in: Option<Duration>,
}
