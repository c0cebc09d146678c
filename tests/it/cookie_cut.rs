//! The session cookie is not forwarded, other cookies are not affected.

use crate::support::{Backend, Protocol, Request, Sidecar, contains, mint};

/// Sends `Cookie` fields and returns those that arrive. `TOKEN` stands for a valid token of
/// `{"n":1}`.
fn cut(sidecar: &Sidecar, backend: &Backend, protocol: Protocol, fields: &[&[u8]]) -> Vec<Vec<u8>> {
    let token = mint(r#"{"n":1}"#);
    let mut request = Request::get("/");
    for field in fields {
        let mut value = Vec::new();
        let mut rest = *field;
        while let Some(at) = rest.windows(5).position(|window| window == b"TOKEN") {
            value.extend_from_slice(&rest[..at]);
            value.extend_from_slice(token.as_bytes());
            rest = &rest[at + 5..];
        }
        value.extend_from_slice(rest);
        request = request.with("Cookie", value);
    }
    let response = sidecar.send_over(protocol, &request);
    assert_eq!(response.status(), 200, "{fields:?}");
    let received = backend.last();
    assert!(!contains(&received.raw, &token), "the token reached the backend: {fields:?}");
    let cookies =
        received.fields.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    cookies.map(|(_, value)| value).collect()
}

#[test]
fn other_cookies_stay_byte_for_byte_in_order() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (sent, expected) in [
        (&b"a=1; session=TOKEN; b=2"[..], &b"a=1; b=2"[..]),
        (b"session=TOKEN; a=1; b=2", b"a=1; b=2"),
        (b"a=1; b=2; session=TOKEN", b"a=1; b=2"),
        (b"b=2; a=1; session=TOKEN; b=3", b"b=2; a=1; b=3"),
        (b"a=\xff\xfe\x80; session=TOKEN; \xe9=1", b"a=\xff\xfe\x80; \xe9=1"),
        (b"session=TOKEN; a=\"x y\"; b=c=d; e", b"a=\"x y\"; b=c=d; e"),
        (
            b"Session=x; SESSION=y; sessions=z; xsession=1; session=TOKEN",
            b"Session=x; SESSION=y; sessions=z; xsession=1",
        ),
        (b"a=session=b; session=TOKEN", b"a=session=b"),
        (b"a=%73ession=1; %73ession=2; session=TOKEN", b"a=%73ession=1; %73ession=2"),
    ] {
        let arrived = cut(&sidecar, &backend, Protocol::Http11, &[sent]);
        assert_eq!(arrived, [expected], "{}", String::from_utf8_lossy(sent));
        assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":1}"#);
    }
}

#[test]
fn cookie_field_that_was_ours_alone_is_dropped() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for fields in [
        &[&b"session=TOKEN"[..]][..],
        &[b"session=TOKEN; session=x"],
        &[b"session=TOKEN", b"session=y"],
        &[b" session\t= TOKEN\t"],
        &[b"session="],
    ] {
        for protocol in [Protocol::Http11, Protocol::H2c] {
            let arrived = cut(&sidecar, &backend, protocol, fields);
            assert_eq!(arrived, [b""; 0], "{fields:?} {protocol:?}");
        }
    }
}

#[test]
fn cookie_field_without_a_cookie_is_dropped() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for field in [&b""[..], b";", b"; \t;"] {
        for protocol in [Protocol::Http11, Protocol::H2c] {
            let arrived = cut(&sidecar, &backend, protocol, &[field]);
            assert_eq!(arrived, [b""; 0], "{field:?} {protocol:?}");
        }
    }
}

#[test]
fn several_fields_arrive_as_one() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in [Protocol::Http11, Protocol::H2c] {
        for (fields, expected) in [
            (&[&b"a=1"[..], b"session=TOKEN", b"b=2"][..], "a=1; b=2"),
            (&[b"session=TOKEN; a=1", b"b=2", b"c=3; d=4"], "a=1; b=2; c=3; d=4"),
            (&[b"a=1", b"b=2; session=TOKEN"], "a=1; b=2"),
        ] {
            let arrived = cut(&sidecar, &backend, protocol, fields);
            assert_eq!(arrived, [expected.as_bytes()], "{protocol:?}");
            assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":1}"#, "{protocol:?}");
        }
    }
}

#[test]
fn crumbs_without_a_session_arrive_as_one_field() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let arrived = cut(&sidecar, &backend, Protocol::H2c, &[b"a=1", b"b=2"]);
    assert_eq!(arrived, [b"a=1; b=2"]);
}

#[test]
fn first_cookie_that_verifies_is_the_session() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let other = mint(r#"{"n":2}"#);
    let fields = format!("session=bad; a=1; session=TOKEN; session={other}; b=2");
    let arrived = cut(&sidecar, &backend, Protocol::Http11, &[fields.as_bytes()]);
    assert_eq!(arrived, [b"a=1; b=2"]);
    assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":1}"#);
    assert!(!contains(&backend.last().raw, &other));
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, 1.0);
}

#[test]
fn four_cookies_of_the_name_are_tried() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (bad, expected) in [(3, r#"{"n":1}"#), (4, "{}")] {
        let cookies = format!("{}session=TOKEN; a=1; session=x", "session=bad; ".repeat(bad));
        let arrived = cut(&sidecar, &backend, Protocol::Http11, &[cookies.as_bytes()]);
        assert_eq!(arrived, [b"a=1"], "after {bad} bad ones");
        assert_eq!(backend.last().value("X-Session").unwrap(), expected, "after {bad} bad ones");
    }
}

#[test]
fn names_compare_exactly_after_trimming() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for cookies in [&b"a=1;session=TOKEN;b=2"[..], b"a=1; \tsession =\tTOKEN ; b=2"] {
        cut(&sidecar, &backend, Protocol::Http11, &[cookies]);
        assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":1}"#);
    }
    for name in ["Session", "SESSION", "session1", "sessio", "\"session\""] {
        let request = Request::get("/").with("Cookie", format!("{name}={}", mint("{\"n\":1}")));
        sidecar.send(&request);
        assert_eq!(backend.last().value("X-Session").unwrap(), "{}", "{name}");
    }
}

#[test]
fn quotes_are_part_of_the_value() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let arrived = cut(&sidecar, &backend, Protocol::Http11, &[b"session=\"TOKEN\"; a=\"1\""]);
    assert_eq!(arrived, [b"a=\"1\""]);
    assert_eq!(backend.last().value("X-Session").unwrap(), "{}");
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="malformed"}"#, 1.0);
}

#[test]
fn forward_cookie_leaves_it_in() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\nforward_cookie = true").start();
    let token = mint(r#"{"n":1}"#);
    let cookies = format!("a=1; session={token}; b=2");
    sidecar.send(&Request::get("/").with("Cookie", &cookies));
    assert_eq!(backend.last().values("Cookie"), [cookies]);
    assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":1}"#);
}

#[test]
fn cookie_can_have_another_name() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[cookie]\nname = \"sid\"").start();
    let cookies = format!("session=x; sid={}", mint(r#"{"n":1}"#));
    sidecar.send(&Request::get("/").with("Cookie", &cookies));
    assert_eq!(backend.last().values("Cookie"), ["session=x"]);
    assert_eq!(backend.last().value("X-Session").unwrap(), r#"{"n":1}"#);
}

#[test]
fn session_cookie_stays_where_sessions_are_off() {
    let backend = Backend::plain();
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/\"\nsession = \"off\"").start();
    for protocol in Protocol::ALL {
        let arrived = cut(&sidecar, &backend, protocol, &[b"a=1; session=TOKEN; b=2"]);
        assert_eq!(arrived, [b"a=1; b=2"], "{protocol:?}");
        assert_eq!(backend.last().values("X-Session"), [""; 0], "{protocol:?}");
    }
}
