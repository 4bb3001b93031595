//! A clock that runs faster than time does.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::manual_clock::UPTIME;
use crate::clock::{Clock, Now, SystemClock, Timestamp};

/// Real time, times a whole factor, from a wall time of choice. Clones share one time.
///
/// A factor of 3600 lets an hour pass in a second. Whoever sleeps on it sleeps that much shorter;
/// deadlines of sockets stay real.
#[derive(Clone, Copy, Debug)]
pub struct ScaledClock {
    start: Timestamp,
    started: Duration,
    factor: u32,
}

impl ScaledClock {
    /// A clock that shows `start` now and runs `factor` times as fast as time does; a factor of 0
    /// is taken as 1.
    pub fn new(start: Timestamp, factor: u32) -> Self {
        Self {
            start,
            started: SystemClock.boot(),
            factor: factor.max(1),
        }
    }

    /// What has passed on this clock since it was made.
    pub fn elapsed(&self) -> Duration {
        SystemClock
            .boot()
            .saturating_sub(self.started)
            .saturating_mul(self.factor)
    }

    /// How many times as fast as time it runs.
    pub fn factor(&self) -> u32 {
        self.factor
    }
}

impl Clock for ScaledClock {
    fn wall(&self) -> Timestamp {
        self.now().wall
    }

    fn boot(&self) -> Duration {
        self.now().boot
    }

    fn now(&self) -> Now {
        // One reading for both: in between, this clock could run for a minute.
        let elapsed = self.elapsed();
        Now {
            wall: self.start.plus(elapsed),
            boot: elapsed.saturating_add(UPTIME),
        }
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let real = duration.checked_div(self.factor).unwrap_or(duration);
        // The runtime rounds timers up to its next tick, so nobody wakes too early.
        Box::pin(async move { SystemClock.sleep(real).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_scaled_clock_runs_ahead() {
        let start = Timestamp::from_secs(1_800_000_000);
        let clock = ScaledClock::new(start, 1_000_000);
        let boot = clock.boot();
        let real = SystemClock.boot();
        while SystemClock.boot() == real {}
        assert!(clock.boot() > boot);
        let now = clock.now();
        assert_eq!(start.plus(now.boot - UPTIME), now.wall, "one reading");
        assert_eq!(ScaledClock::new(start, 0).factor(), 1);
    }

    #[tokio::test]
    async fn a_scaled_sleep_is_as_long_as_it_says_on_that_clock() {
        let clock = ScaledClock::new(Timestamp::EPOCH, 3600);
        let before = clock.elapsed();
        clock.sleep(3600 * SECOND / 100).await;
        assert!(clock.elapsed() - before >= 36 * SECOND);
    }
}
