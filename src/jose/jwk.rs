//! One JSON Web Key (RFC 7517 4, RFC 7518 6, RFC 8037 2, RFC 9964).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::MapAccess;
use zeroize::Zeroizing;

use super::json::{Array, Members, Value, read_object};
use super::key::Curve;
use super::{Algorithm, AlgorithmSet, KeyError, VerifyingKey};

impl VerifyingKey {
    /// From one JWK, as RFC 7517 4 has it; never symmetric.
    ///
    /// ```
    /// use steadfast::jose::{Algorithm, VerifyingKey};
    ///
    /// let key = VerifyingKey::from_jwk(
    ///     r#"{"kty":"OKP","crv":"Ed25519","x":"vzTtle-0RhA0-9pRtpT46eZtVrSRWarC80QbrfGNM_o"}"#,
    /// )?;
    /// assert!(key.algorithms().contains(Algorithm::EdDSA));
    /// assert_eq!(
    ///     key.thumbprint().to_string(),
    ///     "EcchChYxKJ590tL4QuSZsR5S4RyZT9my9HMS0BXdmUY"
    /// );
    /// # Ok::<(), steadfast::jose::KeyError>(())
    /// ```
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let mut jwk = Jwk::default();
        read_object(json.as_bytes(), usize::MAX, &mut jwk).map_err(KeyError::Json)?;
        jwk.key(Symmetric::Refused)
    }
}

const MOST_KEY_OPS: usize = 16;

/// Whether `oct` keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symmetric {
    Taken,
    Refused,
}

/// The members of a JWK that count; private ones never leave the document.
#[derive(Default)]
pub(super) struct Jwk<'a> {
    kty: Value<'a>,
    usage: Value<'a>,
    key_ops: Option<Array<Value<'a>, MOST_KEY_OPS>>,
    alg: Value<'a>,
    kid: Value<'a>,
    issuer: Value<'a>,
    crv: Value<'a>,
    n: Value<'a>,
    e: Value<'a>,
    x: Value<'a>,
    y: Value<'a>,
    k: Value<'a>,
    public: Value<'a>,
}

impl<'de> Members<'de> for Jwk<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let place = match name {
            "kty" => &mut self.kty,
            "use" => &mut self.usage,
            "alg" => &mut self.alg,
            "kid" => &mut self.kid,
            "issuer" => &mut self.issuer,
            "crv" => &mut self.crv,
            "n" => &mut self.n,
            "e" => &mut self.e,
            "x" => &mut self.x,
            "y" => &mut self.y,
            "k" => &mut self.k,
            "pub" => &mut self.public,
            "key_ops" => {
                self.key_ops = Some(map.next_value()?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *place = map.next_value()?;
        Ok(true)
    }
}

impl Jwk<'_> {
    /// Its `kid`, if that is a string.
    pub(super) fn kid(&self) -> Option<&str> {
        text(&self.kid, "kid").ok().flatten()
    }

    /// The key, if it can be used.
    pub(super) fn key(&self, symmetric: Symmetric) -> Result<VerifyingKey, KeyError> {
        let kid = text(&self.kid, "kid")?;
        let issuer = text(&self.issuer, "issuer")?;
        let kty = required(&self.kty, "kty")?;
        self.check_use()?;
        let mut key = match kty {
            "RSA" => self.rsa()?,
            "EC" => self.ec()?,
            "OKP" => self.okp()?,
            "AKP" if Algorithm::MlDsa44.is_supported() => self.akp()?,
            "oct" if symmetric == Symmetric::Refused => return Err(KeyError::Symmetric),
            "oct" => self.oct()?,
            _ => return Err(KeyError::UnsupportedType),
        };
        if let Some(kid) = kid {
            key = key.with_kid(kid);
        }
        if let Some(issuer) = issuer {
            key = key.with_issuer(issuer);
        }
        Ok(key)
    }

    /// RFC 7517 4.2 and 4.3.
    fn check_use(&self) -> Result<(), KeyError> {
        if text(&self.usage, "use")?.is_some_and(|usage| usage != "sig") {
            return Err(KeyError::NotForSignatures);
        }
        match &self.key_ops {
            None => Ok(()),
            Some(Array::Elements(names)) => may_verify(names),
            Some(_) => Err(KeyError::WrongType("key_ops")),
        }
    }

    /// `alg` alone, or anything: what remains is what the key's type allows.
    fn algorithms(&self) -> Result<AlgorithmSet, KeyError> {
        match text(&self.alg, "alg")? {
            None => Ok(AlgorithmSet::ASYMMETRIC.union(AlgorithmSet::SYMMETRIC)),
            Some(name) => name
                .parse::<Algorithm>()
                .map(AlgorithmSet::one)
                .map_err(|_| KeyError::UnsupportedAlgorithm),
        }
    }

    fn rsa(&self) -> Result<VerifyingKey, KeyError> {
        let algorithms = self.algorithms()?;
        let (n, e) = (bytes(&self.n, "n")?, bytes(&self.e, "e")?);
        VerifyingKey::rsa(&n, &e, algorithms)
    }

    fn ec(&self) -> Result<VerifyingKey, KeyError> {
        let curve = Curve::named(required(&self.crv, "crv")?)?;
        let algorithms = self.algorithms()?;
        let (x, y) = (bytes(&self.x, "x")?, bytes(&self.y, "y")?);
        VerifyingKey::ec(curve, &x, &y, algorithms)
    }

    fn okp(&self) -> Result<VerifyingKey, KeyError> {
        if required(&self.crv, "crv")? != "Ed25519" {
            return Err(KeyError::UnsupportedCurve);
        }
        let algorithms = self.algorithms()?;
        VerifyingKey::ed25519(&bytes(&self.x, "x")?, algorithms)
    }

    /// RFC 9964: without `alg` nothing says what the bytes are.
    fn akp(&self) -> Result<VerifyingKey, KeyError> {
        let algorithm = required(&self.alg, "alg")?
            .parse()
            .map_err(|_| KeyError::UnsupportedAlgorithm)?;
        VerifyingKey::ml_dsa(&bytes(&self.public, "pub")?, algorithm)
    }

    fn oct(&self) -> Result<VerifyingKey, KeyError> {
        let algorithms = self.algorithms()?;
        VerifyingKey::symmetric(&bytes(&self.k, "k")?, algorithms)
    }
}

fn may_verify(key_ops: &[Value<'_>]) -> Result<(), KeyError> {
    let mut verify = false;
    for name in key_ops {
        verify |= required(name, "key_ops")? == "verify";
    }
    verify.then_some(()).ok_or(KeyError::NotForVerifying)
}

fn text<'v>(value: &'v Value<'_>, name: &'static str) -> Result<Option<&'v str>, KeyError> {
    match value {
        Value::Absent => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Other => Err(KeyError::WrongType(name)),
    }
}

fn required<'v>(value: &'v Value<'_>, name: &'static str) -> Result<&'v str, KeyError> {
    text(value, name)?.ok_or(KeyError::Missing(name))
}

fn bytes(value: &Value<'_>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    LENIENT
        .decode(required(value, name)?)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::NotBase64(name))
}

/// With or without padding: SAP IAS and Firebase App Check publish padded keys.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::jose::test_keys::{base64url, jwk, with};

    #[track_caller]
    fn reads(jwk: &Json, expected: Result<&[Algorithm], KeyError>) {
        let algorithms = VerifyingKey::from_jwk(&jwk.to_string()).map(|key| key.algorithms());
        let expected = expected.map(|it| it.iter().copied().collect());
        assert_eq!(algorithms, expected, "{jwk}");
    }

    fn rsa(members: Json) -> Json {
        with(jwk(Algorithm::RS256), members)
    }

    fn ec(members: Json) -> Json {
        with(jwk(Algorithm::ES256), members)
    }

    fn ed(members: Json) -> Json {
        with(jwk(Algorithm::EdDSA), members)
    }

    #[test]
    fn algorithms_of_a_key() {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        reads(
            &rsa(json!({})),
            Ok(&[RS256, RS384, RS512, PS256, PS384, PS512]),
        );
        reads(&rsa(json!({"alg": "PS384"})), Ok(&[PS384]));
        reads(&ec(json!({})), Ok(&[ES256]));
        reads(&jwk(ES384), Ok(&[ES384]));
        reads(&ed(json!({})), Ok(&[EdDSA]));
        reads(&ed(json!({"alg": "EdDSA"})), Ok(&[EdDSA]));
        reads(&ed(json!({"alg": "Ed25519"})), Ok(&[EdDSA]));
        for mismatch in [
            rsa(json!({"alg": "ES256"})),
            rsa(json!({"alg": "HS256"})),
            ec(json!({"alg": "ES384"})),
            ec(json!({"alg": "RS256"})),
            ed(json!({"alg": "ES256"})),
        ] {
            reads(&mismatch, Err(KeyError::AlgorithmMismatch));
        }
        for unknown in ["RSA-OAEP", "ES521", "none", "rs256", ""] {
            reads(
                &rsa(json!({ "alg": unknown })),
                Err(KeyError::UnsupportedAlgorithm),
            );
        }
    }

    #[test]
    fn use_and_operations() {
        for good in [
            json!({"use": "sig"}),
            json!({"key_ops": ["verify"]}),
            json!({"key_ops": ["sign", "verify"], "use": "sig"}),
        ] {
            assert!(VerifyingKey::from_jwk(&ec(good).to_string()).is_ok());
        }
        reads(&ec(json!({"use": "enc"})), Err(KeyError::NotForSignatures));
        reads(&ec(json!({"use": ""})), Err(KeyError::NotForSignatures));
        reads(&ec(json!({"key_ops": []})), Err(KeyError::NotForVerifying));
        reads(
            &ec(json!({"key_ops": ["sign"]})),
            Err(KeyError::NotForVerifying),
        );
        for wrong in [json!("verify"), json!(["verify", 1]), json!({}), json!(1)] {
            reads(
                &ec(json!({ "key_ops": wrong })),
                Err(KeyError::WrongType("key_ops")),
            );
        }
    }

    #[test]
    fn kinds_that_are_not_supported() {
        for kty in ["akp", "rsa", ""] {
            reads(&ec(json!({ "kty": kty })), Err(KeyError::UnsupportedType));
        }
        for crv in ["secp256k1", "Ed25519", "p-256"] {
            reads(&ec(json!({ "crv": crv })), Err(KeyError::UnsupportedCurve));
        }
        for crv in ["X25519", "Ed448", "P-256"] {
            reads(&ed(json!({ "crv": crv })), Err(KeyError::UnsupportedCurve));
        }
        reads(&jwk(Algorithm::HS256), Err(KeyError::Symmetric));
    }

    #[cfg(not(feature = "aws-lc-rs"))]
    #[test]
    fn kinds_that_ring_does_not_verify() {
        let p521 = ec(json!({"crv": "P-521"}));
        reads(&p521, Err(KeyError::UnsupportedCurve));
        let ml_dsa = json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"});
        reads(&ml_dsa, Err(KeyError::UnsupportedType));
        reads(
            &ec(json!({"alg": "ES512"})),
            Err(KeyError::UnsupportedAlgorithm),
        );
    }

    #[cfg(feature = "aws-lc-rs")]
    #[test]
    fn kinds_that_aws_lc_verifies() {
        let p521 = |x: usize| {
            let coordinate = base64url(vec![1; x]);
            json!({"kty": "EC", "crv": "P-521", "x": coordinate, "y": coordinate})
        };
        reads(&p521(66), Err(KeyError::NotOnCurve));
        reads(&p521(65), Err(KeyError::CoordinateLength));
        let akp = |members| with(json!({"kty": "AKP", "alg": "ML-DSA-44"}), members);
        let public = |length| base64url(vec![1; length]);
        for (key, expected) in [
            (
                akp(json!({"pub": public(1312)})),
                Ok(&[Algorithm::MlDsa44][..]),
            ),
            (akp(json!({"pub": public(1311)})), Err(KeyError::KeyLength)),
            (
                akp(json!({"pub": public(1312), "alg": "ML-DSA-65"})),
                Err(KeyError::KeyLength),
            ),
            (
                akp(json!({"pub": public(1312), "alg": "ES256"})),
                Err(KeyError::AlgorithmMismatch),
            ),
            (
                akp(json!({"pub": public(1312), "alg": "ML-DSA-43"})),
                Err(KeyError::UnsupportedAlgorithm),
            ),
            (
                akp(json!({"pub": public(1312), "alg": null})),
                Err(KeyError::Missing("alg")),
            ),
            (akp(json!({})), Err(KeyError::Missing("pub"))),
            (akp(json!({"pub": 1})), Err(KeyError::WrongType("pub"))),
        ] {
            reads(&key, expected);
        }
    }

    #[test]
    fn members_missing_or_of_a_wrong_type() {
        for (key, names) in [
            (rsa(json!({})), &["kty", "n", "e"][..]),
            (ec(json!({})), &["kty", "crv", "x", "y"]),
            (ed(json!({})), &["kty", "crv", "x"]),
        ] {
            for &name in names {
                let without = with(key.clone(), json!({ name: null }));
                reads(&without, Err(KeyError::Missing(name)));
                let wrong = with(key.clone(), json!({ name: [1] }));
                reads(&wrong, Err(KeyError::WrongType(name)));
            }
        }
        for name in ["kid", "use", "alg", "issuer"] {
            for wrong in [json!(1), json!(["sig"]), json!(true)] {
                reads(&ec(json!({ name: wrong })), Err(KeyError::WrongType(name)));
            }
        }
        let null = ec(json!({}))
            .to_string()
            .replacen('{', r#"{"kid":null,"#, 1);
        let null = VerifyingKey::from_jwk(&null);
        assert_eq!(null.unwrap_err(), KeyError::WrongType("kid"));
    }

    #[test]
    fn text_that_is_no_key() {
        for (text, expected) in [
            ("", "not a strict JSON object"),
            ("[]", "not a strict JSON object"),
            (r#"{"kty":"RSA","kty":"RSA"}"#, "a member is named twice"),
        ] {
            let error = VerifyingKey::from_jwk(text).unwrap_err();
            assert_eq!(error, KeyError::Json(expected), "{text}");
        }
    }

    #[test]
    fn encodings() {
        let plain = VerifyingKey::from_jwk(&rsa(json!({})).to_string()).unwrap();
        let n = rsa(json!({}))["n"].as_str().unwrap().to_owned();
        let padded = rsa(json!({"n": format!("{n}=="), "e": "AAEAAQ=="}));
        let padded = VerifyingKey::from_jwk(&padded.to_string()).unwrap();
        assert_eq!(plain.thumbprint(), padded.thumbprint());
        for bad in ["A", "AB=C", "AB+/", "A B", "AB"] {
            reads(&ec(json!({ "x": bad })), Err(KeyError::NotBase64("x")));
        }
        reads(
            &ec(json!({"x": base64url([1; 31])})),
            Err(KeyError::CoordinateLength),
        );
        reads(
            &ed(json!({"x": base64url([1; 33])})),
            Err(KeyError::CoordinateLength),
        );
    }

    #[test]
    fn what_a_key_keeps() {
        let key =
            ec(json!({"kid": "a/=", "issuer": "https://a.example", "d": "secret", "x5c": [1]}));
        let key = VerifyingKey::from_jwk(&key.to_string()).unwrap();
        assert_eq!(key.kid(), Some("a/="));
        assert_eq!(key.issuer(), Some("https://a.example"));
        assert!(!format!("{key:?}").contains("secret"));
    }
}
