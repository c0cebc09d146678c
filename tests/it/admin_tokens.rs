//! `/tokens/explain` of the admin listener: explains a cookie.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::token::mint_with;
use crate::support::{Backend, Builder, PATIENT, Request, SECRET, SetCookie, Sidecar, mint};

const TOKEN: &str = "an-operators-token-of-36-characters!";

fn with_token(backend: &Backend) -> (tempfile::NamedTempFile, Builder) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let builder = Sidecar::before(backend).admin(&format!("token_file = {:?}", file.path()));
    (file, builder)
}

fn explain(sidecar: &Sidecar, token: &str) -> Value {
    let request = Request::new("POST", "/tokens/explain")
        .with("Authorization", format!("Bearer {TOKEN}"))
        .body(token);
    let answer = sidecar.ask_admin(&request);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn each_outcome_is_told_with_its_reason() {
    let backend = Backend::plain();
    let (_file, builder) = with_token(&backend);
    let sidecar = builder.start();
    let found = explain(&sidecar, &format!("{}\n", mint(r#"{"n":12345678901234567890123}"#)));
    assert_eq!(found["outcome"], "valid");
    assert_eq!(
        (&found["alg"], &found["kid"], &found["key"]),
        (&json!("HS256"), &json!(null), &json!("1"))
    );
    assert_eq!(found["reason"], json!(null));
    for (token, outcome, reason) in [
        ("x".to_owned(), "malformed", "three parts"),
        (mint_with(r#"{"alg":"none"}"#, "{}"), "malformed", "alg is none"),
        (mint_with(r#"{"alg":"ES256"}"#, "{}"), "unknown_key", "ES256"),
        (format!("{}x", &mint("{}")[..mint("{}").len() - 1]), "", "signature"),
        (mint(r#"{"exp":5}"#), "expired", "expired"),
        (mint(format!(r#"{{"nbf":{}}}"#, 9_000_000_000_u64)), "not_yet_valid", "not valid yet"),
        (mint(r#"{"aud":"x"}"#), "wrong_claim", "aud"),
        (mint(format!(r#"{{"a":"{}"}}"#, "x".repeat(4000))), "too_large", "longer"),
    ] {
        let found = explain(&sidecar, &token);
        if !outcome.is_empty() {
            assert_eq!(found["outcome"], outcome, "{found}");
        }
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found}");
        assert_eq!(found["dict"], json!(null));
    }
    let expired = explain(&sidecar, &mint(r#"{"exp":5}"#));
    assert_eq!(
        (&expired["key"], &expired["expires"]),
        (&json!("1"), &json!("1970-01-01T00:00:05Z"))
    );
}

#[test]
fn a_ticket_is_told_with_what_the_store_says_and_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::by(|request| {
        let saved = request.value("Say-Save");
        let fields: Vec<(&str, &str)> =
            saved.iter().map(|dict| ("X-Session-Save", dict.as_str())).collect();
        crate::support::Answer::new(200, &fields, "")
    });
    let (_file, builder) = with_token(&backend);
    let file = folder.path().join("sessions.db");
    let sidecar = builder
        .with(&format!(
            "[store]\nurl = \"file:{}\"\n{PATIENT}[session]\nttl = \"1h\"",
            file.display()
        ))
        .start();
    let answer = sidecar.connect().exchange(&Request::get("/").with("Say-Save", r#"{"n":1}"#));
    let ticket = SetCookie::token(&answer);
    let found = explain(&sidecar, &ticket);
    assert_eq!((&found["outcome"], &found["ticket"]), (&json!("valid"), &json!(true)));
    assert_eq!(found["dict"], json!(null));
    let payload = ticket.split('.').nth(1).unwrap();
    let payload = crate::support::token::unbase64(payload);
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let command = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["token", "decode", "--explain", &ticket, "--secret-file"])
        .arg(&secret)
        .output()
        .unwrap();
    let command = String::from_utf8(command.stdout).unwrap();
    assert!(command.contains("dict       in the store"), "{command}");
    for text in [found.to_string(), command] {
        for value in payload["cr"].as_object().unwrap().values().filter_map(Value::as_str) {
            assert!(value.len() != 43 || !text.contains(value), "a key: {text}");
        }
    }
    let id = found["session"].as_str().unwrap();
    let end = Request::new("DELETE", &format!("/sessions/{id}"))
        .with("Authorization", format!("Bearer {TOKEN}"));
    assert_eq!(sidecar.ask_admin(&end).status(), 200);
    let found = explain(&sidecar, &ticket);
    assert_eq!(found["outcome"], "gone");
    assert!(found["reason"].as_str().unwrap().contains("no longer in the store"));
}

#[test]
fn only_a_body_of_a_sensible_length_is_looked_at() {
    let backend = Backend::plain();
    let (_file, builder) = with_token(&backend);
    let sidecar = builder.start();
    let request = |method: &str| {
        Request::new(method, "/tokens/explain").with("Authorization", format!("Bearer {TOKEN}"))
    };
    assert_eq!(sidecar.ask_admin(&request("GET")).status(), 405);
    let long = request("POST").body("x".repeat(70_000));
    assert_eq!(sidecar.ask_admin(&long).status(), 413);
}
