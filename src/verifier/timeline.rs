//! Stories of a refresher on a clock that is moved by hand, with hard request counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::bell::Ring;
use super::fetch_error::{FetchError, SourceError};
use super::handle::RefresherHandle;
use super::key_file::KeyFileError;
use super::keys::KeyCache;
use super::refresh::Refresher;
use super::scripted::{Answer, Folder, Script, document, key_set, reply};
use super::{KeysUnavailable, Trust, Verifier};
use crate::clock::{Clock, LONGEST_SLEEP};
use crate::testing::ManualClock;
use crate::transport::{Endpoint, Sending, Transport, TransportError};

const KEYS: &str = "https://keys.example/jwks";
const DOWN: Answer = Answer::Fails(TransportError::Connect);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A refresher that runs on a clock and a network of its own.
struct Story {
    clock: ManualClock,
    script: Script,
    keys: KeyCache,
    handle: RefresherHandle,
}

impl Story {
    async fn begin(first: Answer) -> Self {
        let script = Script::default();
        script.put(KEYS, first);
        Self::on(ManualClock::default(), script, |it| it).await
    }

    /// With a source, a clock and settings of one's own.
    async fn on(
        clock: ManualClock,
        script: Script,
        settings: impl FnOnce(Refresher) -> Refresher,
    ) -> Self {
        let source = |keys| Refresher::jwks(KEYS, keys).unwrap();
        Self::of(source, clock, script, settings).await
    }

    async fn of(
        source: impl FnOnce(KeyCache) -> Refresher,
        clock: ManualClock,
        script: Script,
        settings: impl FnOnce(Refresher) -> Refresher,
    ) -> Self {
        let keys = KeyCache::empty();
        let refresher = settings(source(keys.clone()))
            .transport(script.clone())
            .clock(Arc::new(clock.clone()));
        let handle = refresher.handle();
        tokio::spawn(refresher.run());
        let story = Self {
            clock,
            script,
            keys,
            handle,
        };
        story.settle().await;
        story
    }

    /// Lets the refresher run until it sleeps again.
    async fn settle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.clock.until_sleepers(1).await;
    }

    /// Time passes, second by second, with `each` at the end of every one; returns at which
    /// seconds fetches were made.
    async fn pass(&self, time: u64, mut each: impl FnMut(&Self, u64)) -> Vec<u64> {
        let mut fetches = Vec::new();
        self.script.asked();
        for second in 1..=time {
            assert!(self.clock.next_wakeup() <= Some(LONGEST_SLEEP));
            self.clock.advance(secs(1));
            each(self, second);
            self.settle().await;
            fetches.extend(self.script.asked().iter().map(|_| second));
        }
        fetches
    }

    async fn quiet(&self, time: u64) -> Vec<u64> {
        self.pass(time, |_, _| {}).await
    }

    fn serves(&self, kid: &str) -> bool {
        let snapshot = self.keys.load();
        snapshot.keys.keys().iter().any(|it| it.kid() == Some(kid))
    }

    fn usable(&self) -> Result<(), KeysUnavailable> {
        let now = self.clock.now();
        self.keys.load_usable(now.wall, || now.boot).map(|_| ())
    }
}

#[tokio::test]
async fn keys_are_fetched_at_once_and_then_ahead_of_time() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    assert_eq!(story.script.asked(), [KEYS]);
    assert!(story.serves("a"));
    assert_eq!(story.handle.ready().await, Ok(()));
    let fetches = story.quiet(3600).await;
    assert!((5..=6).contains(&fetches.len()), "{fetches:?}");
    assert!(
        fetches
            .windows(2)
            .all(|pair| (540..=661).contains(&(pair[1] - pair[0])))
    );
    assert_eq!(story.keys.health().generation, 1, "the same keys each time");
}

#[tokio::test]
async fn a_thousand_bogus_kids_cause_one_fetch() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    for at in [1, 31] {
        let fetches = story
            .pass(120, |story, second| {
                for bogus in 0..1000 {
                    if second == at {
                        let kid = format!("{at}-{bogus}");
                        story.keys.ring(Ring::UnknownKey(&kid));
                    }
                }
            })
            .await;
        assert_eq!(fetches, [at.max(30)]);
    }
    let health = story.keys.health();
    assert_eq!((health.bells_rung, health.bells_held), (2000, 1999));
}

#[tokio::test]
async fn a_rotation_is_picked_up_within_30_s_in_the_middle_of_a_flood() {
    for rotated_at in [100, 101, 115, 129] {
        let story = Story::begin(reply(200, key_set("a"))).await;
        let mut seen = None;
        let fetches = story
            .pass(200, |story, second| {
                story.keys.ring(Ring::UnknownKey(&second.to_string()));
                if second == rotated_at {
                    story.script.put(KEYS, reply(200, key_set("b")));
                }
                if seen.is_none() && story.serves("b") {
                    seen = Some(second - 1);
                }
            })
            .await;
        assert_eq!(fetches, [30, 60, 90, 120, 150, 180]);
        assert!(seen.unwrap() - rotated_at < 30, "{rotated_at} {seen:?}");
        assert!(!story.serves("a"), "a withdrawn key dies at once");
        assert_eq!(story.keys.health().generation, 2);
    }
}

#[tokio::test]
async fn a_bell_wakes_a_sleeping_refresher() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    story.quiet(45).await;
    story.script.put(KEYS, reply(200, key_set("b")));
    story.keys.ring(Ring::UnknownKey("b"));
    story.settle().await;
    assert!(story.serves("b"), "no time has passed");
}

#[tokio::test]
async fn an_hour_of_a_dead_service() {
    for (bells, most) in [(false, 16), (true, 121)] {
        let story = Story::begin(reply(200, key_set("a"))).await;
        story.script.put(KEYS, DOWN);
        story.quiet(480).await;
        let fetches = story
            .pass(3600, |story, second| {
                assert_eq!(story.usable(), Ok(()));
                assert!(story.serves("a"));
                if bells {
                    story.keys.ring(Ring::UnknownKey(&second.to_string()));
                }
            })
            .await;
        assert!(fetches.len() <= most, "{fetches:?}");
        assert!(fetches.len() >= most - 4, "{fetches:?}");
        let health = story.keys.health();
        assert!(health.is_failing && health.failures > 10);
        assert_eq!(health.stale_serves, 3600 - fetches[0]);
        assert_eq!(health.last_error, Some(TransportError::Connect.into()));
    }
}

#[tokio::test]
async fn keys_end_after_max_stale_and_come_back_by_themselves() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    story.script.put(KEYS, DOWN);
    // A day in suspend, which timers do not notice: the next look comes within a minute.
    story.clock.suspend(secs(86_400 - 60));
    assert_eq!(story.usable(), Ok(()));
    assert_eq!(story.quiet(60).await.len(), 1);
    assert_eq!(story.usable(), Ok(()));
    story.quiet(1).await;
    assert_eq!(story.usable(), Err(KeysUnavailable::TooOld));
    assert!(story.serves("a"), "kept, though not relied on");
    story.script.put(KEYS, reply(200, key_set("a")));
    assert_eq!(story.quiet(300).await.len(), 1);
    assert_eq!(story.usable(), Ok(()));
    let health = story.keys.health();
    assert_eq!((health.failures, health.is_failing), (0, false));
    assert!(health.age(story.clock.now()).unwrap() < secs(300));
    assert_eq!(health.last_error, Some(TransportError::Connect.into()));
}

#[tokio::test]
async fn a_start_without_the_service_recovers_by_itself() {
    let story = Story::begin(DOWN).await;
    assert_eq!(story.usable(), Err(KeysUnavailable::NoKeys));
    let fetches = story.quiet(60).await;
    assert!((5..=6).contains(&fetches.len()), "{fetches:?}");
    assert!(fetches[0] <= 2 && fetches[1] <= 5, "{fetches:?}");
    story.script.put(KEYS, reply(200, key_set("a")));
    assert_eq!(story.quiet(80).await.len(), 1);
    assert_eq!(story.usable(), Ok(()));
}

#[tokio::test]
async fn without_keys_a_request_brings_the_next_fetch_within_the_gate() {
    let story = Story::begin(DOWN).await;
    let trust = Trust::issuer("i").audience("a");
    let verifier: Verifier =
        Verifier::new(trust, story.keys.clone()).clock(Arc::new(story.clock.clone()));
    story.quiet(3600).await;
    // By now, if nobody asks, it tries every 5 min.
    while story.quiet(1).await.is_empty() {}
    story.script.put(KEYS, reply(200, key_set("a")));
    assert_eq!(story.quiet(25).await.len(), 0);
    // `{"alg":"EdDSA"}` and `{"iss":"i"}`.
    let token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJpIn0.AAAA";
    assert!(verifier.verify(token).unwrap_err().is_unavailable());
    assert_eq!(story.quiet(5).await.len(), 1);
    assert_eq!(story.usable(), Ok(()));
}

#[tokio::test]
async fn nothing_but_a_good_answer_replaces_the_keys() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    for answer in [
        DOWN,
        reply(200, "<html>welcome</html>"),
        reply(200, r#"{"keys":[]}"#),
        reply(304, ""),
        reply(404, ""),
        reply(500, key_set("b")),
        reply(200, format!("{}{}", key_set("b"), " ".repeat(512 * 1024))),
        Answer::Panics,
    ] {
        story.script.put(KEYS, answer);
        let failures = story.keys.health().failures;
        story.keys.ring(Ring::BadSignature);
        story.quiet(30).await;
        assert!(story.keys.health().failures > failures);
        assert!(story.serves("a") && !story.serves("b"));
        assert_eq!(story.usable(), Ok(()));
    }
    let panicked = Some(FetchError::Panicked);
    assert_eq!(story.keys.health().last_error, panicked);
    story.script.put(KEYS, reply(200, key_set("b")));
    story.keys.ring(Ring::NoKid);
    story.quiet(30).await;
    assert!(story.serves("b"), "it lives on after a panic");
}

#[tokio::test]
async fn a_304_confirms_the_keys() {
    let tag = vec![("etag", "\"1\"".to_owned())];
    let story = Story::begin(Answer::Reply(200, tag, key_set("a"))).await;
    story.script.put(KEYS, reply(304, ""));
    story.quiet(3600).await;
    let health = story.keys.health();
    assert_eq!((health.generation, health.failures), (1, 0));
    assert!(health.age(story.clock.now()).unwrap() < secs(661));
}

/// A network on which each answer takes 5 s.
#[derive(Clone)]
struct Slow(ManualClock, Script);

impl Transport for Slow {
    fn send<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        request: Request<Vec<u8>>,
        max_body: usize,
    ) -> Sending<'a> {
        self.0.advance(secs(5));
        self.1.send(endpoint, request, max_body)
    }
}

/// A key may be withdrawn right after the service has looked.
#[tokio::test]
async fn keys_are_as_old_as_the_request_that_brought_or_confirmed_them() {
    let (clock, script) = (ManualClock::default(), Script::default());
    let tag = vec![("etag", "\"1\"".to_owned())];
    script.put(KEYS, Answer::Reply(200, tag, key_set("a")));
    let keys = KeyCache::empty();
    let refresher = Refresher::jwks(KEYS, keys.clone())
        .unwrap()
        .clock(Arc::new(clock.clone()))
        .transport(Slow(clock.clone(), script.clone()));
    let handle = refresher.handle();
    let mut start = clock.now();
    tokio::spawn(refresher.run());
    handle.ready().await.unwrap();
    assert_eq!(keys.health().fetched_at, Some(start));
    script.put(KEYS, reply(304, ""));
    clock.advance(secs(60));
    start = clock.now();
    handle.refresh().await.unwrap();
    assert_eq!(keys.health().fetched_at, Some(start));
    assert_eq!(keys.health().age(clock.now()), Some(secs(5)));
}

#[tokio::test]
async fn a_wall_clock_that_jumps_causes_a_fetch_only_where_keys_seem_too_old() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    let (hour, year) = (secs(3600), secs(365 * 86_400));
    for wall in [
        story.clock.wall().plus(hour),
        story.clock.wall().minus(year),
    ] {
        story.clock.set_wall(wall);
        assert_eq!(story.quiet(120).await.len(), 0);
        assert_eq!(story.usable(), Ok(()));
    }
    story.clock.set_wall(story.clock.wall().plus(2 * year));
    assert_eq!(story.usable(), Err(KeysUnavailable::TooOld));
    assert_eq!(story.quiet(60).await.len(), 1, "with the next look");
    assert_eq!(story.usable(), Ok(()));
    assert_eq!(story.quiet(300).await.len(), 0);
}

#[tokio::test]
async fn those_who_want_to_wait_may() {
    let story = Story::begin(reply(200, key_set("a"))).await;
    let wait = tokio::spawn({
        let handle = story.handle.clone();
        async move { handle.refresh().await }
    });
    assert_eq!(story.quiet(29).await.len(), 0, "the gate holds for all");
    assert!(!wait.is_finished());
    assert_eq!(story.quiet(1).await.len(), 1);
    assert_eq!(wait.await.unwrap(), Ok(()));
    story.script.put(KEYS, reply(500, ""));
    story.quiet(30).await;
    assert_eq!(story.handle.refresh().await, Err(FetchError::Status(500)));
}

#[tokio::test]
async fn a_handle_stops_it_and_frees_the_place() {
    let script = Script::default();
    script.put(KEYS, Answer::Hangs);
    let keys = KeyCache::empty();
    let start = || {
        let refresher = Refresher::jwks(KEYS, keys.clone())?.transport(script.clone());
        Ok::<_, SourceError>(refresher)
    };
    let refresher = start().unwrap();
    assert_eq!(start().err(), Some(SourceError::HasRefresher));
    let handle = refresher.handle();
    let task = tokio::spawn(refresher.run());
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ready().await }
    });
    tokio::task::yield_now().await;
    handle.stop();
    task.await.unwrap();
    assert_eq!(waiting.await.unwrap(), Err(FetchError::Stopped));
    assert_eq!(handle.refresh().await, Err(FetchError::Stopped));
    assert!(start().is_ok());
}

#[tokio::test]
async fn discovery_and_keys_are_one_fetch() {
    let issuer = "https://login.example";
    let place = "https://login.example/.well-known/openid-configuration";
    let script = Script::default();
    script.put(place, document(issuer, KEYS));
    script.put(KEYS, reply(200, key_set("a")));
    let keys = KeyCache::empty();
    let refresher = Refresher::discover(issuer, keys.clone()).unwrap();
    let handle = refresher.handle();
    tokio::spawn(refresher.transport(script.clone()).run());
    assert_eq!(handle.ready().await, Ok(()));
    assert_eq!(script.asked(), [place, KEYS]);
    assert_eq!(keys.health().generation, 1);
}

/// A key file that was written `age` before the story begins.
async fn written(folder: &Folder, clock: &ManualClock, kid: &str, age: Duration) -> PathBuf {
    let path = folder.path("keys.json");
    let before = ManualClock::new(clock.wall().minus(age));
    let script = Script::default();
    let tag = vec![("etag", format!("\"{kid}\""))];
    script.put(KEYS, Answer::Reply(200, tag, key_set(kid)));
    let story = Story::on(before, script, |it| it.key_file(&path)).await;
    story.handle.ready().await.unwrap();
    path
}

#[tokio::test]
async fn a_cold_start_from_the_key_file_verifies_at_once() {
    let folder = Folder::new("timeline-cold");
    let clock = ManualClock::default();
    let path = written(&folder, &clock, "a", secs(3600)).await;
    let script = Script::default();
    script.put(KEYS, DOWN);
    let story = Story::on(clock, script, |it| it.key_file(&path)).await;
    assert_eq!(story.handle.ready().await, Ok(()));
    assert!(story.serves("a"));
    assert_eq!(story.usable(), Ok(()));
    let health = story.keys.health();
    assert_eq!(health.age(story.clock.now()), Some(secs(3600)));
    assert!(health.is_failing, "another key may exist");
    // The source is asked at once, then as when keys are in hand.
    assert_eq!(story.script.asked(), [KEYS]);
    let fetches = story.quiet(600).await;
    assert!((3..=5).contains(&fetches.len()), "{fetches:?}");
    story.script.put(KEYS, reply(200, key_set("b")));
    story.quiet(300).await;
    assert!(story.serves("b") && !story.serves("a"));
    assert!(!story.keys.health().is_failing);
}

#[tokio::test]
async fn max_stale_counts_from_the_key_files_own_time() {
    const DAY: u64 = 86_400;
    let folder = Folder::new("timeline-stale");
    let clock = ManualClock::default();
    // More than this machine is up.
    let path = written(&folder, &clock, "a", secs(DAY - 60)).await;
    let script = Script::default();
    script.put(KEYS, DOWN);
    let story = Story::on(clock, script, |it| it.key_file(&path)).await;
    story.quiet(60).await;
    assert_eq!(story.usable(), Ok(()));
    story.quiet(1).await;
    assert_eq!(story.usable(), Err(KeysUnavailable::TooOld));
    // A clock that is set back makes no key younger.
    story.clock.set_wall(story.clock.wall().minus(secs(3600)));
    assert_eq!(story.usable(), Err(KeysUnavailable::TooOld));
}

#[tokio::test]
async fn a_key_file_that_is_too_old_makes_nothing_ready() {
    let folder = Folder::new("timeline-old");
    let clock = ManualClock::default();
    let path = written(&folder, &clock, "a", secs(86_401)).await;
    let script = Script::default();
    script.put(KEYS, DOWN);
    let story = Story::on(clock, script, |it| it.key_file(&path)).await;
    assert_eq!(story.usable(), Err(KeysUnavailable::TooOld));
    let ready = tokio::spawn({
        let handle = story.handle.clone();
        async move { handle.ready().await }
    });
    story.quiet(10).await;
    assert!(!ready.is_finished());
    // Confirmed by its entity tag, it is as good as new.
    story.script.put(KEYS, reply(304, ""));
    story.quiet(60).await;
    assert_eq!(ready.await.unwrap(), Ok(()));
    assert_eq!(story.usable(), Ok(()));
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_is_a_miss() {
    let folder = Folder::new("timeline-miss");
    let clock = ManualClock::default();
    for (age, damage, expected) in [
        (0, true, KeyFileError::Damaged),
        (0, false, KeyFileError::FromTheFuture),
    ] {
        let path = written(&folder, &clock, "a", secs(age)).await;
        let now = match damage {
            true => {
                std::fs::write(&path, "{").unwrap();
                clock.clone()
            }
            false => ManualClock::new(clock.wall().minus(secs(1))),
        };
        let script = Script::default();
        script.put(KEYS, DOWN);
        let story = Story::on(now, script, |it| it.key_file(&path)).await;
        assert_eq!(story.usable(), Err(KeysUnavailable::NoKeys));
        assert_eq!(story.keys.health().key_file_error, Some(expected));
        // It recovers by itself, and so does the file.
        story.script.put(KEYS, reply(200, key_set("b")));
        story.quiet(5).await;
        assert_eq!(story.usable(), Ok(()));
        assert_eq!(story.keys.health().key_file_error, None);
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"b\""));
    }
}

/// What is known while the first fetch is still under way, because the service takes its time.
async fn before_the_first_answer(path: &Path, clock: ManualClock) -> KeyCache {
    let script = Script::default();
    script.put(KEYS, Answer::Hangs);
    let keys = KeyCache::empty();
    let refresher = Refresher::jwks(KEYS, keys.clone()).unwrap();
    let refresher = refresher.key_file(path).clock(Arc::new(clock));
    tokio::spawn(refresher.transport(script.clone()).run());
    while script.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    keys
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_is_told_of_at_once() {
    let folder = Folder::new("timeline-told");
    let path = folder.write("keys.json", "{");
    let keys = before_the_first_answer(&path, ManualClock::default()).await;
    let error = keys.health().key_file_error;
    assert_eq!(error, Some(KeyFileError::Damaged));
}

#[tokio::test]
async fn keys_of_a_key_file_are_yet_to_be_confirmed() {
    let folder = Folder::new("timeline-confirmed");
    let clock = ManualClock::default();
    let path = written(&folder, &clock, "a", secs(60)).await;
    let keys = before_the_first_answer(&path, clock).await;
    assert_eq!(keys.health().usable_keys, 1);
    assert!(keys.health().is_failing, "another key may exist");
}

#[tokio::test]
async fn the_key_file_is_written_after_each_success_and_only_then() {
    let folder = Folder::new("timeline-written");
    let clock = ManualClock::default();
    let path = folder.path("keys.json");
    let script = Script::default();
    let tag = vec![("etag", "\"1\"".to_owned())];
    script.put(KEYS, Answer::Reply(200, tag, key_set("a")));
    let story = Story::on(clock, script, |it| it.key_file(&path)).await;
    let note = || {
        let text = std::fs::read(&path).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["steadfast"].clone()
    };
    let mut last = note();
    assert_eq!(last["fetched_at"], story.clock.wall().as_millis());
    assert_eq!(last["source"]["jwks_uri"], KEYS);
    assert_eq!(last["found"]["etag"], "\"1\"");
    for (answer, renews) in [
        (reply(304, ""), true),
        (DOWN, false),
        (reply(200, "<html>"), false),
        (reply(200, r#"{"keys":[]}"#), false),
        (reply(200, key_set("b")), true),
    ] {
        story.script.put(KEYS, answer);
        story.keys.ring(Ring::NoKid);
        story.quiet(30).await;
        assert_eq!(note() != last, renews);
        last = note();
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_costs_no_key() {
    let folder = Folder::new("timeline-unwritable");
    let path = folder.write("file", "").join("keys.json");
    let script = Script::default();
    script.put(KEYS, reply(200, key_set("a")));
    let story = Story::on(ManualClock::default(), script, |it| it.key_file(&path)).await;
    assert_eq!(story.usable(), Ok(()));
    let error = story.keys.health().key_file_error;
    assert!(
        matches!(error, Some(KeyFileError::Unwritable(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_watched_file_is_read_again_when_it_has_changed() {
    let folder = Folder::new("timeline-watched");
    let path = folder.write("jwks.json", key_set("a"));
    let source = |keys| Refresher::file(&path, keys).unwrap();
    let clock = ManualClock::default();
    let story = Story::of(source, clock, Script::default(), |it| it).await;
    assert_eq!(story.handle.ready().await, Ok(()));
    assert!(story.serves("a"));
    story.quiet(3600).await;
    assert_eq!(story.keys.health().generation, 1, "the same keys each time");
    assert_eq!(story.usable(), Ok(()));
    folder.write("jwks.json", key_set("b"));
    story.quiet(30).await;
    assert!(story.serves("b") && !story.serves("a"), "no bell needed");
    // Broken content leaves the good set, and so does none at all.
    let oct = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;
    for broken in ["", "{", "<html>", r#"{"keys":[]}"#, oct] {
        folder.write("jwks.json", broken);
        story.quiet(30).await;
        assert!(
            story.serves("b") && story.keys.health().is_failing,
            "{broken}"
        );
        assert_eq!(story.usable(), Ok(()));
    }
    std::fs::remove_file(&path).unwrap();
    story.quiet(30).await;
    let gone = FetchError::File(std::io::ErrorKind::NotFound);
    assert_eq!(story.keys.health().last_error, Some(gone));
    story.clock.suspend(secs(86_400));
    assert_eq!(story.usable(), Err(KeysUnavailable::TooOld));
    // Replaced by renaming, as Kubernetes does.
    let new = folder.write("new.json", key_set("c"));
    std::fs::rename(new, &path).unwrap();
    story.quiet(30).await;
    assert!(story.serves("c"));
    assert_eq!(story.usable(), Ok(()));
    assert!(story.script.asked().is_empty());
}

#[tokio::test]
async fn a_watched_file_may_be_a_key_file_of_another_process() {
    let folder = Folder::new("timeline-watched-key-file");
    let clock = ManualClock::default();
    let path = written(&folder, &clock, "a", secs(60)).await;
    let source = |keys| Refresher::file(&path, keys).unwrap();
    let story = Story::of(source, clock, Script::default(), |it| it).await;
    assert!(story.serves("a"));
}

#[tokio::test]
async fn withdrawn_keys_live_on_for_a_grace_period() {
    let script = Script::default();
    script.put(KEYS, reply(200, key_set("a")));
    let clock = ManualClock::default();
    let story = Story::on(clock, script, |it| it.grace(secs(100))).await;
    story.quiet(45).await;
    story.script.put(KEYS, reply(200, key_set("b")));
    story.keys.ring(Ring::UnknownKey("b"));
    story.settle().await;
    assert!(story.serves("a") && story.serves("b"));
    assert_eq!(story.keys.health().generation, 2);
    story.quiet(99).await;
    assert!(story.serves("a"));
    story.quiet(1).await;
    assert!(!story.serves("a") && story.serves("b"), "to the second");
    assert_eq!(story.keys.health().generation, 3);
}

#[tokio::test]
async fn keys_that_were_too_old_have_no_grace_period() {
    let script = Script::default();
    script.put(KEYS, reply(200, key_set("a")));
    let clock = ManualClock::default();
    let story = Story::on(clock, script, |it| it.grace(secs(3600))).await;
    story.clock.suspend(secs(86_401));
    story.script.put(KEYS, reply(200, key_set("b")));
    story.quiet(60).await;
    assert!(story.serves("b") && !story.serves("a"));
}

#[tokio::test]
async fn one_failing_source_stops_no_other() {
    let good = Story::begin(reply(200, key_set("a"))).await;
    for failing in [Answer::Hangs, Answer::Panics, DOWN, reply(200, "<html>")] {
        let script = Script::default();
        script.put(KEYS, failing);
        let keys = KeyCache::empty();
        let refresher = Refresher::jwks(KEYS, keys.clone()).unwrap();
        let task = tokio::spawn(refresher.transport(script.clone()).run());
        let generation = good.keys.health().generation;
        let kid = format!("{generation}-more");
        good.script.put(KEYS, reply(200, key_set(&kid)));
        good.keys.ring(Ring::NoKid);
        good.quiet(30).await;
        assert!(good.serves(&kid));
        assert_eq!(keys.health().usable_keys, 0);
        assert_eq!(script.asked(), [KEYS]);
        assert!(!task.is_finished());
        task.abort();
    }
}
