//! Keys for the tests of this folder.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::Algorithm;
use super::sign::{encoding_key_from_pem, provider, sign};

pub(super) const RSA: &str = include_str!("../testing/keys/rsa-0.pem");
pub(super) const P256: &str = include_str!("../testing/keys/p256.pem");
pub(super) const P384: &str = include_str!("../testing/keys/p384.pem");
pub(super) const ED25519: &str = include_str!("../testing/keys/ed25519.pem");
pub(super) const SECRET: [u8; 64] = [7; 64];

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The algorithms that jsonwebtoken signs.
pub(super) fn signed() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL
        .into_iter()
        .filter(|it| jsonwebtoken::Algorithm::try_from(*it).is_ok())
}

/// The private key for `algorithm`.
pub(super) fn private(algorithm: Algorithm) -> EncodingKey {
    let pem = match algorithm {
        Algorithm::ES256 => P256,
        Algorithm::ES384 => P384,
        Algorithm::EdDSA => ED25519,
        _ if algorithm.is_symmetric() => return EncodingKey::from_secret(&SECRET),
        _ => RSA,
    };
    encoding_key_from_pem(pem).unwrap()
}

/// Its public part as a JWK without `alg` and `kid`; for a symmetric one all of it.
pub(super) fn jwk(algorithm: Algorithm) -> Value {
    let key = private(algorithm);
    let (der, utils) = (key.as_bytes(), &provider().key_utils);
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => {
            let theirs = algorithm.try_into().unwrap();
            let (_, x, y) = (utils.ec_pub_components_from_private_key)(der, theirs).unwrap();
            let curve = if algorithm == Algorithm::ES256 {
                "P-256"
            } else {
                "P-384"
            };
            json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
        }
        Algorithm::EdDSA => {
            let curve = EllipticCurve::Ed25519;
            let x = (utils.ed_pub_components_from_private_key)(der, &curve).unwrap();
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(x)})
        }
        _ if algorithm.is_symmetric() => json!({"kty": "oct", "k": base64url(SECRET)}),
        _ => {
            let (n, e) = (utils.rsa_pub_components_from_private_key)(der).unwrap();
            json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})
        }
    }
}

/// `jwk` with these members set; null takes a member away.
pub(super) fn with(mut jwk: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => jwk.as_object_mut().unwrap().remove(name),
            value => jwk
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    jwk
}

/// A token with an empty payload object.
pub(super) fn token(algorithm: Algorithm, kid: Option<&str>) -> String {
    let mut header = Header::new(algorithm.try_into().unwrap());
    header.kid = kid.map(str::to_owned);
    sign(&header, &json!({}), &private(algorithm)).unwrap()
}
