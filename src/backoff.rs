//! The ladder of waiting times that both halves climb while their service fails.

use std::time::Duration;

/// Waiting times that double from `first` to `longest`, each moved by up to `spread` of itself
/// either way.
///
/// Plain arithmetic: the caller counts the failures and brings the random number.
///
/// ```
/// use std::time::Duration;
/// use steadfast::backoff::Ladder;
///
/// let ladder = Ladder {
///     first: Duration::from_secs(30),
///     longest: Duration::from_secs(300),
///     spread: 0.05,
/// };
/// assert_eq!(ladder.wait(1, 0.5), Duration::from_secs(30));
/// assert_eq!(ladder.wait(3, 0.5), Duration::from_secs(120));
/// assert_eq!(ladder.wait(1, 0.0), Duration::from_millis(28_500));
/// assert_eq!(ladder.wait(99, 1.0), Duration::from_secs(300));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ladder {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer than this, moved or not.
    pub longest: Duration,
    /// How far a wait is moved at most, as a part of itself (0 to 1).
    pub spread: f64,
}

impl Ladder {
    /// The wait after the `failures`th failure in a row (from 1), with `random` uniform in 0..1.
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let wait = self.first.saturating_mul(1 << doublings).min(self.longest);
        spread(wait, self.spread, random).min(self.longest)
    }
}

/// `wait` moved by up to `part` of itself either way, with `random` uniform in 0..1.
pub fn spread(wait: Duration, part: f64, random: f64) -> Duration {
    let factor = 1.0 + part.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0);
    Duration::try_from_secs_f64(wait.as_secs_f64() * factor).unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_panics_and_never_exceeds_the_longest() {
        let ladder = Ladder {
            first: Duration::MAX,
            longest: Duration::MAX,
            spread: 1.0,
        };
        assert_eq!(
            ladder.wait(u32::MAX, f64::NAN).min(ladder.longest),
            ladder.wait(1, f64::NAN)
        );
        let ladder = Ladder {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            spread: 0.25,
        };
        for failures in 0..100 {
            for random in [0.0, 0.3, 1.0] {
                assert!(ladder.wait(failures, random) <= ladder.longest);
            }
        }
    }
}
