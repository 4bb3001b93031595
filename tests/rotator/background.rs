//! Rotation while nobody calls.

use steadfast::clock::Clock;
use steadfast::testing::ManualClock;

use crate::script::{HOUR, MINUTE, Script, error, name, rotator, settle};

#[tokio::test]
async fn rotation_while_nobody_calls() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let handle = rotator.handle();
    let task = tokio::spawn(rotator.clone().run());
    for _ in 0..24 * 60 {
        clock.until_sleepers(1).await;
        assert!(clock.next_wakeup().unwrap() <= MINUTE);
        clock.advance(MINUTE);
        settle().await;
    }
    let requests = script.requests();
    assert!((12..=25).contains(&requests), "{requests} in a day");
    assert!(rotator.health().rotate_at.unwrap() > clock.wall());
    handle.stop();
    task.await.unwrap();
    clock.advance(24 * HOUR);
    settle().await;
    assert_eq!(script.requests(), requests);
}

#[tokio::test]
async fn suspend_counts_and_no_timer_outlasts_it_by_more_than_a_minute() {
    let (script, clock) = (Script::default(), ManualClock::default());
    let rotator = rotator(&script, &clock);
    let _task = tokio::spawn(rotator.clone().run());
    clock.until_sleepers(1).await;
    assert_eq!(script.requests(), 1);
    // Timers stand still meanwhile, the token's age does not.
    clock.suspend(3 * HOUR);
    settle().await;
    assert_eq!(script.requests(), 1);
    clock.advance(MINUTE);
    settle().await;
    assert_eq!(script.requests(), 2);
    clock.suspend(13 * HOUR);
    assert_eq!(name(&rotator).await, "token-3", "the second one is expired");
}

#[tokio::test]
async fn the_background_task_outlives_a_permanent_error() {
    let refusals = std::iter::repeat_n(error(401, "invalid_client"), 60);
    let script = Script::of(refusals);
    let clock = ManualClock::default();
    let rotator = rotator(&script, &clock);
    let _task = tokio::spawn(rotator.clone().run());
    for _ in 0..6 * 60 {
        clock.until_sleepers(1).await;
        clock.advance(MINUTE);
        settle().await;
    }
    let requests = script.requests();
    assert!((30..=50).contains(&requests), "{requests} in six hours");
    let refused = rotator.token().await.unwrap_err();
    assert!(refused.is_refusal());
    for _ in 0..6 * 60 {
        clock.until_sleepers(1).await;
        clock.advance(MINUTE);
        settle().await;
    }
    assert!(rotator.token().await.is_ok());
}
