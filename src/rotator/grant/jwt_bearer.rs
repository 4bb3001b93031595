use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::AssertionSource;
use crate::rotator::client::Client;
use crate::rotator::{Grant, Requesting, Try};

/// The JWT bearer grant (RFC 7523 2.1): a JWT that another party signed stands for a subject.
#[derive(Clone)]
pub struct JwtBearer {
    client: Client,
    subject: String,
    source: Arc<dyn AssertionSource>,
}

impl JwtBearer {
    /// A grant for `subject`, whom the assertions of `source` are about. The name is part of the
    /// store key and is not sent: it keeps one subject from getting the token of another.
    pub fn new(client: Client, subject: impl Into<String>, source: impl AssertionSource) -> Self {
        Self {
            client,
            subject: subject.into(),
            source: Arc::new(source),
        }
    }
}

impl Grant for JwtBearer {
    fn client(&self) -> &Client {
        &self.client
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut facts = self.client.facts("jwt_bearer");
        facts.push(("subject", (&*self.subject).into()));
        facts
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        Box::pin(async move {
            let assertion = self.source.assertion().await?;
            let own = [
                ("grant_type", GRANT_TYPE),
                ("assertion", assertion.expose()),
            ];
            self.client.request(this, &own)
        })
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("client", &self.client)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
