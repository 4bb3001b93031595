//! Virtual time, and the pen that everyone in the story writes with.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::chronicle::{Event, What};
use crate::clock::Clock;
use crate::testing::ScaledClock;

/// Knows what time it is in the story, and writes down what happens. Clones write the same story.
#[derive(Clone)]
pub(super) struct Scribe {
    clock: ScaledClock,
    /// Boot time at the start of the story.
    start: Duration,
    events: UnboundedSender<Event>,
}

impl Scribe {
    /// The story starts now.
    pub(super) fn new(clock: ScaledClock, events: UnboundedSender<Event>) -> Self {
        let start = clock.boot();
        Self {
            clock,
            start,
            events,
        }
    }

    /// The clock that everyone lives by.
    pub(super) fn clock(&self) -> ScaledClock {
        self.clock
    }

    /// Virtual time since the start of the story.
    pub(super) fn now(&self) -> Duration {
        self.clock.boot().saturating_sub(self.start)
    }

    /// Waits for `duration` of virtual time.
    pub(super) async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Waits until the story is as old as `at`.
    pub(super) async fn sleep_until(&self, at: Duration) {
        self.sleep(at.saturating_sub(self.now())).await;
    }

    /// Writes down what happened just now.
    pub(super) fn note(&self, what: What) {
        let at = self.now();
        // Nobody reads any more once the story is over.
        let _ = self.events.send(Event { at, what });
    }
}
