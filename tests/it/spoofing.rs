//! A client cannot forge the sidecar's fields. Every test checks the raw bytes at the backend.

use crate::support::{Answer, Backend, Protocol, Request, Sidecar, contains, mint};

/// Names that a server may read as `X-Session`: some map every other character to a hyphen.
const ALIASES: &[&str] = &[
    "X-Session",
    "x-session",
    "X-SESSION",
    "X_Session",
    "x_session",
    "X_SESSION",
    "x.session",
    "X!Session",
    "X#Session",
    "X$Session",
    "X%Session",
    "X&Session",
    "X'Session",
    "X*Session",
    "X+Session",
    "X^Session",
    "X`Session",
    "X|Session",
    "X~Session",
    "X-Session-Save",
    "X_Session_Save",
    "x.session.save",
    "X-Session_Delete",
    "X-Session!Merge",
    "X-Session-Max-Age",
    "X-Session-Status",
    "X-Session-Anything",
    "X-Session-",
    "X_Session~",
];

/// Names that differ.
const OTHERS: &[&str] =
    &["X-Sessions", "XSession", "X-Sessio", "Session", "X-My-Session", "X--Session"];

const FORGED: &str = r#"{"forged":true}"#;

fn assert_clean(backend: &Backend, what: &str) {
    let raw = backend.last().raw;
    assert!(!contains(&raw, "forged"), "{what}: {:?}", String::from_utf8_lossy(&raw));
}

#[test]
fn every_alias_is_removed_over_every_protocol() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    for protocol in Protocol::ALL {
        for alias in ALIASES {
            let what = format!("{alias} over {protocol:?}");
            sidecar.send_over(protocol, &Request::get("/").with(alias, FORGED));
            assert_clean(&backend, &what);
            assert_eq!(backend.last().values("X-Session"), ["{}"], "{what}");

            let request = Request::get("/").with(alias, FORGED).session(&token);
            sidecar.send_over(protocol, &request);
            assert_clean(&backend, &what);
            assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{what}");
        }
    }
    let sent = ALIASES.len() * Protocol::ALL.len() * 2;
    sidecar.counts("cloakroom_spoofed_headers_total", sent as f64);
}

#[test]
fn all_aliases_at_once_are_removed_and_each_is_counted() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut total = 0;
    for protocol in Protocol::ALL {
        let mut request = Request::get("/").with("A", "first");
        for alias in ALIASES {
            request = request.with(alias, FORGED).with(alias, "forged too");
            total += 2;
        }
        sidecar.send_over(protocol, &request.with("Z", "last"));
        assert_clean(&backend, &format!("{protocol:?}"));
        let received = backend.last();
        assert_eq!(received.values("X-Session"), ["{}"]);
        assert_eq!(
            (received.values("A"), received.values("Z")),
            (vec!["first".into()], vec!["last".into()])
        );
    }
    sidecar.counts("cloakroom_spoofed_headers_total", f64::from(total));
}

#[test]
fn names_that_are_not_the_sidecars_pass() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        for other in OTHERS {
            sidecar.send_over(protocol, &Request::get("/").with(other, "mine"));
            assert_eq!(backend.last().values(other), ["mine"], "{protocol:?}");
        }
    }
    sidecar.counts("cloakroom_spoofed_headers_total", 0.0);
}

#[test]
fn aliases_in_trailers_are_removed() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in [Protocol::Http11, Protocol::H2c] {
        for target in ["/", "/static/a"] {
            let mut request = Request::new("POST", target).body("the body");
            for alias in ALIASES {
                request = request.trailer(alias, FORGED);
            }
            let announced = request.clone().with("Trailer", "X-Session, X_Session");
            for request in [request, announced] {
                let response = sidecar.send_over(protocol, &request);
                assert_eq!(response.status(), 200, "{protocol:?}");
                assert_clean(&backend, &format!("trailers over {protocol:?}"));
                assert_eq!(backend.last().text(), "the body", "{protocol:?}");
                assert_eq!(backend.last().values("X-Session"), ["{}"], "{protocol:?}");
            }
        }
    }
}

#[test]
fn connection_cannot_save_an_alias_or_drop_the_dict() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    for protocol in [Protocol::Http10, Protocol::Http11] {
        for connection in
            ["X-Session", "x_session", "close, X-Session, Cookie", "keep-alive, x.session"]
        {
            let request = Request::get("/")
                .with("X-Session", FORGED)
                .with("x_session", FORGED)
                .with("Connection", connection)
                .session(&token);
            sidecar.send_over(protocol, &request);
            assert_clean(&backend, connection);
            assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{connection}");
        }
    }
}

#[test]
fn aliases_are_removed_where_sessions_are_off() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend)
        .with("[[routes]]\npath = \"/static/\"\nsession = \"off\"")
        .start();
    for protocol in Protocol::ALL {
        for alias in ALIASES {
            let request =
                Request::get("/static/a.css").with(alias, FORGED).with("Connection", alias);
            let request = if protocol == Protocol::H2c {
                Request::get("/static/a.css").with(alias, FORGED)
            } else {
                request
            };
            sidecar.send_over(protocol, &request.session(&mint(r#"{"n":1}"#)));
            assert_clean(&backend, &format!("{alias} over {protocol:?}"));
            assert_eq!(backend.last().values("X-Session"), [""; 0], "{alias} over {protocol:?}");
        }
    }
    let sent = ALIASES.len() * Protocol::ALL.len();
    sidecar.counts("cloakroom_spoofed_headers_total", sent as f64);
}

#[test]
fn aliases_are_removed_from_websocket_handshakes() {
    let handshake = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let backend = Backend::new(Answer::raw(handshake).echo());
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"").start();
    for (target, dict) in [("/socket", &[r#"{"n":1}"#][..]), ("/off/socket", &[])] {
        for connection in ["Upgrade", "Upgrade, X-Session", "x_session, upgrade, Cookie"] {
            let mut request = Request::get(target)
                .with("Upgrade", "websocket")
                .with("Connection", connection)
                .with("Sec-WebSocket-Version", "13")
                .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
            for alias in ALIASES {
                request = request.with(alias, FORGED);
            }
            let mut client = sidecar.connect();
            let response = client.exchange(&request.session(&mint(r#"{"n":1}"#)));
            assert_eq!(response.status(), 101, "{connection}");
            client.send("hello");
            assert_eq!(client.take(5), b"hello");
            assert_clean(&backend, &format!("{target}, Connection: {connection}"));
            assert_eq!(backend.last().values("X-Session"), dict, "Connection: {connection}");
        }
    }
}

#[test]
fn aliases_are_counted_before_any_early_return() {
    let backend = Backend::plain();
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/admin/\"\nrequire = true").start();
    for (method, target, status) in [("GET", "/admin/", 401), ("TRACE", "/", 405)] {
        let response = sidecar.send(&Request::new(method, target).with("x_session", FORGED));
        assert_eq!(response.status(), status);
        assert!(!contains(&response.raw, "forged"), "{response:?}");
    }
    sidecar.counts("cloakroom_spoofed_headers_total", 2.0);
    assert!(backend.received().is_empty());
}

#[test]
fn configured_names_are_guarded() {
    let backend = Backend::plain();
    let names = "[headers]\nsession = \"App-Dict\"\nsave = \"Keep\"\ndelete = \"Drop\"\nmerge = \"Patch\"\nmax_age = \"Keep-For\"\nstatus = \"Why\"";
    let sidecar = Sidecar::before(&backend).with(names).start();
    let aliases = [
        "App-Dict",
        "app_dict",
        "App.Dict-Save",
        "APP-DICT-X",
        "Keep",
        "KEEP",
        "Drop",
        "Patch",
        "keep_for",
        "Keep.For",
        "why",
    ];
    for protocol in Protocol::ALL {
        for alias in aliases {
            sidecar.send_over(protocol, &Request::get("/").with(alias, FORGED));
            assert_clean(&backend, &format!("{alias} over {protocol:?}"));
            assert_eq!(backend.last().values("App-Dict"), ["{}"], "{alias}");
            assert_eq!(backend.last().values("Why"), ["absent"], "{alias}");
        }
    }
    sidecar.counts("cloakroom_spoofed_headers_total", (3 * aliases.len()) as f64);
}

#[test]
fn odd_spellings_of_a_field_line_do_not_get_through() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for line in [
        "X-Session : {\"forged\":1}",
        "X-Session\t: {\"forged\":1}",
        " X-Session: {\"forged\":1}",
        "A: b\r\n X-Session: {\"forged\":1}",
        "A: b\nX-Session: {\"forged\":1}",
        "A: b\rX-Session: {\"forged\":1}",
        "A: b\r\n\rX-Session: {\"forged\":1}",
        "A: b\0\r\nX-Session: {\"forged\":1}",
        "\u{e9}X-Session: {\"forged\":1}",
        ": {\"forged\":1}\r\nX-Session: {\"forged\":1}",
        "X-Session\0: {\"forged\":1}",
    ] {
        let before = backend.received().len();
        let mut client = sidecar.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: app.test\r\n{line}\r\nConnection: close\r\n\r\n"
        ));
        let answer = client.rest();
        for request in &backend.received()[before..] {
            let raw = String::from_utf8_lossy(&request.raw);
            let clean = !request.raw.windows(6).any(|window| window == b"forged");
            assert!(
                clean,
                "{line:?} arrived as {raw:?}, answered {:?}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
}
