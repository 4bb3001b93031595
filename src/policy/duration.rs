//! Durations as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Reads a duration: an integer and `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
///
/// If the text is anything else, or too large to be counted in milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(DurationError),
    };
    let number = u64::from_str(number).map_err(|_| DurationError)?;
    number
        .checked_mul(unit)
        .map(Duration::from_millis)
        .ok_or(DurationError)
}

/// Reads a range of two durations, `1h..2h`; one alone is both ends.
///
/// # Errors
///
/// If an end is no duration, see [`parse_duration`].
pub fn parse_range(text: &str) -> Result<std::ops::RangeInclusive<Duration>, DurationError> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    Ok(parse_duration(from)?..=parse_duration(to)?)
}

/// The text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationError;

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an integer and ms, s, m, h or d, such as 90s")
    }
}

impl std::error::Error for DurationError {}

/// Durations as text: `#[serde(with = "duration_text")]`.
pub(crate) mod duration_text {
    use super::{Duration, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer};

    /// The shortest exact text, in the largest unit that leaves an integer.
    pub(crate) fn of(duration: Duration) -> String {
        let millis = duration.as_millis();
        for (unit, name) in [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ] {
            // 24h reads better than 1d, and the design speaks of hours.
            let small_day = name == "d" && millis < 2 * unit;
            if millis >= unit && millis.is_multiple_of(unit) && !small_day {
                return format!("{}{name}", millis / unit);
            }
        }
        if millis == 0 {
            "0s".into()
        } else {
            format!("{millis}ms")
        }
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&of(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn durations() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0ms"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("2d"), Ok(48 * HOUR));
        for bad in [
            "",
            "h",
            "1",
            "1.5h",
            "-1h",
            "+1h",
            "1 h",
            "1h30m",
            "1H",
            "99999999999999999d",
        ] {
            assert_eq!(parse_duration(bad), Err(DurationError), "{bad}");
        }
        assert_eq!(parse_range("1h"), Ok(HOUR..=HOUR));
        assert_eq!(parse_range("1h.."), Err(DurationError));
    }
}
