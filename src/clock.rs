//! Time: the one place that reads the system's clocks.
//!
//! Two readings matter here. *Wall* time is what tokens and stores speak of; it jumps when an
//! operator or NTP says so. *Boot* time only ever grows, and counts suspend as well, so it is what
//! ages are measured in. Decisions take a [`Now`] with both; only shells hold a [`Clock`].

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use std::{future::Future, pin::Pin};

/// A source of time, and of waiting.
///
/// [`SystemClock`] is the real one; the `testing` feature has one that a test moves by hand.
pub trait Clock: Send + Sync + 'static {
    /// Wall time.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed point in the past, suspend included; never goes backwards.
    fn boot(&self) -> Duration;

    /// Both readings.
    fn now(&self) -> Now {
        Now {
            wall: self.wall(),
            boot: self.boot(),
        }
    }

    /// Completes once `duration` has passed on this clock.
    ///
    /// A timer of the runtime stands still while the machine is suspended, so callers sleep in
    /// pieces of at most [`LONGEST_SLEEP`] and look at the time again.
    #[cfg(feature = "http")]
    #[expect(clippy::disallowed_methods, reason = "this is where waiting happens")]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The longest that anything here sleeps without looking at the time again: 60 s.
pub const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The system's clocks.
///
/// Boot time is `CLOCK_BOOTTIME` on Linux and Android. Elsewhere it is `std`'s monotonic clock,
/// which may stand still during suspend.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the system's clock is read"
    )]
    fn wall(&self) -> Timestamp {
        SystemTime::now().into()
    }

    #[inline]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the system's clock is read"
    )]
    fn boot(&self) -> Duration {
        // An offset, not state: every process measures from the moment it first asks.
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// One reading of a [`Clock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time.
    pub wall: Timestamp,
    /// Boot time, see [`Clock::boot`].
    pub boot: Duration,
}

/// A point in wall time: whole milliseconds since the Unix epoch.
///
/// All arithmetic saturates; none of it can panic. Serialized as the bare number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since the Unix epoch, with their fraction.
    #[expect(clippy::cast_precision_loss, reason = "exact up to the year 287396")]
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// How long after `earlier` this is; zero if it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(if millis < 0 { 0 } else { millis.unsigned_abs() })
    }

    /// This time plus `duration`.
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This time minus `duration`.
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The same point as chrono has it; `None` outside chrono's range of years.
    pub const fn to_chrono(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

const fn millis(duration: Duration) -> i64 {
    let whole = duration.as_secs().saturating_mul(1000);
    let millis = whole.saturating_add(duration.subsec_millis() as u64);
    if millis > i64::MAX as u64 {
        i64::MAX
    } else {
        millis as i64
    }
}

impl From<SystemTime> for Timestamp {
    #[inline]
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(millis(before.duration()).saturating_neg()),
        }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis())
    }
}

/// RFC 3339 in UTC, with milliseconds only where there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_chrono() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} ms after the epoch", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        let start = Timestamp::from_millis(i64::MIN);
        assert_eq!(start.minus(Duration::MAX), start);
        assert_eq!(
            end.since(start),
            Duration::from_millis(i64::MAX.unsigned_abs())
        );
        assert_eq!(start.since(end), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(i64::MAX), end);
    }

    #[test]
    fn prints_rfc3339() {
        assert_eq!(
            Timestamp::from_secs(1_795_570_010).to_string(),
            "2026-11-25T01:26:50Z"
        );
        assert_eq!(
            Timestamp::from_millis(1).to_string(),
            "1970-01-01T00:00:00.001Z"
        );
        assert_eq!(
            Timestamp::from_millis(i64::MAX).to_string(),
            "9223372036854775807 ms after the epoch"
        );
    }

    #[test]
    fn rounds_seconds_down() {
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
        assert_eq!(Timestamp::from_millis(1999).as_secs(), 1);
    }

    #[test]
    fn the_system_clock_moves_forward() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second.boot >= first.boot);
        assert!(first.wall > Timestamp::from_secs(1_700_000_000));
    }
}
