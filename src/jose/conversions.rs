//! From jsonwebtoken's types and to them.

use jsonwebtoken::jwk::{Jwk, JwkSet};

use super::{Header, KeyError, KeySet, KeySetError, UnknownAlgorithm, VerifyingKey};

/// Read by the rules of [`VerifyingKey::from_jwk`]; never symmetric.
impl TryFrom<&Jwk> for VerifyingKey {
    type Error = KeyError;

    fn try_from(jwk: &Jwk) -> Result<Self, KeyError> {
        let json = serde_json::to_string(jwk).map_err(|_| KeyError::Json("not writable"))?;
        Self::from_jwk(&json)
    }
}

/// Key by key: one that cannot be used is skipped with a reason, and so is every `oct` key.
///
/// jsonwebtoken reads a whole document or nothing of it, so where you have the document, read it
/// with [`KeySet::from_json`].
impl TryFrom<&JwkSet> for KeySet {
    type Error = KeySetError;

    fn try_from(set: &JwkSet) -> Result<Self, KeySetError> {
        Self::of_usable(
            set.keys
                .iter()
                .map(|jwk| (jwk.common.key_id.clone(), VerifyingKey::try_from(jwk))),
        )
    }
}

/// `alg`, `kid` and `typ`. Fails for an algorithm that jsonwebtoken has no name for.
impl TryFrom<&Header<'_>> for jsonwebtoken::Header {
    type Error = UnknownAlgorithm;

    fn try_from(header: &Header<'_>) -> Result<Self, UnknownAlgorithm> {
        Ok(Self {
            kid: header.kid.as_deref().map(str::to_owned),
            typ: header.typ.as_deref().map(str::to_owned),
            ..Self::new(header.algorithm.try_into()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Algorithm;

    #[test]
    fn headers() {
        let header = |algorithm| Header {
            algorithm,
            kid: Some("a".into()),
            typ: None,
        };
        let theirs = jsonwebtoken::Header::try_from(&header(Algorithm::EdDSA)).unwrap();
        let expected = jsonwebtoken::Header {
            kid: Some("a".into()),
            typ: None,
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA)
        };
        assert_eq!(theirs, expected);
        for unknown in [Algorithm::ES512, Algorithm::MlDsa65] {
            let refused = jsonwebtoken::Header::try_from(&header(unknown));
            assert_eq!(refused, Err(UnknownAlgorithm));
        }
    }
}
