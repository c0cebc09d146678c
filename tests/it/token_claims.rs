//! `exp`, `nbf`, `iss` and `aud` of a token.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Answer, Backend, SetCookie, Sidecar, mint, token};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The dict that the backend gets for each payload, and the counted outcome.
fn check(config: &str, table: &[(String, &str, &str)]) {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(config).start();
    for (payload, expected, outcome) in table {
        let series = format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}");
        let before = sidecar.metrics().get(&series).expect("a series");
        sidecar.get("/", Some(&mint(payload)));
        assert_eq!(backend.last().values("X-Session"), [*expected], "{payload}");
        sidecar.counts(&series, before + 1.0);
    }
}

fn refused(
    outcome: &'static str,
    payloads: &[String],
) -> Vec<(String, &'static str, &'static str)> {
    payloads.iter().map(|payload| (payload.clone(), "{}", outcome)).collect()
}

#[test]
fn exp_is_honoured_and_forwarded() {
    let soon = format!(r#"{{"n":1,"exp":{}}}"#, now() + 100);
    let table = [(soon.clone(), soon.as_str(), "valid")];
    check("", &table);
    for payload in [
        r#"{"exp":99999999999}"#,
        r#"{"exp":99999999999.5}"#,
        r#"{"exp":1e300}"#,
        r#"{"a":{"exp":1,"nbf":99999999999}}"#,
        r#"{"exp":1e11,"iat":"not a number","nbf":0}"#,
    ] {
        check("", &[(payload.into(), payload, "valid")]);
    }
}

#[test]
fn exp_in_the_past_is_expired() {
    let payloads = [
        format!(r#"{{"exp":{}}}"#, now()),
        format!(r#"{{"exp":{}.5}}"#, now() - 1),
        r#"{"exp":0}"#.into(),
        r#"{"exp":-1}"#.into(),
        r#"{"exp":1.5}"#.into(),
        r#"{"exp":-1e300}"#.into(),
        r#"{"exp":1e-400}"#.into(),
        r#"{"\u0065xp":1}"#.into(),
    ];
    check("", &refused("expired", &payloads));
}

#[test]
fn nbf_to_come_is_not_yet_valid() {
    let payloads = [
        format!(r#"{{"nbf":{}}}"#, now() + 100),
        r#"{"nbf":99999999999}"#.into(),
        r#"{"nbf":1e300}"#.into(),
        r#"{"exp":99999999999,"nbf":99999999998}"#.into(),
    ];
    check("", &refused("not_yet_valid", &payloads));
    for payload in [r#"{"nbf":0}"#, r#"{"nbf":-1.5}"#, r#"{"nbf":1e9}"#] {
        check("", &[(payload.into(), payload, "valid")]);
    }
}

#[test]
fn time_that_is_no_finite_number_is_a_wrong_claim() {
    let mut payloads = Vec::new();
    for name in ["exp", "nbf"] {
        for value in [
            "null",
            "\"99999999999\"",
            "\"\"",
            "1e400",
            "-1e400",
            "true",
            "[]",
            "{}",
            "[99999999999]",
        ] {
            payloads.push(format!(r#"{{"{name}":{value}}}"#));
        }
        payloads.push(format!(r#"{{"{name}":{}}}"#, "9".repeat(400)));
    }
    check("", &refused("wrong_claim", &payloads));
}

#[test]
fn leeway_is_for_clocks_that_disagree() {
    let late = format!(r#"{{"exp":{}}}"#, now() - 30);
    let early = format!(r#"{{"nbf":{}}}"#, now() + 30);
    let config = "[session]\nleeway = \"60s\"";
    check(
        config,
        &[(late.clone(), late.as_str(), "valid"), (early.clone(), early.as_str(), "valid")],
    );
    check("", &[(late, "{}", "expired"), (early, "{}", "not_yet_valid")]);
    let too_late = format!(r#"{{"exp":{}}}"#, now() - 90);
    check(config, &[(too_late, "{}", "expired")]);
}

#[test]
fn aud_without_a_configured_audience_does_not_verify() {
    let payloads = [r#""app""#, "null", "[]", r#"["app"]"#, "1", r#""""#];
    let payloads = payloads.map(|aud| format!(r#"{{"n":1,"aud":{aud}}}"#));
    check("", &refused("wrong_claim", &payloads));
}

#[test]
fn iss_without_a_configured_issuer_is_the_apps_own() {
    let payload = r#"{"n":1,"iss":"app","sub":"ann","jti":7}"#;
    check("", &[(payload.into(), payload, "valid")]);
}

const BOTH: &str = "[session]\nissuer = \"us\"\naudience = \"app\"";

#[test]
fn issuer_and_audience_must_be_there_and_match() {
    for payload in [
        r#"{"iss":"us","aud":"app","n":1}"#,
        r#"{"n":1,"aud":["other","app"],"iss":"us"}"#,
        r#"{"n":1,"aud":["app"],"iss":"\u0075s"}"#,
    ] {
        check(BOTH, &[(payload.into(), r#"{"n":1}"#, "valid")]);
    }
    let payloads = [
        r#"{"n":1}"#,
        r#"{"iss":"us"}"#,
        r#"{"aud":"app"}"#,
        r#"{"iss":"them","aud":"app"}"#,
        r#"{"iss":"us","aud":"other"}"#,
        r#"{"iss":"us","aud":[]}"#,
        r#"{"iss":"us","aud":["other"]}"#,
        r#"{"iss":"us","aud":null}"#,
        r#"{"iss":["us"],"aud":"app"}"#,
        r#"{"iss":"US","aud":"APP"}"#,
        r#"{"iss":"us","aud":"apps"}"#,
    ];
    check(BOTH, &refused("wrong_claim", &payloads.map(str::to_owned)));
}

#[test]
fn issuer_and_audience_are_written_and_hidden() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":1}"#)]));
    let sidecar = Sidecar::before(&backend).with(BOTH).start();
    let saved = SetCookie::token(&sidecar.get("/", None));
    let payload: serde_json::Value = serde_json::from_str(&token::payload(&saved)).unwrap();
    assert_eq!(payload, serde_json::json!({"n": 1, "iss": "us", "aud": "app"}));
    sidecar.get("/", Some(&saved));
    assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#]);
}
