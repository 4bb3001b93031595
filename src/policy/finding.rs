//! What the owner of a token should know.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration_text;

/// Something about a granted token that its owner should know. See [`IssuancePolicy::findings`].
///
/// [`IssuancePolicy::findings`]: crate::IssuancePolicy::findings
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
#[non_exhaustive]
pub enum Finding {
    /// The token lives shorter than the policy wants, so it survives shorter outages.
    ShorterThanWanted {
        /// Lifetime granted.
        #[serde(with = "duration_text")]
        granted: Duration,
        /// Lifetime wanted.
        #[serde(with = "duration_text")]
        wanted: Duration,
    },
    /// The token lives longer than the policy wants, so a leaked one is usable for longer.
    LongerThanWanted {
        /// Lifetime granted.
        #[serde(with = "duration_text")]
        granted: Duration,
        /// Lifetime wanted.
        #[serde(with = "duration_text")]
        wanted: Duration,
    },
    /// The token lives longer than 24 h.
    LongerThanADay {
        /// Lifetime granted.
        #[serde(with = "duration_text")]
        granted: Duration,
    },
    /// The answer told no lifetime.
    LifetimeAssumed {
        /// The lifetime that is assumed.
        #[serde(with = "duration_text")]
        assumed: Duration,
    },
    /// The rotation range does not fit the granted lifetime: rotation comes at half of it at most.
    RotationTooLate {
        /// Lifetime granted.
        #[serde(with = "duration_text")]
        granted: Duration,
        /// The end of the rotation range.
        #[serde(with = "duration_text")]
        rotation: Duration,
    },
    /// A JWT was asked for, an opaque token came.
    OpaqueInsteadOfJwt,
    /// Fewer scopes were granted than asked for.
    NarrowerScope,
    /// Secret and token go over the network as plain `http`.
    PlainHttp,
    /// The token goes to and from the shared store over a network in the clear.
    PlainStore,
    /// The token lies in a shared store as it is, for all who may read there.
    UnsealedStore,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShorterThanWanted { granted, wanted } => write!(
                f,
                "the token lives {}, shorter than the {} wanted",
                duration_text::of(*granted),
                duration_text::of(*wanted)
            ),
            Self::LongerThanWanted { granted, wanted } => write!(
                f,
                "the token lives {}, longer than the {} wanted",
                duration_text::of(*granted),
                duration_text::of(*wanted)
            ),
            Self::LongerThanADay { granted } => write!(
                f,
                "the token lives {}: a leaked one stays usable for longer than a day",
                duration_text::of(*granted)
            ),
            Self::LifetimeAssumed { assumed } => write!(
                f,
                "the service told no lifetime, {} is assumed",
                duration_text::of(*assumed)
            ),
            Self::RotationTooLate { granted, rotation } => write!(
                f,
                "a token that lives {} is rotated at half of that at most, not after {}",
                duration_text::of(*granted),
                duration_text::of(*rotation)
            ),
            Self::OpaqueInsteadOfJwt => {
                f.write_str("the service issued an opaque token, not a JWT")
            }
            Self::NarrowerScope => f.write_str("fewer scopes were granted than asked for"),
            Self::PlainHttp => f.write_str("the token endpoint is asked over plain http"),
            Self::PlainStore => f.write_str("the store is reached without TLS"),
            Self::UnsealedStore => f.write_str("tokens lie unsealed in a shared store"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn finding_texts() {
        let texts = [
            Finding::ShorterThanWanted {
                granted: HOUR,
                wanted: 12 * HOUR,
            },
            Finding::LongerThanADay { granted: 48 * HOUR },
            Finding::RotationTooLate {
                granted: HOUR,
                rotation: 2 * HOUR,
            },
            Finding::PlainHttp,
            Finding::PlainStore,
            Finding::UnsealedStore,
        ]
        .map(|finding| finding.to_string());
        assert_eq!(
            texts,
            [
                "the token lives 1h, shorter than the 12h wanted",
                "the token lives 2d: a leaked one stays usable for longer than a day",
                "a token that lives 1h is rotated at half of that at most, not after 2h",
                "the token endpoint is asked over plain http",
                "the store is reached without TLS",
                "tokens lie unsealed in a shared store",
            ]
        );
    }
}
