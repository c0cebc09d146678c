//! The request header with the dict.

use crate::support::token::{mint_parts, unbase64};
use crate::support::{
    Answer, Backend, Protocol, Request, SECRET, Sidecar, contains, mint, nested, token,
};

/// The last header that the backend got; there must be exactly one.
fn dict(backend: &Backend) -> String {
    backend.last().value("X-Session").expect("X-Session")
}

#[test]
fn dict_arrives_exactly_once() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let token = mint(r#"{"n":1}"#);
        let response = sidecar.send_over(protocol, &Request::get("/").session(&token));
        assert_eq!(response.status(), 200, "{protocol:?}");
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{protocol:?}");
    }
}

#[test]
fn dict_is_empty_without_a_cookie() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        sidecar.send_over(protocol, &Request::get("/"));
        assert_eq!(backend.last().values("X-Session"), ["{}"], "{protocol:?}");
    }
}

#[test]
fn dict_is_empty_with_a_bad_cookie_which_the_backend_never_sees() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut token = mint(r#"{"n":1}"#);
    token.replace_range(token.len() - 9..token.len() - 8, "_");
    token.replace_range(token.len() - 8..token.len() - 7, "-");
    sidecar.get("/", Some(&token));
    assert_eq!(dict(&backend), "{}");
    let raw = backend.last().raw;
    for part in token.split('.') {
        assert!(!contains(&raw, part), "{:?}", String::from_utf8_lossy(&raw));
    }
}

#[test]
fn data_passes_as_it_was_written() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for payload in [
        "{}",
        r#"{"":null}"#,
        r#"{"b":1,"a":{"z":1,"y":2},"aa":[true,false,null,[],{}]}"#,
        r#"{"n":123456789012345678901234567890,"m":-123456789012345678901234567890}"#,
        r#"{"a":18446744073709551616,"b":-9223372036854775809}"#,
        r#"{"a":1e400,"b":-0.0,"c":1.10,"d":-0,"e":1E+2,"f":0.1e-7,"g":1.0}"#,
        r#"{"a":0.1234567890123456789012345678901234567890}"#,
        r#"{"a":"\ud800","b":"\udc00\ud800","c":"\uD83D\uDE00"}"#,
        r#"{"a":"\u0061\/\b\f\n\r\t\"\\","\u0062":"\u0000"}"#,
        r#"{"a":{"twice":1,"twice":2}}"#,
        r#"{"a":" b  c ","d:{}[],":"e,\" : {"}"#,
    ] {
        sidecar.get("/", Some(&mint(payload)));
        assert_eq!(dict(&backend), payload);
    }
}

#[test]
fn whatever_is_not_printable_ascii_is_escaped() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (payload, expected) in [
        (r#"{"é":"ü€"}"#, r#"{"\u00e9":"\u00fc\u20ac"}"#),
        ("{\"a\":\"😀\u{10ffff}\"}", r#"{"a":"\ud83d\ude00\udbff\udfff"}"#),
        ("{\"a\":\"\u{7f}\u{80}\u{ffff}\"}", r#"{"a":"\u007f\u0080\uffff"}"#),
        ("{\"a\":\"\u{feff}\u{2028}\"}", r#"{"a":"\ufeff\u2028"}"#),
    ] {
        sidecar.get("/", Some(&mint(payload)));
        assert_eq!(dict(&backend), expected);
    }
}

#[test]
fn white_space_between_tokens_goes() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (payload, expected) in [
        ("{ }", "{}"),
        (" \r\n\t{\"a\" : [ 1 , 2 ] ,\n\t\"b c\" : \" d \" }\n", r#"{"a":[1,2],"b c":" d "}"#),
        ("{\"a\":\n[ ]\n,\"b\":{ \"c\" :\t-1.0 } }", r#"{"a":[],"b":{"c":-1.0}}"#),
    ] {
        sidecar.get("/", Some(&mint(payload)));
        assert_eq!(dict(&backend), expected);
    }
}

#[test]
fn nesting_is_bounded_at_128() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let lists = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    for payload in [nested(128), lists(127)] {
        sidecar.get("/", Some(&mint(&payload)));
        assert_eq!(dict(&backend), payload);
    }
    for payload in [nested(129), lists(128), lists(1000)] {
        sidecar.get("/", Some(&mint(payload)));
        assert_eq!(dict(&backend), "{}");
    }
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="malformed"}"#, 3.0);
}

#[test]
fn key_repeated_at_the_top_is_refused() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let payloads = [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"b":2,"\u0061":3}"#,
        r#"{"é":1,"\u00E9":2}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
        r#"{"\/":1,"/":2}"#,
        r#"{"\ud800":1,"\uD800":2}"#,
        r#"{"":1,"":1}"#,
    ];
    for payload in payloads {
        sidecar.get("/", Some(&mint(payload)));
        assert_eq!(dict(&backend), "{}", "{payload}");
    }
    let malformed = r#"cloakroom_session_checks_total{outcome="malformed"}"#;
    sidecar.counts(malformed, payloads.len() as f64);
}

#[test]
fn base64url_carries_the_utf8_json() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[headers]\nencoding = \"base64url\"").start();
    sidecar.get("/", None);
    assert_eq!(dict(&backend), "e30");
    for payload in ["{\"é\":\"😀\u{7f}\"}", r#"{"a":1e400,"b":"\ud800"}"#] {
        sidecar.get("/", Some(&mint(payload)));
        let value = dict(&backend);
        assert!(!value.contains('='), "{value}");
        assert_eq!(String::from_utf8(unbase64(&value)).unwrap(), payload);
    }
}

#[test]
fn header_names_can_be_changed() {
    let backend = Backend::new(Answer::ok(&[("Keep", r#"{"n":2}"#), ("Keep-For", "60")]));
    let names = "[headers]\nsession = \"App-Dict\"\nsave = \"Keep\"\ndelete = \"Drop\"\nmerge = \"Patch\"\nmax_age = \"Keep-For\"";
    let sidecar = Sidecar::before(&backend).with(names).start();
    let request = Request::get("/").session(&mint(r#"{"n":1}"#)).with("X-Session", "an app's own");
    let response = sidecar.send(&request);
    assert_eq!(backend.last().values("App-Dict"), [r#"{"n":1}"#]);
    assert_eq!(backend.last().values("X-Session"), ["an app's own"]);
    assert!(response.value("Set-Cookie").unwrap().contains("Max-Age=60"), "{response:?}");
    assert_eq!(response.values("Keep"), [""; 0]);
    assert_eq!(response.values("Keep-For"), [""; 0]);
}

#[test]
fn status_says_why_the_dict_is_what_it_is() {
    let backend = Backend::plain();
    let sidecar =
        Sidecar::before(&backend).with("[headers]\nstatus = \"X-Session-Status\"").start();
    let foreign =
        token::mint_as(token::HEADER, "{}", &SECRET.to_uppercase(), jsonwebtoken::Algorithm::HS256);
    for (cookie, expected) in [
        (mint("{}"), "valid"),
        (mint(r#"{"exp":1}"#), "expired"),
        (mint(r#"{"nbf":99999999999}"#), "not_yet_valid"),
        (mint(r#"{"aud":"x"}"#), "wrong_claim"),
        (mint_parts("e30", "e30"), "malformed"),
        (foreign, "bad_signature"),
        (token::mint_with(r#"{"alg":"HS384"}"#, "{}"), "unknown_key"),
        ("x".repeat(5000), "too_large"),
    ] {
        let request = Request::get("/").session(&cookie).with("X-Session-Status", "valid");
        sidecar.send(&request);
        assert_eq!(backend.last().values("X-Session-Status"), [expected]);
    }
    sidecar.send(&Request::get("/").with("x_session_status", "valid"));
    assert_eq!(backend.last().values("X-Session-Status"), ["absent"]);
    assert_eq!(backend.last().values("x_session_status"), [""; 0]);
}

#[test]
fn status_is_not_sent_unless_asked_for() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    sidecar.get("/", Some(&mint("{}")));
    let names = backend.last().all_names();
    assert_eq!(names.iter().filter(|name| name.starts_with("x-session")).count(), 1, "{names:?}");
}

#[test]
fn dict_arrives_whatever_connection_lists() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for connection in ["X-Session", "Cookie", "close, x-session, cookie", "keep-alive,X-SESSION"] {
        let token = mint(r#"{"n":1}"#);
        let request = Request::get("/").session(&token).with("Connection", connection);
        sidecar.send(&request);
        assert_eq!(dict(&backend), r#"{"n":1}"#, "Connection: {connection}");
    }
}
