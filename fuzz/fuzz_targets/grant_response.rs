//! An answer of a token endpoint is a token that can be used and lives, or an error that can be
//! shown.
#![no_main]

use std::time::Duration;

use http::Response;
use libfuzzer_sys::fuzz_target;
use steadfast::clock::Timestamp;
use steadfast::jose::{Shape, shape};
use steadfast::rotator::error::{Class, IssueError, Reason};
use steadfast::rotator::{Answer, Try, read_answer};
use steadfast::token::{FormatPreference, TokenFormat};

const STATUS: [u16; 8] = [200, 201, 302, 400, 401, 429, 503, 999];
const KIND: [&str; 4] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain; charset=utf-8",
    "text/html",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    let status = STATUS[usize::from(choice & 7)];
    let response = Response::builder()
        .status(status)
        .header("content-type", KIND[usize::from(choice >> 3 & 3)])
        .header("date", "Wed, 25 Nov 2026 01:26:50 GMT")
        .body(body.to_vec())
        .unwrap();
    let this = Try {
        asked_at: Timestamp::from_secs(1_795_570_010),
        format: FormatPreference::PreferJwt,
        ask_for_jwt: true,
        last_lifetime: None,
        wanted_lifetime: Duration::from_secs(43200),
        successors: Vec::new(),
    };
    match read_answer(&response, &this, None) {
        Ok(answer) => usable(status, &answer, &this),
        Err(error) => showable(status, &error),
    }
});

fn usable(status: u16, answer: &Answer, this: &Try) {
    let token = &answer.token;
    assert!((200..300).contains(&status));
    assert!(!token.expose().is_empty() && token.expose().bytes().all(|it| it.is_ascii_graphic()));
    assert_eq!(token.issued_at, this.asked_at);
    assert!(token.expires_at > token.issued_at);
    let is_jwt = shape(token.expose()) == Shape::Jws;
    assert_eq!(token.format == TokenFormat::Jwt, is_jwt);
}

fn showable(status: u16, error: &IssueError) {
    let text = error.to_string();
    assert!(
        text.chars().count() < 300 && !text.contains(char::is_control),
        "{text}"
    );
    assert!(!text.contains("eyJ"), "{text}");
    if error.class == Class::Permanent {
        assert!(matches!(error.reason, Reason::Error { .. }));
        assert!(!matches!(status, 302 | 429 | 503 | 999));
    }
}
