//! The ends of answers and connections, and bytes after the end.

use crate::support::{
    Answer, Backend, Direct, Gate, Protocol, Request, SetCookie, Sidecar, WAIT, token,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: app.test\r\n{fields}\r\n")
}

#[test]
fn old_clients_keep_their_connection_where_they_ask() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    for _ in 0..3 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.receive("GET");
        assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
        let connection = response.value("Connection").unwrap_or_default();
        assert!(connection.eq_ignore_ascii_case("keep-alive"), "{response:?}");
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.rest().ends_with(b"\r\n\r\nok"));
}

#[test]
fn old_clients_get_no_chunks() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let open = "HTTP/1.0 200 OK\r\n\r\nok";
    for answer in [Answer::raw(chunked), Answer::raw(open).close()] {
        let backend = Backend::new(answer);
        let sidecar = Sidecar::start(&backend);
        for fields in ["", "Connection: keep-alive\r\n"] {
            let mut client = sidecar.connect();
            client.send(format!("GET / HTTP/1.0\r\n{fields}\r\n"));
            let all = String::from_utf8(client.rest()).unwrap().to_ascii_lowercase();
            assert!(!all.contains("transfer-encoding") && !all.contains("keep-alive"), "{all:?}");
            assert!(all.ends_with("\r\n\r\nok"), "{all:?}");
        }
    }
}

#[test]
fn request_sent_before_the_answer_to_the_last_does_it_no_harm() {
    // Old clients send an empty line after a body.
    for early in ["GET /second HTTP/1.1\r\nHost: app.test\r\n\r\n", "\r\n"] {
        let gate = Gate::default();
        let first = Answer::default().hold(&gate).and(Answer::ok(&[("X-Session-Save", "{}")]));
        let backend = Backend::by(move |request| match request.target() {
            "/second" => Answer::ok(&[]),
            _ => first.clone(),
        });
        let sidecar = Sidecar::start(&backend);
        let mut client = sidecar.connect();
        client.send(post("Content-Length: 5\r\n") + "hello");
        backend.wait_for(1);
        client.send(early);
        gate.open();
        let response = client.receive("POST");
        assert_eq!((response.status(), response.text().as_str()), (200, "ok"), "{early:?}");
        assert_eq!(token::payload(&SetCookie::token(&response)), "{}", "{early:?}");
        // The bytes were dropped with the connection, or arrived late enough to be the next
        // request.
        let (rest, _) = client.rest_or_silence(WAIT / 20);
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 200 "), "{early:?}: {rest:?}");
        let count = backend.received().len();
        assert!(count == 1 || (count == 2 && !early.trim().is_empty()), "{:?}", backend.received());
    }
}

#[test]
fn client_that_goes_away_ends_the_backends_connection() {
    for has_begun in [false, true] {
        let backend = Direct::listen();
        let sidecar = backend.behind().start();
        let mut client = sidecar.connect();
        client.send(Request::get("/").bytes(Protocol::Http11));
        let mut app = backend.accept();
        app.until("\r\n\r\n");
        if has_begun {
            app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello");
            client.until("hello");
        }
        drop(client);
        assert_eq!(app.rest(), b"", "begun: {has_begun}");
        sidecar.counts("cloakroom_requests_in_flight", 0.0);
        sidecar.counts(r#"cloakroom_backend_errors_total{kind="reset"}"#, 0.0);
    }
}

#[test]
fn client_that_goes_away_within_its_body_leaves_half_a_request() {
    for fields in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let backend = Direct::listen();
        let sidecar = backend.behind().start();
        let mut client = sidecar.connect();
        client.send(post(fields) + "5\r\nhello\r\n");
        let mut app = backend.accept();
        app.until("hello");
        drop(client);
        // Without a last chunk, so that the body is visibly incomplete.
        let rest = app.rest();
        assert!(rest == b"" || rest == b"\r\n", "{:?}", String::from_utf8_lossy(&rest));
    }
}

/// As in other proxies: it is unknown whether the client still listens, and it may hold up the
/// backend. It might have asked for more.
#[test]
fn client_that_half_closes_has_gone_away() {
    let backend = Direct::listen();
    let sidecar = backend.behind().start();
    let mut client = sidecar.connect();
    client.send(Request::get("/").bytes(Protocol::Http11));
    client.half_close();
    let mut app = backend.accept();
    app.until("\r\n\r\n");
    assert_eq!(app.rest(), b"");
    assert_eq!(client.rest(), b"");
}

/// RFC 9112 section 9.6: a client that asks for nothing more may close its half and wait.
#[test]
fn client_that_asks_for_nothing_more_gets_its_answer() {
    let backend = Direct::listen();
    let sidecar = backend.behind().start();
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    ] {
        let mut client = sidecar.connect();
        client.send(head);
        client.half_close();
        let mut app = backend.accept();
        app.until("\r\n\r\n");
        app.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        let answer = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(answer.starts_with("HTTP/1.") && answer.ends_with("\r\n\r\nok"), "{answer:?}");
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_in_order() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    for (method, answer) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("OPTIONS", "HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n"),
    ] {
        let head = answer.replacen("\r\n", "\r\nX-Session-Save: {\"n\":2}\r\n", 1);
        backend.will(Answer::raw(head));
        let response = client.exchange(&Request::new(method, "/"));
        assert_eq!(answer.lines().next(), Some(response.first_line.as_str()));
        assert_eq!(response.body, b"", "{method} {answer:?}");
        assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#);
        if response.status() == 204 {
            assert_eq!(response.values("Content-Length"), [""; 0]);
            assert_eq!(response.values("Transfer-Encoding"), [""; 0]);
        }
        backend.will(Answer::ok(&[]));
        assert_eq!(client.exchange(&Request::get("/")).text(), "ok", "after {method} {answer:?}");
    }
}

#[test]
fn answer_without_a_length_ends_with_its_connection() {
    let answer = "HTTP/1.1 200 OK\r\nX-Session-Save: {\"n\":2}\r\n\r\n";
    let backend = Backend::new(Answer::raw(answer).then("all of it").close());
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let response = sidecar.send_over(protocol, &Request::get("/"));
        assert_eq!(response.text(), "all of it", "{protocol:?}");
        assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#, "{protocol:?}");
    }
}

#[test]
fn words_behind_an_answer_reach_nobody() {
    let stray = "HTTP/1.1 200 OK\r\nX-Session-Save: {\"n\":6}\r\nContent-Length: 5\r\n\r\nstray";
    for (method, answer) in [
        ("GET", format!("{OK}{stray}")),
        ("HEAD", format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello{stray}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\n\r\n{stray}")),
        ("GET", format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello{stray}")),
        (
            "GET",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{stray}"
            ),
        ),
    ] {
        let backend = Backend::by(move |request| match request.target() {
            "/stray" => Answer::raw(answer.clone()),
            _ => Answer::ok(&[]),
        });
        let sidecar = Sidecar::start(&backend);
        let mut client = sidecar.connect();
        client.send(Request::new(method, "/stray").bytes(Protocol::Http11));
        let first = client.receive(method);
        assert!(!first.text().contains("stray"), "{method}: {first:?}");
        for _ in 0..5 {
            let response = sidecar.get("/", None);
            assert_eq!(response.text(), "ok", "{method}, {first:?}");
            assert_eq!(response.values("Set-Cookie"), [""; 0]);
        }
        let (rest, _) = client.rest_or_silence(WAIT / 50);
        assert_eq!(rest, b"", "{method}: {first:?}");
    }
}

#[test]
fn answers_have_one_framing_or_are_none() {
    let chunked = "2\r\nok\r\n0\r\n\r\n";
    for (status, fields, body) in [
        (200, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked),
        (200, "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", chunked),
        (200, "Transfer-Encoding: Chunked\r\n", chunked),
        (200, "Transfer-Encoding : chunked\r\n", chunked),
        (200, "Content-Length : 2\r\n", "ok"),
        (200, "A: b\r\n folded\r\nContent-Length: 2\r\n", "ok"),
        (502, "Content-Length: 2\r\nContent-Length: 3\r\n", "ok"),
        (502, "Content-Length: +2\r\n", "ok"),
        (502, "Content-Length: 0x2\r\n", "ok"),
        (502, "Content-Length: 18446744073709551618\r\n", "ok"),
        (502, "A: b\rSet-Cookie: a=b\r\nContent-Length: 2\r\n", "ok"),
        (502, "A: b\0\r\nContent-Length: 2\r\n", "ok"),
        (502, "A: b\x01\x7f\r\nContent-Length: 2\r\n", "ok"),
        (502, "A b: c\r\nContent-Length: 2\r\n", "ok"),
        (502, ": c\r\nContent-Length: 2\r\n", "ok"),
    ] {
        let backend = Backend::new(Answer::raw(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")));
        let sidecar = Sidecar::start(&backend);
        let response = sidecar.send(&Request::new("POST", "/").body("x"));
        assert_eq!(response.status(), status, "{fields:?}: {response:?}");
        let framings =
            response.values("Content-Length").len() + response.values("Transfer-Encoding").len();
        assert_eq!(framings, 1, "{fields:?}: {response:?}");
        assert_eq!(response.values("Set-Cookie"), [""; 0], "{fields:?}");
        if status == 200 {
            assert_eq!(response.text(), "ok", "{fields:?}");
        }
    }
}
