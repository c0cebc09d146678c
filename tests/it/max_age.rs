//! `X-Session-Max-Age`: the lifetime of a single session.

use serde_json::Value;

use crate::support::{Answer, Backend, Builder, Issued, SetCookie, Sidecar, token};

/// The result of a save with this lifetime: the cookie, and the seconds from `iat` to `exp`.
fn save(sidecar: &Sidecar, backend: &Backend, max_age: &str) -> (SetCookie, f64) {
    backend.will(Answer::ok(&[("X-Session-Save", r#"{"n":2}"#), ("X-Session-Max-Age", max_age)]));
    let response = sidecar.get("/", None);
    let cookie = SetCookie::of(&response).unwrap_or_else(|| panic!("{max_age}: {response:?}"));
    let payload: Value = serde_json::from_str(&token::payload(&cookie.value)).unwrap();
    assert_eq!(payload["n"], 2, "{payload}");
    assert!(payload["cr"].is_object(), "{payload}");
    let seconds = payload["exp"].as_f64().unwrap() - payload["iat"].as_f64().unwrap();
    (cookie, seconds)
}

#[test]
fn cookie_and_token_end_together() {
    let backend = Backend::plain();
    for config in ["", "[session]\nttl = \"1h\""] {
        let sidecar = Builder::new(backend.url()).with(config).start();
        for (asked, given) in [
            ("2592000", 2_592_000),
            ("1", 1),
            ("34560000", 34_560_000),
            ("34560001", 34_560_000),
            ("99999999999999999999999999999999", 34_560_000),
        ] {
            let (cookie, seconds) = save(&sidecar, &backend, asked);
            assert_eq!(cookie.attribute("Max-Age"), Some(given.to_string().as_str()), "{asked}");
            assert!((seconds - f64::from(given)).abs() <= 1.0, "{asked}: {seconds}");
            // Java clients read a cookie with only Max-Age as one of RFC 2965.
            let expires = cookie.expires().expect("Expires stands beside Max-Age");
            assert_eq!(expires, Issued::of(&cookie.value).exp, "{cookie:?}");
        }
    }
}

#[test]
fn zero_ends_with_the_browser_and_the_token_after_the_ttl() {
    let backend = Backend::plain();
    let sidecar = Builder::new(backend.url()).with("[session]\nttl = \"1h\"").start();
    let (cookie, seconds) = save(&sidecar, &backend, "0");
    assert_eq!((cookie.attribute("Max-Age"), cookie.attribute("Expires")), (None, None));
    assert!((seconds - 3600.0).abs() <= 1.0, "{seconds}");
}

#[test]
fn alone_it_changes_nothing_and_the_log_says_so() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Max-Age", "60")]));
    let sidecar = Sidecar::start(&backend);
    let response = sidecar.get("/", Some(&token::mint(r#"{"n":1}"#)));
    assert_eq!((response.status(), response.values("Set-Cookie")), (200, vec![]));
    let message = "the app sends a lifetime and saves nothing: the lifetime is ignored";
    assert_eq!(sidecar.wait_for_log(message, 0)["level"], "warn");
}

#[test]
fn lifetime_is_hidden_from_the_backend() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let (cookie, _) = save(&sidecar, &backend, "60");
    sidecar.get("/", Some(&cookie.value));
    assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":2}"#);
}

#[test]
fn without_one_the_token_has_no_lifetime() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":2}"#)]));
    let sidecar = Sidecar::start(&backend);
    let cookie = SetCookie::of(&sidecar.get("/", None)).unwrap();
    assert_eq!(cookie.attribute("Max-Age"), None);
    assert_eq!(token::payload(&cookie.value), r#"{"n":2}"#);
}

#[test]
fn zero_without_a_ttl_ends_with_the_browser_and_the_token_all_the_same() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let (cookie, seconds) = save(&sidecar, &backend, "0");
    assert_eq!((cookie.attribute("Max-Age"), cookie.attribute("Expires")), (None, None));
    assert!(seconds <= 34_560_000.0, "{seconds}");
    sidecar.get("/", Some(&cookie.value));
    assert_eq!(backend.last().values("X-Session"), [r#"{"n":2}"#]);
}

#[test]
fn login_keeps_its_lifetime_through_refreshes_and_saves() {
    let backend = Backend::plain();
    let sidecar =
        Builder::new(backend.url()).with("[session]\nttl = \"1h\"\nrefresh_after = \"1m\"").start();
    let answers = [Answer::ok(&[]), Answer::ok(&[("X-Session-Save", r#"{"n":2}"#)])];
    for (own, max_age, lifetime) in
        [(7200, Some("7200"), 7200), (120, Some("120"), 120), (0, None, 3600)]
    {
        for answer in &answers {
            backend.will(answer.clone());
            let old = Issued::ago(100).with_max_age(own);
            let response = sidecar.get("/", Some(&old.token(r#"{"n":1}"#)));
            let cookie = SetCookie::of(&response).unwrap_or_else(|| panic!("{own}: {response:?}"));
            assert_eq!(cookie.attribute("Max-Age"), max_age, "{own}");
            let new = Issued::of(&cookie.value);
            assert_eq!((new.id.as_str(), new.max_age), (old.id.as_str(), Some(own)));
            assert_eq!(new.lifetime(), lifetime, "{own}");
        }
    }
}

#[test]
fn next_login_says_its_own() {
    let backend =
        Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":2}"#), ("X-Session-Max-Age", "60")]));
    for config in ["", "[session]\nttl = \"1h\""] {
        let sidecar = Builder::new(backend.url()).with(config).start();
        let old = Issued::ago(100).with_max_age(7200).token("{}");
        let cookie = SetCookie::of(&sidecar.get("/", Some(&old))).unwrap();
        assert_eq!(cookie.attribute("Max-Age"), Some("60"), "{config}");
        assert_eq!(Issued::of(&cookie.value).lifetime(), 60, "{config}");
    }
}
