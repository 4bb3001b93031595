//! What the service publishes: its metadata and its keys.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use http::{Response, StatusCode};
use serde_json::json;

use super::answer::{Answer, json, set};
use super::faults::Endpoint;
use super::state::State;
use crate::jose::{Algorithm, AlgorithmSet};

/// One document for OpenID Connect Discovery 3 and RFC 8414 2, with the members that either
/// requires and this service has.
pub(super) fn metadata(state: &State) -> Answer {
    let signing = state.keyring(|keyring| keyring.signing().algorithm());
    let mut methods = vec!["client_secret_basic"];
    if state.config.body_credentials {
        methods.push("client_secret_post");
    }
    if state.config.has_keys() {
        methods.push("private_key_jwt");
    }
    let mut body = json!({
        "issuer": state.issuer(),
        "token_endpoint": state.url_of(Endpoint::Token),
        "jwks_uri": state.url_of(Endpoint::Jwks),
        "introspection_endpoint": state.url_of(Endpoint::Introspection),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "id_token_signing_alg_values_supported": [signing.name()],
    });
    if let (true, Some(members)) = (state.config.has_keys(), body.as_object_mut()) {
        // RFC 8414 2: required with private_key_jwt.
        let algorithms: Vec<_> = AlgorithmSet::ASYMMETRIC
            .iter()
            .map(Algorithm::name)
            .collect();
        for endpoint in ["token_endpoint", "introspection_endpoint"] {
            let name = format!("{endpoint}_auth_signing_alg_values_supported");
            members.insert(name, algorithms.clone().into());
        }
    }
    json(StatusCode::OK, &body)
}

/// The JWK Set (RFC 7517 5) with an entity tag; 304 for who has it (RFC 9110 13.1.2).
pub(super) fn jwks(state: &State, headers: &HeaderMap) -> Answer {
    let (document, tag) = state.keyring(|keyring| keyring.document());
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let mut tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|it| it == tag || it == "*")
    });
    let mut answer = if known {
        let mut answer = Response::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        let mut answer = Response::new(document.into());
        set(&mut answer, CONTENT_TYPE, "application/jwk-set+json");
        answer
    };
    set(&mut answer, ETAG, &tag);
    if let Some(value) = &state.config.keys_cache_control {
        set(&mut answer, CACHE_CONTROL, value);
    }
    answer
}
