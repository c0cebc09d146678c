//! Save, delete and merge: control headers of the app become a `Set-Cookie`.

use crate::support::{Answer, Backend, Protocol, Request, SetCookie, Sidecar, mint, token};

const SAVE: (&str, &str) = ("X-Session-Save", r#"{"n":2}"#);

#[test]
fn save_sets_a_token_of_the_dict_that_comes_back() {
    let backend = Backend::new(Answer::ok(&[SAVE]));
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let response =
            sidecar.send_over(protocol, &Request::get("/").session(&mint(r#"{"n":1,"m":1}"#)));
        assert_eq!((response.status(), response.text().as_str()), (200, "ok"), "{protocol:?}");
        let saved = SetCookie::token(&response);
        assert_eq!(token::payload(&saved), r#"{"n":2}"#, "{protocol:?}");
        sidecar.get("/", Some(&saved));
        assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":2}"#);
    }
    sidecar.counts(r#"cloakroom_session_writes_total{action="saved"}"#, 6.0);
}

#[test]
fn nothing_is_set_unless_the_backend_asks() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for token in
        [None, Some("bad"), Some(mint(r#"{"n":1}"#).as_str()), Some(mint(r#"{"exp":1}"#).as_str())]
    {
        let response = sidecar.get("/", token);
        assert_eq!(response.values("Set-Cookie"), [""; 0], "{token:?}");
    }
}

#[test]
fn data_is_saved_as_it_was_written() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (save, header) in [
        (r#"{"b":1,"a":{"z":1,"y":2}}"#, None),
        (r#"{"n":123456789012345678901234567890,"e":1e400,"z":-0.0,"f":1.10}"#, None),
        (r#"{"a":"\ud800","b":"\ud83d\ude00\u00e9"}"#, None),
        ("{}", None),
        ("{ \"a\" : [ 1,\t2 ] }", Some(r#"{"a":[1,2]}"#)),
        ("{\"é\":\"😀\"}", Some(r#"{"\u00e9":"\ud83d\ude00"}"#)),
        ("{\"a\":\"\u{80}\u{10ffff}\"}", Some(r#"{"a":"\u0080\udbff\udfff"}"#)),
    ] {
        backend.will(Answer::ok(&[("X-Session-Save", save)]));
        let saved = SetCookie::token(&sidecar.get("/", None));
        sidecar.get("/", Some(&saved));
        assert_eq!(backend.last().value("X-Session").unwrap(), header.unwrap_or(save));
    }
}

#[test]
fn save_in_base64url() {
    let save = token::base64("{\"é\" : 1e400}");
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", save.as_str())]));
    let sidecar = Sidecar::before(&backend).with("[headers]\nencoding = \"base64url\"").start();
    let saved = SetCookie::token(&sidecar.get("/", None));
    sidecar.get("/", Some(&saved));
    let header = backend.last().value("X-Session").unwrap();
    assert_eq!(String::from_utf8(token::unbase64(&header)).unwrap(), "{\"é\":1e400}");
}

#[test]
fn cookie_has_the_attributes_of_the_configuration_and_is_deleted_with_the_same() {
    let all = "[cookie]\nname = \"__Secure-s\"\npath = \"/app\"\ndomain = \"app.test\"\nsecure = true\nsame_site = \"strict\"";
    for (config, name, expected) in [
        ("", "session", &["HttpOnly", "Path=/", "SameSite=Lax"][..]),
        (
            all,
            "__Secure-s",
            &["Domain=app.test", "HttpOnly", "Path=/app", "SameSite=Strict", "Secure"],
        ),
        ("[cookie]\nhttp_only = false\nsame_site = \"unset\"", "session", &["Path=/"]),
        (
            "[cookie]\nname = \"__Host-s\"\nsecure = true\nsame_site = \"none\"\npartitioned = true",
            "__Host-s",
            &["HttpOnly", "Partitioned", "Path=/", "SameSite=None", "Secure"],
        ),
    ] {
        let backend = Backend::new(Answer::ok(&[SAVE]));
        let sidecar = Sidecar::before(&backend).with(config).start();
        let set = SetCookie::named(name, &sidecar.get("/", None)).expect("a cookie");
        assert_eq!(set.place(), expected);
        assert_eq!((set.attribute("Max-Age"), set.attribute("Expires")), (None, None));

        backend.will(Answer::ok(&[("X-Session-Delete", "1")]));
        let deleted = SetCookie::named(name, &sidecar.get("/", None)).expect("a cookie");
        assert!(deleted.deletes(), "{deleted:?}");
        assert_eq!(deleted.place(), expected);
    }
}

#[test]
fn delete_is_whatever_does_not_mean_no() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for yes in ["1", "true", "yes", "on", "00", "x", "{}", "null"] {
        backend.will(Answer::ok(&[("X-Session-Delete", yes)]));
        let cookie = SetCookie::of(&sidecar.get("/", Some(&mint("{}"))));
        assert!(cookie.is_some_and(|cookie| cookie.deletes()), "{yes:?}");
    }
    for no in ["0", "false", "no", "off", "", "  "] {
        backend.will(Answer::ok(&[("X-Session-Delete", no)]));
        assert_eq!(SetCookie::of(&sidecar.get("/", Some(&mint("{}")))), None, "{no:?}");
        backend.will(Answer::ok(&[("X-Session-Delete", no), SAVE]));
        assert_eq!(
            token::payload(&SetCookie::token(&sidecar.get("/", None))),
            r#"{"n":2}"#,
            "{no:?}"
        );
    }
    sidecar.counts(r#"cloakroom_session_writes_total{action="deleted"}"#, 8.0);
}

#[test]
fn delete_wins() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let delete = ("X-Session-Delete", "1");
    for beside in [
        &[SAVE][..],
        &[("X-Session-Save", "broken")],
        &[("X-Session-Merge", r#"{"n":2}"#)],
        &[("X-Session-Merge", "[]"), SAVE],
        &[SAVE, ("X-Session-Max-Age", "soon")],
        &[SAVE, ("X-Session-Save", "{}")],
    ] {
        let fields: Vec<_> = beside.iter().copied().chain([delete]).collect();
        backend.will(Answer::ok(&fields));
        let response = sidecar.get("/", Some(&mint("{}")));
        assert_eq!(response.status(), 200, "{beside:?}");
        assert!(SetCookie::of(&response).is_some_and(|cookie| cookie.deletes()), "{beside:?}");
    }
    sidecar.counts(r#"cloakroom_session_writes_total{action="deleted"}"#, 6.0);
    sidecar.counts(r#"cloakroom_session_writes_total{action="saved"}"#, 0.0);
}

#[test]
fn every_final_status_counts() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for status in
        [200, 201, 204, 206, 301, 302, 303, 304, 307, 400, 401, 403, 404, 418, 500, 502, 503]
    {
        for method in ["GET", "POST", "HEAD", "DELETE"] {
            for protocol in [Protocol::Http11, Protocol::H2c] {
                let request = Request::new(method, "/");
                backend.will(answer(method, status, SAVE));
                let response = sidecar.send_over(protocol, &request);
                assert_eq!(response.status(), status, "{method} {protocol:?}");
                assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#);

                backend.will(answer(method, status, ("X-Session-Delete", "1")));
                let response = sidecar.send_over(protocol, &request);
                let cookie = SetCookie::of(&response).expect("a cookie");
                assert!(cookie.deletes(), "{method} {status} {protocol:?}");
            }
        }
    }
}

/// Without a body for statuses and methods that have none.
fn answer(method: &str, status: u16, field: (&str, &str)) -> Answer {
    if method == "HEAD" {
        let (name, value) = field;
        Answer::raw(format!("HTTP/1.1 {status} Status\r\n{name}: {value}\r\n\r\n"))
    } else {
        Answer::new(status, &[field], "")
    }
}

#[test]
fn switching_protocols_is_final() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Session-Save: {\"n\":2}\r\n\r\n";
    let backend = Backend::new(Answer::raw(head).echo());
    let sidecar = Sidecar::start(&backend);
    let request = Request::get("/")
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    let mut client = sidecar.connect();
    let response = client.exchange(&request);
    assert_eq!(response.status(), 101);
    assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#);
    client.send("ping");
    assert_eq!(client.take(4), b"ping");
}

#[test]
fn informational_answers_save_nothing() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Session-Save: {\"n\":3}\r\nX-Session-Delete: 1\r\nSet-Cookie: session=x\r\n\r\n";
    let backend = Backend::new(Answer::raw(hints).and(Answer::ok(&[])));
    let sidecar = Sidecar::start(&backend);
    for protocol in [Protocol::Http11, Protocol::H2c] {
        let response = sidecar.send_over(protocol, &Request::get("/").session(&mint("{}")));
        assert_eq!(response.status(), 200);
        assert_eq!(response.values("Set-Cookie"), [""; 0]);
        for interim in &response.interim {
            assert_eq!(interim.values("Set-Cookie"), [""; 0], "{protocol:?}");
        }
    }
    backend.will(Answer::raw(hints).and(Answer::ok(&[SAVE])));
    let response = sidecar.get("/", None);
    assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#);
}

#[test]
fn cookie_of_the_backends_own_under_our_name_is_dropped() {
    let others = [
        "a=1; Path=/x; HttpOnly",
        "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
        "Session=other",
        "a=1; Path=/y",
        "sessions=\"x, y\"",
    ];
    let ours =
        ["session=forged; Path=/", " session =forged", "session=", "session", "=session=forged"];
    let fields: Vec<_> = others.iter().chain(&ours).map(|value| ("Set-Cookie", *value)).collect();
    let backend = Backend::new(Answer::ok(&fields));
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"").start();
    for target in ["/", "/off/"] {
        for protocol in Protocol::ALL {
            let response = sidecar.send_over(protocol, &Request::get(target));
            let set: Vec<_> = response.values("Set-Cookie");
            assert!(!set.iter().any(|value| value.contains("forged")), "{set:?}");
            let set: Vec<_> = set.iter().filter(|value| *value != "session").collect();
            assert_eq!(set, others, "{target} {protocol:?}");
        }
    }
    let rejected = 2.0 * Protocol::ALL.len() as f64;
    sidecar.counts(r#"cloakroom_session_writes_total{action="rejected"}"#, rejected);
    let fields: Vec<_> = fields.into_iter().chain([SAVE]).collect();
    backend.will(Answer::ok(&fields));
    assert_eq!(token::payload(&SetCookie::token(&sidecar.get("/", None))), r#"{"n":2}"#);
}

#[test]
fn nothing_is_set_where_sessions_are_off() {
    let backend = Backend::new(Answer::ok(&[SAVE, ("X-Session-Merge", "{}")]));
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"").start();
    assert_eq!(sidecar.get("/off/", Some(&mint("{}"))).values("Set-Cookie"), [""; 0]);
    backend.will(Answer::ok(&[("X-Session-Delete", "1")]));
    assert_eq!(sidecar.get("/off/", Some(&mint("{}"))).values("Set-Cookie"), [""; 0]);
}

#[test]
fn control_header_twice_with_one_value_counts_once() {
    let backend = Backend::new(Answer::ok(&[SAVE, SAVE]));
    let sidecar = Sidecar::start(&backend);
    assert_eq!(token::payload(&SetCookie::token(&sidecar.get("/", None))), r#"{"n":2}"#);
}
