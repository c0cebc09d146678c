//! `session.refresh_after`: a session in use is renewed without the app. Tokens without the claim
//! `cr` (minted by microdot, or issued before there was a ttl) are renewed at once, or refused with
//! `require_exp`.

use crate::support::issued::now;
use crate::support::{
    Answer, Backend, Issued, Message, Protocol, Request, SetCookie, Sidecar, mint, token,
};

const ROLLING: &str = "[session]\nttl = \"1h\"\nrefresh_after = \"1m\"";
const DICT: &str = r#"{"n":1}"#;
const REFRESHED: &str = r#"cloakroom_session_writes_total{action="refreshed"}"#;

/// The token of a refresh: valid for the ttl from now on, of a session that began at `start`.
fn refreshed(response: &Message, start: u64) -> Issued {
    let cookie = SetCookie::of(response).unwrap_or_else(|| panic!("no refresh: {response:?}"));
    assert_eq!(cookie.attribute("Max-Age"), Some("3600"), "{cookie:?}");
    let new = Issued::of(&cookie.value);
    assert_eq!(new.lifetime(), 3600);
    assert!(now() - new.millis / 1000 <= 1, "{new:?}");
    assert!(new.start.abs_diff(start) <= 1, "{new:?}");
    new
}

#[test]
fn old_token_is_refreshed_on_an_answer_below_400() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(ROLLING).start();
    let dict = r#"{"b":12345678901234567890,"a":1.50,"c":"\u00e9"}"#;
    let mut count = 0.0;
    for (status, refreshes) in [
        (200, true),
        (204, true),
        (206, true),
        (302, true),
        (304, true),
        (399, true),
        (400, false),
        (401, false),
        (404, false),
        (500, false),
        (503, false),
    ] {
        backend.will(Answer::new(status, &[("Cache-Control", "public, max-age=60")], ""));
        let old = Issued::ago(100);
        let response = sidecar.get("/", Some(&old.token(dict)));
        assert_eq!(response.status(), status);
        let caching = response.value("Cache-Control").unwrap();
        if !refreshes {
            assert_eq!(SetCookie::of(&response), None, "{status}");
            assert_eq!(caching, "public, max-age=60");
            continue;
        }
        count += 1.0;
        let new = refreshed(&response, old.start);
        assert_eq!((new.id, new.start), (old.id, old.start));
        assert!(caching.contains("private") && !caching.contains("public"), "{caching}");
        let payload = token::payload(&SetCookie::token(&response));
        assert!(payload.starts_with(dict.strip_suffix('}').unwrap()), "{payload}");
    }
    sidecar.counts(REFRESHED, count);
}

#[test]
fn young_token_is_left_alone() {
    let backend = Backend::plain();
    for (config, age) in
        [(ROLLING, 0), (ROLLING, 50), ("[session]\nttl = \"1h\"", 3000), ("", 3000)]
    {
        let sidecar = Sidecar::before(&backend).with(config).start();
        let response = sidecar.get("/", Some(&Issued::ago(age).token(DICT)));
        assert_eq!(SetCookie::of(&response), None, "{config}, {age} s old");
        assert_eq!(backend.last().values("X-Session"), [DICT]);
    }
}

#[test]
fn part_of_a_page_refreshes_nothing() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(ROLLING).start();
    for (dest, refreshes) in [
        ("document", true),
        ("empty", true),
        ("iframe", true),
        ("image", false),
        ("style", false),
        ("script", false),
        ("font", false),
        ("audio", false),
        ("video", false),
        ("track", false),
        ("manifest", false),
        ("worker", false),
    ] {
        for protocol in Protocol::ALL {
            let request = Request::get("/").with("Sec-Fetch-Dest", dest);
            let request = request.session(&Issued::ago(100).token(DICT));
            let response = sidecar.send_over(protocol, &request);
            assert_eq!(SetCookie::of(&response).is_some(), refreshes, "{dest}, {protocol:?}");
        }
    }
}

#[test]
fn route_without_sessions_refreshes_nothing_and_others_every_method() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend)
        .with(ROLLING)
        .with("[[routes]]\npath = \"/off\"\nsession = \"off\"")
        .with("[[routes]]\npath = \"/in\"\nrequire = true")
        .start();
    for (method, path, refreshes) in [
        ("GET", "/off", false),
        ("GET", "/in", true),
        ("HEAD", "/", true),
        ("POST", "/", true),
        ("OPTIONS", "/", true),
    ] {
        let request = Request::new(method, path).session(&Issued::ago(100).token(DICT));
        let response = sidecar.send(&request);
        assert_eq!(SetCookie::of(&response).is_some(), refreshes, "{method} {path}");
    }
}

#[test]
fn token_that_would_grow_too_large_is_not_refreshed_and_the_answer_passes() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(ROLLING).start();
    // With another 100 bytes of claims, it no longer fits in the cookie.
    let dict = format!(r#"{{"long":"{}"}}"#, "x".repeat(2960));
    let token = mint(&dict);
    assert!((4000..4096).contains(&(token.len() + "session=".len())), "{}", token.len());
    let response = sidecar.get("/", Some(&token));
    assert_eq!(backend.last().values("X-Session"), [dict]);
    assert_eq!(response.status(), 200, "nobody asked for a save that could be broken");
    assert_eq!(SetCookie::of(&response), None);
}

#[test]
fn token_without_cr_is_accepted_and_refreshed_at_once() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(ROLLING).start();
    for own in [
        String::new(),
        format!(r#","exp":{}"#, now() + 100),
        format!(r#","iat":{},"exp":{}"#, now(), now() + 100),
        r#","cr":1"#.into(),
        format!(r#","cr":{{"id":"short"}},"exp":{}"#, now() + 100),
    ] {
        let foreign = mint(format!(r#"{{"n":1{own}}}"#));
        let response = sidecar.get("/", Some(&foreign));
        assert_eq!(backend.last().values("X-Session"), [DICT], "{own}");
        refreshed(&response, now());
    }
}

#[test]
fn require_exp_refuses_a_token_without_a_lifetime() {
    let backend = Backend::plain();
    let config = format!("{ROLLING}\nrequire_exp = true");
    let sidecar = Sidecar::before(&backend).with(&config).start();
    assert_eq!(SetCookie::of(&sidecar.get("/", Some(&mint(DICT)))), None);
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="wrong_claim"}"#, 1.0);
    let old = Issued::ago(100).token(DICT);
    let new = SetCookie::token(&sidecar.get("/", Some(&old)));
    for managed in [old, new] {
        sidecar.get("/", Some(&managed));
        assert_eq!(backend.last().values("X-Session"), [DICT]);
    }
}
