//! Many `steadfast token` processes, some of them killed or stopped, against one service that counts.

#![cfg(all(feature = "cli", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use command::{Case, Ran, ran};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use steadfast::clock::{Clock as _, SystemClock};
use steadfast::testing::Fault;

const SECOND: Duration = Duration::from_secs(1);

/// Starts the command and does not wait for it.
fn start(case: &Case, args: &[&str]) -> Child {
    let mut command = case.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(child: Child) -> Ran {
    ran(child.wait_with_output().unwrap())
}

/// A hundred runs, ten at a time, and how long they took.
fn hundred(start: impl Fn() -> Child) -> (Vec<Ran>, Duration) {
    let started = SystemClock.boot();
    let mut done = Vec::new();
    for _ in 0..10 {
        let children: Vec<_> = (0..10).map(|_| start()).collect();
        done.extend(children.into_iter().map(end));
    }
    (done, SystemClock.boot() - started)
}

/// The store's entries, after `change`.
fn entries(case: &Case, change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    let mut stored: Value = serde_json::from_slice(&fs::read(case.store()).unwrap()).unwrap();
    let entries = stored["entries"].as_object_mut().unwrap();
    change(entries);
    let after = entries.clone();
    fs::write(case.store(), stored.to_string()).unwrap();
    after
}

/// Three hours old, so that it is due, and still lives for nine.
fn make_due(entry: &mut Value) {
    let at = |hours: i64| Value::from(SystemClock.wall().as_millis() + hours * 3_600_000);
    entry["token"]["issued_at"] = at(-3);
    entry["token"]["expires_at"] = at(9);
    entry["requested_at"] = at(-3);
}

fn make_all_due(case: &Case) {
    entries(case, |all| all.values_mut().for_each(make_due));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_ask_once() {
    for (name, answer_takes) in [
        ("fifty", Duration::from_millis(300)),
        ("fifty-slow", 3 * SECOND),
    ] {
        let case = Case::new(name).await;
        case.service.fault(Fault::slow(answer_takes));
        let provider = ["--provider", "neo"];
        let children: Vec<_> = (0..50).map(|_| start(&case, &provider)).collect();
        let tokens: BTreeSet<_> = children.into_iter().map(|it| end(it).token()).collect();
        assert_eq!(tokens.len(), 1, "{name}");
        assert_eq!(case.asked(), 1, "{name}");
        assert_eq!(case.service.counters().jwts_issued, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost() {
    let case = Case::new("killed").await;
    let other = case.run(&["--scope", "orders:read"]).token();
    let first = entries(&case, |_| ());
    let (others_key, others_entry) = first.iter().next().unwrap();
    case.run(&[]).token();
    make_all_due(&case);
    let started = SystemClock.boot();
    case.run(&[]).token();
    // From before the first read to after the last write.
    let whole = SystemClock.boot() - started;

    let mut random = fastrand::Rng::with_seed(4);
    let mut killed = 0;
    for round in 0..200 {
        // A first token and a renewal in turns.
        entries(&case, |all| {
            all.retain(|key, _| key == others_key || round % 2 == 0);
            let own = all.iter_mut().filter(|(key, _)| *key != others_key);
            own.for_each(|(_, entry)| {
                if entry["token"].is_object() {
                    make_due(entry);
                }
            });
            all[others_key] = others_entry.clone();
        });
        let mut child = start(&case, &[]);
        thread::park_timeout(whole.mul_f64(random.f64() * 1.1));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());

        let after = entries(&case, |_| ());
        assert_eq!(after[others_key], *others_entry, "round {round}");
        let lock = File::open(case.store().with_extension("json.lock")).unwrap();
        lock.try_lock().expect("a lock was left behind");
    }
    assert!(killed >= 50, "killed in time: {killed}");
    case.run(&[]).token();
    assert_eq!(case.run(&["--scope", "orders:read"]).token(), other);
    let folder = fs::read_dir(case.store().parent().unwrap()).unwrap();
    let names: BTreeSet<_> = folder.map(|it| it.unwrap().file_name()).collect();
    let known = ["tokens.json", "tokens.json.lock", "tokens.json.tmp"];
    let known = known.map(Into::into).into();
    assert!(names.is_subset(&known), "{names:?}");
}

/// A process that is stopped while it holds the lock and waits for an answer.
async fn stopped(case: &Case) -> (Child, Pid) {
    let asked = case.asked();
    case.service.fault(Fault::hang().times(1));
    let holder = start(case, &[]);
    while case.asked() == asked {
        SystemClock.sleep(SECOND / 100).await;
    }
    let pid = Pid::from_child(&holder);
    kill_process(pid, Signal::STOP).unwrap();
    (holder, pid)
}

// Takes half a minute of real time: that is what it is about.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_stopped_starves_nobody() {
    let case = Case::new("stopped").await;
    let (holder, pid) = stopped(&case).await;
    // Stopped ten seconds ago.
    entries(&case, |all| {
        let entry = all.values_mut().next().unwrap();
        let stamp = entry["requested_at"].as_i64().unwrap();
        entry["requested_at"] = (stamp - 10_000).into();
    });
    let started = SystemClock.boot();
    let token = case.run(&[]).token();
    let waited = SystemClock.boot() - started;
    assert!(waited < 30 * SECOND, "{waited:?}");
    assert_eq!(case.asked(), 2);
    // What the holder has to say when it wakes up is older.
    kill_process(pid, Signal::CONT).unwrap();
    end(holder);
    assert_eq!(case.run(&[]).token(), token);
    assert_eq!(case.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_stopped_keeps_nobody_from_a_living_token() {
    let case = Case::new("stopped-living").await;
    let token = case.run(&[]).token();
    make_all_due(&case);
    let (mut holder, pid) = stopped(&case).await;
    let started = SystemClock.boot();
    let ran = case.run(&[]);
    assert_eq!((ran.status, ran.out), (0, format!("{token}\n")));
    let waited = SystemClock.boot() - started;
    assert!(waited < 7 * SECOND, "{waited:?}");
    assert_eq!(case.asked(), 2, "the first, and the holder's");
    kill_process(pid, Signal::KILL).unwrap();
    holder.wait().unwrap();
    assert_ne!(case.run(&[]).token(), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_runs_in_an_outage_share_one_budget() {
    let case = Case::new("hundred").await;
    let token = case.run(&[]).token();
    make_all_due(&case);
    case.service.fault(Fault::down());
    let before = case.service.counters().connections;
    let (runs, took) = hundred(|| start(&case, &[]));
    for ran in runs {
        assert_eq!((ran.status, ran.out), (0, format!("{token}\n")));
    }
    // A try and a retry; the next attempt is not before 48 s later.
    let attempts = 1 + took.as_secs() / 48;
    let tried = case.service.counters().connections - before;
    assert!((1..=2 * attempts).contains(&tried), "{tried} in {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_an_outage_is_told_quickly() {
    let case = Case::new("nothing-quickly").await;
    case.service.fault(Fault::down());
    for _ in 0..3 {
        let started = SystemClock.boot();
        case.run(&[]).failed(3, "no token could be issued since");
        let took = SystemClock.boot() - started;
        assert!(took < 5 * SECOND, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_runs_with_a_wrong_secret_ask_a_handful_of_times() {
    let case = Case::new("hundred-wrong").await;
    let (runs, took) = hundred(|| {
        let mut command = case.command(&[]);
        command.env("STEADFAST_CLIENT_SECRET", "s3cret, but wrong");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    });
    for ran in runs {
        ran.failed(4, "invalid_client (status 401)");
    }
    assert!(case.asked() <= 1 + took.as_secs() / 48, "{}", case.asked());
    case.run(&[]).token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_answers_costs_five_seconds_once() {
    let case = Case::new("hanging").await;
    let token = case.run(&[]).token();
    make_all_due(&case);
    case.service.fault(Fault::hang());
    let started = SystemClock.boot();
    let run = || {
        let ran = case.run(&[]);
        assert_eq!((ran.status, ran.out), (0, format!("{token}\n")));
        SystemClock.boot() - started
    };
    // Five seconds, and what a process needs to start.
    let first = run();
    assert!(first < 6 * SECOND, "{first:?}");
    let mut all = first;
    for _ in 1..20 {
        all = run();
    }
    assert!(all < 12 * SECOND, "{all:?}");
}
