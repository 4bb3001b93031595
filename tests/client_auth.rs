//! How a client proves who it is: a signed assertion (RFC 7523 2.2), a certificate (RFC 8705 2). What
//! is sent, and what comes of keys that are of no use.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use steadfast::clock::Timestamp;
use steadfast::jose::sign::SignError;
use steadfast::jose::{Algorithm, AlgorithmSet, KeySet};
use steadfast::rotator::error::{Class, Reason};
use steadfast::rotator::store::{CredentialTag, StoreKey};
use steadfast::rotator::{
    ClientCertificate, ClientCredentials, Credential, CredentialError, Grant, Preset,
    PrivateKeyJwt, Try,
};
use steadfast::token::FormatPreference;
use steadfast::transport::{ClientIdentity, IdentityError};

const URL: &str = "https://login.example/oauth2/token";
/// 2026-11-25T01:26:50Z
const NOW: i64 = 1_795_570_010;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

fn private(name: &str) -> PathBuf {
    file(&format!("src/testing/keys/{name}.pem"))
}

/// A file of this test's own.
fn scratch(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-auth-{name}"));
    fs::write(&path, content).unwrap();
    path
}

fn this() -> Try {
    Try {
        asked_at: Timestamp::from_secs(NOW),
        format: FormatPreference::PreferJwt,
        ask_for_jwt: true,
        last_lifetime: None,
        wanted_lifetime: Duration::from_secs(12 * 3600),
        successors: Vec::new(),
    }
}

fn grant(credential: impl Into<Credential>) -> ClientCredentials {
    ClientCredentials::new(URL, "orders", credential).unwrap()
}

fn request(grant: &ClientCredentials) -> Request<Vec<u8>> {
    ready(grant.request(&this())).unwrap()
}

fn form(grant: &ClientCredentials) -> Vec<(String, String)> {
    let request = request(grant);
    assert!(!request.headers().contains_key("authorization"));
    let pairs = url::form_urlencoded::parse(request.body());
    pairs.into_owned().collect()
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[track_caller]
fn assertion(grant: &ClientCredentials) -> String {
    let form = form(grant);
    let names: Vec<_> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "grant_type",
            "client_id",
            "client_assertion_type",
            "client_assertion"
        ]
    );
    assert_eq!(form[1].1, "orders");
    assert_eq!(
        form[2].1,
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    form[3].1.clone()
}

fn tag(grant: &ClientCredentials) -> CredentialTag {
    grant.credential(&StoreKey::of([]))
}

fn store_key(grant: &ClientCredentials) -> StoreKey {
    let facts = grant.facts();
    StoreKey::of(facts.iter().map(|(name, value)| (*name, &**value)))
}

// private_key_jwt

#[test]
fn an_assertion_says_who_for_whom_and_for_how_long() {
    let key = PrivateKeyJwt::new(private("p256")).key_id("k1");
    let token = assertion(&grant(key));
    assert_eq!(
        part(&token, 0),
        json!({"typ": "JWT", "alg": "ES256", "kid": "k1"})
    );
    let mut claims = part(&token, 1);
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    let id = URL_SAFE_NO_PAD.decode(id.as_str().unwrap()).unwrap();
    assert_eq!(id.len(), 16);
    assert_eq!(
        claims,
        json!({"iss": "orders", "sub": "orders", "aud": URL, "iat": NOW - 5, "exp": NOW + 55})
    );
}

#[test]
fn every_algorithm_signs_with_its_key() {
    use Algorithm::*;
    for (key, chosen, expected) in [
        ("rsa-0", None, RS256),
        ("rsa-0", Some(RS384), RS384),
        ("rsa-0", Some(RS512), RS512),
        ("rsa-0", Some(PS256), PS256),
        ("rsa-0", Some(PS384), PS384),
        ("rsa-0", Some(PS512), PS512),
        ("p256", None, ES256),
        ("p256", Some(ES256), ES256),
        ("p384", None, ES384),
        ("ed25519", None, EdDSA),
    ] {
        let mut signer = PrivateKeyJwt::new(private(key));
        if let Some(algorithm) = chosen {
            signer = signer.algorithm(algorithm);
        }
        let token = assertion(&grant(signer));
        let keys = KeySet::from_pem(&text(&format!("tests/public_keys/{key}.pem"))).unwrap();
        let jws = keys.verify_jws(&token, AlgorithmSet::ASYMMETRIC).unwrap();
        assert_eq!((jws.algorithm, jws.kid), (expected, None));
    }
}

#[test]
fn no_two_assertions_are_the_same() {
    let grant = grant(PrivateKeyJwt::new(private("ed25519")));
    let ids: BTreeMap<_, _> = (0..100)
        .map(|number| (part(&assertion(&grant), 1)["jti"].to_string(), number))
        .collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn the_audience_is_the_providers_or_ones_own() {
    let audience = |preset, key| {
        let grant = ClientCredentials::new(
            "https://login.example/realms/a/protocol/openid-connect/token?x=1",
            "orders",
            key,
        );
        let grant = grant.unwrap().audience("api").preset(preset);
        let form = form(&grant);
        let (_, token) = form
            .iter()
            .find(|(name, _)| name == "client_assertion")
            .unwrap();
        part(token, 1)["aud"].clone()
    };
    let key = || PrivateKeyJwt::new(private("ed25519"));
    let endpoint = "https://login.example/realms/a/protocol/openid-connect/token";
    assert_eq!(audience(Preset::Generic, key()), endpoint);
    assert_eq!(
        audience(Preset::Keycloak, key()),
        "https://login.example/realms/a"
    );
    assert_eq!(audience(Preset::Auth0, key()), "https://login.example/");
    for preset in [Preset::Generic, Preset::Auth0] {
        assert_eq!(audience(preset, key().audience("mine")), "mine");
    }
}

#[test]
fn entra_is_told_the_certificate_and_gets_pss() {
    let certificate = "tests/public_keys/rsa-0.crt.pem";
    let der = CertificateDer::from_pem_file(file(certificate)).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
    for key in [
        PrivateKeyJwt::new(private("rsa-0")).certificate(file(certificate)),
        PrivateKeyJwt::new(text("src/testing/keys/rsa-0.pem")).certificate(text(certificate)),
    ] {
        let grant = grant(key.key_id("k1")).preset(Preset::Entra);
        assert_eq!(
            part(&assertion(&grant), 0),
            json!({"typ": "JWT", "alg": "PS256", "kid": "k1", "x5t#S256": thumbprint})
        );
    }
    let key = PrivateKeyJwt::new(private("rsa-0")).algorithm(Algorithm::RS256);
    let grant = grant(key).preset(Preset::Entra);
    assert_eq!(part(&assertion(&grant), 0)["alg"], "RS256");
}

#[test]
fn a_key_in_a_file_is_read_for_each_try() {
    let path = scratch("key", &text("src/testing/keys/p256.pem"));
    let grant = grant(PrivateKeyJwt::new(path.clone()));
    assert_eq!(part(&assertion(&grant), 0)["alg"], "ES256");
    let before = tag(&grant);
    fs::write(
        &path,
        format!("renewed\n{}", text("src/testing/keys/p256.pem")),
    )
    .unwrap();
    assert_eq!(tag(&grant), before, "the same key in other words");
    fs::write(&path, text("src/testing/keys/rsa-1.pem")).unwrap();
    assert_eq!(part(&assertion(&grant), 0)["alg"], "RS256");
    assert_ne!(
        tag(&grant),
        before,
        "so a token got by the former key is due"
    );
}

#[test]
fn a_key_changes_no_store_key() {
    let key = |name| grant(PrivateKeyJwt::new(private(name)).key_id(name));
    assert_eq!(store_key(&key("p256")), store_key(&key("rsa-0")));
    assert_ne!(tag(&key("p256")), tag(&key("rsa-0")));
}

#[test]
fn keys_that_are_of_no_use() {
    use CredentialError::{Certificate, Key, Unreadable};
    let rsa = || PrivateKeyJwt::new(private("rsa-0"));
    let public = text("tests/public_keys/rsa-0.pem");
    for (key, why) in [
        (
            PrivateKeyJwt::new(file("absent")),
            Unreadable(ErrorKind::NotFound),
        ),
        (
            PrivateKeyJwt::new(scratch("empty", "\n")),
            Unreadable(ErrorKind::InvalidData),
        ),
        (PrivateKeyJwt::new("no PEM"), Key(SignError::NoKey)),
        (PrivateKeyJwt::new(public), Key(SignError::NoKey)),
        (
            PrivateKeyJwt::new("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            Key(SignError::UnusableKey),
        ),
        (
            rsa().algorithm(Algorithm::ES256),
            Key(SignError::AlgorithmMismatch),
        ),
        (
            rsa().algorithm(Algorithm::HS256),
            Key(SignError::AlgorithmMismatch),
        ),
        (
            rsa().algorithm(Algorithm::ES512),
            Key(SignError::AlgorithmMismatch),
        ),
        (
            PrivateKeyJwt::new(private("p256")).algorithm(Algorithm::ES384),
            Key(SignError::UnusableKey),
        ),
        (
            rsa().certificate(file("absent")),
            Unreadable(ErrorKind::NotFound),
        ),
        (
            rsa().certificate("no PEM"),
            Certificate(IdentityError::NoCertificate),
        ),
    ] {
        let credential = Credential::from(key);
        assert_eq!(credential.check(), Err(why), "{credential:?}");
        let error = ready(grant(credential).request(&this())).unwrap_err();
        assert_eq!(
            (error.reason, error.class),
            (Reason::NoCredential, Class::Transient)
        );
    }
    assert_eq!(Credential::from(rsa()).check(), Ok(()));
    assert_eq!(
        Unreadable(ErrorKind::NotFound).to_string(),
        "the credential cannot be read: entity not found"
    );
    let text = Key(SignError::NoKey).to_string();
    assert_eq!(text, "there is no private key in the PEM text");
}

// Certificates

fn tls(name: &str) -> PathBuf {
    file(&format!("tests/tls/{name}"))
}

fn certificate(number: u8) -> ClientCertificate {
    ClientCertificate::new(
        tls(&format!("client-{number}.pem")),
        tls(&format!("client-{number}.key.pem")),
    )
}

#[test]
fn a_certificate_goes_with_the_request_and_the_id_into_the_body() {
    let grant = grant(certificate(1));
    let request = request(&grant);
    assert_eq!(
        request.body(),
        b"grant_type=client_credentials&client_id=orders"
    );
    assert!(!request.headers().contains_key("authorization"));
    let identity: &ClientIdentity = request.extensions().get().unwrap();
    let der = CertificateDer::from_pem_file(tls("client-1.pem")).unwrap();
    assert_eq!(identity.thumbprint()[..], *digest(&SHA256, &der).as_ref());
    assert_eq!(*identity, certificate(1).read().unwrap());
    assert_ne!(*identity, certificate(2).read().unwrap());
}

#[test]
fn another_certificate_is_another_client_and_a_renewed_one_another_credential() {
    let [first, second] = [1, 2].map(|number| grant(certificate(number)));
    assert_ne!(store_key(&first), store_key(&second));
    assert_ne!(tag(&first), tag(&second));
    assert_eq!(store_key(&first), store_key(&grant(certificate(1))));
    assert_ne!(store_key(&first), store_key(&grant("secret")));

    let path = scratch("certificate", &text("tests/tls/client-1.pem"));
    let renewed = grant(ClientCertificate::new(
        path.clone(),
        tls("client-1.key.pem"),
    ));
    assert_eq!(tag(&renewed), tag(&first));
    fs::write(&path, text("tests/tls/client-2.pem")).unwrap();
    assert_eq!(tag(&renewed), tag(&second));
}

#[test]
fn certificates_that_are_of_no_use() {
    use CredentialError::{Certificate, Unreadable};
    for (certificates, key, why) in [
        (
            tls("absent"),
            tls("client-1.key.pem"),
            Unreadable(ErrorKind::NotFound),
        ),
        (
            tls("client-1.pem"),
            tls("absent"),
            Unreadable(ErrorKind::NotFound),
        ),
        (
            tls("client-1.key.pem"),
            tls("client-1.key.pem"),
            Certificate(IdentityError::NoCertificate),
        ),
        (
            tls("client-1.pem"),
            tls("client-1.pem"),
            Certificate(IdentityError::NoKey),
        ),
        #[cfg(feature = "tls")]
        (
            tls("client-1.pem"),
            tls("client-2.key.pem"),
            Certificate(IdentityError::Unusable),
        ),
    ] {
        let credential = Credential::from(ClientCertificate::new(certificates, key));
        assert_eq!(credential.check(), Err(why), "{credential:?}");
        let error = ready(grant(credential).request(&this())).unwrap_err();
        assert_eq!(
            (error.reason, error.class),
            (Reason::NoCredential, Class::Transient)
        );
    }
    for (error, text) in [
        (
            IdentityError::NoCertificate,
            "there is no certificate in the PEM text",
        ),
        (
            IdentityError::NoKey,
            "there is no private key in the PEM text",
        ),
        (
            IdentityError::Unusable,
            "the private key cannot be used with the certificate",
        ),
    ] {
        assert_eq!(Certificate(error).to_string(), text);
    }
}

#[test]
fn nothing_of_it_is_printed() {
    let pem = |name: &str| text(&format!("tests/tls/{name}"));
    let known = ClientCertificate::new(pem("client-1.pem"), pem("client-1.key.pem"));
    let key = PrivateKeyJwt::new(pem("client-1.key.pem")).certificate(pem("client-1.pem"));
    let identity = known.read().unwrap();
    let sent = request(&grant(known.clone()));
    for text in [
        format!("{known:?} {key:?} {identity:?}"),
        format!("{known:#?} {key:#?} {identity:#?} {sent:#?}"),
        format!("{:#?} {:#?}", grant(known), grant(key)),
    ] {
        for line in (pem("client-1.pem") + &pem("client-1.key.pem")).lines() {
            let is_data = !line.is_empty() && !line.contains("-----");
            assert!(!is_data || !text.contains(line), "{line}: {text}");
        }
    }
}

/// What a grant that waits for nothing asks for.
fn ready<F: Future>(asked: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(asked)
}
