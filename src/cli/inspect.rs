//! `steadfast inspect`: what does this token say? Nothing of it is verified.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::verify::{bytes_of, read_all, without_line_end};

/// Decode a token without verifying it: header and claims as JSON.
///
/// Anyone can write such a token. Exit status: 0 decoded, 1 not a JWT, 2 unreadable input.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The token; `-` or nothing: from standard input
    token: Option<OsString>,
}

pub(super) fn run(args: Args) -> ExitCode {
    let token = match args.token {
        Some(token) if token != "-" => Ok(bytes_of(token)),
        _ => read_all(io::stdin().lock()).map(|all| without_line_end(&all).to_vec()),
    };
    let token = match token {
        Ok(token) => token,
        Err(why) => {
            super::say("inspect", &why);
            return ExitCode::from(2);
        }
    };
    let Some(decoded) = decode(&token) else {
        super::say("inspect", &"this is no JWS in compact form with JSON in it");
        return ExitCode::from(1);
    };
    super::say("inspect", &UNVERIFIED);
    match writeln!(io::stdout(), "{}", harmless(&format!("{decoded:#}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

const UNVERIFIED: &str =
    "WARNING: NOT VERIFIED. Anyone can have written this; its signature was not checked.";

/// The same JSON, so that a terminal does nothing with what strangers wrote.
fn harmless(json: &str) -> String {
    let mut safe = String::new();
    for it in json.chars() {
        if it == '\x7f' || (!it.is_ascii() && it.escape_debug().len() > 1) {
            let mut units = [0; 2];
            let units = it.encode_utf16(&mut units).iter();
            safe.extend(units.map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(it);
        }
    }
    safe
}

fn decode(token: &[u8]) -> Option<Value> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(json!({ "header": json_of(header)?, "claims": json_of(claims)? }))
}

fn json_of(part: &[u8]) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_does_nothing_with_it() {
        let json = "{\n  \"é\": \"\u{7f}\u{9b}2J \u{202e}\u{e0001} \\\" 'ü'\"\n}";
        let safe = harmless(json);
        let expected = r#""\u007f\u009b2J \u202e\udb40\udc01 \" 'ü'""#;
        assert_eq!(safe, format!("{{\n  \"é\": {expected}\n}}"));
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&safe), read(json));
    }

    #[test]
    fn decodes_whatever_it_says() {
        let found = decode(b"eyJhbGciOiJub25lIn0.eyJleHAiOjF9.").unwrap();
        assert_eq!(
            found,
            json!({"header": {"alg": "none"}, "claims": {"exp": 1}})
        );
        for bad in [
            "",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.eyJleHAiOjF9",
            "e30.e30.a.b",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
