//! Fixed key pairs for tests. They are published with this crate: whoever trusts them trusts
//! everyone.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::jose::Algorithm;
use crate::jose::sign::{SignError, encoding_key_from_pem, provider, sign};

/// A fixed key pair (or shared secret) with a `kid`, pinned to one algorithm.
///
/// ```
/// use steadfast::jose::Algorithm;
/// use steadfast::testing::TestKey;
///
/// let key = TestKey::of(Algorithm::ES256);
/// assert_eq!(key.kid(), "es256");
/// assert_eq!(key.public_jwk()["crv"], "P-256");
/// ```
#[derive(Clone)]
pub struct TestKey {
    kid: Cow<'static, str>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone, Copy)]
enum Material {
    /// PKCS#8, as PEM.
    Pem(&'static str),
    Secret(&'static [u8]),
}

impl TestKey {
    /// The key for `algorithm`; its `kid` is the algorithm's name in lower case.
    ///
    /// For ES512 and ML-DSA there is none, and signing is an error.
    pub fn of(algorithm: Algorithm) -> Self {
        let material = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => rsa(0),
            Algorithm::RS384 | Algorithm::PS384 => rsa(1),
            Algorithm::RS512 | Algorithm::PS512 => rsa(2),
            Algorithm::ES256 => Material::Pem(P256),
            Algorithm::ES384 => Material::Pem(P384),
            Algorithm::EdDSA => Material::Pem(ED25519),
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Material::Secret(SECRET),
            Algorithm::ES512 | Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => {
                Material::Secret(&[])
            }
        };
        Self {
            kid: algorithm.name().to_ascii_lowercase().into(),
            algorithm,
            material,
        }
    }

    /// The `generation`th RS256 key, from 0, with `kid` `rsa-0`, `rsa-1` and so on: for rotations.
    /// Four key pairs take turns; the `kid` never comes back.
    pub fn rsa(generation: usize) -> Self {
        Self {
            kid: format!("rsa-{generation}").into(),
            algorithm: Algorithm::RS256,
            material: rsa(generation),
        }
    }

    /// One key for each algorithm that jsonwebtoken signs, the symmetric ones included.
    pub fn all() -> Vec<Self> {
        Algorithm::ALL
            .into_iter()
            .filter(|it| jsonwebtoken::Algorithm::try_from(*it).is_ok())
            .map(Self::of)
            .collect()
    }

    /// The same key under another `kid`.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self {
            kid: kid.into().into(),
            ..self
        }
    }

    /// `kid`.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The private key as PEM (PKCS#8); `None` for a shared secret.
    pub fn private_pem(&self) -> Option<&'static str> {
        match self.material {
            Material::Pem(pem) => Some(pem),
            Material::Secret(_) => None,
        }
    }

    /// The shared secret; `None` for a key pair.
    pub fn secret(&self) -> Option<&'static [u8]> {
        match self.material {
            Material::Pem(_) => None,
            Material::Secret(secret) => Some(secret),
        }
    }

    /// The key as jsonwebtoken holds it.
    ///
    /// # Errors
    ///
    /// Never for the keys of this module; the error is that of [`encoding_key_from_pem`].
    pub fn encoding_key(&self) -> Result<EncodingKey, SignError> {
        match self.material {
            Material::Pem(pem) => encoding_key_from_pem(pem),
            Material::Secret(secret) => Ok(EncodingKey::from_secret(secret)),
        }
    }

    /// The JWK (RFC 7517) that verifies what this key signs, with `kid`, `alg` and `use`. For a
    /// shared secret that is an `oct` key, which holds the secret.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = match self.material {
            Material::Pem(_) => {
                let key = self.encoding_key().ok();
                key.and_then(|key| public_members(self.algorithm, &key))
                    .unwrap_or_default()
            }
            Material::Secret(secret) => json!({ "kty": "oct", "k": encode(secret) }),
        };
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".into(), self.kid().into());
            members.insert("alg".into(), self.algorithm.name().into());
            members.insert("use".into(), "sig".into());
        }
        jwk
    }

    /// `claims` as a compact JWS with `typ` `at+jwt` (RFC 9068 2.1) and this key's `kid`.
    ///
    /// # Errors
    ///
    /// If `claims` cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        self.sign_as("at+jwt", claims)
    }

    /// `claims` as a compact JWS with the given `typ` and this key's `kid`.
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
        let algorithm = self.algorithm.try_into();
        let header = Header {
            typ: Some(typ.to_owned()),
            kid: Some(self.kid().to_owned()),
            ..Header::new(algorithm.map_err(|_| SignError::AlgorithmMismatch)?)
        };
        sign(&header, claims, &self.encoding_key()?)
    }

    /// As [`sign`](Self::sign), with a claim `padding` that makes the token `length` bytes long, or
    /// one more where base64 has no such length; as long as need be, if `length` is too short.
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_padded(
        &self,
        claims: &Map<String, Value>,
        length: usize,
    ) -> Result<String, SignError> {
        let mut claims = claims.clone();
        claims.insert("padding".into(), "".into());
        let bare = serde_json::to_vec(&claims).map_err(|_| SignError::NotJson)?;
        let around = self.sign(&claims)?.len() - encode(&bare).len();
        // Three bytes of a payload are four of the token; a rest is rounded up.
        let payload = length.saturating_sub(around).saturating_mul(3).div_ceil(4);
        let padding = "x".repeat(payload.saturating_sub(bare.len()));
        claims.insert("padding".into(), padding.into());
        self.sign(&claims)
    }
}

/// Names key and algorithm only.
impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A JWK Set (RFC 7517 5) of the public halves of `keys`.
pub fn jwk_set<'a>(keys: impl IntoIterator<Item = &'a TestKey>) -> Value {
    let keys: Vec<_> = keys.into_iter().map(TestKey::public_jwk).collect();
    json!({ "keys": keys })
}

fn public_members(algorithm: Algorithm, key: &EncodingKey) -> Option<Value> {
    let (of, der) = (&provider().key_utils, key.as_bytes());
    Some(match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => {
            let name = algorithm.try_into().ok()?;
            let (curve, x, y) = (of.ec_pub_components_from_private_key)(der, name).ok()?;
            json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
        }
        Algorithm::EdDSA => {
            let curve = EllipticCurve::Ed25519;
            let x = (of.ed_pub_components_from_private_key)(der, &curve).ok()?;
            json!({ "kty": "OKP", "crv": curve, "x": encode(x) })
        }
        _ => {
            let (n, e) = (of.rsa_pub_components_from_private_key)(der).ok()?;
            json!({ "kty": "RSA", "n": encode(n), "e": encode(e) })
        }
    })
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa(generation: usize) -> Material {
    let [first, second, third, fourth] = RSA;
    Material::Pem(match generation % RSA.len() {
        0 => first,
        1 => second,
        2 => third,
        _ => fourth,
    })
}

const RSA: [&str; 4] = [
    include_str!("keys/rsa-0.pem"),
    include_str!("keys/rsa-1.pem"),
    include_str!("keys/rsa-2.pem"),
    include_str!("keys/rsa-3.pem"),
];
const P256: &str = include_str!("keys/p256.pem");
const P384: &str = include_str!("keys/p384.pem");
const ED25519: &str = include_str!("keys/ed25519.pem");

/// 64 bytes: enough for HS512 (RFC 7518 3.2).
const SECRET: &[u8; 64] = b"a secret that is published with the crate is no secret, is it?..";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_halves() {
        for key in TestKey::all() {
            let jwk = key.public_jwk();
            let lengths: Vec<_> = ["n", "x", "y", "k"]
                .into_iter()
                .filter_map(|name| Some((name, jwk[name].as_str()?.len())))
                .collect();
            let expected: &[_] = match key.algorithm() {
                Algorithm::ES256 => &[("x", 43), ("y", 43)],
                Algorithm::ES384 => &[("x", 64), ("y", 64)],
                Algorithm::EdDSA => &[("x", 43)],
                it if it.is_symmetric() => &[("k", 86)],
                _ => &[("n", 342)],
            };
            assert_eq!(lengths, expected, "{}", key.algorithm());
            assert_eq!(jwk["kid"], key.kid());
            assert!(jwk.get("d").is_none());
        }
    }

    #[test]
    fn generations_differ() {
        let keys: Vec<_> = (0..5).map(TestKey::rsa).collect();
        let moduli: Vec<_> = keys.iter().map(|it| it.public_jwk()["n"].clone()).collect();
        assert!((1..4).all(|at| !moduli[..at].contains(&moduli[at])));
        assert_eq!(moduli[0], moduli[4]);
        assert_eq!((keys[0].kid(), keys[4].kid()), ("rsa-0", "rsa-4"));
        assert_eq!(jwk_set(&keys)["keys"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn padding() {
        let key = TestKey::of(Algorithm::HS256);
        let claims = Map::from_iter([("sub".to_owned(), "a".into())]);
        for length in 800..812 {
            let token = key.sign_padded(&claims, length).unwrap();
            assert!(
                matches!(token.len() - length, 0 | 1),
                "{length}: {}",
                token.len()
            );
        }
        let short = key.sign_padded(&claims, 0).unwrap();
        assert!(short.len() < 800);
    }

    #[test]
    fn no_key_is_printed() {
        let printed = format!("{:#?}", TestKey::rsa(0));
        assert!(
            printed.contains("rsa-0") && !printed.contains("PRIVATE"),
            "{printed}"
        );
    }
}
