//! The rotator's machine: its decisions one by one, and its promises under any sequence of events.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod attempts;
mod moments;
mod promises;
mod records;
mod refusals;
mod sharing;

use std::time::Duration;

use proptest::prelude::*;
use steadfast::clock::{Now, Timestamp};
use steadfast::policy::IssuancePolicy;
use steadfast::rotator::Answer;
use steadfast::rotator::error::{Class, ErrorCode, IssueError, Reason};
use steadfast::rotator::state::{Action, Failed, Gate, Record, State, Successor};
use steadfast::rotator::store::{CredentialTag, StoreKey};
use steadfast::token::{
    AccessToken, FormatPreference, LifetimeSource, RefreshToken, Token, TokenFormat,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The id of the process that all this happens in.
const PROCESS: u32 = 42;

const START: Now = Now {
    wall: Timestamp::from_secs(1_795_570_010),
    boot: Duration::from_secs(1000),
};

fn after(now: Now, by: Duration) -> Now {
    Now {
        wall: now.wall.plus(by),
        boot: now.boot + by,
    }
}

fn at(by: Duration) -> Now {
    after(START, by)
}

fn credential(secret: &str) -> CredentialTag {
    CredentialTag::of(&StoreKey::of([("client", "orders")]), secret.as_bytes())
}

fn empty() -> State {
    State::new(IssuancePolicy::default(), credential("s3cret"))
}

fn token(name: &str, asked: Now, lifetime: Duration, format: TokenFormat) -> Answer {
    Answer {
        token: Token {
            access_token: AccessToken::new(name).unwrap(),
            format,
            issued_at: asked.wall,
            expires_at: asked.wall.plus(lifetime),
            lifetime_source: LifetimeSource::ExpiresIn,
            scope: None,
        },
        rotate_in: None,
    }
}

fn jwt(name: &str, asked: Now, lifetime: Duration) -> Answer {
    token(name, asked, lifetime, TokenFormat::Jwt)
}

fn opaque(name: &str, asked: Now) -> Answer {
    token(name, asked, 12 * HOUR, TokenFormat::Opaque)
}

/// A state with a token of 12 h, asked for at the start and rotated after an hour and a half.
fn holding() -> State {
    empty().succeeded(&jwt("first", START, 12 * HOUR), START, START, 0.5)
}

fn down() -> IssueError {
    IssueError::transient(Reason::NoConnection)
}

fn refused() -> IssueError {
    IssueError::permanent(Reason::Error {
        status: 401,
        code: ErrorCode::new("invalid_client"),
        description: None,
    })
}

#[track_caller]
fn name(state: &State, now: Now) -> String {
    state.token(now).expect("a token").expose().to_owned()
}

/// The action in words, with the whole seconds of a wait.
fn action(state: &State, now: Now) -> String {
    match state.decide(now) {
        Action::Serve(held) => format!("serve {}", held.token().expose()),
        Action::ServeAndRenew(held) => format!("serve and renew {}", held.token().expose()),
        Action::JoinThenServe(held, wait) => {
            format!("join {}s, serve {}", wait.as_secs(), held.token().expose())
        }
        Action::Join(wait) => format!("join {}s", wait.as_secs()),
        Action::Fail(failing) => format!("fail {failing}"),
    }
}

/// What another process knows that reads what `state` wrote.
fn restarted(state: &State, now: Now) -> State {
    let text = serde_json::to_string(&state.record()).unwrap();
    empty().learn(serde_json::from_str(&text).unwrap(), now)
}
