//! Bodies pass unchanged, whatever happens to the session.

use std::io::Write as _;
use std::net::TcpStream;

use crate::support::frames::{self, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS};
use crate::support::{
    Answer, Backend, Client, Direct, Gate, Protocol, Request, SetCookie, Sidecar, WAIT, mint, token,
};

const SAVE: (&str, &str) = ("X-Session-Save", r#"{"n":2}"#);

/// A megabyte with every byte value.
fn large() -> Vec<u8> {
    (0..1 << 20).map(|number: u32| (number % 251) as u8).collect()
}

#[test]
fn large_bodies_arrive_both_ways() {
    let body = large();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{}: {}\r\nContent-Length: {}\r\n\r\n",
        SAVE.0,
        SAVE.1,
        body.len()
    );
    let backend = Backend::new(Answer::raw(head).then(body.as_slice()));
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let response = sidecar.send_over(protocol, &Request::new("POST", "/").body(&body));
        assert!(backend.last().body == body, "the request's body over {protocol:?}");
        assert!(response.body == body, "the response's body over {protocol:?}");
        assert_eq!(token::payload(&SetCookie::token(&response)), SAVE.1);
    }
}

#[test]
fn chunked_bodies_arrive_both_ways() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
    let backend = Backend::new(Answer::raw(format!("HTTP/1.1 200 OK\r\n{chunked}")));
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: app.test\r\n{chunked}"));
    assert_eq!(client.receive("POST").text(), "abcdefg");
    assert_eq!(backend.last().text(), "abcdefg");
    for protocol in Protocol::ALL {
        assert_eq!(sidecar.send_over(protocol, &Request::get("/")).text(), "abcdefg");
    }
}

#[test]
fn answer_of_an_old_backend_ends_with_its_connection() {
    let old = "HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.13\r\nX-Session-Save: {\"n\":2}\r\n\r\nold body";
    let backend = Backend::new(Answer::raw(old).close());
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let request = Request::get("/").session(&mint(r#"{"n":1}"#));
        let response = sidecar.send_over(protocol, &request);
        assert_eq!((response.status(), response.text().as_str()), (200, "old body"));
        assert_eq!(token::payload(&SetCookie::token(&response)), SAVE.1, "{protocol:?}");
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#]);
    }
}

#[test]
fn events_arrive_one_by_one() {
    let gate = Gate::default();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = Answer::raw(head).then("3\r\none\r\n").hold(&gate).then("3\r\ntwo\r\n0\r\n\r\n");
    let backend = Backend::new(answer);
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send(Request::get("/").bytes(Protocol::Http11));
    let mut seen = Vec::new();
    while !seen.ends_with(b"one\r\n") {
        let some = client.some();
        assert!(!some.is_empty(), "the connection ended");
        seen.extend(some);
    }
    gate.open();
    assert_eq!(client.take(13), b"3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn connection_is_kept_for_several_requests() {
    let backend = Backend::new(Answer::ok(&[SAVE]));
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    for number in 0..5 {
        let token = mint(format!(r#"{{"request":{number}}}"#));
        let request = Request::new("POST", &format!("/{number}")).body("x").session(&token);
        assert_eq!(client.exchange(&request).status(), 200);
        let received = backend.last();
        assert_eq!(received.target(), format!("/{number}"));
        assert_eq!(received.values("X-Session"), [format!(r#"{{"request":{number}}}"#)]);
        // The next request has no cookie, and must not inherit one.
        assert_eq!(client.exchange(&Request::get("/")).status(), 200);
        assert_eq!(backend.last().values("X-Session"), ["{}"]);
    }
}

#[test]
fn words_right_behind_a_switch_of_protocols_arrive() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello";
    let backend = Backend::new(Answer::raw(switch).echo());
    let sidecar = Sidecar::start(&backend);
    for _ in 0..20 {
        let request = Request::get("/")
            .with("Upgrade", "websocket")
            .with("Connection", "Upgrade")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
        let mut client = sidecar.connect();
        assert_eq!(client.exchange(&request).status(), 101);
        assert_eq!(client.take(5), b"hello");
        client.send("bye");
        assert_eq!(client.take(3), b"bye");
    }
}

#[test]
fn a_body_ends_once_however_its_stream_does() {
    let plain: &[(&[u8], &[u8])] = &[
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", b"/up"),
    ];
    let counted = [plain, &[(b"content-length", b"5")]].concat();
    let trailers = frames::block(&[(b"x-sum", b"1")]);
    let trailers = (HEADERS, END_HEADERS | END_STREAM, trailers.as_slice());
    let hello: (u8, u8, &[u8]) = (DATA, 0, b"hello");
    let empty: (u8, u8, &[u8]) = (DATA, END_STREAM, b"");
    let pause: (u8, u8, &[u8]) = (DATA, 0, b"");
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let app = Direct::listen();
    let sidecar = app.behind().start();
    for (fields, rest, expected) in [
        (plain, vec![(DATA, END_STREAM, hello.2)], chunks),
        (plain, vec![hello, empty], chunks),
        (plain, vec![pause, hello, pause, empty], chunks),
        (plain, vec![hello, trailers], chunks),
        (plain, vec![empty], "0\r\n\r\n"),
        (&counted, vec![(DATA, END_STREAM, hello.2)], "hello"),
        (&counted, vec![hello, empty], "hello"),
        (&counted, vec![hello, trailers], "hello"),
    ] {
        let mut bytes = PREFACE.to_vec();
        frames::frame(&mut bytes, SETTINGS, 0, 0, &[]);
        frames::frame(&mut bytes, HEADERS, END_HEADERS, 1, &frames::block(fields));
        for (kind, flags, payload) in &rest {
            frames::frame(&mut bytes, *kind, *flags, 1, payload);
        }
        let address = sidecar.address();
        let client = std::thread::spawn(move || frames::speak(address, &bytes));
        let mut backend = app.accept();
        backend.until("\r\n\r\n");
        assert_eq!(backend.take(expected.len()), expected.as_bytes(), "{rest:?}");
        // The answer ends the connection, so anything else the sidecar has written comes before its
        // end.
        backend.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(backend.rest(), b"", "after the body of {rest:?}");
        assert!(client.join().unwrap(), "{rest:?}");
    }
}

#[test]
fn nothing_of_a_body_is_left_for_the_next_request_on_the_connection() {
    let fields = frames::block(&[
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", b"/up"),
    ]);
    let trailers = frames::block(&[(b"x-sum", b"1")]);
    let hello: (u8, u8, &[u8]) = (DATA, 0, b"hello");
    let empty: (u8, u8, &[u8]) = (DATA, END_STREAM, b"");
    let trailers = (HEADERS, END_HEADERS | END_STREAM, trailers.as_slice());
    let app = Direct::listen();
    let sidecar = app.behind().start();
    // One connection of the client for all of them, and as a rule one to the app.
    let mut client = TcpStream::connect(sidecar.address()).unwrap();
    client.set_read_timeout(Some(WAIT)).unwrap();
    client.write_all(PREFACE).unwrap();
    let mut backend = None;
    let mut reused = 0;
    let mut stream = 1;
    for (end, rest) in [
        (END_STREAM, vec![]),
        (0, vec![(DATA, END_STREAM, hello.2)]),
        (END_STREAM, vec![]),
        (0, vec![hello, empty]),
        (0, vec![hello, trailers]),
        (0, vec![empty]),
        (0, vec![hello, empty]),
        (END_STREAM, vec![]),
    ] {
        let mut bytes = Vec::new();
        if stream == 1 {
            frames::frame(&mut bytes, SETTINGS, 0, 0, &[]);
        }
        frames::frame(&mut bytes, HEADERS, END_HEADERS | end, stream, &fields);
        for (kind, flags, payload) in &rest {
            frames::frame(&mut bytes, *kind, *flags, stream, payload);
        }
        client.write_all(&bytes).unwrap();
        // pingora now and then closes an idle connection that it was about to use, and opens another.
        let kept = backend.take().and_then(|mut kept: Client| kept.has_more().then_some(kept));
        reused += usize::from(kept.is_some());
        let backend = backend.insert(kept.unwrap_or_else(|| app.accept()));
        let head = backend.until("\r\n\r\n");
        assert!(head.starts_with("POST /up HTTP/1.1\r\n"), "{head:?} before {rest:?}");
        if head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked\r\n") {
            let body = backend.until("0\r\n\r\n");
            assert!(["5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n"].contains(&body.as_str()), "{body:?}");
        }
        backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert!(frames::is_answered(&mut client), "{rest:?}");
        stream += 2;
    }
    assert!(reused > 0);
}
