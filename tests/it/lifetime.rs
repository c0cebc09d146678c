//! `session.ttl` and `absolute_ttl`. Only the last test waits for a token to get old; the others
//! mint old tokens.

use std::time::Instant;

use crate::support::issued::now;
use crate::support::{
    Answer, Backend, Issued, Request, SetCookie, Sidecar, WAIT, eventually, keygen, mint, token,
};

const ROLLING: &str = "[session]\nttl = \"1h\"\nrefresh_after = \"1m\"";
const DICT: &str = r#"{"n":1}"#;

fn save(dict: &str) -> Answer {
    Answer::ok(&[("X-Session-Save", dict)])
}

/// Whether a number of seconds is as expected, with a tolerance of one.
fn about(seconds: u64, expected: u64) -> bool {
    seconds.abs_diff(expected) <= 1
}

/// The issued token; the cookie's `Max-Age` must match it.
fn issued(cookie: &SetCookie) -> Issued {
    let issued = Issued::of(&cookie.value);
    let max_age = issued.lifetime().to_string();
    assert_eq!(cookie.attribute("Max-Age"), Some(max_age.as_str()), "{cookie:?}");
    let expires = cookie.expires().expect("Expires stands beside Max-Age");
    assert_eq!(expires, issued.exp, "{cookie:?}");
    issued
}

#[test]
fn ttl_adds_iat_exp_and_cr_and_sets_max_age() {
    let backend = Backend::new(save(DICT));
    let sidecar = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    let cookie = SetCookie::of(&sidecar.get("/", None)).unwrap();
    assert_eq!(cookie.attribute("Max-Age"), Some("3600"));
    let Issued { id, start, millis, exp, max_age } = issued(&cookie);
    assert_eq!(
        token::payload(&cookie.value),
        format!(
            r#"{{"n":1,"iat":{start},"exp":{exp},"cr":{{"id":"{id}","start":{start},"ms":{millis}}}}}"#
        )
    );
    assert_eq!((exp, max_age), (start + 3600, None));
    assert!(about(start, now()), "{start}");
    assert_eq!(token::unbase64(&id).len(), 16, "{id}");
    let other = SetCookie::of(&sidecar.get("/", None)).unwrap();
    assert_ne!(issued(&other).id, id, "two sessions");
}

#[test]
fn lifetime_is_no_part_of_the_dict() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    let dict = r#"{"b":12345678901234567890,"a":1.50,"c":"\u00e9"}"#;
    for sent in ["{}", dict] {
        sidecar.get("/", Some(&Issued::ago(0).token(sent)));
        assert_eq!(backend.last().values("X-Session"), [sent]);
    }
    backend.will(Answer::ok(&[("X-Session-Merge", r#"{"c":null}"#)]));
    let merged = SetCookie::token(&sidecar.get("/", Some(&Issued::ago(0).token(dict))));
    sidecar.get("/", Some(&merged));
    assert_eq!(backend.last().values("X-Session"), [r#"{"b":12345678901234567890,"a":1.50}"#]);
}

#[test]
fn save_with_a_key_of_the_sidecars_is_broken() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    for dict in [
        r#"{"exp":99999999999}"#,
        r#"{"iat":1}"#,
        r#"{"cr":{}}"#,
        r#"{"n":1,"\u0065xp":99999999999}"#,
        r#"{"iat":null}"#,
    ] {
        for field in ["X-Session-Save", "X-Session-Merge"] {
            if field == "X-Session-Merge" && dict.contains("null") {
                continue;
            }
            backend.will(Answer::ok(&[(field, dict)]));
            let response = sidecar.get("/", None);
            assert_eq!(response.status(), 502, "{field}: {dict}");
            assert_eq!(SetCookie::of(&response), None, "{field}: {dict}");
        }
    }
    backend.will(save(r#"{"a":{"exp":1,"iat":2,"cr":3}}"#));
    SetCookie::token(&sidecar.get("/", None));
}

#[test]
fn without_a_lifetime_iat_and_exp_are_the_apps_own() {
    let dict = format!(r#"{{"iat":1,"exp":{},"cr":"x","n":1}}"#, now() + 100);
    let backend = Backend::new(save(&dict));
    let sidecar = Sidecar::start(&backend);
    let cookie = SetCookie::of(&sidecar.get("/", Some(&mint(&dict)))).unwrap();
    assert_eq!(backend.last().values("X-Session"), [dict.as_str()]);
    assert_eq!(token::payload(&cookie.value), dict);
    assert_eq!(cookie.attribute("Max-Age"), None);
}

#[test]
fn save_goes_on_with_the_session_and_begins_its_lifetime_anew() {
    let backend = Backend::new(save(DICT));
    let sidecar = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    let old = Issued::ago(3000);
    let cookie = SetCookie::of(&sidecar.get("/", Some(&old.token("{}")))).unwrap();
    let new = issued(&cookie);
    assert_eq!((&new.id, new.start, new.lifetime()), (&old.id, old.start, 3600));
}

#[test]
fn nothing_extends_a_session_past_absolute_ttl() {
    let rolling = format!("{ROLLING}\nabsolute_ttl = \"90d\"");
    let day = 86_400;
    for (config, answer) in [
        (rolling.as_str(), Answer::ok(&[])),
        (rolling.as_str(), save(DICT)),
        ("[session]\nabsolute_ttl = \"90d\"", save(DICT)),
        ("[session]\nabsolute_ttl = \"90d\"", Answer::ok(&[("X-Session-Merge", DICT)])),
        (
            "[session]\nabsolute_ttl = \"90d\"",
            Answer::ok(&[("X-Session-Save", DICT), ("X-Session-Max-Age", "34560000")]),
        ),
    ] {
        let backend = Backend::new(answer);
        let sidecar = Sidecar::before(&backend).with(config).start();
        let old = Issued::ago(100).started(90 * day - 300);
        let new = issued(&SetCookie::of(&sidecar.get("/", Some(&old.token(DICT)))).unwrap());
        assert_eq!((new.id, new.start, new.exp), (old.id, old.start, old.start + 90 * day));
        for age in [90 * day, 90 * day + 1] {
            let over = Issued::ago(100).started(age).token(r#"{"over":1}"#);
            sidecar.get("/", Some(&over));
            assert_eq!(backend.last().values("X-Session"), ["{}"], "{age}");
        }
        sidecar.counts(r#"cloakroom_session_checks_total{outcome="expired"}"#, 2.0);
    }
}

#[test]
fn absolute_ttl_counts_from_the_first_save() {
    let backend = Backend::new(save(DICT));
    let sidecar = Sidecar::before(&backend).with("[session]\nabsolute_ttl = \"1h\"").start();
    for first in [None, Some(mint("{}"))] {
        let cookie = SetCookie::of(&sidecar.get("/", first.as_deref())).unwrap();
        let new = issued(&cookie);
        assert_eq!(new.lifetime(), 3600);
        assert!(about(new.start, now()), "{new:?}");
    }
}

/// Two visitors for whom microdot signed the same dict have the same token. They must stay
/// independent: a log-out of one must neither log out the other nor stop its refreshes.
#[test]
fn alike_tokens_without_cr_become_sessions_of_their_own() {
    let backend = Backend::new(save(DICT));
    let sidecar = Sidecar::before(&backend).with(ROLLING).start();
    let visitor = || SetCookie::of(&sidecar.get("/", Some(&mint("{}")))).unwrap();
    assert_ne!(issued(&visitor()).id, issued(&visitor()).id);
}

/// The only test that waits. Signing with RSA takes time, and the time of issue must be the same
/// everywhere nevertheless.
#[test]
fn idle_session_ends_and_a_used_one_goes_on() {
    let config = "[session]\nttl = \"2s\"\nrefresh_after = \"400ms\"";
    let backend = Backend::new(save(DICT));
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(folder.path(), "RS256");
    let keys = format!("[[keys]]\nalgorithm = \"RS256\"\nprivate_key_file = \"{key}\"");
    let sidecar = Sidecar::before(&backend).keys(&keys).with(config).start();
    let begun = Instant::now();
    let idle = SetCookie::token(&sidecar.get("/", None));
    let mut used = idle.clone();
    backend.will(Answer::ok(&[]));
    let mut refreshed = 0;
    let see = |token: &str, dest: &str| {
        let request = Request::get("/").session(token).with("Sec-Fetch-Dest", dest);
        let cookie = SetCookie::of(&sidecar.send(&request));
        (backend.last().values("X-Session") == [DICT], cookie)
    };
    eventually("the end of the idle session", || {
        let (is_alive, cookie) = see(&used, "document");
        assert!(is_alive, "after {:?} and {refreshed} refreshes", begun.elapsed());
        if let Some(cookie) = cookie {
            assert_eq!(cookie.attribute("Max-Age"), Some("2"));
            refreshed += 1;
            used = cookie.value;
        }
        // Requested as an image, which does not refresh.
        let (is_alive, cookie) = see(&idle, "image");
        assert_eq!(cookie, None);
        (!is_alive).then_some(())
    });
    let took = begun.elapsed();
    assert!(took.as_millis() >= 1000 && took < WAIT, "{took:?}");
    assert!(refreshed >= 2, "{refreshed}");
}
