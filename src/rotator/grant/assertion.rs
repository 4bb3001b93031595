use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use crate::disk;
use crate::rotator::error::{IssueError, Reason};
use crate::token::Assertion;

/// A future that an [`AssertionSource`] returns.
pub type Asserting<'a> =
    Pin<Box<dyn Future<Output = Result<Assertion, AssertionError>> + Send + 'a>>;

/// Where assertions come from, or tokens to exchange: asked anew for each try, since most are good
/// once, or for minutes.
///
/// A function without arguments that returns a future is one, and so is an [`AssertionFile`].
///
/// ```
/// use steadfast::rotator::{AssertionError, Client, JwtBearer};
/// use steadfast::token::Assertion;
///
/// # async fn ask_identity_provider() -> Result<String, std::io::Error> { Ok("e30.e30.".into()) }
/// let client = Client::new("https://login.example/oauth2/token", "orders", "s3cret")?;
/// let grant = JwtBearer::new(client, "alice", || async {
///     let assertion = ask_identity_provider().await;
///     Ok(Assertion::new(assertion.map_err(|_| AssertionError::Unavailable)?))
/// });
/// # Ok::<(), steadfast::transport::EndpointError>(())
/// ```
pub trait AssertionSource: Send + Sync + 'static {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If none is to be had.
    fn assertion(&self) -> Asserting<'_>;
}

impl<F, R> AssertionSource for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<Assertion, AssertionError>> + Send + 'static,
{
    fn assertion(&self) -> Asserting<'_> {
        Box::pin(self())
    }
}

/// A file that holds an assertion or a token, such as one that a platform projects for its
/// workloads; read again for each try. White space around it is no part of it.
#[derive(Clone, Debug)]
pub struct AssertionFile(PathBuf);

impl AssertionFile {
    /// The file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn read(&self) -> Result<Assertion, AssertionError> {
        let text = disk::read_text(&self.0);
        match text.as_ref().map(|it| it.trim()) {
            Ok("") | Err(_) => Err(AssertionError::Unavailable),
            Ok(assertion) => Ok(Assertion::new(assertion)),
        }
    }
}

impl AssertionSource for AssertionFile {
    fn assertion(&self) -> Asserting<'_> {
        Box::pin(async { self.read() })
    }
}

/// Why there is no assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionError {
    /// It may be had later.
    Unavailable,
    /// Whoever makes them refuses this client or this subject.
    Refused,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "no assertion is to be had now",
            Self::Refused => "no assertion is granted",
        })
    }
}

impl std::error::Error for AssertionError {}

impl From<AssertionError> for IssueError {
    fn from(error: AssertionError) -> Self {
        match error {
            AssertionError::Unavailable => Self::transient(Reason::NoCredential),
            AssertionError::Refused => Self::permanent(Reason::NoCredential),
        }
    }
}
