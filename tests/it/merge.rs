//! `X-Session-Merge`: RFC 7396 on the dict of the request.

use std::time::{Duration, Instant};

use cloakroom::keys::{Algorithm, Key, KeyRing};
use cloakroom::session::cookie::{self, CookieAttributes, CookieName, CookieParts};
use cloakroom::session::dict::Dict;
use cloakroom::session::directive::{Directive, Save};
use cloakroom::session::lifetime::SessionId;
use cloakroom::session::{self, Issuer, Policy};
use cloakroom::time::Timestamp;

use crate::support::{Answer, Backend, SECRET, SetCookie, Sidecar, mint, token};

#[test]
fn patch_applies_to_the_dict_of_the_request() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let table = [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        (r#"{"a":1}"#, r#"{"a":{"b":1,"c":null}}"#, r#"{"a":{"b":1}}"#),
        (
            r#"{"a":[1,null]}"#,
            r#"{"b":[null,{"c":null}]}"#,
            r#"{"a":[1,null],"b":[null,{"c":null}]}"#,
        ),
        (r#"{"a":1,"b":2}"#, "{}", r#"{"a":1,"b":2}"#),
        (r#"{"a":1}"#, r#"{"\u0061":2}"#, r#"{"a":2}"#),
        (r#"{"a":1}"#, r#"{"\u0061":null}"#, "{}"),
        (r#"{"a":1}"#, r#"{"b":null}"#, r#"{"a":1}"#),
        (
            r#"{"n":123456789012345678901234567890,"f":1.10}"#,
            r#"{"x":1e400,"o":{"z":-0.0}}"#,
            r#"{"n":123456789012345678901234567890,"f":1.10,"x":1e400,"o":{"z":-0.0}}"#,
        ),
        (r#"{"c":1,"b":2,"a":3}"#, r#"{"b":9}"#, r#"{"c":1,"b":9,"a":3}"#),
    ];
    for (dict, patch, expected) in table {
        backend.will(Answer::ok(&[("X-Session-Merge", patch)]));
        let response = sidecar.get("/", Some(&mint(dict)));
        assert_eq!(response.status(), 200, "{dict} + {patch}");
        // An escaped key may be written in either spelling.
        let payload = token::payload(&SetCookie::token(&response)).replace(r"\u0061", "a");
        assert_eq!(payload, expected, "{dict} + {patch}");
    }
    let merged = r#"cloakroom_session_writes_total{action="merged"}"#;
    sidecar.counts(merged, table.len() as f64);
}

#[test]
fn patch_applies_to_an_empty_dict_without_a_session() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Merge", r#"{"cart":3,"flash":null}"#)]));
    let sidecar = Sidecar::start(&backend);
    for cookie in [None, Some("bad"), Some(mint(r#"{"exp":1,"old":1}"#).as_str())] {
        let response = sidecar.get("/", cookie);
        assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"cart":3}"#, "{cookie:?}");
    }
}

#[test]
fn patch_applies_to_the_save_of_the_same_answer() {
    let save = ("X-Session-Save", r#"{"a":{"b":1,"c":2}}"#);
    let merge = ("X-Session-Merge", r#"{"a":{"b":null},"d":4}"#);
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for fields in [[save, merge], [merge, save]] {
        backend.will(Answer::ok(&fields));
        let response = sidecar.get("/", Some(&mint(r#"{"old":1}"#)));
        assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"a":{"c":2},"d":4}"#);
    }
}

#[test]
fn utf8_and_escapes_mix() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Merge", "{\"\\u00e9\":\"ü\"}")]));
    let sidecar = Sidecar::start(&backend);
    let merged = SetCookie::token(&sidecar.get("/", Some(&mint("{\"é\":1,\"a\":\"€\"}"))));
    sidecar.get("/", Some(&merged));
    let header = backend.last().value("X-Session").unwrap();
    assert_eq!(header, r#"{"\u00e9":"\u00fc","a":"\u20ac"}"#);
}

/// The shortest of several measurements of a save and a patch with this number of keys: a busy
/// machine only makes them longer.
fn shortest(keys: usize) -> Duration {
    let cookie = CookieParts::named(CookieName::parse("session").unwrap());
    let policy = Policy {
        max_bytes: usize::MAX,
        max_cookie_bytes: usize::MAX,
        ..Policy::of(CookieAttributes::new(cookie).unwrap())
    };
    let ring = KeyRing::new(Key::hmac(None, Algorithm::Hs256, SECRET.as_bytes()), Vec::new());
    let now = Timestamp::from_secs(1_800_000_000);
    let id = || SessionId::from_bytes([7; 16]);
    let none = cookie::find(std::iter::empty::<&[u8]>, policy.names(), false);
    let opened = session::open(&none, &ring, &policy, now);
    let object = |value: usize| {
        let members: Vec<String> = (0..keys).map(|key| format!("\"key-{key}\":{value}")).collect();
        Dict::parse(format!("{{{}}}", members.join(",")).as_bytes()).ok()
    };
    let time = || {
        let save = Save { dict: object(1), patch: object(2), ..Save::default() };
        let begun = Instant::now();
        session::close(&opened, Directive::Save(save), Issuer::new(&ring, &policy, now), id)
            .unwrap();
        begun.elapsed()
    };
    (0..7).map(|_| time()).min().unwrap()
}

#[test]
fn four_times_the_keys_do_not_take_sixteen_times_as_long() {
    assert!(shortest(16_000) < shortest(4_000) * 12);
}
