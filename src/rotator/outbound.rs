//! What the outbound layer and the middleware share: which request gets a token, and what follows
//! when a resource refuses it.

use std::sync::Arc;

use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use url::{Position, Url};

use super::flight::Limits;
use super::message::{Outgoing, Returning};
use super::origins::{Origin, Origins};
use super::refusal::{self, YOUTH};
use super::{Error, Rotator};
use crate::token::Token;

#[derive(Clone, Debug)]
pub(super) struct Outbound {
    rotator: Rotator,
    origins: Arc<Origins>,
}

impl Outbound {
    pub(super) fn new(rotator: Rotator, origins: Origins) -> Self {
        Self {
            rotator,
            origins: Arc::new(origins),
        }
    }

    /// A request that gets a token: it goes to one of the origins, and its caller gave it no
    /// credential.
    pub(super) fn asked(&self, request: &impl Outgoing) -> Option<Asked> {
        let target = request.target().and_then(Origin::of)?;
        let concerns =
            self.origins.contain(&target) && !request.headers().contains_key(AUTHORIZATION);
        concerns.then(|| Asked {
            target,
            method: request.method().clone(),
            url: request.url().cloned(),
        })
    }

    pub(super) async fn token(&self) -> Result<Arc<Token>, Error> {
        self.rotator.token().await
    }

    /// What is left to do after `response`: to send `copy`, if it refuses `token` and the request may
    /// be repeated.
    pub(super) fn judge<R>(
        &self,
        asked: &Asked,
        token: &Token,
        response: &impl Returning,
        copy: Option<R>,
    ) -> Option<R> {
        if !asked.is_refused(response) {
            return None;
        }
        let again = copy.filter(|_| asked.is_repeatable(response.url()));
        if again.is_none() {
            self.refused_for_good(token);
        }
        again
    }

    /// The same request with another token than `refused`, if one is to be had.
    pub(super) async fn renewed<R: Outgoing>(&self, refused: &Token, mut again: R) -> Option<R> {
        let other = self.after_refusal(refused).await?;
        present(&other, again.headers_mut());
        Some(again)
    }

    /// What to replay a request with after a resource refused `refused`: another token, or, if it was
    /// issued a moment ago and the resource may not know it yet, the latest one after a second. `None`
    /// if neither would help.
    async fn after_refusal(&self, refused: &Token) -> Option<Arc<Token>> {
        if self.is_young(refused) {
            self.rotator.shared.parts.clock.sleep(YOUTH).await;
            return self.rotator.token().await.ok();
        }
        let latest = self.rotator.reject(refused).await.ok()?;
        (latest.access_token != refused.access_token).then_some(latest)
    }

    /// The same for a request that cannot be sent again: later ones gain by it, and this one need not
    /// wait.
    fn refused_for_good(&self, refused: &Token) {
        if !self.is_young(refused) {
            self.rotator.reject_behind(refused);
        }
    }

    fn is_young(&self, token: &Token) -> bool {
        refusal::is_young(token, self.rotator.shared.now().wall)
    }
}

impl Rotator {
    /// [`Self::reject`] for one who does not wait for what comes of it.
    fn reject_behind(&self, token: &Token) {
        self.refuse(token);
        let _ = self.renew(Limits::DETACHED);
    }
}

/// A request with a token, as far as its answer is judged by it.
pub(super) struct Asked {
    target: Origin,
    method: Method,
    url: Option<Url>,
}

impl Asked {
    /// Whether an answer blames the token. One that came from elsewhere, after a redirect, does not:
    /// no token went there.
    fn is_refused(&self, response: &impl Returning) -> bool {
        let answered = response.url().and_then(Origin::of_url);
        let from_there = answered.is_none_or(|it| it == self.target);
        from_there && refusal::blames_token(response.status(), response.headers())
    }

    /// Whether it may be sent again after an answer from `answered`. What redirected it took the
    /// token, and may have done what was asked: twice is as good as once for idempotent methods alone
    /// (RFC 9110 9.2.2).
    fn is_repeatable(&self, answered: Option<&Url>) -> bool {
        let redirected = match (&self.url, answered) {
            (Some(asked), Some(answered)) => {
                asked[..Position::AfterQuery] != answered[..Position::AfterQuery]
            }
            _ => false,
        };
        self.method.is_idempotent() || !redirected
    }
}

/// As RFC 6750 2.1 has it, and marked as sensitive, so that nobody prints it.
pub(super) fn present(token: &Token, headers: &mut HeaderMap) {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", token.access_token.expose()));
    // An access token consists of visible ASCII, so this is a header.
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}
