use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::AssertionSource;
use crate::rotator::client::Client;
use crate::rotator::{Grant, Requesting, Try};

/// The SAML 2.0 bearer grant (RFC 7522 2.1): an assertion that an identity provider signed stands for
/// a subject. The source gives the XML of `<Assertion>`; it is sent in base64url.
#[derive(Clone)]
pub struct SamlBearer {
    client: Client,
    subject: String,
    source: Arc<dyn AssertionSource>,
}

impl SamlBearer {
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

impl Grant for SamlBearer {
    fn client(&self) -> &Client {
        &self.client
    }

    fn facts(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut facts = self.client.facts("saml_bearer");
        facts.push(("subject", (&*self.subject).into()));
        facts
    }

    fn request<'a>(&'a self, this: &'a Try) -> Requesting<'a> {
        Box::pin(async move {
            let assertion = self.source.assertion().await?;
            // RFC 7522 2.1: without padding, on one line.
            let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(assertion.expose()));
            let own = [("grant_type", GRANT_TYPE), ("assertion", &encoded)];
            self.client.request(this, &own)
        })
    }
}

impl fmt::Debug for SamlBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlBearer")
            .field("client", &self.client)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";
