//! Data is forwarded at once in both directions, and ends are forwarded too.

use crate::support::{
    Answer, Backend, Client, Direct, Gate, Protocol, Request, SetCookie, Sidecar, WAIT, mint, token,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: app.test\r\n{fields}\r\n")
}

#[test]
fn early_hints_arrive_before_the_answer() {
    let gate = Gate::default();
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let answer = Answer::raw(hints.repeat(3)).hold(&gate).and(Answer::ok(&[]));
    let backend = Backend::new(answer);
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send(Request::get("/").bytes(Protocol::Http11));
    for _ in 0..3 {
        let head = client.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 103 ") && head.contains("</a.css>"), "{head:?}");
    }
    gate.open();
    assert_eq!(client.receive("GET").text(), "ok");
    // pingora does not forward them over HTTP/2.
    assert_eq!(sidecar.send_over(Protocol::H2c, &Request::get("/")).text(), "ok");
}

#[test]
fn client_of_http_1_0_gets_the_answer_alone() {
    for interim in ["100 Continue", "102 Processing", "103 Early Hints"] {
        let interim = format!("HTTP/1.1 {interim}\r\nLink: </a.css>\r\n\r\n");
        let backend = Backend::new(Answer::raw(interim.repeat(2)).and(Answer::ok(&[])));
        let sidecar = Sidecar::start(&backend);
        let mut client = sidecar.connect();
        client.send(Request::get("/").bytes(Protocol::Http10));
        let all = String::from_utf8(client.rest()).unwrap();
        assert!(all.starts_with("HTTP/1.") && all.contains(" 200 "), "{all:?}");
        assert!(!all.contains("HTTP/1.1 1") && all.ends_with("\r\n\r\nok"), "{all:?}");
    }
}

#[test]
fn expectation_is_the_backends_to_meet() {
    let backend = Direct::listen();
    let sidecar = backend.behind().start();
    let mut client = sidecar.connect();
    client.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n"));
    let mut app = backend.accept();
    let head = app.until("\r\n\r\n").to_ascii_lowercase();
    assert!(head.contains("\r\nexpect: 100-continue\r\n"), "{head:?}");
    app.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert!(client.until("\r\n\r\n").starts_with("HTTP/1.1 100 "));
    client.send("hello");
    assert_eq!(app.take(5), b"hello");
    app.send(OK);
    assert_eq!(client.receive("POST").text(), "ok");
}

#[test]
fn body_that_nobody_wants_is_not_waited_for() {
    for status in ["417 Expectation Failed", "413 Content Too Large", "200 OK", "303 See Other"] {
        let backend = Direct::listen();
        let sidecar = backend.behind().start();
        let mut client = sidecar.connect();
        client.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n"));
        let mut app = backend.accept();
        app.until("\r\n\r\n");
        app.send(format!(
            "HTTP/1.1 {status}\r\nX-Session-Save: {{\"n\":2}}\r\nContent-Length: 2\r\n\r\nno"
        ));
        let response = client.receive("POST");
        assert_eq!(format!("HTTP/1.1 {status}"), response.first_line);
        assert_eq!(response.text(), "no", "{status}");
        assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#, "{status}");
        // If the body comes nevertheless, it is not a request.
        client.send("hello");
        assert_in_order(client, app, "hello");
    }
}

/// After the client has sent everything, only the rest of the body arrives.
fn assert_in_order(mut client: Client, mut app: Client, rest: &str) {
    client.half_close();
    assert_eq!(client.rest(), b"");
    let (arrived, _) = app.rest_or_silence(WAIT / 20);
    let arrived = String::from_utf8(arrived).unwrap();
    assert!(rest.starts_with(&arrived), "{arrived:?}");
}

#[test]
fn answer_does_not_wait_for_the_end_of_the_request() {
    let rest = "x".repeat(95);
    for (fields, begin, rest) in [
        ("Content-Length: 100\r\n", "hello", rest.as_str()),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", "0\r\n\r\n"),
    ] {
        let backend = Direct::listen();
        let sidecar = backend.behind().start();
        let mut client = sidecar.connect();
        client.send(post(fields) + begin);
        let mut app = backend.accept();
        app.until(begin);
        app.send(OK);
        assert_eq!(client.receive("POST").text(), "ok", "{fields:?}");
        client.send(rest);
        assert_in_order(client, app, rest);
    }
}

#[test]
fn chunks_pass_in_both_directions_at_once() {
    let backend = Direct::listen();
    let sidecar = backend.behind().start();
    let mut client = sidecar.connect();
    client.send(post("Transfer-Encoding: chunked\r\n") + "3\r\none\r\n");
    let mut app = backend.accept();
    app.until("\r\n\r\n");
    assert_eq!(app.until("one\r\n"), "3\r\none\r\n");
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(client.until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
    for number in 0..20 {
        client.send(format!("3\r\nu{number:02}\r\n"));
        assert_eq!(app.until("\r\n"), "3\r\n");
        assert_eq!(app.until("\r\n"), format!("u{number:02}\r\n"));
        app.send(format!("3\r\nd{number:02}\r\n"));
        assert_eq!(client.until("\r\n"), "3\r\n");
        assert_eq!(client.until("\r\n"), format!("d{number:02}\r\n"));
    }
    client.send("0\r\n\r\n");
    assert_eq!(app.until("\r\n\r\n"), "0\r\n\r\n");
    app.send("0\r\n\r\n");
    assert_eq!(client.until("\r\n\r\n"), "0\r\n\r\n");
}

#[test]
fn messages_pass_both_ways_after_a_session_was_saved() {
    let backend = Direct::listen();
    let sidecar = backend.behind().start();
    let mut client = sidecar.connect();
    let request = Request::get("/")
        .session(&mint(r#"{"n":1}"#))
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    client.send(request.bytes(Protocol::Http11));
    let mut app = backend.accept();
    let head = app.until("\r\n\r\n");
    assert!(head.contains("\r\nX-Session: {\"n\":1}\r\n"), "{head:?}");
    app.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         X-Session-Save: {\"n\":2}\r\n\r\n",
    );
    let response = client.receive("GET");
    assert_eq!(response.status(), 101);
    assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#);
    let long = "x".repeat(100_000);
    for message in ["a", "X-Session-Save: {}\r\n\r\n", "0\r\n\r\n", &long, "\0\n"] {
        client.send(message);
        assert_eq!(app.take(message.len()), message.as_bytes());
        app.send(message);
        app.send("again");
        assert_eq!(client.until("again"), format!("{message}again"));
    }
    drop(client);
    assert_eq!(app.rest(), b"");
}

#[test]
fn end_of_an_upgraded_connection_reaches_the_client() {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nbye";
    let backend = Backend::new(Answer::raw(switch).close());
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    let request = Request::get("/").with("Upgrade", "websocket").with("Connection", "Upgrade");
    assert_eq!(client.exchange(&request).status(), 101);
    assert_eq!(client.rest(), b"bye");
}

/// RFC 9110 section 7.8: `Upgrade` is ignored if `Connection` does not name it, as in HTTP/1.0.
#[test]
fn upgrade_that_the_connection_does_not_name_is_ignored() {
    let backend = Direct::listen();
    let sidecar = backend.behind().start();
    let of = |version: &str, connection: &str| {
        format!(
            "GET /chat HTTP/{version}\r\nHost: a.test\r\nUpgrade: websocket\r\n{connection}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
    };
    for head in [
        of("1.1", ""),
        of("1.1", "Connection: close\r\n"),
        of("1.1", "Connection: keep-alive, upgraded\r\n"),
        of("1.1", "X-Connection: Upgrade\r\n"),
        of("1.0", "Connection: Upgrade\r\n"),
    ] {
        let mut client = sidecar.connect();
        client.send(&head);
        let mut app = backend.accept();
        let seen = app.until("\r\n\r\n").to_ascii_lowercase();
        assert!(!seen.contains("\r\nupgrade:"), "{head:?}: {seen:?}");
        assert!(!seen.contains("\r\nconnection: upgrade"), "{head:?}: {seen:?}");
        // An app that switches nevertheless gets no tunnel.
        app.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        );
        assert_eq!(client.receive("GET").status(), 502, "{head:?}");
    }
    for connection in
        ["Connection: UPGRADE\r\n", "Connection: keep-alive\r\nConnection: a, Upgrade\r\n"]
    {
        let mut client = sidecar.connect();
        client.send(of("1.1", connection));
        let seen = backend.accept().until("\r\n\r\n").to_ascii_lowercase();
        assert!(seen.contains("\r\nupgrade: websocket\r\n"), "{seen:?}");
    }
}

#[test]
fn request_with_an_upgrade_that_is_ignored_is_an_ordinary_one() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    for _ in 0..2 {
        let request = Request::new("POST", "/").with("Upgrade", "websocket").body("hello");
        assert_eq!(client.exchange(&request).status(), 200);
        assert_eq!(backend.last().text(), "hello");
        assert_eq!(backend.last().values("Upgrade"), [""; 0]);
    }
}

#[test]
fn trailers_are_dropped_in_both_directions() {
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                  2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n";
    let backend = Backend::new(Answer::raw(answer));
    let sidecar = Sidecar::start(&backend);
    for protocol in [Protocol::Http11, Protocol::H2c] {
        let request = Request::new("POST", "/").body("body").trailer("X-Sum", "1");
        let response = sidecar.send_over(protocol, &request.trailer("X-Session", "{}"));
        assert_eq!(response.text(), "ok", "{protocol:?}");
        assert_eq!(response.values("Set-Cookie"), [""; 0], "{protocol:?}");
        let received = backend.last();
        assert_eq!((received.text().as_str(), received.trailers.len()), ("body", 0));
        if protocol == Protocol::Http11 {
            assert!(response.trailers.is_empty(), "{response:?}");
        }
    }
}
