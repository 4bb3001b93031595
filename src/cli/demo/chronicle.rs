//! What happened: the events of a run, and the figures that are drawn from them.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::story::Turn;
use crate::transport::TransportError;

/// A way of living with an OAuth service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// An opaque token for each operation, introspected by the resource server.
    TokenPerOperation,
    /// A cached JWT of 1 h; keys that are fetched by whoever finds them too old.
    CachedUntilExpiry,
    /// This crate.
    Steadfast,
}

impl Strategy {
    /// All three.
    pub(super) const ALL: [Self; 3] = [
        Self::TokenPerOperation,
        Self::CachedUntilExpiry,
        Self::Steadfast,
    ];

    /// What its client is called at the service.
    pub(super) const fn client_id(self) -> &'static str {
        match self {
            Self::TokenPerOperation => "token-per-operation",
            Self::CachedUntilExpiry => "cached-until-expiry",
            Self::Steadfast => "steadfast",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TokenPerOperation => "token per operation",
            Self::CachedUntilExpiry => "cached until expiry",
            Self::Steadfast => "steadfast",
        })
    }
}

/// Something that happened, at a virtual time since the start of the story.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// When it was over.
    pub(super) at: Duration,
    /// What it was.
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The story took a turn.
    Turn(Turn),
    /// A client did, or failed to do, what it had to.
    Operation(Strategy, Operation),
    /// Someone called the OAuth service.
    Call(Strategy, Call),
}

/// One operation of a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    /// When it was wanted.
    pub(super) wanted: Duration,
    /// When it was over.
    pub(super) over: Duration,
    /// How it ended.
    pub(super) outcome: Result<(), Failure>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The client got no token; the text says why.
    NoToken(String),
    /// The resource server answered with this status.
    Refused(u16),
    /// The resource server did not answer.
    Unreached(TransportError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(why) => write!(f, "no token: {why}"),
            Self::Refused(status) => write!(f, "the resource server answered {status}"),
            Self::Unreached(why) => write!(f, "the resource server did not answer: {why}"),
        }
    }
}

/// One call of the OAuth service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// When it was made.
    pub(super) made: Duration,
    /// What was asked for.
    pub(super) wanted: Wanted,
    /// Who called.
    pub(super) caller: Caller,
    /// What came of it.
    pub(super) answer: Answer,
}

/// What the service was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A token.
    Token,
    /// Whether a token is active (RFC 7662).
    Introspection,
    /// The key set.
    Keys,
    /// Where the key set is.
    Discovery,
}

/// Who called the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A client.
    Client,
    /// A resource server, for a request that waited for it.
    WaitedFor,
    /// A resource server, for no request.
    Background,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A token, and how long it lives.
    Token(Duration),
    /// Anything else that was asked for.
    Given,
    /// Not what was asked for, or no answer at all.
    Failed,
}

/// Everything that happened in a run, in the order in which it was over.
#[derive(Clone, Debug, Default)]
pub(super) struct Chronicle(Vec<Event>);

impl Chronicle {
    /// Adds what happened last.
    pub(super) fn add(&mut self, event: Event) {
        self.0.push(event);
    }

    /// The operations of one strategy.
    pub(super) fn operations(&self, of: Strategy) -> impl Iterator<Item = &Operation> {
        self.0.iter().filter_map(move |event| match &event.what {
            What::Operation(strategy, operation) if *strategy == of => Some(operation),
            _ => None,
        })
    }

    /// The calls of the OAuth service by one strategy.
    pub(super) fn calls(&self, of: Strategy) -> impl Iterator<Item = &Call> {
        self.0.iter().filter_map(move |event| match &event.what {
            What::Call(strategy, call) if *strategy == of => Some(call),
            _ => None,
        })
    }

    /// The figures of one strategy; how many tokens it was issued is known to the service.
    pub(super) fn figures(&self, of: Strategy, tokens_issued: u64) -> Figures {
        let by = |caller: Caller| self.calls(of).filter(move |call| call.caller == caller);
        let failed = |it: &&Operation| it.outcome.is_err();
        Figures {
            operations: self.operations(of).count(),
            failed: self.operations(of).filter(failed).count(),
            tokens_issued,
            calls_while_caller_waited: by(Caller::WaitedFor).count(),
            key_fetches: by(Caller::Background)
                .filter(|call| call.wanted == Wanted::Keys)
                .count(),
            longest_gap_s: longest_gap(self.operations(of)).as_secs_f64().ceil() as u64,
        }
    }
}

/// The longest time from when an operation was wanted until one that was wanted then or later
/// succeeded; where none did any more, until the last one was over.
fn longest_gap<'a>(operations: impl Iterator<Item = &'a Operation>) -> Duration {
    let mut operations: Vec<_> = operations.collect();
    operations.sort_by_key(|operation| operation.wanted);
    let end = operations.iter().map(|it| it.over).max();
    let mut satisfied = end.unwrap_or_default();
    let mut longest = Duration::ZERO;
    for operation in operations.into_iter().rev() {
        // Walking backwards, this is the earliest success of what was wanted from here on; the end
        // stands in for it behind the last success.
        if operation.outcome.is_ok() {
            satisfied = satisfied.min(operation.over);
        }
        longest = longest.max(satisfied.saturating_sub(operation.wanted));
    }
    longest
}

/// One row of the table, and one member of the JSON line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    /// Operations that were wanted.
    pub(super) operations: usize,
    /// Those among them that failed.
    pub(super) failed: usize,
    /// Tokens that the service says it issued.
    pub(super) tokens_issued: u64,
    /// Calls that the resource server made or tried while a caller waited.
    pub(super) calls_while_caller_waited: usize,
    /// Key fetches that the resource server made or tried while nobody waited for them.
    pub(super) key_fetches: usize,
    /// Longest virtual time without a successful operation while one was wanted, in seconds.
    pub(super) longest_gap_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(wanted: u64, over: u64, good: bool) -> Operation {
        Operation {
            wanted: Duration::from_secs(wanted),
            over: Duration::from_secs(over),
            outcome: if good {
                Ok(())
            } else {
                Err(Failure::Refused(503))
            },
        }
    }

    #[track_caller]
    fn gap(operations: &[(u64, u64, bool)], secs: u64) {
        let operations: Vec<_> = operations
            .iter()
            .map(|&(wanted, over, good)| operation(wanted, over, good))
            .collect();
        assert_eq!(longest_gap(operations.iter()).as_secs(), secs);
    }

    #[test]
    fn a_gap_lasts_from_wanted_to_success() {
        gap(&[], 0);
        gap(&[(0, 5, true), (100, 107, true)], 7);
        gap(
            &[
                (0, 5, true),
                (10, 11, false),
                (90, 91, false),
                (200, 203, true),
            ],
            193,
        );
        gap(&[(0, 5, true), (10, 11, false), (90, 95, false)], 85);
        // They overlap, and are told in the order in which they were over.
        gap(&[(1, 3, true), (0, 9, true)], 3);
        gap(&[(2, 4, false), (0, 9, true), (3, 5, true)], 5);
    }

    #[test]
    fn figures_count_by_strategy_and_caller() {
        let mut chronicle = Chronicle::default();
        let mut add = |what| {
            chronicle.add(Event {
                at: Duration::ZERO,
                what,
            })
        };
        let call = |wanted, caller| Call {
            made: Duration::ZERO,
            wanted,
            caller,
            answer: Answer::Failed,
        };
        add(What::Operation(Strategy::Steadfast, operation(0, 5, true)));
        add(What::Operation(
            Strategy::Steadfast,
            operation(10, 11, false),
        ));
        add(What::Operation(
            Strategy::CachedUntilExpiry,
            operation(0, 1, true),
        ));
        for (wanted, caller) in [
            (Wanted::Token, Caller::Client),
            (Wanted::Keys, Caller::Background),
            (Wanted::Discovery, Caller::Background),
            (Wanted::Keys, Caller::WaitedFor),
            (Wanted::Introspection, Caller::WaitedFor),
        ] {
            add(What::Call(Strategy::Steadfast, call(wanted, caller)));
        }
        assert_eq!(
            chronicle.figures(Strategy::Steadfast, 7),
            Figures {
                operations: 2,
                failed: 1,
                tokens_issued: 7,
                calls_while_caller_waited: 2,
                key_fetches: 1,
                longest_gap_s: 5,
            }
        );
        assert_eq!(chronicle.operations(Strategy::TokenPerOperation).count(), 0);
    }
}
