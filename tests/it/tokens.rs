//! Tokens that are not accepted: the app gets `{}`, and the outcome is counted.

use jsonwebtoken::Algorithm;

use crate::support::token::{HEADER, base64, mint_as, mint_parts, mint_with, sign};
use crate::support::{Backend, Request, SECRET, Sidecar, mint};

const PAYLOAD: &str = r#"{"n":1}"#;

/// Sends each token to a sidecar with one HS256 key, expecting this outcome.
fn refused(outcome: &str, tokens: &[String]) {
    refused_by(&Backend::plain(), "", outcome, tokens);
}

fn refused_by(backend: &Backend, config: &str, outcome: &str, tokens: &[String]) {
    let sidecar = Sidecar::before(backend).with(config).start();
    let series = format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}");
    for (number, token) in tokens.iter().enumerate() {
        let response = sidecar.get("/", Some(token));
        let shown = &token[..token.len().min(200)];
        assert_eq!(response.status(), 200, "{shown}");
        assert_eq!(backend.last().values("X-Session"), ["{}"], "{shown}");
        sidecar.counts(&series, (number + 1) as f64);
    }
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, 0.0);
}

/// Sends each token to a sidecar with one HS256 key, expecting that it is valid.
fn accepted(tokens: &[String]) {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for token in tokens {
        sidecar.get("/", Some(token));
        assert_eq!(backend.last().values("X-Session"), [PAYLOAD], "{token}");
    }
    let valid = r#"cloakroom_session_checks_total{outcome="valid"}"#;
    sidecar.counts(valid, tokens.len() as f64);
}

#[test]
fn good_token_is_accepted_however_its_header_is_written() {
    accepted(&[
        mint(PAYLOAD),
        mint_with(r#"{"alg":"HS256","typ":"JWT"}"#, PAYLOAD),
        mint_with(r#"{"alg":"HS256"}"#, PAYLOAD),
        mint_with("{ \"typ\" : \"JWT\",\n\"alg\" : \"HS256\" }", PAYLOAD),
        mint_with(r#"{"alg":"HS\u003256"}"#, PAYLOAD),
        mint_with(r#"{"alg":"HS256","cty":"x","x":{"crit":1,"b64":false}}"#, PAYLOAD),
    ]);
}

#[test]
fn alg_none_is_malformed_in_any_case() {
    let mut tokens = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", "\\u006eone"] {
        let header = format!(r#"{{"typ":"JWT","alg":"{none}"}}"#);
        let unsigned = format!("{}.{}.", base64(&header), base64(PAYLOAD));
        tokens.extend([unsigned, mint_with(&header, PAYLOAD)]);
    }
    refused("malformed", &tokens);
}

#[test]
fn header_without_a_proper_alg_is_malformed() {
    let headers = [
        "{}",
        r#"{"typ":"JWT"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":256}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":{"HS256":1}}"#,
        r#"{"ALG":"HS256"}"#,
        r#"["HS256"]"#,
        r#""HS256""#,
        "null",
        "",
        "{",
        r#"{"alg":"HS256"}x"#,
        r#"{"alg":"HS256",}"#,
    ];
    let mut tokens: Vec<_> = headers.iter().map(|header| mint_with(header, PAYLOAD)).collect();
    tokens.push(mint_with(b"{\"alg\":\"HS256\",\"x\":\"\xff\"}", PAYLOAD));
    refused("malformed", &tokens);
}

#[test]
fn algorithm_that_no_key_has_is_an_unknown_key() {
    let mut tokens = vec![
        mint_as(r#"{"typ":"JWT","alg":"HS384"}"#, PAYLOAD, SECRET, Algorithm::HS384),
        mint_as(r#"{"typ":"JWT","alg":"HS512"}"#, PAYLOAD, SECRET, Algorithm::HS512),
    ];
    for name in ["HS384", "RS256", "ES256", "EdDSA", "PS512", "hs256", "HS256 ", "A128KW", ""] {
        tokens.push(mint_with(format!(r#"{{"typ":"JWT","alg":"{name}"}}"#), PAYLOAD));
    }
    refused("unknown_key", &tokens);
}

#[test]
fn crit_is_malformed_in_every_form() {
    let forms = [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"exp""#,
        r#""crit":{}"#,
        r#""crit":false"#,
        r#""crit":["b64"],"b64":true"#,
        r#""cri\u0074":["exp"]"#,
    ];
    let headers = forms.map(|form| format!(r#"{{"typ":"JWT","alg":"HS256",{form}}}"#));
    refused("malformed", &headers.map(|header| mint_with(header, PAYLOAD)));
}

#[test]
fn b64_false_is_malformed() {
    let header = r#"{"typ":"JWT","alg":"HS256","b64":false}"#;
    let unencoded = mint_parts(&base64(header), r#"{"n":1}"#);
    refused("malformed", &[mint_with(header, PAYLOAD), unencoded]);
}

/// The same bytes for a lenient decoder: the unused bits after the last byte are not zero.
fn with_trailing_bits(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert!(!part.len().is_multiple_of(4), "{part} has no bits to spare");
    let last = part.as_bytes()[part.len() - 1];
    let index = ALPHABET.iter().position(|&byte| byte == last).expect("base64url");
    format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[index + 1]))
}

#[test]
fn base64url_that_is_not_canonical_is_malformed() {
    let header = base64(r#"{"alg":"HS256"}  "#);
    let payload = base64(r#"{"n":10}"#);
    let message = format!("{header}.{payload}");
    let signature = sign(&message, SECRET, Algorithm::HS256);
    let spaced = |part: &str| format!("{} {}", &part[..4], &part[4..]);
    let mut tokens = vec![
        mint_parts(&with_trailing_bits(&header), &payload),
        mint_parts(&header, &with_trailing_bits(&payload)),
        format!("{message}.{}", with_trailing_bits(&signature)),
        mint_parts(&format!("{header}="), &payload),
        mint_parts(&header, &format!("{payload}=")),
        mint_parts(&header, &format!("{payload}==")),
        format!("{message}.{signature}="),
        mint_parts(&spaced(&header), &payload),
        mint_parts(&header, &spaced(&payload)),
        format!("{message}.{}", spaced(&signature)),
        mint_parts(&header, &format!("{payload}A")),
        mint_parts(&header, &payload.replacen('J', "%4A", 1)),
        mint_parts(&header, "\"e30\""),
        format!("{message}.{}!", &signature[..signature.len() - 1]),
    ];
    // The alphabet of plain base64.
    let payload = base64(b"{\"a\":\"\xef\xbf\xbf\xef\xbf\xbe?\"}");
    assert!(payload.contains(['-', '_']), "{payload}");
    tokens.push(mint_parts(&header, &payload.replace('-', "+").replace('_', "/")));
    refused("malformed", &tokens);
}

#[test]
fn more_or_fewer_than_three_parts_are_malformed() {
    let token = mint(PAYLOAD);
    let (message, signature) = token.rsplit_once('.').unwrap();
    refused(
        "malformed",
        &[
            message.to_owned(),
            base64(HEADER),
            "x".into(),
            ".".into(),
            "..".into(),
            "...".into(),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{signature}"),
            format!("{message}..{signature}"),
            mint_parts(&base64(HEADER), ""),
            mint_parts("", &base64(PAYLOAD)),
        ],
    );
}

#[test]
fn signature_that_does_not_match_is_bad() {
    let token = mint(PAYLOAD);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let other = sign(message, &SECRET.to_uppercase(), Algorithm::HS256);
    refused(
        "bad_signature",
        &[
            format!("{message}."),
            format!("{message}.{other}"),
            format!("{message}.{}", &signature[..40]),
            format!("{message}.{signature}A"),
            format!("{message}.{}", base64([0; 32])),
            format!("{message}.{}", base64([0; 64])),
            format!("{message}.{}", sign(message, SECRET, Algorithm::HS512)),
            format!("{message}.{}", sign(message, "", Algorithm::HS256)),
            format!("{header}.{}.{signature}", base64(r#"{"n":2}"#)),
            format!("{}.{payload}.{signature}", base64(r#"{"alg":"HS256"}"#)),
        ],
    );
}

#[test]
fn payload_that_is_no_object_is_malformed() {
    let mut tokens: Vec<String> = [
        "[]",
        "[{}]",
        "\"{}\"",
        "1",
        "null",
        "true",
        "",
        " ",
        "{",
        "{}x",
        "{}{}",
        "{'a':1}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":NaN}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":0x1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud80\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "\u{feff}{}",
        "{}\0",
        "{\"a\":tru}",
        "{\"a\"}",
        "{1:1}",
        "{/**/}",
        "\u{a0}{}",
    ]
    .map(mint)
    .into();
    tokens.push(mint(b"{\"a\":\"\xff\"}"));
    tokens.push(mint(b"{\"a\":\"\xc0\x80\"}"));
    tokens.push(mint(b"{\"a\":\"\xed\xa0\x80\"}"));
    tokens.push(mint(b"{\"a\":\"\xf4\x90\x80\x80\"}"));
    tokens.push(mint(b"\xff\xfe{\0}\0"));
    refused("malformed", &tokens);
}

#[test]
fn header_of_64_kilobytes_is_too_large() {
    let header = format!(r#"{{"typ":"JWT","alg":"HS256","x":"{}"}}"#, "x".repeat(64 * 1024));
    refused("too_large", &[mint_with(header, PAYLOAD), "x".repeat(64 * 1024)]);
}

#[test]
fn size_is_measured_with_the_name() {
    let token = mint(PAYLOAD);
    let size = "session=".len() + token.len();
    let backend = Backend::plain();
    let fits = format!("[session]\nmax_cookie_bytes = {size}");
    let sidecar = Sidecar::before(&backend).with(&fits).start();
    sidecar.get("/", Some(&token));
    assert_eq!(backend.last().values("X-Session"), [PAYLOAD]);
    drop(sidecar);
    let short = format!("[session]\nmax_cookie_bytes = {}", size - 1);
    refused_by(&backend, &short, "too_large", &[token]);
}

#[test]
fn request_without_the_cookie_is_absent() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    sidecar.get("/", None);
    sidecar.send(&Request::get("/").with("Cookie", "a=1; b=2"));
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="absent"}"#, 2.0);
}
