//! Signature algorithms (RFC 7518 3.1, RFC 8037, RFC 9864, RFC 9964).

use std::fmt;
use std::str::FromStr;

/// A JWS signature algorithm. `none` is not one.
///
/// ES512 and ML-DSA are there in every build, and verify with the feature `aws-lc-rs` alone; see
/// [`is_supported`](Self::is_supported).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the registered names say it")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    /// Ed25519, under its old name `EdDSA` and its new one `Ed25519` (RFC 9864).
    EdDSA,
    /// `ML-DSA-44` (RFC 9964)
    MlDsa44,
    /// `ML-DSA-65` (RFC 9964)
    MlDsa65,
    /// `ML-DSA-87` (RFC 9964)
    MlDsa87,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 16] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// The registered name; `EdDSA` for Ed25519.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// Whether who can verify can also sign.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    /// Whether this build verifies it. A name that it does not verify is unknown to [`FromStr`], so
    /// a token that says it is refused for its algorithm.
    pub const fn is_supported(self) -> bool {
        let with_aws_lc = matches!(
            self,
            Self::ES512 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87
        );
        cfg!(feature = "aws-lc-rs") || !with_aws_lc
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Names are compared byte by byte (RFC 7515 4.1.1).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "Ed25519" => Ok(Self::EdDSA),
            _ => Self::ALL
                .into_iter()
                .find(|it| it.name() == name && it.is_supported())
                .ok_or(UnknownAlgorithm),
        }
    }
}

/// The name is none of [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a supported signature algorithm")
    }
}

impl std::error::Error for UnknownAlgorithm {}

/// A set of algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AlgorithmSet(u32);

impl AlgorithmSet {
    /// No algorithm.
    pub const EMPTY: Self = Self(0);
    /// Every asymmetric algorithm that this build verifies.
    pub const ASYMMETRIC: Self = Self::collect(false);
    /// Every symmetric algorithm.
    pub const SYMMETRIC: Self = Self::collect(true);

    const fn collect(symmetric: bool) -> Self {
        let mut set = Self::EMPTY;
        let mut at = 0;
        while at < Algorithm::ALL.len() {
            #[expect(clippy::indexing_slicing, reason = "bounded by the line above")]
            let algorithm = Algorithm::ALL[at];
            if algorithm.is_symmetric() == symmetric && algorithm.is_supported() {
                set = set.with(algorithm);
            }
            at += 1;
        }
        set
    }

    /// The set of one.
    pub const fn one(algorithm: Algorithm) -> Self {
        Self(1 << algorithm as u32)
    }

    /// This set and `algorithm`.
    #[must_use]
    pub const fn with(self, algorithm: Algorithm) -> Self {
        self.union(Self::one(algorithm))
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `algorithm` is in it.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::one(algorithm).0 != 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL
            .into_iter()
            .filter(move |it| self.contains(*it))
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for algorithm in Algorithm::ALL {
            let expected = algorithm
                .is_supported()
                .then_some(algorithm)
                .ok_or(UnknownAlgorithm);
            assert_eq!(algorithm.name().parse(), expected);
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
        for unknown in ["none", "rs256", "ES521", "Ed448", "", "RS256 "] {
            assert_eq!(
                unknown.parse::<Algorithm>(),
                Err(UnknownAlgorithm),
                "{unknown}"
            );
        }
    }

    #[test]
    fn supported() {
        let unsupported: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|it| !it.is_supported())
            .map(Algorithm::name)
            .collect();
        let with_aws_lc = ["ES512", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];
        let expected: &[_] = if cfg!(feature = "aws-lc-rs") {
            &[]
        } else {
            &with_aws_lc
        };
        assert_eq!(unsupported, expected);
    }

    #[test]
    fn sets() {
        let set: AlgorithmSet = [Algorithm::RS256, Algorithm::EdDSA].into_iter().collect();
        assert!(set.contains(Algorithm::EdDSA) && !set.contains(Algorithm::ES256));
        assert!(set.intersection(AlgorithmSet::SYMMETRIC).is_empty());
        let asymmetric = if cfg!(feature = "aws-lc-rs") { 13 } else { 9 };
        assert_eq!(AlgorithmSet::ASYMMETRIC.iter().count(), asymmetric);
        assert_eq!(AlgorithmSet::SYMMETRIC.iter().count(), 3);
    }
}
