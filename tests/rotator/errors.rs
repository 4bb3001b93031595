//! What is said, and what is never said.

use std::sync::Arc;

use steadfast::clock::Timestamp;
use steadfast::rotator::error::{Class, Reason};
use steadfast::rotator::{Error, Rotator};
use steadfast::testing::ManualClock;
use steadfast::token::FormatPreference;

use crate::script::{DOWN, Script, Step, error, grant, issues, policy, rotator};

#[tokio::test]
async fn errors_have_pinned_texts() {
    let clock = ManualClock::new(Timestamp::from_secs(1_795_570_010));
    let text = |steps: Vec<Step>, format| {
        let rotator = Rotator::new(grant(), policy(0).with_format(format))
            .transport(Script::of(steps))
            .clock(Arc::new(clock.clone()));
        async move {
            let text = rotator.token().await.unwrap_err().to_string();
            // The pause is random.
            let (fixed, next) = text.rsplit_once(' ').unwrap();
            assert!(next.starts_with("2026-11-25T01:2"), "{next}");
            fixed.to_owned()
        }
    };
    let prefer = FormatPreference::PreferJwt;
    assert_eq!(
        text(vec![DOWN], prefer).await,
        "no token could be issued since 2026-11-25T01:26:50Z: no connection; next attempt at"
    );
    assert_eq!(
        text(vec![error(401, "invalid_client")], prefer).await,
        "the service refuses this client since 2026-11-25T01:26:50Z: \
         invalid_client (status 401); next attempt at"
    );
    assert_eq!(
        text(vec![issues("opaque")], FormatPreference::RequireJwt).await,
        "no JWT could be had since 2026-11-25T01:26:50Z: \
         an opaque token where a JWT is required; next attempt at"
    );
    let reasons = [
        (Reason::NoConnection, "no connection"),
        (Reason::NoAnswer, "no answer in time"),
        (Reason::Broken, "the answer broke off"),
        (Reason::NoTls, "TLS is not available"),
        (Reason::Status { status: 502 }, "status 502"),
        (Reason::Unreadable, "an answer without a usable token"),
        (Reason::TokenType, "a token that is not a bearer token"),
        (
            Reason::ExpiredOnArrival,
            "a token that was expired when it came",
        ),
        (Reason::SameToken, "the same token again"),
        (Reason::NoCredential, "the credential is not to be had"),
        (Reason::NoAudience, "the provider wants an audience"),
        (Reason::Deadline, "the attempt took too long"),
        (Reason::BrokenOff, "the renewal broke off"),
        (
            Reason::NoStore,
            "the store cannot be used, and a refresh token is not sent without it",
        ),
        (
            Reason::StoreBusy,
            "another process holds the store and issues nothing",
        ),
    ];
    for (reason, text) in reasons {
        assert_eq!(reason.to_string(), text);
    }
    assert_eq!(
        Error::Pending.to_string(),
        "no token was issued in time, the renewal goes on"
    );
    assert_eq!(
        Error::NoRuntime.to_string(),
        "issuing a token needs a tokio runtime"
    );
    assert_eq!(
        Error::NoThread.to_string(),
        "the system gives no thread to issue a token"
    );
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let rotator = rotator(
        &Script::of([issues("s3cret-token")]),
        &ManualClock::default(),
    );
    let token = rotator.token().await.unwrap();
    let text = format!("{rotator:?} {rotator:#?} {token:?} {:?}", rotator.health());
    assert!(!text.contains("s3cret"), "{text}");
    let refused = Script::of([error(400, "s3cret says no")]);
    let refused = Rotator::new(grant(), policy(0)).transport(refused);
    let error = refused.token().await.unwrap_err();
    assert_eq!(error.failing().unwrap().class, Class::Transient);
    assert!(!format!("{error} {error:?}").contains("says no"));
}
