//! Single values of the dict in headers that an app already reads.

use crate::support::{Backend, Builder, Protocol, Request, Sidecar, contains, mint};

const CLAIMS: &str = r#"
[headers.claims]
"X-Remote-User" = "user.name"
"X-Level" = "level"
"#;

fn sidecar(backend: &Backend) -> Sidecar {
    Builder::new(backend.url()).with(CLAIMS).start()
}

#[test]
fn value_becomes_a_header() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for (level, expected) in [
        (r#""plain text""#, "plain text"),
        (r#""\u0061\/\"\\""#, r#"a/"\"#),
        ("7", "7"),
        ("1.10", "1.10"),
        ("1e400", "1e400"),
        ("-0.0", "-0.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("false", "false"),
    ] {
        let payload = format!(r#"{{"user":{{"name":"ann"}},"level":{level}}}"#);
        sidecar.get("/", Some(&mint(payload)));
        let received = backend.last();
        assert_eq!(received.values("X-Level"), [expected], "{level}");
        assert_eq!(received.values("X-Remote-User"), ["ann"]);
    }
    sidecar.counts("cloakroom_claim_headers_skipped_total", 0.0);
}

#[test]
fn what_is_no_single_value_is_no_header() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for payload in [
        "{}",
        r#"{"level":null}"#,
        r#"{"level":{}}"#,
        r#"{"level":[1]}"#,
        r#"{"user":null}"#,
        r#"{"user":"ann"}"#,
        r#"{"user":{"name":null}}"#,
        r#"{"user":{"name":{"name":"ann"}}}"#,
        r#"{"user":[{"name":"ann"}]}"#,
        r#"{"user.name":"ann"}"#,
    ] {
        sidecar.get("/", Some(&mint(payload)));
        let names = backend.last().all_names();
        assert!(!names.iter().any(|name| name == "x-level"), "{payload}: {names:?}");
        assert!(!names.iter().any(|name| name == "x-remote-user"), "{payload}: {names:?}");
    }
    sidecar.counts("cloakroom_claim_headers_skipped_total", 0.0);
}

#[test]
fn value_that_no_header_can_carry_is_skipped_and_counted() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let levels = [
        r#""é""#,
        r#""a\nX-Level: forged""#,
        r#""a\r\nX-Level: forged""#,
        r#""\u0000""#,
        r#""\u007f""#,
        r#""tab\there""#,
        r#""\ud800""#,
        r#""😀""#,
        // Servers trim these; the result could be another user's name.
        r#"" ann""#,
        r#""ann ""#,
        r#""\tann""#,
        r#""ann\u0009""#,
        r#"" ""#,
    ];
    for level in levels {
        sidecar.get("/", Some(&mint(format!(r#"{{"level":{level},"user":{{"name":"ann"}}}}"#))));
        let received = backend.last();
        assert_eq!(received.values("X-Level"), [""; 0], "{level}");
        assert_eq!(received.values("X-Remote-User"), ["ann"], "{level}");
    }
    sidecar.counts("cloakroom_claim_headers_skipped_total", levels.len() as f64);
}

#[test]
fn header_that_is_left_out_is_named_in_the_log_and_its_value_is_not() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let token = mint(r#"{"level":" classified","user":{"name":"ann"}}"#);
    let message = "claim header dropped: a header cannot carry its value unchanged";
    for (number, protocol) in [Protocol::Http11, Protocol::H2c].into_iter().enumerate() {
        sidecar.send_over(protocol, &Request::get("/").session(&token));
        assert_eq!(backend.last().values("X-Level"), [""; 0], "{protocol:?}");
        let line = sidecar.wait_for_log(message, number);
        assert_eq!((&line["level"], &line["header"]), (&"warn".into(), &"X-Level".into()));
        assert!(line["request_id"].is_string(), "{line}");
    }
    assert!(!sidecar.log().contains("classified"), "{}", sidecar.log());
    assert!(!sidecar.log().contains("X-Remote-User"), "{}", sidecar.log());
}

#[test]
fn empty_value_and_spaces_within_are_carried() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for (level, expected) in [(r#""""#, ""), (r#""a  b""#, "a  b")] {
        sidecar.get("/", Some(&mint(format!(r#"{{"level":{level}}}"#))));
        assert_eq!(backend.last().values("X-Level"), [expected]);
    }
    sidecar.counts("cloakroom_claim_headers_skipped_total", 0.0);
}

#[test]
fn spoofed_claims_are_removed_whether_or_not_there_is_a_value() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let aliases = ["X-Remote-User", "x_remote_user", "X.Remote.User", "X-REMOTE_USER", "X-Level"];
    for token in [None, Some(mint("{}")), Some(mint(r#"{"user":{"name":"ann"},"level":1}"#))] {
        let mut request = Request::get("/");
        if let Some(token) = &token {
            request = request.session(token);
        }
        for alias in aliases {
            request = request.with(alias, "forged");
        }
        sidecar.send(&request);
        let received = backend.last();
        assert!(!contains(&received.raw, "forged"), "{:?}", received.fields);
        let expected = token.iter().filter(|token| **token != mint("{}")).count();
        assert_eq!(received.values("X-Remote-User").len(), expected);
    }
    sidecar.counts("cloakroom_spoofed_headers_total", 3.0 * aliases.len() as f64);
}

#[test]
fn spoofed_claims_are_removed_where_sessions_are_off() {
    let backend = Backend::plain();
    let sidecar = Builder::new(backend.url())
        .with(CLAIMS)
        .with("[[routes]]\npath = \"/static/\"\nsession = \"off\"")
        .start();
    let token = mint(r#"{"user":{"name":"ann"},"level":1}"#);
    let request = Request::get("/static/a").session(&token).with("x_level", "forged");
    sidecar.send(&request);
    let received = backend.last();
    assert!(!contains(&received.raw, "forged"));
    assert_eq!(received.values("X-Remote-User"), [""; 0]);
    assert_eq!(received.values("X-Level"), [""; 0]);
}

#[test]
fn names_that_only_begin_like_a_claim_pass() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    sidecar.send(&Request::get("/").with("X-Remote-User-Agent", "a").with("X-Levels", "b"));
    assert_eq!(backend.last().values("X-Remote-User-Agent"), ["a"]);
    assert_eq!(backend.last().values("X-Levels"), ["b"]);
}

/// Lists, keys with dots, and non-ASCII text.
const TABLES: &str = r#"
[headers.claims]
"X-Remote-Groups" = { path = ["https://example.com/roles"], join = "," }
"X-Remote-Name" = { path = "user.name", encoding = "percent" }
"X-Remote-Title" = { path = "user.title", encoding = "base64url" }
"#;

#[test]
fn lists_are_joined_and_what_is_not_ascii_is_encoded() {
    let backend = Backend::plain();
    let sidecar = Builder::new(backend.url()).with(TABLES).start();
    let user = r#""user":{"name":"Jörg Ä","title":"Prüfer"}"#;
    for (roles, expected) in [
        (r#"["admin","r d",7,true]"#, &["admin,r d,7,true"][..]),
        ("[]", &[""]),
        (r#""admin""#, &["admin"]),
        ("null", &[]),
        (r#"{"admin":true}"#, &[]),
    ] {
        let token = mint(format!(r#"{{"https://example.com/roles":{roles},{user}}}"#));
        for protocol in Protocol::ALL {
            sidecar.send_over(protocol, &Request::get("/").session(&token));
            let received = backend.last();
            assert_eq!(received.values("X-Remote-Groups"), expected, "{roles} {protocol:?}");
            assert_eq!(received.values("X-Remote-Name"), ["J%C3%B6rg%20%C3%84"]);
            assert_eq!(received.values("X-Remote-Title"), ["UHLDvGZlcg"]);
        }
    }
    sidecar.counts("cloakroom_claim_headers_skipped_total", 0.0);
}

#[test]
fn list_that_would_be_read_as_another_is_skipped_and_counted() {
    let backend = Backend::plain();
    let sidecar = Builder::new(backend.url()).with(TABLES).start();
    let lists = [
        r#"["user,admin"]"#,
        r#""user,admin""#,
        r#"["user"," admin"]"#,
        r#"["user",null]"#,
        r#"["user",["admin"]]"#,
        r#"["user",{}]"#,
        r#"["us\u00e9r"]"#,
        r#"["user\r\nX-Remote-Groups: admin"]"#,
    ];
    for list in lists {
        sidecar.get("/", Some(&mint(format!(r#"{{"https://example.com/roles":{list}}}"#))));
        assert_eq!(backend.last().values("X-Remote-Groups"), [""; 0], "{list}");
    }
    sidecar.counts("cloakroom_claim_headers_skipped_total", lists.len() as f64);
    let message = "claim header dropped: a header cannot carry its value unchanged";
    assert_eq!(sidecar.wait_for_log(message, 0)["header"], "X-Remote-Groups");
    assert!(!sidecar.log().contains("user"), "{}", sidecar.log());
}
