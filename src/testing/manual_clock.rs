//! A clock that is moved by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Clock, Now, Timestamp};

/// A clock that stands still until it is moved. Clones share one time.
///
/// Wall time, boot time and the timers of [`Clock::sleep`] are three things here, as they are on a
/// machine: wall time may jump either way, boot time counts suspend, and timers do not.
///
/// | | wall | boot | timers |
/// |---|---|---|---|
/// | [`advance`](Self::advance) | moves | moves | move |
/// | [`suspend`](Self::suspend) | moves | moves | stand still |
/// | [`set_wall`](Self::set_wall) | is set | stands still | stand still |
///
/// Nothing here waits for real time: a sleeper is woken by the call that moves the clock past its
/// deadline.
///
/// ```
/// use std::time::Duration;
/// use steadfast::clock::{Clock, Timestamp};
/// use steadfast::testing::ManualClock;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
/// let other = clock.clone();
/// let sleeper = tokio::spawn(async move { other.sleep(Duration::from_secs(60)).await });
/// clock.until_sleepers(1).await;
/// clock.advance(Duration::from_secs(60));
/// sleeper.await.unwrap();
/// assert_eq!(clock.wall(), Timestamp::from_secs(1_800_000_060));
/// # }
/// ```
#[derive(Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

struct Shared {
    time: Mutex<Time>,
    /// Notified whenever someone falls asleep.
    asleep: Notify,
}

struct Time {
    wall: Timestamp,
    boot: Duration,
    /// Boot time less suspend: what timers are measured in.
    awake: Duration,
    /// By deadline in `awake`, then by a number that keeps equal deadlines apart.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper: u64,
}

impl ManualClock {
    /// A clock that shows `wall`, booted an hour ago.
    pub fn new(wall: Timestamp) -> Self {
        let time = Time {
            wall,
            boot: UPTIME,
            awake: UPTIME,
            sleepers: BTreeMap::new(),
            next_sleeper: 0,
        };
        Self {
            shared: Arc::new(Shared {
                time: Mutex::new(time),
                asleep: Notify::new(),
            }),
        }
    }

    /// Time passes: wall, boot and timers move by `by`, and every sleeper whose deadline is reached
    /// is woken.
    pub fn advance(&self, by: Duration) {
        let woken = {
            let mut time = self.time();
            time.wall = time.wall.plus(by);
            time.boot = time.boot.saturating_add(by);
            time.awake = time.awake.saturating_add(by);
            time.due()
        };
        // Outside the lock: a waker may run code that asks this clock.
        woken.into_iter().for_each(Waker::wake);
    }

    /// The machine sleeps for `by`: wall and boot time move, timers stand still.
    pub fn suspend(&self, by: Duration) {
        let mut time = self.time();
        time.wall = time.wall.plus(by);
        time.boot = time.boot.saturating_add(by);
    }

    /// An operator, or NTP, sets the wall clock, forward or backward.
    pub fn set_wall(&self, wall: Timestamp) {
        self.time().wall = wall;
    }

    /// How many sleep on this clock now.
    pub fn sleepers(&self) -> usize {
        self.time().sleepers.len()
    }

    /// How long until the first of them is due; `None` if nobody sleeps.
    pub fn next_wakeup(&self) -> Option<Duration> {
        let time = self.time();
        let ((deadline, _), _) = time.sleepers.first_key_value()?;
        Some(deadline.saturating_sub(time.awake))
    }

    /// Completes once at least `count` sleep on this clock, so that a test moves it only after the
    /// code under test has gone to sleep.
    pub async fn until_sleepers(&self, count: usize) {
        loop {
            let asleep = self.shared.asleep.notified();
            tokio::pin!(asleep);
            // Enrolled before the count is read: one who falls asleep in between is not missed.
            asleep.as_mut().enable();
            if self.sleepers() >= count {
                return;
            }
            asleep.await;
        }
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.shared
            .time
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// 2026-11-25T01:26:50Z.
    fn default() -> Self {
        Self::new(Timestamp::from_secs(1_795_570_010))
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.time().wall
    }

    fn boot(&self) -> Duration {
        self.time().boot
    }

    fn now(&self) -> Now {
        let time = self.time();
        Now {
            wall: time.wall,
            boot: time.boot,
        }
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut time = self.time();
        let id = time.next_sleeper;
        time.next_sleeper += 1;
        Box::pin(Sleep {
            clock: self,
            key: (time.awake.saturating_add(duration), id),
        })
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time();
        f.debug_struct("ManualClock")
            .field("wall", &time.wall)
            .field("boot", &time.boot)
            .field("sleepers", &time.sleepers.len())
            .finish()
    }
}

impl Time {
    /// Takes out the sleepers whose deadline is reached, earliest first.
    fn due(&mut self) -> Vec<Waker> {
        let later = match self.awake.checked_add(Duration::from_nanos(1)) {
            Some(after) => self.sleepers.split_off(&(after, 0)),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.sleepers, later)
            .into_values()
            .collect()
    }
}

struct Sleep<'a> {
    clock: &'a ManualClock,
    key: (Duration, u64),
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = self.clock.time();
        if self.key.0 <= time.awake {
            return Poll::Ready(());
        }
        let former = time.sleepers.insert(self.key, context.waker().clone());
        drop(time);
        // Outside the lock, as in `drop` below: the last waker of a task may drop more sleeps.
        drop(former);
        self.clock.shared.asleep.notify_waiters();
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        let waker = self.clock.time().sleepers.remove(&self.key);
        drop(waker);
    }
}

/// Boot time starts here, so that code under test may subtract from it.
pub(super) const UPTIME: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn sleepers_wake_in_order_and_only_when_due() {
        let clock = ManualClock::default();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let tasks = [3, 1, 2].map(|seconds| {
            let (clock, woken) = (clock.clone(), woken.clone());
            tokio::spawn(async move {
                clock.sleep(seconds * SECOND).await;
                woken.lock().unwrap().push(seconds);
            })
        });
        clock.until_sleepers(3).await;
        assert_eq!(clock.next_wakeup(), Some(SECOND));
        clock.advance(SECOND - Duration::from_nanos(1));
        assert_eq!(clock.sleepers(), 3);
        clock.advance(2 * SECOND + Duration::from_nanos(1));
        assert_eq!((clock.sleepers(), clock.next_wakeup()), (0, None));
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn timers_stand_still_in_suspend() {
        let clock = ManualClock::default();
        let (wall, boot) = (clock.wall(), clock.boot());
        let mut sleep = clock.sleep(60 * SECOND);
        assert!(poll(&mut sleep).is_pending());
        clock.suspend(3600 * SECOND);
        assert!(poll(&mut sleep).is_pending());
        assert_eq!(clock.wall(), wall.plus(3600 * SECOND));
        assert_eq!(clock.boot(), boot + 3600 * SECOND);
        clock.advance(60 * SECOND);
        assert!(poll(&mut sleep).is_ready());
    }

    #[tokio::test]
    async fn the_wall_may_be_set_back() {
        let clock = ManualClock::default();
        let (before, mut sleep) = (clock.now(), clock.sleep(SECOND));
        clock.set_wall(before.wall.minus(9999 * SECOND));
        assert_eq!(clock.now().boot, before.boot);
        assert_eq!(clock.wall(), before.wall.minus(9999 * SECOND));
        assert!(poll(&mut sleep).is_pending());
        assert_eq!(clock.next_wakeup(), Some(SECOND));
    }

    #[tokio::test]
    async fn a_dropped_sleep_is_forgotten() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(SECOND);
        assert!(poll(&mut sleep).is_pending());
        assert_eq!(clock.sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.sleepers(), 0);
        assert!(poll(&mut clock.sleep(Duration::ZERO)).is_ready());
        assert!(poll(&mut clock.sleep(Duration::MAX)).is_pending());
    }

    #[test]
    fn wakers_run_outside_the_lock() {
        struct Asks(ManualClock, AtomicUsize);
        impl std::task::Wake for Asks {
            fn wake(self: Arc<Self>) {
                self.0.now();
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
        let clock = ManualClock::default();
        let asks = Arc::new(Asks(clock.clone(), AtomicUsize::new(0)));
        let waker = Waker::from(asks.clone());
        let mut sleep = clock.sleep(SECOND);
        let poll = sleep.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        clock.advance(SECOND);
        assert_eq!(asks.1.load(Ordering::Relaxed), 1);
    }

    fn poll(future: &mut Pin<Box<dyn Future<Output = ()> + Send + '_>>) -> Poll<()> {
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }
}
