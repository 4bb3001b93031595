//! The story that all three strategies live through: what happens to the service when, and when
//! there is work to do. All times are virtual, counted from the start of the story.

use std::fmt;
use std::time::Duration;

/// What happens to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Everyone starts.
    Start,
    /// A new key is in the key set, and signs nothing yet.
    KeyPublished,
    /// The new key signs; tokens of the former one live on.
    KeyUsed,
    /// The service goes down.
    Down,
    /// The service is back.
    Up,
    /// The end.
    End,
}

impl Turn {
    /// Every turn of the story, in order.
    pub(super) const ALL: [Self; 6] = [
        Self::Start,
        Self::KeyPublished,
        Self::KeyUsed,
        Self::Down,
        Self::Up,
        Self::End,
    ];

    /// When it comes.
    pub(super) const fn at(self) -> Duration {
        match self {
            Self::Start => Duration::ZERO,
            Self::KeyPublished => minutes(4 * 60),
            Self::KeyUsed => minutes(4 * 60 + 30),
            Self::Down => minutes(7 * 60),
            Self::Up => minutes(15 * 60),
            Self::End => minutes(20 * 60),
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "the service is up, and three clients work at irregular intervals",
            Self::KeyPublished => "the service publishes a new key",
            Self::KeyUsed => "the service signs with the new key",
            Self::Down => "the service goes down: it resets every connection",
            Self::Up => "the service is back",
            Self::End => "the end",
        })
    }
}

/// When there is work, in order: drawn from `seed` alone, so that every strategy has the same.
///
/// Mostly minutes lie between two operations, sometimes seconds, and now and then the client rests
/// for the better part of an hour.
pub(super) fn schedule(seed: u64) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = FIRST_WORK;
    let mut times = Vec::new();
    while at < LAST_WORK {
        times.push(at);
        at += rest(&mut random);
    }
    times
}

fn rest(random: &mut fastrand::Rng) -> Duration {
    let secs = match random.u8(..100) {
        0..15 => random.u64(10..40),
        15..96 => random.u64(60..420),
        _ => random.u64(1200..2700),
    };
    Duration::from_secs(secs)
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

const FIRST_WORK: Duration = minutes(6);
/// Early enough for the last operation to be over by the end.
const LAST_WORK: Duration = Turn::End.at().saturating_sub(minutes(10));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_alone_makes_the_schedule() {
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1), schedule(2));
    }

    #[test]
    fn there_is_work_in_every_part_of_the_story() {
        for seed in 0..50 {
            let times = schedule(seed);
            assert!(
                (200..=400).contains(&times.len()),
                "{seed}: {}",
                times.len()
            );
            assert!(times.is_sorted());
            for (from, to) in Turn::ALL.into_iter().zip(Turn::ALL.into_iter().skip(1)) {
                let works = |it: &Duration| (from.at()..to.at()).contains(it);
                // Half an hour lies between a key's first sight and its first use, which a long rest
                // may fill.
                let rested = from == Turn::KeyPublished;
                assert!(rested || times.iter().any(works), "{seed}: {from:?}");
            }
        }
    }

    #[test]
    fn turns_are_in_order() {
        assert!(Turn::ALL.is_sorted_by_key(|turn| turn.at()));
    }
}
