//! Who may sign for whom, and who this verifier is.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::error::Error;
use super::payload::{Claim, Payload};

/// Whose tokens are accepted, and for which audience.
///
/// Neither can be left out: what [`Trust::issuer`] returns is no `Trust` until an audience is
/// stated.
///
/// ```
/// use steadfast::verifier::Trust;
///
/// let trust = Trust::issuer("https://login.example")
///     .also_issuer("https://login.example.org")
///     .audience("https://orders.example");
/// ```
///
/// ```compile_fail,E0308
/// # use steadfast::{jose::KeySet, verifier::{KeyCache, Trust, Verifier}};
/// let no_audience = Trust::issuer("https://login.example");
/// let _: Verifier = Verifier::new(no_audience, KeyCache::fixed(KeySet::default()));
/// ```
///
/// All issuers of a trust are signed for by the same keys; issuers with keys of their own go into
/// [`Verifier::several`](super::Verifier::several). A trust in [`AnyIssuer`] builds a verifier with
/// one local key set only, see [`Verifier::fixed`](super::Verifier::fixed).
///
/// ```compile_fail,E0308
/// # use steadfast::{jose::KeySet, verifier::{KeyCache, Trust, Verifier}};
/// let any_issuer = Trust::any_issuer().audience("https://orders.example");
/// let _: Verifier = Verifier::new(any_issuer, KeyCache::fixed(KeySet::default()));
/// ```
#[derive(Clone, Debug)]
pub struct Trust<I = NamedIssuers> {
    issuers: Option<OneOf<Issuer>>,
    audience_claim: Cow<'static, str>,
    audiences: Option<OneOf<String>>,
    required: Vec<(Cow<'static, str>, OneOf<String>)>,
    kind: PhantomData<I>,
}

/// The issuers of a [`Trust`] are named.
#[derive(Clone, Copy, Debug)]
pub enum NamedIssuers {}

/// A [`Trust`] accepts whatever issuer its one local key set signs for.
#[derive(Clone, Copy, Debug)]
pub enum AnyIssuer {}

impl Trust {
    /// Trust in an issuer: `iss` must be equal to the byte (RFC 7519 4.1.1). State the audience
    /// next.
    pub fn issuer(issuer: impl Into<String>) -> Issuers {
        Issuers::of(Some(OneOf::one(Issuer::Exact(issuer.into()))))
    }

    /// Trust in every issuer that a template makes: one claim of the token, in braces, stands for a
    /// part of `iss`. That part may be of ASCII letters, digits and `-` alone, and must be what the
    /// claim says. Whoever is a tenant of the service is trusted; [`require`](Self::require) names
    /// those who are meant.
    ///
    /// ```
    /// use steadfast::verifier::Trust;
    ///
    /// // Entra: the keys are the same for all tenants, and each token names its own.
    /// let trust = Trust::issuer_template("https://login.microsoftonline.com/{tid}/v2.0")?
    ///     .audience("api://orders")
    ///     .require("tid", ["2f1c9d1e-7c1a-4b43-9d5c-0f3a6f1d2e3b"]);
    /// # Ok::<(), steadfast::verifier::TemplateError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is not exactly one claim in braces, or nothing before it.
    pub fn issuer_template(template: &str) -> Result<Issuers, TemplateError> {
        let (before, claim, after) = parts(template).ok_or(TemplateError::NotOneClaim)?;
        if before.is_empty() {
            return Err(TemplateError::NothingBefore);
        }
        Ok(Issuers::of(Some(OneOf::one(Issuer::Template {
            before: before.to_owned(),
            claim: claim.to_owned(),
            after: after.to_owned(),
        }))))
    }

    /// Whatever issuer the keys sign for, also none. Only for one local key set.
    pub fn any_issuer() -> Issuers<AnyIssuer> {
        Issuers::of(None)
    }

    /// One more issuer of the same keys.
    #[must_use]
    pub fn also_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers = also(self.issuers, issuer.into());
        self
    }
}

impl<I> Trust<I> {
    /// One more audience: a token must be for one of them.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences = Some(match self.audiences {
            Some(names) => names.and(audience.into()),
            None => OneOf::one(audience.into()),
        });
        self
    }

    /// Demands that `claim` is a string, and one of these, to the byte. May be repeated; all must
    /// hold.
    ///
    /// Where the caller chooses the audience of its token, as any workflow on GitHub Actions does,
    /// the audience alone keeps nobody out, and a trust without such a demand is unsafe:
    ///
    /// ```
    /// use steadfast::verifier::Trust;
    ///
    /// let trust = Trust::issuer("https://token.actions.githubusercontent.com")
    ///     .audience("https://deploy.example")
    ///     .require("repository_owner_id", ["1234567"])
    ///     .require("ref", ["refs/heads/main"]);
    /// ```
    #[must_use]
    pub fn require<V: Into<String>>(
        mut self,
        claim: impl Into<Cow<'static, str>>,
        one_of: impl IntoIterator<Item = V>,
    ) -> Self {
        let one_of = one_of.into_iter().map(Into::into);
        self.required.push((claim.into(), one_of.collect()));
        self
    }

    /// The same trust, its kind forgotten.
    pub(super) fn into_plain(self) -> Trust {
        Trust {
            issuers: self.issuers,
            audience_claim: self.audience_claim,
            audiences: self.audiences,
            required: self.required,
            kind: PhantomData,
        }
    }

    /// Whether `iss` is an issuer that is trusted (RFC 7519 4.1.1, RFC 8725 3.8).
    pub(super) fn covers(&self, payload: &Payload<'_>) -> bool {
        match (&self.issuers, &payload.iss) {
            (None, _) => true,
            (Some(trusted), Claim::Is(iss)) => trusted.items.iter().any(|it| it.is(iss, payload)),
            (Some(_), Claim::WrongType | Claim::Absent) => false,
        }
    }

    /// All issuers as one text.
    pub(super) fn issuers(&self) -> Arc<str> {
        match &self.issuers {
            Some(issuers) => Arc::clone(&issuers.text),
            None => "any".into(),
        }
    }

    /// Whether the token names this verifier (RFC 7519 4.1.3, RFC 8725 3.9).
    pub(super) fn check_audience(&self, payload: &Payload<'_>) -> Result<(), Error> {
        let Some(expected) = &self.audiences else {
            return Ok(());
        };
        match payload.says(&self.audience_claim, &|it| expected.has(it)) {
            Claim::Is(said) if said.wanted => Ok(()),
            Claim::Is(_) => Err(Error::WrongAudience {
                expected: Arc::clone(&expected.text),
            }),
            Claim::WrongType => Err(Error::MalformedClaim(self.audience_claim.clone())),
            Claim::Absent => Err(Error::MissingClaim(self.audience_claim.clone())),
        }
    }

    /// Whether claims have the values that are demanded of them.
    pub(super) fn check_required(&self, payload: &Payload<'_>) -> Result<(), Error> {
        for (claim, one_of) in &self.required {
            match payload.says(claim, &|it| one_of.has(it)) {
                Claim::Is(said) if said.one && said.wanted => {}
                Claim::Is(said) if said.one => {
                    return Err(Error::WrongClaim {
                        claim: claim.clone(),
                        expected: Arc::clone(&one_of.text),
                    });
                }
                Claim::Is(_) | Claim::WrongType => {
                    return Err(Error::MalformedClaim(claim.clone()));
                }
                Claim::Absent => return Err(Error::MissingClaim(claim.clone())),
            }
        }
        Ok(())
    }
}

/// Issuers without an audience yet.
#[derive(Clone, Debug)]
#[must_use = "state the audience to get a `Trust`"]
pub struct Issuers<I = NamedIssuers> {
    issuers: Option<OneOf<Issuer>>,
    kind: PhantomData<I>,
}

impl Issuers {
    /// One more issuer of the same keys.
    pub fn also_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers = also(self.issuers, issuer.into());
        self
    }
}

impl<I> Issuers<I> {
    fn of(issuers: Option<OneOf<Issuer>>) -> Self {
        Self {
            issuers,
            kind: PhantomData,
        }
    }

    /// Who this verifier is: `aud` must name it, to the byte. May be repeated on the [`Trust`].
    ///
    /// Where callers choose the audience themselves it keeps nobody out, see [`Trust::require`].
    pub fn audience(self, audience: impl Into<String>) -> Trust<I> {
        self.any_audience().audience(audience)
    }

    /// The same in another claim, for tokens without `aud`: a string or an array of strings, as
    /// `aud` is. It goes for every [`Trust::audience`] that follows.
    ///
    /// ```
    /// use steadfast::verifier::Trust;
    ///
    /// // Cognito: access tokens name the client, and ID tokens are signed with the same keys.
    /// let trust = Trust::issuer("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd")
    ///     .audience_in("client_id", "4f1c2v3b5n6m7k8j9h0g")
    ///     .require("token_use", ["access"]);
    /// ```
    pub fn audience_in(
        self,
        claim: impl Into<Cow<'static, str>>,
        audience: impl Into<String>,
    ) -> Trust<I> {
        Trust {
            audience_claim: claim.into(),
            ..self.audience(audience)
        }
    }

    /// Whatever audience, also none; never one of a wrong type.
    ///
    /// A token that was issued for another resource server can then be replayed here (RFC 8725 3.9).
    pub fn any_audience(self) -> Trust<I> {
        Trust {
            issuers: self.issuers,
            audience_claim: Cow::Borrowed("aud"),
            audiences: None,
            required: Vec::new(),
            kind: PhantomData,
        }
    }
}

/// Why a text is no template of issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// It has no claim in braces, or several, or a brace without its like.
    NotOneClaim,
    /// It begins with the claim, so that the token would say which host it comes from.
    NothingBefore,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOneClaim => "a template of issuers has exactly one claim in braces",
            Self::NothingBefore => "a template of issuers must not begin with the claim",
        })
    }
}

impl std::error::Error for TemplateError {}

/// Who `iss` may be.
#[derive(Clone, Debug)]
enum Issuer {
    Exact(String),
    Template {
        before: String,
        claim: String,
        after: String,
    },
}

impl Issuer {
    fn is(&self, iss: &str, payload: &Payload<'_>) -> bool {
        match self {
            Self::Exact(issuer) => issuer == iss,
            Self::Template {
                before,
                claim,
                after,
            } => filling(iss, before, after)
                .is_some_and(|filling| payload.says(claim, &|it| it == filling).is_wanted_string()),
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(issuer) => f.write_str(issuer),
            Self::Template {
                before,
                claim,
                after,
            } => write!(f, "{before}{{{claim}}}{after}"),
        }
    }
}

/// Whether a key whose JWK names `issuer` signs for the payload's.
pub(super) fn signs_for(issuer: &str, payload: &Payload<'_>) -> bool {
    payload
        .says("iss", &|iss| names(issuer, iss))
        .is_wanted_string()
}

/// Whether `issuer` is `iss`, or a template that makes it. Entra's keys for all tenants name one,
/// whose part in braces is the tenant's.
fn names(issuer: &str, iss: &str) -> bool {
    issuer == iss
        || parts(issuer).is_some_and(|(before, _, after)| filling(iss, before, after).is_some())
}

/// The one part of `template` in braces, with what is before and after it.
fn parts(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (claim, after) = rest.split_once('}')?;
    let has_no_brace = |text: &str| !text.contains(['{', '}']);
    let is_one = !claim.is_empty() && [before, claim, after].into_iter().all(has_no_brace);
    is_one.then_some((before, claim, after))
}

/// What stands in `iss` between these two, if it is of characters that cannot lead elsewhere.
fn filling<'a>(iss: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let filling = iss.strip_prefix(before)?.strip_suffix(after)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!filling.is_empty() && filling.bytes().all(is_plain)).then_some(filling)
}

fn also(issuers: Option<OneOf<Issuer>>, issuer: String) -> Option<OneOf<Issuer>> {
    issuers.map(|issuers| issuers.and(Issuer::Exact(issuer)))
}

/// A few of a kind, and all of them as one text for messages.
#[derive(Clone, Debug)]
struct OneOf<T> {
    items: Vec<T>,
    text: Arc<str>,
}

impl<T: fmt::Display> OneOf<T> {
    fn one(item: T) -> Self {
        [item].into_iter().collect()
    }

    fn and(self, item: T) -> Self {
        self.items.into_iter().chain([item]).collect()
    }
}

impl<T: fmt::Display> FromIterator<T> for OneOf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let items: Vec<_> = items.into_iter().collect();
        let texts: Vec<_> = items.iter().map(T::to_string).collect();
        Self {
            items,
            text: texts.join(" or ").into(),
        }
    }
}

impl OneOf<String> {
    fn has(&self, name: &str) -> bool {
        self.items.iter().any(|it| it == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let error = |template| Trust::issuer_template(template).map(|_| ()).unwrap_err();
        for template in [
            "",
            "https://a",
            "https://a/{}",
            "https://a/{x}/{y}",
            "https://a/{x",
            "https://a/x}",
            "https://a/{{x}}",
            "https://a/}{x}",
        ] {
            assert_eq!(error(template), TemplateError::NotOneClaim, "{template}");
        }
        assert_eq!(error("{x}/b"), TemplateError::NothingBefore);
        let trust = Trust::issuer_template("https://a/{x}/b").unwrap();
        let trust = trust.also_issuer("https://c").any_audience();
        assert_eq!(&*trust.issuers(), "https://a/{x}/b or https://c");
    }

    #[test]
    fn issuers_of_keys() {
        const ENTRA: &str = "https://login.example/{tenantid}/v2.0";
        for (issuer, iss, expected) in [
            ("https://a", "https://a", true),
            ("https://a", "https://a/", false),
            (ENTRA, "https://login.example/1-f/v2.0", true),
            (ENTRA, "https://login.example//v2.0", false),
            (ENTRA, "https://login.example/1/2/v2.0", false),
            (ENTRA, "https://login.example/a.b/v2.0", false),
            (ENTRA, "https://login.example/\u{e9}/v2.0", false),
            (ENTRA, "https://login.example/1-f/v1.0", false),
            (ENTRA, "https://login.example/v2.0", false),
        ] {
            assert_eq!(names(issuer, iss), expected, "{iss}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(
            [TemplateError::NotOneClaim, TemplateError::NothingBefore].map(|it| it.to_string()),
            [
                "a template of issuers has exactly one claim in braces",
                "a template of issuers must not begin with the claim",
            ]
        );
    }
}
