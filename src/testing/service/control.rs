//! Orders by HTTP, on a port of their own; see `ServiceConfig::control_port`.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::faults::Fault;
use super::form::Form;
use super::received::Received;
use super::state::State;

pub(super) fn answer(state: &State, request: &Received) -> Answer {
    let Some(form) = request.parameters() else {
        return refusal("the body must be UTF-8");
    };
    let done = match (&request.method, request.path.as_str()) {
        (&Method::GET, "/counters") => Ok(state.counters().to_json()),
        (&Method::POST, "/fault") => set_fault(state, &form),
        (&Method::POST, "/clear") => {
            state.clear_faults();
            Ok(json!({}))
        }
        (&Method::POST, "/expire") => {
            state.expire_tokens();
            Ok(json!({}))
        }
        (&Method::POST, "/keys") => change_keys(state, &form),
        _ => {
            let body = "POST /fault, /clear, /expire or /keys, or GET /counters";
            return answer::text(StatusCode::NOT_FOUND, body);
        }
    };
    match done {
        Ok(body) => answer::json(StatusCode::OK, &body),
        Err(why) => refusal(&why),
    }
}

fn refusal(why: &str) -> Answer {
    answer::json(StatusCode::BAD_REQUEST, &json!({ "error": why }))
}

fn set_fault(state: &State, form: &Form) -> Result<Value, String> {
    let fault = Fault::from_parameters(form.all()).map_err(|error| error.to_string())?;
    state.add_fault(fault);
    Ok(json!({}))
}

fn change_keys(state: &State, form: &Form) -> Result<Value, String> {
    let once = |name| {
        form.one_anywhere(name)
            .map_err(|_| format!("{name} is repeated"))
    };
    let (order, kid) = (once("do")?, once("kid")?);
    state.keyring(|keyring| {
        let known = match (order, kid) {
            (Some("publish"), None) => {
                let key = keyring.fresh();
                keyring.publish(key.clone());
                return Ok(json!({ "kid": key.kid() }));
            }
            (Some("replace"), kid) => {
                let key = keyring.fresh();
                let key = match kid {
                    Some(kid) => key.with_kid(kid),
                    None => key,
                };
                keyring.replace(key.clone());
                return Ok(json!({ "kid": key.kid() }));
            }
            (Some("sign"), Some(kid)) => keyring.sign_with(kid),
            (Some("withdraw"), Some(kid)) => keyring.withdraw(kid),
            _ => return Err("do must be publish, sign, withdraw or replace, with kid".to_owned()),
        };
        match (known, kid) {
            (true, Some(kid)) => Ok(json!({ "kid": kid })),
            _ => Err("no published key has this kid".to_owned()),
        }
    })
}
