//! Several keys, key ids, algorithms, and sources of secrets.

use jsonwebtoken::Algorithm;

use crate::support::token::{self, base64, mint_as, payload_as};
use crate::support::{Answer, Backend, Builder, SECRET, SetCookie, Sidecar, mint};

const PAYLOAD: &str = r#"{"n":1}"#;
const OLD: &str = "an older secret that is still accepted";
const FOREIGN: &str = "a secret that nobody here has ever seen";

fn header(kid: &str) -> String {
    format!(r#"{{"typ":"JWT","alg":"HS256","kid":{kid}}}"#)
}

/// Two keys, `new` and `old`.
fn two_keys(backend: &Backend) -> Sidecar {
    let keys = format!(
        "[[keys]]\nid = \"new\"\nsecret = \"{SECRET}\"\n\n[[keys]]\nid = \"old\"\nsecret = \"{OLD}\"\n"
    );
    Sidecar::before(backend).keys(&keys).start()
}

#[test]
fn first_key_signs_and_all_verify() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", PAYLOAD)]));
    let sidecar = two_keys(&backend);
    let old = mint_as(token::HEADER, PAYLOAD, OLD, Algorithm::HS256);
    let saved = SetCookie::token(&sidecar.get("/", Some(&old)));
    assert_eq!(backend.last().values("X-Session"), [PAYLOAD]);
    let signed_by_new = payload_as(&saved, &header("\"new\""), SECRET, Algorithm::HS256);
    assert_eq!(signed_by_new, PAYLOAD);
    sidecar.get("/", Some(&saved));
    assert_eq!(backend.last().values("X-Session"), [PAYLOAD]);
    sidecar.counts(r#"cloakroom_key_uses_total{key="old",use="verify"}"#, 1.0);
    sidecar.counts(r#"cloakroom_key_uses_total{key="new",use="verify"}"#, 1.0);
    sidecar.counts(r#"cloakroom_key_uses_total{key="new",use="sign"}"#, 2.0);
    sidecar.counts(r#"cloakroom_key_uses_total{key="old",use="sign"}"#, 0.0);
}

#[test]
fn kid_chooses_the_key_where_there_is_one_of_that_id() {
    let backend = Backend::plain();
    let sidecar = two_keys(&backend);
    for (kid, secret, dict, outcome) in [
        ("\"old\"", OLD, PAYLOAD, "valid"),
        ("\"new\"", SECRET, PAYLOAD, "valid"),
        ("\"ol\\u0064\"", OLD, PAYLOAD, "valid"),
        ("\"new\"", OLD, "{}", "bad_signature"),
        ("\"old\"", SECRET, "{}", "bad_signature"),
        ("\"old\"", FOREIGN, "{}", "bad_signature"),
        ("\"other\"", OLD, PAYLOAD, "valid"),
        ("\"other\"", SECRET, PAYLOAD, "valid"),
        ("\"\"", OLD, PAYLOAD, "valid"),
        ("\"OLD\"", OLD, PAYLOAD, "valid"),
        ("\"other\"", FOREIGN, "{}", "unknown_key"),
    ] {
        let series = format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}");
        let before = sidecar.metrics().get(&series).expect("a series");
        sidecar.get("/", Some(&mint_as(header(kid), PAYLOAD, secret, Algorithm::HS256)));
        assert_eq!(backend.last().values("X-Session"), [dict], "kid {kid}, {secret}");
        sidecar.counts(&series, before + 1.0);
    }
    let foreign = mint_as(token::HEADER, PAYLOAD, FOREIGN, Algorithm::HS256);
    sidecar.get("/", Some(&foreign));
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="bad_signature"}"#, 4.0);
}

#[test]
fn kid_that_is_no_string_never_verifies_a_foreign_signature() {
    let backend = Backend::plain();
    let sidecar = two_keys(&backend);
    for kid in ["null", "1", "[\"old\"]", "{}"] {
        sidecar.get("/", Some(&mint_as(header(kid), PAYLOAD, FOREIGN, Algorithm::HS256)));
        assert_eq!(backend.last().values("X-Session"), ["{}"], "kid {kid}");
    }
}

#[test]
fn key_decides_the_algorithm() {
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let backend = Backend::new(Answer::ok(&[("X-Session-Save", PAYLOAD)]));
        let keys = format!("[[keys]]\nalgorithm = \"{name}\"\nsecret = \"{SECRET}\"\n");
        let sidecar = Sidecar::before(&backend).keys(&keys).start();
        let own = format!(r#"{{"typ":"JWT","alg":"{name}"}}"#);
        let saved = SetCookie::token(&sidecar.get("/", None));
        assert_eq!(payload_as(&saved, &own, SECRET, algorithm), PAYLOAD);
        sidecar.get("/", Some(&mint_as(&own, PAYLOAD, SECRET, algorithm)));
        assert_eq!(backend.last().values("X-Session"), [PAYLOAD]);
        for token in [mint(PAYLOAD), mint_as(token::HEADER, PAYLOAD, SECRET, algorithm)] {
            sidecar.get("/", Some(&token));
            assert_eq!(backend.last().values("X-Session"), ["{}"], "{token}");
        }
        sidecar.counts(r#"cloakroom_session_checks_total{outcome="unknown_key"}"#, 2.0);
    }
}

#[test]
fn key_without_an_id_is_counted_by_its_number() {
    let backend = Backend::plain();
    let keys =
        format!("[[keys]]\nid = \"new\"\nsecret = \"{SECRET}\"\n\n[[keys]]\nsecret = \"{OLD}\"\n");
    let sidecar = Sidecar::before(&backend).keys(&keys).start();
    sidecar.get("/", Some(&mint_as(token::HEADER, PAYLOAD, OLD, Algorithm::HS256)));
    sidecar.counts(r#"cloakroom_key_uses_total{key="2",use="verify"}"#, 1.0);
}

#[test]
fn secrets_come_from_files_the_environment_and_encodings() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        format!("[[keys]]\nsecret_file = \"{}\"", path.display())
    };
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let cases = [
        file("plain", SECRET),
        file("newline", &format!("{SECRET}\n")),
        file("base64", &base64(SECRET)) + "\nsecret_encoding = \"base64\"",
        file("hex", &format!("{hex}\n")) + "\nsecret_encoding = \"hex\"",
        "[[keys]]\nsecret_env = \"SESSION_SECRET\"".to_owned(),
        format!("[[keys]]\nsecret = \"{hex}\"\nsecret_encoding = \"hex\""),
    ];
    let backend = Backend::plain();
    for keys in cases {
        let sidecar = Builder::new(backend.url()).keys(&keys).env("SESSION_SECRET", SECRET).start();
        sidecar.get("/", Some(&mint(PAYLOAD)));
        assert_eq!(backend.last().values("X-Session"), [PAYLOAD], "{keys}");
    }
}

#[test]
fn only_one_trailing_newline_is_not_part_of_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, format!("{SECRET}\n\n")).unwrap();
    let backend = Backend::plain();
    let keys = format!("[[keys]]\nsecret_file = \"{}\"", path.display());
    let sidecar = Builder::new(backend.url()).keys(&keys).start();
    sidecar.get("/", Some(&mint(PAYLOAD)));
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
    let secret = format!("{SECRET}\n");
    sidecar.get("/", Some(&mint_as(token::HEADER, PAYLOAD, &secret, Algorithm::HS256)));
    assert_eq!(backend.last().values("X-Session"), [PAYLOAD]);
}

#[test]
fn several_keys_reject_what_none_of_them_signed() {
    let backend = Backend::plain();
    let sidecar = two_keys(&backend);
    let token = mint_as(r#"{"alg":"HS384"}"#, PAYLOAD, OLD, Algorithm::HS384);
    sidecar.get("/", Some(&token));
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="unknown_key"}"#, 1.0);
}
