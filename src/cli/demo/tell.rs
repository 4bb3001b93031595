//! Tells the story as it happens: what is worth a line, and which.

use std::time::Duration;

use super::chronicle::{Answer, Call, Caller, Event, Operation, Strategy, Wanted, What};
use super::report::words;
use super::story::Turn;

/// Who tells the story. It remembers what it said, so as not to say it again at every operation.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    mood: [Mood; Strategy::ALL.len()],
    /// When to say next that steadfast works on, while the service is down.
    next_word: Option<Duration>,
}

/// How one strategy is doing.
#[derive(Clone, Copy, Debug, Default)]
struct Mood {
    /// Since when it fails, and how many operations did since.
    failing: Option<(Duration, usize)>,
    /// Operations that succeeded while the service was down.
    through_outage: usize,
    /// When its latest token expires.
    token_until: Duration,
    /// Whether the last call for a token, and the last for keys in the background, failed.
    without: [bool; 2],
}

impl Narrator {
    /// The line for `event`, if it is worth one.
    pub(super) fn tell(&mut self, event: &Event) -> Option<String> {
        let text = match &event.what {
            What::Turn(turn) => Some(self.turn(*turn)),
            What::Operation(strategy, operation) => self.operation(*strategy, operation),
            What::Call(strategy, call) => self.call(*strategy, call),
        };
        text.map(|text| format!("{}  {text}", clock_face(event.at)))
    }

    fn turn(&mut self, turn: Turn) -> String {
        self.next_word = (turn == Turn::Down).then(|| turn.at() + BETWEEN_WORDS);
        format!("== {turn}")
    }

    fn operation(&mut self, strategy: Strategy, operation: &Operation) -> Option<String> {
        let mood = self.mood.get_mut(strategy as usize)?;
        let text = match (&operation.outcome, mood.failing) {
            (Err(why), None) => {
                mood.failing = Some((operation.wanted, 1));
                format!("fails ({why})")
            }
            (Err(_), Some((since, count))) => {
                mood.failing = Some((since, count + 1));
                return None;
            }
            (Ok(()), Some((since, count))) => {
                mood.failing = None;
                let gap = words(operation.over.saturating_sub(since));
                format!("works again: {count} failed operations in {gap}")
            }
            (Ok(()), None) => {
                let next = self.next_word.as_mut()?;
                mood.through_outage += 1;
                if strategy != Strategy::Steadfast || operation.over < *next {
                    return None;
                }
                *next += BETWEEN_WORDS;
                let left = words(mood.token_until.saturating_sub(operation.over));
                let count = mood.through_outage;
                format!(
                    "works on: {count} operations without the service, the token has {left} left"
                )
            }
        };
        Some(line(strategy, &text))
    }

    fn call(&mut self, strategy: Strategy, call: &Call) -> Option<String> {
        let mood = self.mood.get_mut(strategy as usize)?;
        let (place, thing) = match (call.wanted, call.caller) {
            (Wanted::Token, _) if strategy != Strategy::TokenPerOperation => (0, "token"),
            (Wanted::Keys, Caller::Background) => (1, "keys"),
            _ => return None,
        };
        let without = mood.without.get_mut(place)?;
        let failed_before = std::mem::replace(without, call.answer == Answer::Failed);
        let text = match call.answer {
            Answer::Token(lifetime) => {
                mood.token_until = call.made + lifetime;
                format!("a new token, good for {}", words(lifetime))
            }
            Answer::Given if failed_before => format!("new {thing} again"),
            Answer::Failed if strategy == Strategy::Steadfast && !failed_before => {
                format!("no new {thing}, the latest in hand must do")
            }
            Answer::Given | Answer::Failed => return None,
        };
        Some(line(strategy, &text))
    }
}

fn line(strategy: Strategy, text: &str) -> String {
    format!("{strategy:<20} {text}")
}

/// `h:mm` since the start of the story.
fn clock_face(at: Duration) -> String {
    let minutes = at.as_secs() / 60;
    format!("{:>2}:{:02}", minutes / 60, minutes % 60)
}

const BETWEEN_WORDS: Duration = Duration::from_secs(2 * 3600);

#[cfg(test)]
mod tests {
    use super::super::chronicle::Failure;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn operation(strategy: Strategy, at: Duration, outcome: Result<(), Failure>) -> Event {
        let operation = Operation {
            wanted: at,
            over: at,
            outcome,
        };
        Event {
            at,
            what: What::Operation(strategy, operation),
        }
    }

    fn call(strategy: Strategy, at: Duration, wanted: Wanted, answer: Answer) -> Event {
        let caller = match wanted {
            Wanted::Token => Caller::Client,
            _ => Caller::Background,
        };
        let call = Call {
            made: at,
            wanted,
            caller,
            answer,
        };
        Event {
            at,
            what: What::Call(strategy, call),
        }
    }

    fn turn(turn: Turn) -> Event {
        Event {
            at: turn.at(),
            what: What::Turn(turn),
        }
    }

    #[test]
    fn a_failure_is_told_when_it_starts_and_when_it_ends() {
        let mut narrator = Narrator::default();
        let who = Strategy::TokenPerOperation;
        let refused = Err(Failure::Refused(503));
        let told: Vec<_> = [
            operation(who, HOUR, Ok(())),
            operation(who, 2 * HOUR, refused.clone()),
            operation(who, 3 * HOUR, refused),
            operation(who, 4 * HOUR, Ok(())),
            call(who, 5 * HOUR, Wanted::Token, Answer::Token(HOUR)),
        ]
        .iter()
        .filter_map(|event| narrator.tell(event))
        .collect();
        assert_eq!(
            told,
            [
                " 2:00  token per operation  fails (the resource server answered 503)",
                " 4:00  token per operation  works again: 2 failed operations in 2 h 00 min",
            ]
        );
    }

    #[test]
    fn steadfast_speaks_now_and_then_in_an_outage() {
        let mut narrator = Narrator::default();
        let who = Strategy::Steadfast;
        let down = Turn::Down.at();
        let told: Vec<_> = [
            call(who, down - HOUR, Wanted::Token, Answer::Token(12 * HOUR)),
            turn(Turn::Down),
            operation(who, down + HOUR, Ok(())),
            call(who, down + HOUR, Wanted::Token, Answer::Failed),
            call(who, down + HOUR, Wanted::Token, Answer::Failed),
            call(who, down + HOUR, Wanted::Keys, Answer::Failed),
            operation(who, down + 2 * HOUR, Ok(())),
            operation(who, down + 3 * HOUR, Ok(())),
            turn(Turn::Up),
            call(who, Turn::Up.at(), Wanted::Keys, Answer::Given),
            call(who, Turn::Up.at(), Wanted::Keys, Answer::Given),
        ]
        .iter()
        .filter_map(|event| narrator.tell(event))
        .collect();
        assert_eq!(
            told,
            [
                " 6:00  steadfast            a new token, good for 12 h 00 min",
                " 7:00  == the service goes down: it resets every connection",
                " 8:00  steadfast            no new token, the latest in hand must do",
                " 8:00  steadfast            no new keys, the latest in hand must do",
                " 9:00  steadfast            works on: 2 operations without the service, the token has 9 h 00 min left",
                "15:00  == the service is back",
                "15:00  steadfast            new keys again",
            ]
        );
    }
}
