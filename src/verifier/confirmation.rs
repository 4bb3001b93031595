//! Tokens that are bound to a key or a certificate (RFC 7800), and the proof that comes with them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::de::{Deserialize, Deserializer, MapAccess};

use crate::jose::{Kind, Members, Value, take_members};

/// What a caller proved to hold, besides the token: see
/// [`Verifier::verify_with_proof`](super::Verifier::verify_with_proof).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(Held);

/// A proof by DPoP (RFC 9449) would be one more.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Certificate([u8; 32]),
}

impl Proof {
    /// The client certificate of the TLS connection that the token came by, in DER (RFC 8705 3).
    ///
    /// TLS must have proven that the client has its private key; whether the certificate is trusted
    /// or over does not matter here.
    pub fn certificate(der: &[u8]) -> Self {
        let hash = digest(&SHA256, der);
        Self::certificate_thumbprint(hash.as_ref().try_into().unwrap_or_default())
    }

    /// The same where TLS ends elsewhere: the SHA-256 of the certificate in DER, as a proxy hands it
    /// on. Only from a proxy that lets nobody else set it.
    pub fn certificate_thumbprint(sha256: [u8; 32]) -> Self {
        Self(Held::Certificate(sha256))
    }
}

/// What a token is bound to, by its `cnf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// `x5t#S256` alone: a certificate with this SHA-256 (RFC 8705 3.1).
    Certificate([u8; 32]),
    /// Anything else: nobody can prove it here.
    Other,
}

impl Binding {
    pub(super) fn is_proven_by(self, proof: Option<&Proof>) -> bool {
        match (self, proof) {
            (Self::Certificate(bound), Some(Proof(Held::Certificate(held)))) => bound == *held,
            (Self::Certificate(_), None) | (Self::Other, _) => false,
        }
    }
}

impl<'de> Deserialize<'de> for Binding {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(from)
    }
}

impl<'de> Kind<'de> for Binding {
    fn other() -> Self {
        Self::Other
    }

    fn object<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error> {
        let mut confirmation = Confirmation::default();
        let fault = take_members(members, MOST_MEMBERS, &mut confirmation)?;
        Ok(match confirmation {
            Confirmation {
                x5t: Some(thumbprint),
                more: false,
            } if fault.is_none() => Self::Certificate(thumbprint),
            _ => Self::Other,
        })
    }
}

/// The members of `cnf`. Each one binds, so each one that is not understood is in the way.
#[derive(Default)]
struct Confirmation {
    x5t: Option<[u8; 32]>,
    more: bool,
}

impl<'de> Members<'de> for Confirmation {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if name != "x5t#S256" {
            self.more = true;
            return Ok(false);
        }
        self.x5t = match map.next_value()? {
            Value::Text(text) => octets(&text),
            _ => None,
        };
        Ok(true)
    }
}

/// 32 octets in base64url.
fn octets(text: &str) -> Option<[u8; 32]> {
    // What the decoder estimates for 43 characters is a little more than they are.
    let mut octets = [0; 33];
    let count = BASE64_URL_SAFE_NO_PAD
        .decode_slice(text, &mut octets)
        .ok()?;
    octets.get(..count)?.try_into().ok()
}

const MOST_MEMBERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings() {
        let hash = digest(&SHA256, b"certificate");
        let good = BASE64_URL_SAFE_NO_PAD.encode(hash);
        let certificate = Binding::Certificate(hash.as_ref().try_into().unwrap());
        for (json, expected) in [
            (format!(r#"{{"x5t#S256":"{good}"}}"#), certificate),
            (format!(r#"{{"x5t\u0023S256":"{good}"}}"#), certificate),
            (format!(r#"{{"x5t#S256":"{good}="}}"#), Binding::Other),
            (format!(r#"{{"x5t#S256":"{good}AA"}}"#), Binding::Other),
            (
                format!(r#"{{"x5t#S256":"{}"}}"#, &good[1..]),
                Binding::Other,
            ),
            (
                format!(r#"{{"x5t#S256":"{good}","jkt":"x"}}"#),
                Binding::Other,
            ),
            (
                format!(r#"{{"jkt":"x","x5t#S256":"{good}"}}"#),
                Binding::Other,
            ),
            (
                format!(r#"{{"x5t#S256":"{good}","x5t#S256":"{good}"}}"#),
                Binding::Other,
            ),
            (format!(r#"["{good}"]"#), Binding::Other),
            (r#"{"x5t#S256":["x"]}"#.into(), Binding::Other),
            (r#"{"x5t#S256":""}"#.into(), Binding::Other),
            ("{}".into(), Binding::Other),
            ("null".into(), Binding::Other),
            ("5".into(), Binding::Other),
        ] {
            let found: Binding = serde_json::from_str(&json).unwrap();
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn proofs() {
        let proof = Proof::certificate(b"certificate");
        let Proof(Held::Certificate(held)) = proof;
        assert_eq!(proof, Proof::certificate_thumbprint(held));
        let bound = Binding::Certificate(held);
        assert!(bound.is_proven_by(Some(&proof)));
        assert!(!bound.is_proven_by(Some(&Proof::certificate(b"another"))));
        assert!(!bound.is_proven_by(None));
        assert!(!Binding::Other.is_proven_by(Some(&proof)));
    }
}
