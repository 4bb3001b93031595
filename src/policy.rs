//! The issuance policy: how long tokens live and how often a new one is issued.
//!
//! One plain value that a client, a resource server and the embedded test service all read. A token
//! that lives 12 h and is replaced every 1 to 2 h has at least 10 h left whenever the OAuth service
//! goes down, which is the whole idea.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::token::{FormatPreference, LifetimeSource, Token, TokenFormat};

mod duration;
mod finding;

pub(crate) use duration::duration_text;
pub use duration::{DurationError, parse_duration, parse_range};
pub use finding::Finding;

/// How long tokens shall live, how often a new one is issued, how often to retry, and in which
/// format to ask for them. Data and arithmetic, no I/O.
///
/// Only legal policies exist: validity at most 24 h, `0 < from <= to <= validity / 2` for the
/// rotation range, at most 2 retries.
///
/// ```
/// use std::time::Duration;
/// use steadfast::policy::IssuancePolicy;
///
/// const HOUR: Duration = Duration::from_secs(3600);
/// let policy = IssuancePolicy::default();
/// assert_eq!(policy.validity(), 12 * HOUR);
/// assert_eq!(policy.outage_tolerance(Duration::ZERO), 10 * HOUR);
///
/// let daily = IssuancePolicy::new(24 * HOUR, 2 * HOUR..=4 * HOUR)?;
/// assert_eq!(daily.outage_tolerance(HOUR), 19 * HOUR);
/// assert!(IssuancePolicy::new(HOUR, HOUR..=HOUR).is_err());
/// # Ok::<(), steadfast::policy::PolicyError>(())
/// ```
///
/// As JSON or TOML a policy is `{"validity":"12h","rotate_every":"1h..2h","retries":1,
/// "format":"prefer-jwt"}`; absent members have their default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PolicyText", into = "PolicyText")]
pub struct IssuancePolicy {
    validity: Duration,
    rotate_from: Duration,
    rotate_to: Duration,
    retries: u8,
    format: FormatPreference,
}

impl Default for IssuancePolicy {
    /// 12 h validity, a new token every 1 to 2 h, one retry, JWT preferred.
    fn default() -> Self {
        Self {
            validity: 12 * HOUR,
            rotate_from: HOUR,
            rotate_to: 2 * HOUR,
            retries: 1,
            format: FormatPreference::PreferJwt,
        }
    }
}

impl IssuancePolicy {
    /// No token shall live longer than this: a leaked one is usable until it expires.
    pub const LONGEST_VALIDITY: Duration = Duration::from_secs(24 * 3600);

    /// More retries than this only feed the service's rate limiter.
    pub const MOST_RETRIES: u8 = 2;

    /// A policy with the wanted validity and rotation range; retries and format as by default.
    ///
    /// # Errors
    ///
    /// If the two are outside the legal range.
    pub fn new(
        validity: Duration,
        rotate_every: std::ops::RangeInclusive<Duration>,
    ) -> Result<Self, PolicyError> {
        let (rotate_from, rotate_to) = rotate_every.into_inner();
        Self {
            validity,
            rotate_from,
            rotate_to,
            ..Self::default()
        }
        .checked()
    }

    /// The same policy with another number of retries (0 to 2) after the first try of an attempt.
    ///
    /// # Errors
    ///
    /// If `retries` is above [`Self::MOST_RETRIES`].
    pub fn with_retries(self, retries: u8) -> Result<Self, PolicyError> {
        Self { retries, ..self }.checked()
    }

    /// The same policy with another format preference.
    #[must_use]
    pub fn with_format(self, format: FormatPreference) -> Self {
        Self { format, ..self }
    }

    fn checked(self) -> Result<Self, PolicyError> {
        if self.validity > Self::LONGEST_VALIDITY {
            Err(PolicyError::ValidityTooLong)
        } else if self.rotate_from.is_zero() {
            Err(PolicyError::RotationZero)
        } else if self.rotate_from > self.rotate_to {
            Err(PolicyError::RotationReversed)
        } else if self.rotate_to > self.validity / 2 {
            Err(PolicyError::RotationTooLate)
        } else if self.retries > Self::MOST_RETRIES {
            Err(PolicyError::TooManyRetries)
        } else {
            Ok(self)
        }
    }

    /// How long a token shall live. A wish: what the service grants is set where the client is
    /// registered.
    pub fn validity(&self) -> Duration {
        self.validity
    }

    /// The range that the age of a token at its rotation is drawn from.
    pub fn rotate_every(&self) -> std::ops::RangeInclusive<Duration> {
        self.rotate_from..=self.rotate_to
    }

    /// Tries after the first one of an attempt.
    pub fn retries(&self) -> u8 {
        self.retries
    }

    /// The format to ask for.
    pub fn format(&self) -> FormatPreference {
        self.format
    }

    /// The longest outage of the OAuth service that a client does not notice: what is left of a
    /// token at its latest rotation, less the interval between two uses (nothing rotates a token
    /// that nobody asks for, unless a background task does: then it is zero).
    pub fn outage_tolerance(&self, between_uses: Duration) -> Duration {
        self.validity
            .saturating_sub(self.rotate_to)
            .saturating_sub(between_uses)
    }

    /// How many tokens a day are issued to a client that is used every so often, from the fewest to
    /// the most: one for each use that finds a token due. Zero is a client with a background task.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::policy::IssuancePolicy;
    ///
    /// const HOUR: Duration = Duration::from_secs(3600);
    /// let policy = IssuancePolicy::default();
    /// assert_eq!(policy.tokens_a_day(Duration::ZERO), 12..=24);
    /// assert_eq!(policy.tokens_a_day(3 * HOUR), 8..=8);
    /// ```
    pub fn tokens_a_day(&self, between_uses: Duration) -> std::ops::RangeInclusive<u64> {
        let age = |due| whole_intervals(due, between_uses);
        let (fewest, _) = quotient(DAY, age(self.rotate_to));
        let (most, rest) = quotient(DAY, age(self.rotate_from));
        fewest..=most + u64::from(rest)
    }

    /// How many tokens of one client live at once, from the fewest to the most, where each gets the
    /// wanted validity and a background task rotates. One that was replaced lives on: none of them
    /// can be taken back, so this is what there is to lose.
    pub fn living_tokens(&self) -> std::ops::RangeInclusive<u64> {
        let count = |age| {
            let (whole, rest) = quotient(self.validity, age);
            whole + u64::from(rest)
        };
        count(self.rotate_to)..=count(self.rotate_from)
    }

    /// The age at which a token that was granted `lifetime` is due, for a `fraction` in 0..1 that is
    /// drawn once for each token: inside the range of the policy or, where the token is too short
    /// lived for that, between 0.75 and 1 times half its lifetime.
    pub fn rotation_age(&self, lifetime: Duration, fraction: f64) -> Duration {
        let (from, to) = if self.rotate_to <= lifetime / 2 {
            (self.rotate_from, self.rotate_to)
        } else {
            (lifetime * 3 / 8, lifetime / 2)
        };
        from + (to - from).mul_f64(if fraction.is_finite() {
            fraction.clamp(0.0, 1.0)
        } else {
            1.0
        })
    }

    /// What is worth telling about a token that was granted, held against this policy and the
    /// scopes that were asked for. None of it is a failure.
    pub fn findings(&self, granted: &Token, asked_scope: Option<&str>) -> Vec<Finding> {
        let lifetime = granted.lifetime();
        let known = granted.lifetime_source != LifetimeSource::Assumed;
        let mut findings = Vec::new();
        if !known {
            findings.push(Finding::LifetimeAssumed { assumed: lifetime });
        }
        if known && lifetime > Self::LONGEST_VALIDITY {
            findings.push(Finding::LongerThanADay { granted: lifetime });
        }
        if known && lifetime + TOLERANCE < self.validity {
            findings.push(Finding::ShorterThanWanted {
                granted: lifetime,
                wanted: self.validity,
            });
        }
        if known && lifetime > self.validity + TOLERANCE {
            findings.push(Finding::LongerThanWanted {
                granted: lifetime,
                wanted: self.validity,
            });
        }
        if self.rotate_to > lifetime / 2 {
            findings.push(Finding::RotationTooLate {
                granted: lifetime,
                rotation: self.rotate_to,
            });
        }
        if granted.format == TokenFormat::Opaque && self.format != FormatPreference::Opaque {
            findings.push(Finding::OpaqueInsteadOfJwt);
        }
        if let (Some(asked), Some(got)) = (asked_scope, granted.scope.as_deref())
            && asked
                .split_whitespace()
                .any(|scope| !got.split_whitespace().any(|it| it == scope))
        {
            findings.push(Finding::NarrowerScope);
        }
        findings
    }
}

/// The age at the first use that finds a token due, where uses lie `interval` apart.
fn whole_intervals(due: Duration, interval: Duration) -> Duration {
    let (whole, rest) = quotient(due, interval);
    let intervals = u32::try_from(whole + u64::from(rest)).unwrap_or(u32::MAX);
    interval.saturating_mul(intervals).max(due)
}

/// How often `part` goes into `whole`, and whether there is a rest; zero never does.
fn quotient(whole: Duration, part: Duration) -> (u64, bool) {
    let (whole, part) = (whole.as_nanos(), part.as_nanos());
    let times = whole.checked_div(part).unwrap_or(0);
    let rest = whole.checked_rem(part).is_some_and(|rest| rest > 0);
    // Never more than a day in nanoseconds.
    (u64::try_from(times).unwrap_or(u64::MAX >> 1), rest)
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Services round, and dates of requests are not dates of answers.
const TOLERANCE: Duration = Duration::from_secs(60);

/// Why a policy cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// The validity is above 24 h.
    ValidityTooLong,
    /// The rotation range starts at zero.
    RotationZero,
    /// The rotation range ends before it starts.
    RotationReversed,
    /// The rotation range ends after half of the validity.
    RotationTooLate,
    /// More than 2 retries.
    TooManyRetries,
    /// A text is no duration or no range of two.
    Text(DurationError),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ValidityTooLong => "validity must be at most 24h",
            Self::RotationZero => "rotation must start later than at once",
            Self::RotationReversed => "rotation must not end before it starts",
            Self::RotationTooLate => "rotation must end within half of the validity",
            Self::TooManyRetries => "retries must be 0, 1 or 2",
            Self::Text(error) => return fmt::Display::fmt(error, f),
        })
    }
}

impl std::error::Error for PolicyError {}

impl From<DurationError> for PolicyError {
    fn from(error: DurationError) -> Self {
        Self::Text(error)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PolicyText {
    validity: String,
    rotate_every: String,
    retries: u8,
    format: FormatPreference,
}

impl Default for PolicyText {
    fn default() -> Self {
        IssuancePolicy::default().into()
    }
}

impl From<IssuancePolicy> for PolicyText {
    fn from(policy: IssuancePolicy) -> Self {
        let text = duration_text::of;
        Self {
            validity: text(policy.validity),
            rotate_every: format!("{}..{}", text(policy.rotate_from), text(policy.rotate_to)),
            retries: policy.retries,
            format: policy.format,
        }
    }
}

impl TryFrom<PolicyText> for IssuancePolicy {
    type Error = PolicyError;

    fn try_from(text: PolicyText) -> Result<Self, Self::Error> {
        let policy = Self::new(
            parse_duration(&text.validity)?,
            parse_range(&text.rotate_every)?,
        )?;
        Ok(policy.with_retries(text.retries)?.with_format(text.format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::token::AccessToken;

    fn granted(lifetime: Duration) -> Token {
        Token {
            access_token: AccessToken::new("t").unwrap(),
            format: TokenFormat::Jwt,
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH.plus(lifetime),
            lifetime_source: LifetimeSource::ExpiresIn,
            scope: None,
        }
    }

    #[test]
    fn illegal_policies_cannot_be_built() {
        let ms = Duration::from_millis(1);
        for (validity, rotation, why) in [
            (24 * HOUR + ms, HOUR..=HOUR, PolicyError::ValidityTooLong),
            (12 * HOUR, Duration::ZERO..=HOUR, PolicyError::RotationZero),
            (12 * HOUR, 2 * HOUR..=HOUR, PolicyError::RotationReversed),
            (
                12 * HOUR,
                HOUR..=6 * HOUR + ms,
                PolicyError::RotationTooLate,
            ),
            (Duration::ZERO, ms..=ms, PolicyError::RotationTooLate),
        ] {
            assert_eq!(IssuancePolicy::new(validity, rotation).unwrap_err(), why);
        }
        assert!(IssuancePolicy::new(24 * HOUR, ms..=12 * HOUR).is_ok());
        let error = IssuancePolicy::default().with_retries(3).unwrap_err();
        assert_eq!(error, PolicyError::TooManyRetries);
    }

    #[test]
    fn illegal_policies_cannot_be_read() {
        let read = |json| serde_json::from_str::<IssuancePolicy>(json).map_err(|e| e.to_string());
        assert_eq!(read("{}"), Ok(IssuancePolicy::default()));
        for (json, why) in [
            (r#"{"validity":"25h"}"#, "validity must be at most 24h"),
            (
                r#"{"validity":"3h"}"#,
                "rotation must end within half of the validity",
            ),
            (
                r#"{"rotate_every":"0s..1h"}"#,
                "rotation must start later than at once",
            ),
            (
                r#"{"rotate_every":"2h..1h"}"#,
                "rotation must not end before it starts",
            ),
            (r#"{"retries":3}"#, "retries must be 0, 1 or 2"),
            (
                r#"{"validity":"12"}"#,
                "expected an integer and ms, s, m, h or d, such as 90s",
            ),
            (r#"{"format":"jwt"}"#, "unknown variant `jwt`"),
            (r#"{"retry":1}"#, "unknown field `retry`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(why), "{json}: {error}");
        }
    }

    #[test]
    fn text_and_back() {
        let policy = IssuancePolicy::new(24 * HOUR, Duration::from_millis(90_500)..=2 * HOUR)
            .unwrap()
            .with_format(FormatPreference::RequireJwt);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(
            json,
            r#"{"validity":"24h","rotate_every":"90500ms..2h","retries":1,"format":"require-jwt"}"#
        );
        assert_eq!(
            serde_json::from_str::<IssuancePolicy>(&json).unwrap(),
            policy
        );
    }

    #[test]
    fn tolerance_takes_the_interval_between_uses() {
        let policy = IssuancePolicy::default();
        assert_eq!(policy.outage_tolerance(24 * HOUR), Duration::ZERO);
        assert_eq!(policy.outage_tolerance(HOUR), 9 * HOUR);
    }

    #[test]
    fn tokens_a_day_follow_the_uses() {
        let policy = IssuancePolicy::default();
        let minute = HOUR / 60;
        for (between_uses, tokens) in [
            (Duration::ZERO, 12..=24),
            (minute, 12..=24),
            (90 * minute, 8..=16),
            (7 * HOUR, 3..=4),
            (24 * HOUR, 1..=1),
            (48 * HOUR, 0..=1),
            (Duration::MAX, 0..=1),
        ] {
            assert_eq!(
                policy.tokens_a_day(between_uses),
                tokens,
                "{between_uses:?}"
            );
        }
        let short = Duration::from_nanos(1);
        let hasty = IssuancePolicy::new(HOUR, short..=short).unwrap();
        let day = 86_400_000_000_000;
        assert_eq!(hasty.tokens_a_day(Duration::ZERO), day..=day);
        assert_eq!(hasty.tokens_a_day(HOUR), 24..=24);
    }

    #[test]
    fn replaced_tokens_live_on() {
        assert_eq!(IssuancePolicy::default().living_tokens(), 6..=12);
        let uneven = IssuancePolicy::new(5 * HOUR, 2 * HOUR..=2 * HOUR).unwrap();
        assert_eq!(uneven.living_tokens(), 3..=3);
    }

    #[test]
    fn rotation_stays_in_its_range() {
        let policy = IssuancePolicy::default();
        assert_eq!(policy.rotation_age(12 * HOUR, 0.0), HOUR);
        assert_eq!(policy.rotation_age(12 * HOUR, 1.0), 2 * HOUR);
        assert_eq!(policy.rotation_age(HOUR, 0.0), HOUR * 3 / 8);
        assert_eq!(policy.rotation_age(HOUR, 1.0), HOUR / 2);
        assert_eq!(policy.rotation_age(12 * HOUR, f64::NAN), 2 * HOUR);
        assert_eq!(policy.rotation_age(Duration::ZERO, 0.5), Duration::ZERO);
    }

    #[test]
    fn findings() {
        let policy = IssuancePolicy::default();
        assert_eq!(policy.findings(&granted(12 * HOUR), Some("read")), []);
        assert_eq!(
            policy.findings(&granted(HOUR), None),
            [
                Finding::ShorterThanWanted {
                    granted: HOUR,
                    wanted: 12 * HOUR
                },
                Finding::RotationTooLate {
                    granted: HOUR,
                    rotation: 2 * HOUR
                },
            ]
        );
        assert_eq!(
            policy.findings(&granted(25 * HOUR), None),
            [
                Finding::LongerThanADay { granted: 25 * HOUR },
                Finding::LongerThanWanted {
                    granted: 25 * HOUR,
                    wanted: 12 * HOUR
                },
            ]
        );
        let odd = Token {
            format: TokenFormat::Opaque,
            lifetime_source: LifetimeSource::Assumed,
            scope: Some("read".into()),
            ..granted(12 * HOUR)
        };
        assert_eq!(
            policy.findings(&odd, Some("read write")),
            [
                Finding::LifetimeAssumed { assumed: 12 * HOUR },
                Finding::OpaqueInsteadOfJwt,
                Finding::NarrowerScope,
            ]
        );
        let opaque = policy.with_format(FormatPreference::Opaque);
        assert_eq!(
            opaque.findings(
                &Token {
                    format: TokenFormat::Opaque,
                    ..granted(12 * HOUR)
                },
                None
            ),
            []
        );
    }
}
