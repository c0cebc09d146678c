//! Sealed sessions: they work like others, but only the sidecar can read them.

use std::fs;
use std::process::{Command, Output};

use crate::support::token::{self, SEALED_HEADER, base64, seal_as, unbase64, unseal};
use crate::support::{
    Answer, Backend, Builder, Protocol, Request, SECRET, SetCookie, Sidecar, keygen, mint,
};

const DICT: &str = r#"{"user":"ann","n":1}"#;
const KEY: [u8; 32] = *b"the key of the sealed sessions!!";
const KEYS: &str =
    "[[keys]]\nalgorithm = \"A256GCM\"\nsecret = \"the key of the sealed sessions!!\"\n";

fn sidecar(backend: &Backend) -> Sidecar {
    Sidecar::before(backend).keys(KEYS).start()
}

#[test]
fn what_the_app_saves_is_sealed_and_comes_back() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let sidecar = sidecar(&backend);
    for protocol in [Protocol::Http11, Protocol::H2c] {
        let saved = SetCookie::token(&sidecar.send_over(protocol, &Request::get("/")));
        assert_eq!(unseal(&saved, SEALED_HEADER, &KEY), DICT);
        for part in saved.split('.') {
            assert!(!String::from_utf8_lossy(&unbase64(part)).contains("ann"), "{saved}");
        }
        sidecar.send_over(protocol, &Request::get("/").session(&saved));
        assert_eq!(backend.last().values("X-Session"), [DICT], "{protocol:?}");
    }
    sidecar.counts(r#"cloakroom_key_uses_total{key="1",use="sign"}"#, 4.0);
    sidecar.counts(r#"cloakroom_key_uses_total{key="1",use="verify"}"#, 2.0);
}

#[test]
fn no_two_tokens_of_one_dict_are_alike() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let sidecar = sidecar(&backend);
    let mut nonces: Vec<String> = (0..50)
        .map(|_| SetCookie::token(&sidecar.get("/", None)).split('.').nth(2).unwrap().to_owned())
        .collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 50);
}

#[test]
fn what_is_not_duly_sealed_is_no_session() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let good = seal_as(SEALED_HEADER, DICT, &KEY);
    sidecar.get("/", Some(&good));
    assert_eq!(backend.last().values("X-Session"), [DICT]);
    let [header, _, nonce, text, tag] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let sealed = |header: &str| seal_as(header, DICT, &KEY);
    let mut counts = std::collections::BTreeMap::<&str, f64>::new();
    for (token, outcome) in [
        (seal_as(SEALED_HEADER, DICT, &[7; 32]), "bad_signature"),
        (format!("{header}..{nonce}.{text}.{}", base64([0; 16])), "bad_signature"),
        (format!("{header}..{}.{text}.{tag}", base64([0; 12])), "bad_signature"),
        (format!("{header}..{nonce}.{}.{tag}", base64(DICT)), "bad_signature"),
        (format!("{header}..{nonce}..{tag}"), "bad_signature"),
        (format!("{header}.{tag}.{nonce}.{text}.{tag}"), "malformed"),
        (format!("{header}..{}.{text}.{tag}", base64([0; 16])), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", base64([0; 15])), "malformed"),
        (format!("{header}..{nonce}.{text}"), "malformed"),
        (format!("{header}.{nonce}.{text}.{tag}"), "malformed"),
        (format!("{good}."), "malformed"),
        (format!("{header}..{nonce}.{text}=.{tag}"), "malformed"),
        (sealed(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#), "malformed"),
        (sealed(r#"{"alg":"dir","enc":"A256GCM","crit":["exp"]}"#), "malformed"),
        (sealed(r#"{"alg":"dir","enc":"A256GCM","b64":false}"#), "malformed"),
        (sealed(r#"{"alg":"dir","alg":"dir","enc":"A256GCM"}"#), "malformed"),
        (sealed(r#"{"alg":"dir"}"#), "malformed"),
        (sealed(r#"{"alg":"none","enc":"A256GCM"}"#), "malformed"),
        (sealed(r#"{"alg":"dir","enc":"A128GCM"}"#), "unknown_key"),
        (sealed(r#"{"alg":"A256KW","enc":"A256GCM"}"#), "unknown_key"),
        (mint(DICT), "unknown_key"),
        (seal_as(SEALED_HEADER, "[]", &KEY), "malformed"),
        (seal_as(SEALED_HEADER, r#"{"exp":1}"#, &KEY), "expired"),
    ] {
        *counts.entry(outcome).or_default() += 1.0;
        sidecar.get("/", Some(&token));
        assert_eq!(backend.last().values("X-Session"), ["{}"], "{token}");
        let series = format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}");
        sidecar.counts(&series, counts[outcome]);
    }
}

/// A signing secret is not used to seal, nor the reverse, whatever a token says.
#[test]
fn the_key_decides_whether_a_token_is_signed_or_sealed() {
    let backend = Backend::plain();
    let both = |first: &str, second: &str| {
        let secret = "secret = \"the key of the sealed sessions!!\"";
        let keys = format!(
            "[[keys]]\nalgorithm = \"{first}\"\n{secret}\n[[keys]]\nalgorithm = \"{second}\"\n{secret}\n"
        );
        Sidecar::before(&backend).keys(&keys).start()
    };
    let secret = std::str::from_utf8(&KEY).unwrap();
    let hs256 = jsonwebtoken::Algorithm::HS256;
    for sidecar in [both("A256GCM", "HS256"), both("HS256", "A256GCM")] {
        for (token, dict) in [
            (seal_as(SEALED_HEADER, DICT, &KEY), DICT),
            (token::mint_as(token::HEADER, DICT, secret, hs256), DICT),
            (seal_as(token::HEADER, DICT, &KEY), "{}"),
            (token::mint_as(SEALED_HEADER, DICT, secret, hs256), "{}"),
            (token::mint_as(r#"{"alg":"A256GCM"}"#, DICT, secret, hs256), "{}"),
        ] {
            sidecar.get("/", Some(&token));
            assert_eq!(backend.last().values("X-Session"), [dict], "{token}");
        }
        sidecar.counts(r#"cloakroom_session_checks_total{outcome="unknown_key"}"#, 3.0);
    }
}

#[test]
fn the_secret_comes_from_files_the_environment_and_encodings() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = directory.path().join(name);
        fs::write(&path, contents).unwrap();
        format!("secret_file = \"{}\"", path.display())
    };
    let text = std::str::from_utf8(&KEY).unwrap();
    let hex: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    let backend = Backend::plain();
    for source in [
        file("plain", &format!("{text}\n")),
        file("base64", &format!("{}\n", base64(KEY))) + "\nsecret_encoding = \"base64\"",
        file("hex", &hex) + "\nsecret_encoding = \"hex\"",
        "secret_env = \"SESSION_SECRET\"".to_owned(),
        format!("secret = \"{hex}\"\nsecret_encoding = \"hex\""),
    ] {
        let keys = format!("[[keys]]\nalgorithm = \"A256GCM\"\n{source}\n");
        let sidecar = Builder::new(backend.url()).keys(&keys).env("SESSION_SECRET", text).start();
        sidecar.get("/", Some(&seal_as(SEALED_HEADER, DICT, &KEY)));
        assert_eq!(backend.last().values("X-Session"), [DICT], "{keys}");
    }
}

#[test]
fn a_secret_of_any_other_length_is_a_fault_of_the_configuration() {
    for (source, fault) in [
        (format!("secret = \"{}\"", "x".repeat(31)), "has 31 bytes, but A256GCM needs exactly 32"),
        (format!("secret = \"{SECRET}\""), "has 64 bytes, but A256GCM needs exactly 32"),
        (
            format!("secret = \"{}\"\nallow_weak_secret = true", "x".repeat(16)),
            "has 16 bytes, but A256GCM needs exactly 32",
        ),
        (format!("secret = \"{}\"", base64(KEY)), "set secret_encoding = \"base64\""),
        ("private_key_file = \"/nowhere\"".into(), "= \"A256GCM\" takes a secret"),
    ] {
        let keys = format!("[[keys]]\nalgorithm = \"A256GCM\"\n{source}\n");
        let (code, log) = Builder::new("http://127.0.0.1:1").keys(&keys).fail();
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(fault), "{keys}: {log}");
    }
}

#[test]
fn revocations_hold_for_sealed_sessions() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let folder = tempfile::tempdir().unwrap();
    let revoked = folder.path().join("revoked");
    fs::write(&revoked, "").unwrap();
    let session =
        |more: &str| format!("[session]\nttl = \"1d\"\nrevoked_file = {:?}\n{more}", revoked);
    let sidecar = Sidecar::before(&backend).keys(KEYS).with(&session("")).start();
    let saved = SetCookie::token(&sidecar.get("/", None));
    let foreign = seal_as(SEALED_HEADER, DICT, &KEY);
    for token in [&saved, &foreign] {
        sidecar.get("/", Some(token));
        assert_eq!(backend.last().values("X-Session"), [DICT]);
    }
    let payload: serde_json::Value =
        serde_json::from_str(&unseal(&saved, SEALED_HEADER, &KEY)).unwrap();
    // The id of a foreign token comes from its tag.
    let tag = foreign.rsplit('.').next().unwrap();
    fs::write(&revoked, format!("{}\n{tag}\n", payload["cr"]["id"].as_str().unwrap())).unwrap();
    sidecar.signal("HUP");
    sidecar.counts(r#"cloakroom_config_reloads_total{outcome="success"}"#, 1.0);
    for token in [&saved, &foreign] {
        sidecar.get("/", Some(token));
        assert_eq!(backend.last().values("X-Session"), ["{}"]);
    }
    drop(sidecar);
    let not_before = session("not_before = \"2100-01-01T00:00:00Z\"");
    fs::write(&revoked, "").unwrap();
    let sidecar = Sidecar::before(&backend).keys(KEYS).with(&not_before).start();
    sidecar.get("/", Some(&saved));
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
}

fn cloakroom(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cloakroom")).args(arguments).output().unwrap()
}

#[test]
fn the_command_line_makes_seals_opens_and_explains() {
    let folder = tempfile::tempdir().unwrap();
    keygen(folder.path(), "A256GCM");
    let file = folder.path().join("A256GCM");
    let secret = fs::read_to_string(&file).unwrap();
    let key: [u8; 32] = unbase64(secret.trim_end()).try_into().unwrap();
    let config = folder.path().join("cloakroom.toml");
    let keys = format!(
        "[[keys]]\nid = \"2027\"\nalgorithm = \"A256GCM\"\nsecret_encoding = \"base64\"\nsecret_file = {file:?}\n"
    );
    fs::write(&config, Builder::new("http://127.0.0.1:1").keys(&keys).text()).unwrap();
    let config = config.to_str().unwrap();
    let said = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let header = SEALED_HEADER.replace('}', ",\"kid\":\"2027\"}");
    let token = said(cloakroom(&["token", "encode", DICT, "--config", config]));
    assert_eq!(unseal(&token, &header, &key), DICT);
    assert_eq!(said(cloakroom(&["token", "decode", &token, "--config", config])), DICT);
    let told = said(cloakroom(&["token", "decode", "--explain", &token, "--config", config]));
    assert!(told.contains("seal       opened by key 2027 (A256GCM)"), "{told}");
    let shown = said(cloakroom(&["check", "--config", config]));
    assert!(shown.contains("algorithm = \"A256GCM\""), "{shown}");
    let foreign = seal_as(&header, DICT, &[7; 32]);
    let refused = cloakroom(&["token", "decode", &foreign, "--config", config]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stdout).trim_end(), "{}");
}
