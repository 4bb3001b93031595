//! `steadfast verify` and `steadfast inspect` from outside.
#![cfg(feature = "cli")]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tokens;

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use steadfast::jose::LONGEST_TOKEN;

use tokens::{AUDIENCE, ISSUER, Issuer, NOW, b64, claims, header};

/// A file for this test.
fn file(name: &str, content: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-verify-{name}"));
    std::fs::write(&file, content).unwrap();
    file
}

fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may answer without having read all.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// `verify` with good settings and `args`.
fn verify(name: &str, args: &[&str], input: &[u8]) -> Output {
    let keys = file(name, &Issuer::new().key_set().to_string());
    let mut all = vec!["verify", "--jwks", keys.to_str().unwrap(), "--now"];
    let now = NOW.to_string();
    all.extend([now.as_str(), "--issuer", ISSUER, "--audience", AUDIENCE]);
    all.extend(args);
    run(all, input)
}

#[track_caller]
fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[track_caller]
fn check(output: &Output, status: i32, expected: &Value) {
    assert_eq!(output.status.code(), Some(status));
    assert_eq!(answer(output), *expected);
    assert!(output.stdout.ends_with(b"}\n"));
}

#[track_caller]
fn check_code(output: &Output, code: &str) {
    assert_eq!(output.status.code(), Some(1));
    let answer = answer(output);
    assert_eq!(
        (&answer["valid"], &answer["error"]),
        (&json!(false), &json!(code))
    );
    assert!(answer["message"].is_string());
}

#[test]
fn good_and_bad() {
    let token = Issuer::new().token(json!({"x": [1.0, {"y": null}]}));
    let good = json!({"valid": true, "alg": "EdDSA", "kid": "k1", "claims": claims(json!({"x": [1.0, {"y": null}]}))});
    check(&verify("good", &[&token], b""), 0, &good);
    let expired = Issuer::new().token(json!({"exp": NOW - 100}));
    let bad = json!({
        "valid": false,
        "error": "expired",
        "message": "the token expired at 2026-11-25T01:25:10Z, it is 2026-11-25T01:26:50Z, leeway 60 s",
    });
    check(&verify("bad", &[&expired], b""), 1, &bad);
    let no_kid = Issuer::new().with_header(header(json!({"kid": null})));
    assert_eq!(
        answer(&verify("no-kid", &[&no_kid], b""))["kid"],
        Value::Null
    );
}

#[test]
fn from_standard_input_one_line_end_is_cut() {
    let token = Issuer::new().token(json!({}));
    for (args, end) in [(&["-"][..], ""), (&["-"], "\n"), (&[], "\r\n"), (&[], "\n")] {
        let output = verify("stdin", args, format!("{token}{end}").as_bytes());
        assert_eq!(output.status.code(), Some(0), "{args:?} {end:?}");
    }
    for end in ["\n\n", "\r", " \n", "\n\r\n"] {
        check_code(
            &verify("stdin-bad", &[], format!("{token}{end}").as_bytes()),
            "malformed",
        );
    }
    check_code(&verify("stdin-empty", &[], b""), "malformed");
    check_code(&verify("stdin-bytes", &[], b"a\xffb"), "malformed");
    for byte in [b'a', 0xff] {
        let long = vec![byte; 3_000_000];
        check_code(&verify("stdin-long", &[], &long), "too_large");
    }
}

#[test]
fn an_argument_is_taken_byte_for_byte() {
    let token = Issuer::new().token(json!({}));
    for odd in [format!("{token}\n"), format!(" {token}"), String::new()] {
        check_code(&verify("argument", &[&odd], b""), "malformed");
    }
    check_code(&verify("dash", &["--", "-abc"], b""), "opaque");
}

#[cfg(unix)]
#[test]
fn an_argument_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;

    let keys = file("bytes", &Issuer::new().key_set().to_string());
    let args = ["verify", "--any-issuer", "--any-audience", "--jwks"].map(OsStr::new);
    let args = args
        .into_iter()
        .chain([keys.as_os_str(), OsStr::from_bytes(b"eyJ\xff")]);
    check_code(&run(args, b""), "malformed");
}

#[test]
fn lines() {
    let issuer = Issuer::new();
    let input = format!(
        "{}\n\n{}\r\nabc\n{}",
        issuer.token(json!({})),
        issuer.token(json!({})),
        issuer.token(json!({"aud": "other"}))
    );
    let output = verify("lines", &["--lines"], input.as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let answers = String::from_utf8(output.stdout).unwrap();
    let codes: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["error"].take())
        .collect();
    assert_eq!(
        json!(codes),
        json!([null, "malformed", "malformed", "opaque", "wrong_audience"])
    );
    assert_eq!(verify("no-lines", &["--lines", "-"], b"").stdout, b"");
    let bytes = verify("lines-bytes", &["--lines"], b"\xff\xfe\n\n");
    assert_eq!(String::from_utf8(bytes.stdout).unwrap().lines().count(), 2);
}

/// Of a line that is longer than any token the rest is skipped, and the next one is the next token.
#[test]
fn long_lines() {
    let token = Issuer::new().token(json!({}));
    for (length, code) in [
        (LONGEST_TOKEN, "opaque"),
        (LONGEST_TOKEN + 1, "too_large"),
        (LONGEST_TOKEN + 2, "too_large"),
        (LONGEST_TOKEN + 3, "too_large"),
        (4 << 20, "too_large"),
    ] {
        for end in ["", "\n"] {
            let input = format!("{token}\n{}\n{token}{end}", "x".repeat(length));
            let output = verify("long-lines", &["--lines"], input.as_bytes());
            let answers = String::from_utf8(output.stdout).unwrap();
            let codes: Vec<Value> = answers
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["error"].take())
                .collect();
            assert_eq!(json!(codes), json!([null, code, null]), "{length}");
        }
    }
    let unended = verify("long-end", &["--lines"], "x".repeat(1 << 20).as_bytes());
    assert_eq!(
        String::from_utf8(unended.stdout).unwrap().lines().count(),
        1
    );
}

#[test]
fn settings() {
    let issuer = Issuer::new();
    let token = issuer.token(json!({"iss": "https://login.other", "aud": ["a", "b"]}));
    for (args, expected) in [
        (
            &["--issuer", "https://login.other", "--audience", "b"][..],
            "valid",
        ),
        (&["--issuer", "https://login.other"], "wrong_audience"),
        (&["--audience", "a"], "wrong_issuer"),
    ] {
        let args: Vec<_> = args.iter().copied().chain([token.as_str()]).collect();
        let found = answer(&verify("settings", &args, b""));
        let found = found["error"].as_str().unwrap_or("valid");
        assert_eq!(found, expected, "{args:?}");
    }
    let keys = file("any", &issuer.key_set().to_string());
    let any = ["verify", "--any-issuer", "--any-audience", "--jwks"];
    for (now, status) in [
        ("2026-11-25T01:26:50Z", 0),
        ("2026-11-25T02:26:50+01:00", 0),
        ("2030-01-01T00:00:00Z", 1),
    ] {
        let args = any
            .into_iter()
            .chain([keys.to_str().unwrap(), "--now", now, &token]);
        assert_eq!(run(args, b"").status.code(), Some(status), "{now}");
    }
}

/// All but `denied` and `keys_unavailable`: the command has neither a denylist nor keys that age.
#[test]
fn every_code() {
    let issuer = Issuer::new();
    let token = |changes| issuer.token(changes);
    let headed = |changes| issuer.with_header(header(changes));
    let (input, _) = token(json!({})).rsplit_once('.').map(own).unwrap();
    let jwe = format!("{}.a.b.c.d", b64(r#"{"alg":"dir","enc":"A256GCM"}"#));
    for (code, token) in [
        ("too_large", "a".repeat(16_385)),
        ("malformed", "eyJ".into()),
        ("opaque", "0123456789abcdef".into()),
        ("opaque", jwe),
        ("unsupported_algorithm", headed(json!({"alg": "none"}))),
        (
            "unsupported_critical",
            headed(json!({"crit": ["x"], "x": 1})),
        ),
        ("wrong_type", headed(json!({"typ": "dpop+jwt"}))),
        ("unknown_key", headed(json!({"kid": "k2"}))),
        ("bad_signature", format!("{input}.{}", b64([0; 64]))),
        ("malformed_claim", token(json!({"exp": "soon"}))),
        ("missing_claim", token(json!({"exp": null}))),
        ("wrong_issuer", token(json!({"iss": "https://login.other"}))),
        ("wrong_audience", token(json!({"aud": "other"}))),
        ("expired", token(json!({"exp": NOW - 60}))),
        ("not_yet_valid", token(json!({"nbf": NOW + 61}))),
        ("lifetime_too_long", token(json!({"exp": NOW + 90_000}))),
        ("unconfirmed", token(json!({"cnf": {"jkt": "x"}}))),
    ] {
        let args = ["--max-lifetime", "24h", &token];
        check_code(&verify("codes", &args, b""), code);
    }
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.into(), other.into())
}

#[test]
fn leeway_profile_and_lifetime() {
    let issuer = Issuer::new();
    let (expired, late) = (json!({"exp": NOW - 60}), json!({"exp": NOW + 90_000}));
    let access = issuer.raw(
        header(json!({"typ": "at+jwt"})).to_string(),
        claims(json!({"client_id": "app", "jti": "1"})).to_string(),
    );
    for (args, token, expected) in [
        (
            &["--leeway", "61"][..],
            issuer.token(expired.clone()),
            "valid",
        ),
        (&["--leeway", "0"], issuer.token(expired), "expired"),
        (
            &["--max-lifetime", "26h"],
            issuer.token(late.clone()),
            "valid",
        ),
        (
            &["--max-lifetime", "24h"],
            issuer.token(late.clone()),
            "lifetime_too_long",
        ),
        (&[], issuer.token(late), "valid"),
        (&["--profile", "at+jwt"], access.clone(), "valid"),
        (&["--profile", "any"], access, "valid"),
        (
            &["--profile", "at+jwt"],
            issuer.token(json!({})),
            "wrong_type",
        ),
    ] {
        let args: Vec<_> = args.iter().copied().chain([token.as_str()]).collect();
        let found = answer(&verify("rules", &args, b""));
        let found = found["error"].as_str().unwrap_or("valid");
        assert_eq!(found, expected, "{args:?}");
    }
}

#[test]
fn symmetric_keys_only_where_they_are_allowed() {
    let secret = [7; 32];
    let keys =
        json!({"keys": [{"kty": "oct", "k": b64(secret), "kid": "k1"}, Issuer::new().jwk()]});
    let keys = file("symmetric", &keys.to_string());
    let input = format!(
        "{}.{}",
        b64(header(json!({"alg": "HS256"})).to_string()),
        b64(claims(json!({})).to_string())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let token = format!("{input}.{}", b64(ring::hmac::sign(&key, input.as_bytes())));
    let now = NOW.to_string();
    let with = |flags: &[&str]| {
        let args = [
            "verify",
            "--any-issuer",
            "--any-audience",
            "--now",
            &now,
            "--jwks",
            keys.to_str().unwrap(),
        ];
        run(args.iter().chain(flags).chain([&token.as_str()]), b"")
    };
    check_code(&with(&[]), "unsupported_algorithm");
    check_code(&with(&["--algorithm", "HS256"]), "unsupported_algorithm");
    assert_eq!(with(&["--allow-symmetric"]).status.code(), Some(0));
    assert_eq!(
        with(&["--allow-symmetric", "--algorithm", "HS256"])
            .status
            .code(),
        Some(0)
    );
    check_code(
        &with(&["--allow-symmetric", "--algorithm", "EdDSA"]),
        "unsupported_algorithm",
    );
}

#[test]
fn signature_only() {
    let issuer = Issuer::new();
    let keys = file("jws", &issuer.key_set().to_string());
    let jws = |token: &str| {
        run(
            ["verify", "--jws", "--jwks", keys.to_str().unwrap(), token],
            b"",
        )
    };
    let token = issuer.raw(header(json!({"typ": "x"})).to_string(), b"\x00\xff any");
    let good = json!({"valid": true, "alg": "EdDSA", "kid": "k1", "payload": b64(b"\x00\xff any")});
    check(&jws(&token), 0, &good);
    let (input, _) = token.rsplit_once('.').unwrap();
    check_code(&jws(&format!("{input}.{}", b64([0; 64]))), "bad_signature");
    check_code(
        &jws(&issuer.with_header(header(json!({"kid": "k2"})))),
        "unknown_key",
    );
    check_code(
        &jws(&issuer.with_header(header(json!({"alg": "RS256"})))),
        "unsupported_algorithm",
    );
    for (algorithm, status) in [("EdDSA", 0), ("Ed25519", 0), ("RS256", 1)] {
        let args = ["verify", "--jws", "--algorithm", algorithm, "--jwks"];
        let output = run(
            args.into_iter().chain([keys.to_str().unwrap(), &token]),
            b"",
        );
        assert_eq!(output.status.code(), Some(status), "{algorithm}");
    }
}

/// A good token whose verdict reaches nobody is not told apart as good.
#[test]
fn nobody_reads_the_answer() {
    let token = Issuer::new().token(json!({}));
    let keys = file("unread", &Issuer::new().key_set().to_string());
    let keys = keys.to_str().unwrap();
    let verify = [
        "verify",
        "--any-issuer",
        "--any-audience",
        "--jwks",
        keys,
        "--now",
    ];
    let now = NOW.to_string();
    let verify = [&verify[..], &[&now, &token]].concat();
    for args in [&verify[..], &["inspect", &token]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
        let output = command
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output();
        let output = output.unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {words}");
        assert!(!words.contains("panicked"), "{words}");
    }
}

#[test]
fn usage_and_unreadable_input() {
    let token = Issuer::new().token(json!({}));
    let good = file("usage", &Issuer::new().key_set().to_string());
    let no_set = file("no-set", r#"{"kty":"OKP"}"#);
    let no_key = file("no-key", r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#);
    let no_json = file("no-json", "<html>");
    let folder = good.parent().unwrap().to_owned();
    let endless = if cfg!(unix) { "/dev/zero" } else { "" };
    let good = good.to_str().unwrap();
    let any = ["--any-issuer", "--any-audience"];
    for args in [
        vec![&*token],
        vec!["--jwks", good, &token],
        vec!["--jwks", good, "--any-issuer", &token],
        vec!["--jwks", good, "--any-audience", &token],
        vec!["--jwks", good, any[0], any[1], "--issuer", ISSUER, &token],
        vec![
            "--jwks",
            good,
            any[0],
            any[1],
            "--algorithm",
            "none",
            &token,
        ],
        vec!["--jwks", good, any[0], any[1], "--leeway", "301", &token],
        vec!["--jwks", good, any[0], any[1], "--leeway", "-1", &token],
        vec!["--jwks", good, any[0], any[1], "--now", "tomorrow", &token],
        vec![
            "--jwks",
            good,
            any[0],
            any[1],
            "--max-lifetime",
            "1",
            &token,
        ],
        vec!["--jwks", good, any[0], any[1], "--profile", "x", &token],
        vec!["--jwks", good, any[0], any[1], "--lines", &token],
        vec!["--jwks", "/nonexistent", any[0], any[1], &token],
        vec!["--jwks", no_set.to_str().unwrap(), any[0], any[1], &token],
        vec!["--jwks", no_key.to_str().unwrap(), any[0], any[1], &token],
        vec!["--jwks", no_json.to_str().unwrap(), any[0], any[1], &token],
        vec!["--jwks", folder.to_str().unwrap(), any[0], any[1], &token],
        vec!["--jwks", endless, any[0], any[1], &token],
    ] {
        let output = run(["verify"].iter().chain(&args), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn inspect_decodes_loudly() {
    let token = Issuer::new().token(json!({}));
    let (input, _) = token.rsplit_once('.').unwrap();
    let output = run(["inspect", &format!("{input}.forged")], b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        answer(&output),
        json!({"header": header(json!({})), "claims": claims(json!({}))})
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("NOT VERIFIED"));
    let output = run(["inspect"], format!("{token}\n").as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let odd = Issuer::new().token(json!({"x": "\u{9b}2J"}));
    let output = run(["inspect", &odd], b"");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains(r"\u009b2J")
    );
    assert_eq!(run(["inspect", "abc"], b"").status.code(), Some(1));
}
