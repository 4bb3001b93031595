//! What each provider is sent, byte for byte, and what a client reads in its tokens.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Response;
use steadfast::clock::Timestamp;
use steadfast::rotator::error::{Class, Reason};
use steadfast::rotator::{ClientCredentials, Grant, Preset, Try};
use steadfast::token::{FormatPreference, LifetimeSource, Token, TokenFormat};

const NOW: i64 = 1_795_570_010;
const HOUR: Duration = Duration::from_secs(3600);

fn this(ask_for_jwt: bool) -> Try {
    Try {
        asked_at: Timestamp::from_secs(NOW),
        format: FormatPreference::PreferJwt,
        ask_for_jwt,
        last_lifetime: None,
        wanted_lifetime: 12 * HOUR,
        successors: Vec::new(),
    }
}

/// With an id and a secret that tell raw from encoded.
fn grant(preset: Preset) -> ClientCredentials {
    let grant = ClientCredentials::new("https://login.example/token", "sb-a!t1|b", "c/d+e f");
    grant.unwrap().preset(preset)
}

fn asking(preset: Preset) -> ClientCredentials {
    match preset {
        Preset::Auth0 => grant(preset).audience("https://orders.example"),
        Preset::Entra => grant(preset).scope("api://orders/.default"),
        Preset::OidcProvider => grant(preset).resource("https://orders.example"),
        _ => grant(preset),
    }
}

const ENCODED: &str = "sb-a%21t1%7Cb:c%2Fd%2Be+f";
const RAW: &str = "sb-a!t1|b:c/d+e f";
const BODY: &str = "&client_id=sb-a%21t1%7Cb&client_secret=c%2Fd%2Be+f";

/// Headers besides those of any request, and the body after the grant type.
#[track_caller]
fn assert_sent(preset: Preset, basic: Option<&str>, announced: bool, parameters: &str) {
    let request = ready(asking(preset).request(&this(true))).unwrap();
    let mut expected = vec![
        ("accept", "application/json".to_owned()),
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
    ];
    if let Some(pair) = basic {
        expected.push(("authorization", format!("Basic {}", STANDARD.encode(pair))));
    }
    if announced {
        expected.push(("x-cf-encoded-credentials", "true".to_owned()));
    }
    expected.sort_unstable();
    let headers = request.headers().iter();
    let mut sent: Vec<_> = headers
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap().to_owned()))
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, expected, "{preset}");
    let body = std::str::from_utf8(request.body()).unwrap();
    assert_eq!(
        body,
        format!("grant_type=client_credentials{parameters}"),
        "{preset}"
    );
}

#[test]
fn generic() {
    assert_sent(Preset::Generic, Some(ENCODED), false, "");
}

#[test]
fn neo() {
    assert_sent(Preset::Neo, Some(RAW), false, "&token_format=jwtrfc");
}

#[test]
fn uaa() {
    assert_sent(Preset::Uaa, Some(ENCODED), true, "&token_format=jwt");
}

#[test]
fn xsuaa() {
    assert_sent(Preset::Xsuaa, Some(ENCODED), true, "");
}

#[test]
fn ias() {
    let parameters = format!("&token_format=jwt{BODY}");
    assert_sent(Preset::Ias, None, false, &parameters);
}

#[test]
fn ias_takes_parameters_of_its_own() {
    let grant = grant(Preset::Ias)
        .resource("urn:sap:identity:application:provider:name:orders")
        .parameter("app_tid", "7f3e")
        .parameter("refresh_expiry", "0");
    let request = ready(grant.request(&this(true))).unwrap();
    let body = std::str::from_utf8(request.body()).unwrap();
    assert_eq!(
        body,
        format!(
            "grant_type=client_credentials\
             &resource=urn%3Asap%3Aidentity%3Aapplication%3Aprovider%3Aname%3Aorders\
             &app_tid=7f3e&refresh_expiry=0&token_format=jwt{BODY}"
        )
    );
}

#[test]
fn xsuaa_is_told_the_tenant_in_a_header() {
    let zid = http::HeaderName::from_static("x-zid");
    let grant = grant(Preset::Xsuaa).header(zid, http::HeaderValue::from_static("7f3e"));
    let request = ready(grant.request(&this(true))).unwrap();
    assert_eq!(request.headers()["x-zid"], "7f3e");
    assert_eq!(request.headers()["x-cf-encoded-credentials"], "true");
}

#[test]
fn neo_takes_jwt_for_jwtrfc() {
    let grant = grant(Preset::Neo).ask_jwt_with("token_format", "jwt");
    let request = ready(grant.request(&this(true))).unwrap();
    assert!(request.body().ends_with(b"&token_format=jwt"));
}

#[test]
fn auth0() {
    let parameters = format!("&audience=https%3A%2F%2Forders.example{BODY}");
    assert_sent(Preset::Auth0, None, false, &parameters);
}

#[test]
fn keycloak() {
    assert_sent(Preset::Keycloak, Some(ENCODED), false, "");
}

#[test]
fn entra() {
    let parameters = format!("&scope=api%3A%2F%2Forders%2F.default{BODY}");
    assert_sent(Preset::Entra, None, false, &parameters);
}

#[test]
fn okta() {
    assert_sent(Preset::Okta, Some(ENCODED), false, "");
    assert_sent(Preset::OktaOrg, Some(ENCODED), false, "");
}

#[test]
fn cognito() {
    assert_sent(Preset::Cognito, Some(ENCODED), false, "");
}

#[test]
fn hydra() {
    assert_sent(Preset::Hydra, Some(ENCODED), false, "");
}

#[test]
fn oidc_provider() {
    let parameters = "&resource=https%3A%2F%2Forders.example";
    assert_sent(Preset::OidcProvider, Some(ENCODED), false, parameters);
}

#[test]
fn a_parameter_that_asks_for_a_jwt_can_be_left_out() {
    for &preset in Preset::ALL {
        let grant = asking(preset);
        let body = |ask| ready(grant.request(&this(ask))).unwrap().into_body();
        let asks = preset.jwt_parameter().is_some();
        assert_eq!(grant.can_ask_for_jwt(), asks, "{preset}");
        assert_eq!(body(true) != body(false), asks, "{preset}");
    }
}

#[test]
fn auth0_wants_an_audience() {
    for &preset in Preset::ALL {
        let asked = ready(grant(preset).request(&this(true)));
        if preset.requires_audience() {
            let error = asked.unwrap_err();
            assert_eq!(
                (error.reason, error.class),
                (Reason::NoAudience, Class::Permanent)
            );
        } else {
            assert!(asked.is_ok(), "{preset}");
        }
    }
    assert!(Preset::Auth0.requires_audience());
}

#[track_caller]
fn issued(preset: Preset, expires_in: Option<u32>) -> Token {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"iat":{NOW},"exp":{}}}"#, NOW + 600);
    let head = part(r#"{"typ":"JWT","alg":"RS256"}"#);
    let token = format!("{head}.{}.{}", part(&claims), part("signature"));
    let expires_in = expires_in.map(|it| format!(r#","expires_in":{it}"#));
    let expires_in = expires_in.unwrap_or_default();
    let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"{expires_in}}}"#);
    let response = Response::new(body.into_bytes());
    asking(preset).read(&this(true), &response).unwrap().token
}

/// The token says ten minutes, the answer an hour or nothing.
#[test]
fn entra_and_the_org_server_of_okta_let_no_client_read_their_tokens() {
    use LifetimeSource::{Assumed, Claims, ExpiresIn};
    for &preset in Preset::ALL {
        let (told, silent) = (issued(preset, Some(3600)), issued(preset, None));
        let is_opaque = preset == Preset::OktaOrg;
        let format = if is_opaque {
            TokenFormat::Opaque
        } else {
            TokenFormat::Jwt
        };
        assert_eq!((told.format, silent.format), (format, format), "{preset}");
        let lifetimes = [&told, &silent].map(|it| (it.lifetime(), it.lifetime_source));
        let expected = if is_opaque || preset == Preset::Entra {
            [(HOUR, ExpiresIn), (12 * HOUR, Assumed)]
        } else {
            [(HOUR / 6, Claims); 2]
        };
        assert_eq!(lifetimes, expected, "{preset}");
    }
}

/// What a grant that waits for nothing asks for.
fn ready<F: Future>(asked: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(asked)
}
