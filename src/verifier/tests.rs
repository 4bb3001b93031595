//! What only shows from inside: hits of the token cache while keys and time move.

use std::sync::Mutex;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::clock::{Now, Timestamp};
use crate::jose::sign::sign;
use crate::jose::{Algorithm, VerifyingKey};
use jsonwebtoken::EncodingKey;

const NOW: i64 = 1_795_570_010;
const SECRETS: [[u8; 32]; 3] = [[1; 32], [2; 32], [3; 32]];

/// A token of `iss`, signed with one of the secrets, under `kid`.
fn token(secret: usize, kid: &str, changes: Value) -> String {
    let mut claims = json!({"iss": "i", "aud": "a", "exp": NOW + 3600, "sub": "s"});
    let changes = changes.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(changes);
    let header = jsonwebtoken::Header {
        kid: Some(kid.to_owned()),
        ..Default::default()
    };
    sign(
        &header,
        &claims,
        &EncodingKey::from_secret(&SECRETS[secret]),
    )
    .unwrap()
}

fn keys(keys: &[(usize, &str)]) -> KeySet {
    KeySet::from_keys(keys.iter().map(|(secret, kid)| {
        let key = VerifyingKey::hmac(&SECRETS[*secret], Algorithm::HS256).unwrap();
        key.with_kid(kid)
    }))
}

#[derive(Clone)]
struct Hands(Arc<Mutex<Now>>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Now {
            wall: Timestamp::from_secs(NOW),
            boot: Duration::from_secs(1000),
        })))
    }

    fn set(&self, wall: i64) {
        self.0.lock().unwrap().wall = Timestamp::from_secs(wall);
    }
}

impl Clock for Hands {
    fn wall(&self) -> Timestamp {
        self.0.lock().unwrap().wall
    }

    fn boot(&self) -> Duration {
        self.0.lock().unwrap().boot
    }
}

fn verifier(cache: &KeyCache, clock: &Hands) -> Verifier {
    Verifier::new(Trust::issuer("i").audience("a"), cache.clone())
        .algorithms(AlgorithmSet::SYMMETRIC)
        .clock(Arc::new(clock.clone()))
}

/// `new` for a token that was verified, `known` for one from the cache, else the code.
fn outcome<C>(verifier: &Verifier<C>, token: &str) -> &'static str {
    match verifier.verify(token) {
        Ok(verified) if verified.was_known() => "known",
        Ok(_) => "new",
        Err(error) => error.code().as_str(),
    }
}

fn shared<T: Send + Sync>() {}

#[test]
fn what_goes_between_threads() {
    shared::<Verifier<Value>>();
    shared::<Verified<Value>>();
    shared::<Error>();
}

#[test]
fn a_token_is_verified_once() {
    let verifier = verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new());
    let token = token(0, "k", json!({"scope": "read write", "x": 1}));
    assert_eq!(outcome(&verifier, &token), "new");
    let known = verifier.verify(&token).unwrap();
    assert!(known.was_known());
    assert_eq!(known.claims().sub.as_deref(), Some("s"));
    assert_eq!(known.claims().extra["x"], 1);
    assert!(known.scope().contains("write"));
    assert_eq!(known.key_id(), Some("k"));
    assert_eq!(known.expires_at(), Timestamp::from_secs(NOW + 3600));
    let off = verifier.without_token_cache();
    assert_eq!(outcome(&off, &token), "new");
    assert_eq!(outcome(&off, &token), "new");
}

#[test]
fn a_refused_token_is_not_remembered() {
    let verifier = verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new());
    let forged = token(1, "k", json!({}));
    assert_eq!(outcome(&verifier, &forged), "bad_signature");
    assert_eq!(outcome(&verifier, &forged), "bad_signature");
    let expired = token(0, "k", json!({"exp": NOW - 100}));
    assert_eq!(outcome(&verifier, &expired), "expired");
    assert_eq!(outcome(&verifier, &expired), "expired");
}

#[test]
fn other_settings_know_nothing() {
    let verifier = verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new());
    let token = token(0, "k", json!({}));
    assert_eq!(outcome(&verifier, &token), "new");
    let stricter = verifier.profile(Profile::AtJwt);
    assert_eq!(outcome(&stricter, &token), "wrong_type");
}

#[test]
fn an_entry_dies_with_its_time() {
    let clock = Hands::new();
    let verifier = verifier(&KeyCache::fixed(keys(&[(0, "k")])), &clock);
    let token = token(0, "k", json!({"nbf": NOW, "iat": NOW}));
    assert_eq!(outcome(&verifier, &token), "new");
    clock.set(NOW + 3659);
    assert_eq!(outcome(&verifier, &token), "known");
    clock.set(NOW + 3660);
    assert_eq!(outcome(&verifier, &token), "expired");
    clock.set(NOW - 60);
    assert_eq!(outcome(&verifier, &token), "new");
    clock.set(NOW - 61);
    assert_eq!(outcome(&verifier, &token), "not_yet_valid");
}

#[test]
fn a_claims_type_of_the_caller() {
    #[derive(serde::Deserialize)]
    struct Own {
        sub: String,
        level: u8,
    }
    let cache = KeyCache::fixed(keys(&[(0, "k")]));
    let verifier = verifier(&cache, &Hands::new()).claims::<Own>();
    let good = token(0, "k", json!({"level": 3, "scp": ["read"]}));
    for expected in ["new", "known"] {
        assert_eq!(outcome(&verifier, &good), expected);
        let verified = verifier.verify(&good).unwrap();
        assert_eq!(
            (verified.claims().sub.as_str(), verified.claims().level),
            ("s", 3)
        );
        assert!(verified.scope().contains("read"));
        assert_eq!(verified.registered().iss.as_deref(), Some("i"));
    }
    for unfit in [json!({}), json!({"level": "3"}), json!({"level": 300})] {
        assert_eq!(outcome(&verifier, &token(0, "k", unfit)), "malformed_claim");
    }
    assert_eq!(
        outcome(&verifier, &token(1, "k", json!({}))),
        "bad_signature"
    );
}

#[test]
fn bells() {
    let cache = KeyCache::fixed(keys(&[(0, "k")]));
    let verifier = verifier(&cache, &Hands::new());
    let rung = |token: &str| {
        let before = cache.health().bells_rung;
        let _ = verifier.verify(token);
        cache.health().bells_rung - before
    };
    assert_eq!(rung(&token(0, "k", json!({}))), 0);
    assert_eq!(rung(&token(0, "other", json!({}))), 1);
    assert_eq!(rung(&token(1, "k", json!({}))), 1);
    let header = |header: Value| {
        let parts = [header, json!({"iss": "i", "exp": NOW + 60})]
            .map(|it| BASE64_URL_SAFE_NO_PAD.encode(it.to_string()));
        format!("{}.{}.AAAA", parts[0], parts[1])
    };
    assert_eq!(rung(&header(json!({"alg": "HS384", "kid": "k"}))), 1);
    assert_eq!(rung(&header(json!({"alg": "HS256"}))), 1);
    assert_eq!(rung(&header(json!({"alg": "RS256", "kid": "other"}))), 0);
    // Strangers cost nothing, and neither does what is over anyway.
    assert_eq!(rung(&token(0, "other", json!({"iss": "stranger"}))), 0);
    assert_eq!(rung(&token(1, "k", json!({"exp": 1}))), 0);
    assert_eq!(rung("eyJ.broken"), 0);
}

/// So that a service that is back is found within the gate, not when the ladder of failures says.
#[test]
fn bells_ring_where_there_are_no_keys() {
    let cache = KeyCache::empty();
    let verifier = verifier(&cache, &Hands::new());
    let good = token(0, "k", json!({}));
    assert_eq!(outcome(&verifier, &good), "keys_unavailable");
    assert_eq!(cache.health().bells_rung, 1);
    let stranger = token(0, "k", json!({"iss": "stranger"}));
    assert_eq!(outcome(&verifier, &stranger), "wrong_issuer");
    assert_eq!(cache.health().bells_rung, 1);
}

#[test]
fn bells_ring_only_at_the_source_of_the_issuer() {
    let (one, other) = (
        KeyCache::fixed(keys(&[(0, "k")])),
        KeyCache::fixed(keys(&[(1, "k")])),
    );
    let verifier = several(&one, &other, &Hands::new());
    let rung = |token: &str| {
        let before = [&one, &other].map(|it| it.health().bells_rung);
        let _ = verifier.verify(token);
        let after = [&one, &other].map(|it| it.health().bells_rung);
        (after[0] - before[0], after[1] - before[1])
    };
    let of = |iss: &str, secret, kid| token(secret, kid, json!({ "iss": iss }));
    assert_eq!(rung(&of("i", 0, "k")), (0, 0));
    assert_eq!(rung(&of("j", 1, "k")), (0, 0));
    assert_eq!(rung(&of("i", 0, "other")), (1, 0));
    assert_eq!(rung(&of("j", 0, "other")), (0, 1));
    assert_eq!(rung(&of("i", 1, "k")), (1, 0));
    assert_eq!(rung(&of("j", 0, "k")), (0, 1));
    assert_eq!(rung(&of("stranger", 2, "k")), (0, 0));
}

/// Two sources, for `i` and for `j`.
fn several(one: &KeyCache, other: &KeyCache, clock: &Hands) -> Verifier {
    let trust = |issuer: &str| Trust::issuer(issuer).audience("a");
    Verifier::several([(trust("i"), one.clone()), (trust("j"), other.clone())])
        .algorithms(AlgorithmSet::SYMMETRIC)
        .clock(Arc::new(clock.clone()))
}

#[test]
fn a_denied_token_is_refused_in_the_very_next_call() {
    let issued = Timestamp::from_secs(NOW - 10);
    let good = token(
        0,
        "k",
        json!({"jti": "t", "client_id": "c", "iat": NOW - 10}),
    );
    for denials in [
        Denials::new().token("i", "t"),
        Denials::new().subject("i", "s", issued),
        Denials::new().client("i", "c", issued),
        Denials::new().issuer("i", Timestamp::from_secs(NOW - 9)),
    ] {
        let list = Denylist::new(Denials::new());
        let verifier =
            verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new()).denylist(list.clone());
        assert_eq!(outcome(&verifier, &good), "new");
        assert_eq!(outcome(&verifier, &good), "known");
        list.replace(denials.clone());
        assert_eq!(outcome(&verifier, &good), "denied", "{denials:?}");
        assert_eq!(outcome(&verifier, &good), "denied");
        // Another list of the same: what was refused is verified anew, what was not stays known.
        list.replace(Denials::new());
        assert_eq!(outcome(&verifier, &good), "new");
        list.replace(Denials::new().token("i", "another").issuer("j", issued));
        assert_eq!(outcome(&verifier, &good), "known");
    }
}

#[test]
fn a_known_token_was_held_against_the_denylist_once_a_change() {
    let list = Denylist::new(Denials::new());
    let verifier =
        verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new()).denylist(list.clone());
    let tokens = ["a", "b", "c"].map(|jti| token(0, "k", json!({ "jti": jti })));
    let outcomes = || tokens.each_ref().map(|it| outcome(&verifier, it));
    assert_eq!(outcomes(), ["new"; 3]);
    assert_eq!(outcomes(), ["known"; 3]);
    list.replace(Denials::new().token("i", "b"));
    assert_eq!(outcomes(), ["known", "denied", "known"]);
    list.replace(Denials::new().token("i", "b").token("i", "c"));
    assert_eq!(outcomes(), ["known", "denied", "denied"]);
}

#[test]
fn a_required_denylist_is_no_verdict_until_it_is_loaded() {
    let list = Denylist::required();
    let verifier =
        verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new()).denylist(list.clone());
    let good = token(0, "k", json!({"jti": "t"}));
    let error = verifier.verify(&good).unwrap_err();
    assert_eq!(error, Error::DenylistUnavailable);
    assert!(error.is_unavailable());
    // What is bad is bad all the same.
    assert_eq!(
        outcome(&verifier, &token(1, "k", json!({}))),
        "bad_signature"
    );
    list.replace(Denials::new());
    assert_eq!(outcome(&verifier, &good), "new");
    list.replace(Denials::new().token("i", "t"));
    assert_eq!(outcome(&verifier, &good), "denied");
}

/// Tokens are denied one after the other while others verify them all the time: once `replace` has
/// returned nobody is told anything else.
#[test]
fn a_denylist_that_changes_all_the_time() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let list = Denylist::new(Denials::new());
    let verifier =
        verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new()).denylist(list.clone());
    let tokens: Vec<_> = (0..200)
        .map(|jti| token(0, "k", json!({"jti": jti.to_string()})))
        .collect();
    let denied = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while denied.load(Ordering::Acquire) < tokens.len() {
                    for (place, token) in tokens.iter().enumerate() {
                        let sure = place < denied.load(Ordering::Acquire);
                        let found = outcome(&verifier, token);
                        assert!(!sure || found == "denied", "{place}: {found}");
                    }
                }
            });
        }
        for place in 0..tokens.len() {
            let revoked = (0..=place).map(|jti| jti.to_string());
            list.replace(revoked.fold(Denials::new(), |denials, jti| denials.token("i", jti)));
            denied.store(place + 1, Ordering::Release);
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_known_token_needs_its_proof_each_time() {
    let verifier = verifier(&KeyCache::fixed(keys(&[(0, "k")])), &Hands::new());
    let thumbprint = ring::digest::digest(&ring::digest::SHA256, b"certificate");
    let thumbprint = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, thumbprint);
    let bound = token(0, "k", json!({"cnf": {"x5t#S256": thumbprint}}));
    let (right, wrong) = (Proof::certificate(b"certificate"), Proof::certificate(b"x"));
    assert_eq!(outcome(&verifier, &bound), "unconfirmed");
    assert!(
        !verifier
            .verify_with_proof(&bound, &right)
            .unwrap()
            .was_known()
    );
    assert!(
        verifier
            .verify_with_proof(&bound, &right)
            .unwrap()
            .was_known()
    );
    assert_eq!(outcome(&verifier, &bound), "unconfirmed");
    assert_eq!(
        verifier.verify_with_proof(&bound, &wrong).unwrap_err(),
        Error::Unconfirmed
    );
    // A stranger who tries it does not drive it out.
    assert!(
        verifier
            .verify_with_proof(&bound, &right)
            .unwrap()
            .was_known()
    );
    let plain = token(0, "k", json!({}));
    assert!(verifier.verify_with_proof(&plain, &wrong).is_ok());
}

#[test]
fn a_kid_whose_key_was_skipped_rings_no_bell() {
    let jwk = |kid: &str, members: Value| {
        let k = BASE64_URL_SAFE_NO_PAD.encode(SECRETS[0]);
        let mut jwk = json!({"kty": "oct", "k": k, "kid": kid});
        jwk.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        jwk
    };
    let document = json!({"keys": [jwk("k", json!({})), jwk("l", json!({"use": "enc"}))]});
    let set = KeySet::from_json_with_symmetric(document.to_string().as_bytes()).unwrap();
    let cache = KeyCache::fixed(set);
    let verifier = verifier(&cache, &Hands::new());
    assert_eq!(outcome(&verifier, &token(0, "k", json!({}))), "new");
    assert_eq!(outcome(&verifier, &token(0, "l", json!({}))), "unknown_key");
    assert_eq!(cache.health().bells_rung, 0);
}

#[cfg(feature = "http")]
mod refreshed {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn replace(cache: &KeyCache, clock: &Hands, set: &[(usize, &str)]) {
        cache.replace(keys(set), clock.now(), DAY);
    }

    #[test]
    fn an_entry_dies_with_its_key_in_the_very_next_call() {
        let (cache, clock) = (KeyCache::empty(), Hands::new());
        let verifier = verifier(&cache, &clock);
        let token = token(0, "k", json!({}));
        assert_eq!(outcome(&verifier, &token), "keys_unavailable");
        replace(&cache, &clock, &[(0, "k")]);
        assert_eq!(outcome(&verifier, &token), "new");
        replace(&cache, &clock, &[(0, "k"), (1, "l")]);
        assert_eq!(outcome(&verifier, &token), "known");
        replace(&cache, &clock, &[(1, "l")]);
        assert_eq!(outcome(&verifier, &token), "unknown_key");
        replace(&cache, &clock, &[(0, "k")]);
        assert_eq!(outcome(&verifier, &token), "new");
        // Other material under the same kid is another key.
        replace(&cache, &clock, &[(1, "k")]);
        assert_eq!(outcome(&verifier, &token), "bad_signature");
        replace(&cache, &clock, &[(0, "l")]);
        assert_eq!(outcome(&verifier, &token), "unknown_key");
    }

    #[test]
    fn an_entry_dies_with_what_its_key_may_do() {
        let (cache, clock) = (KeyCache::empty(), Hands::new());
        let verifier = verifier(&cache, &clock);
        let secret = [7; 64];
        let publish = |members: Value| {
            let k = BASE64_URL_SAFE_NO_PAD.encode(secret);
            let mut jwk = json!({"kty": "oct", "kid": "k", "k": k});
            let members = members.as_object().unwrap().clone();
            jwk.as_object_mut().unwrap().extend(members);
            let document = json!({ "keys": [jwk] }).to_string();
            let set = KeySet::from_json_with_symmetric(document.as_bytes()).unwrap();
            cache.replace(set, clock.now(), DAY);
        };
        let header = jsonwebtoken::Header {
            kid: Some("k".to_owned()),
            ..Default::default()
        };
        let claims = json!({"iss": "i", "aud": "a", "exp": NOW + 3600});
        let token = sign(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
        for (members, expected) in [
            (json!({}), "new"),
            (json!({"alg": "HS512"}), "unsupported_algorithm"),
            (json!({"alg": "HS256"}), "new"),
            (json!({}), "known"),
            (json!({"issuer": "j"}), "unknown_key"),
            (json!({"issuer": "i"}), "new"),
            (json!({"issuer": "i", "alg": "HS256"}), "known"),
            // The same material under another kid is another key.
            (json!({"issuer": "i", "kid": "l"}), "unknown_key"),
        ] {
            publish(members.clone());
            assert_eq!(outcome(&verifier, &token), expected, "{members}");
        }
    }

    #[test]
    fn a_key_that_moves_to_another_source_is_another_key() {
        let (one, other, clock) = (KeyCache::empty(), KeyCache::empty(), Hands::new());
        let verifier = several(&one, &other, &clock);
        replace(&one, &clock, &[(0, "k")]);
        replace(&other, &clock, &[(1, "l")]);
        let token = token(0, "k", json!({}));
        assert_eq!(outcome(&verifier, &token), "new");
        assert_eq!(outcome(&verifier, &token), "known");
        replace(&one, &clock, &[(2, "m")]);
        replace(&other, &clock, &[(0, "k")]);
        assert_eq!(outcome(&verifier, &token), "unknown_key");
    }

    #[test]
    fn a_source_that_fails_is_no_matter_for_another() {
        let (one, other, clock) = (KeyCache::empty(), KeyCache::empty(), Hands::new());
        let verifier = several(&one, &other, &clock);
        let (of_one, of_other) = (token(0, "k", json!({})), token(1, "k", json!({"iss": "j"})));
        let outcomes = || [&of_one, &of_other].map(|it| outcome(&verifier, it));
        assert_eq!(outcomes(), ["keys_unavailable"; 2]);
        replace(&one, &clock, &[(0, "k")]);
        other.fail();
        assert_eq!(outcomes(), ["new", "keys_unavailable"]);
        replace(&other, &clock, &[(1, "k")]);
        assert_eq!(outcomes(), ["known", "new"]);
        // One goes stale, and only its tokens with it; so do those that are known.
        clock.0.lock().unwrap().boot += DAY;
        replace(&one, &clock, &[(0, "k")]);
        other.fail();
        clock.0.lock().unwrap().boot += Duration::from_secs(1);
        assert_eq!(outcomes(), ["known", "keys_unavailable"]);
        // An unknown key is no verdict only where the fetches fail.
        let unknown = |iss: &str| token(2, "x", json!({ "iss": iss }));
        replace(&other, &clock, &[(1, "k")]);
        other.fail();
        assert!(!verifier.verify(&unknown("i")).unwrap_err().is_unavailable());
        assert!(verifier.verify(&unknown("j")).unwrap_err().is_unavailable());
        assert_eq!(outcomes(), ["known", "known"]);
    }

    #[test]
    fn known_tokens_need_recent_keys_as_well() {
        let (cache, clock) = (KeyCache::empty(), Hands::new());
        let verifier = verifier(&cache, &clock);
        replace(&cache, &clock, &[(0, "k")]);
        let token = token(0, "k", json!({}));
        assert_eq!(outcome(&verifier, &token), "new");
        clock.0.lock().unwrap().boot += DAY;
        assert_eq!(outcome(&verifier, &token), "known");
        clock.0.lock().unwrap().boot += Duration::from_secs(1);
        assert_eq!(outcome(&verifier, &token), "keys_unavailable");
        assert!(verifier.verify(&token).unwrap_err().is_unavailable());
    }

    #[test]
    fn an_unknown_key_is_no_verdict_while_fetches_fail() {
        let (cache, clock) = (KeyCache::empty(), Hands::new());
        let verifier = verifier(&cache, &clock);
        replace(&cache, &clock, &[(0, "k")]);
        let other = token(1, "l", json!({}));
        assert!(!verifier.verify(&other).unwrap_err().is_unavailable());
        cache.fail();
        assert!(verifier.verify(&other).unwrap_err().is_unavailable());
        let forged = token(1, "k", json!({}));
        assert!(!verifier.verify(&forged).unwrap_err().is_unavailable());
        assert_eq!(outcome(&verifier, &token(0, "k", json!({}))), "new");
    }

    /// Where keys have no kid they are tried for any, and the token's may be another all the same.
    #[test]
    fn a_kid_is_unknown_beside_keys_without_one() {
        let (cache, clock) = (KeyCache::empty(), Hands::new());
        let verifier = verifier(&cache, &clock);
        let plain = VerifyingKey::hmac(&SECRETS[2], Algorithm::HS256).unwrap();
        let set = keys(&[(0, "k")]).keys().to_vec();
        cache.replace(
            KeySet::from_keys([set, vec![plain.clone()]].concat()),
            clock.now(),
            DAY,
        );
        assert_eq!(outcome(&verifier, &token(2, "any", json!({}))), "new");
        let (other, forged) = (token(1, "l", json!({})), token(1, "k", json!({})));
        assert_eq!(outcome(&verifier, &forged), "bad_signature");
        assert_eq!(outcome(&verifier, &other), "unknown_key");
        assert!(!verifier.verify(&other).unwrap_err().is_unavailable());
        let rings = cache.bell().take();
        assert!(rings.anonymous, "of the forged one");
        assert_eq!(rings.kids.len(), 1, "so that an absent kid is remembered");
        cache.fail();
        assert!(verifier.verify(&other).unwrap_err().is_unavailable());
        assert!(!verifier.verify(&forged).unwrap_err().is_unavailable());
        // Where no key has a kid it tells nothing.
        cache.amend(KeySet::from_keys([plain]));
        assert_eq!(outcome(&verifier, &other), "bad_signature");
        assert!(cache.bell().take().anonymous);
    }

    /// Readers verify all the time while a writer swaps sets all the time; whatever they are told
    /// must fit the set that was there throughout.
    #[test]
    fn readers_and_a_writer() {
        const SETS: [&[(usize, &str)]; 4] = [
            &[(0, "k")],
            &[(1, "l")],
            &[(0, "k"), (1, "l"), (2, "m")],
            &[(2, "k"), (1, "m")],
        ];
        let (cache, clock) = (KeyCache::empty(), Hands::new());
        let verifier = verifier(&cache, &clock);
        replace(&cache, &clock, SETS[0]);
        let tokens = [(0, "k"), (1, "l"), (2, "m"), (2, "k"), (1, "m")]
            .map(|(secret, kid)| (secret, kid, token(secret, kid, json!({}))));
        let (done, checked) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        for (secret, kid, token) in &tokens {
                            let before = cache.load().generation;
                            let good = verifier.verify(token).is_ok();
                            if cache.load().generation == before {
                                // The first set was published as generation 1.
                                let set = SETS[(before as usize - 1) % SETS.len()];
                                assert_eq!(good, set.contains(&(*secret, kid)), "{kid}");
                                checked.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                })
            });
            let mut swaps = 0;
            while checked.load(Ordering::Relaxed) < 20_000 || swaps < 2_000 {
                // A reader that found something wrong is gone.
                if readers.iter().any(|it| it.is_finished()) {
                    break;
                }
                swaps += 1;
                replace(&cache, &clock, SETS[swaps % SETS.len()]);
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
