//! What the exchange adds: bytes of both sides as they are, where the other carrier has no say.
//! Whatever tests/it has beside this file runs over either carrier.

use crate::support::{Client, Direct, Protocol, Request, Sidecar};

/// In front of an app that the test plays itself.
fn before(app: &Direct) -> Sidecar {
    app.behind().env("CLOAKROOM_CARRIER", "exchange").start()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n\r\n")
}

/// The app reads a head and answers.
fn answer(app: &mut Client, bytes: impl AsRef<[u8]>) -> String {
    let head = app.until("\r\n\r\n");
    app.send(bytes);
    head
}

fn target(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn pipelined_requests_are_answered_in_their_order_each_by_itself() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    let with_body = "POST /2 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "POST /3 HTTP/1.1\r\nHost: app.test\r\nX-Session: {\"forged\":1}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.send([&get("/1"), with_body, chunked, &get("/4")].concat());
    let mut app = app.accept();
    for (number, body) in [("1", ""), ("2", "hello"), ("3", "3\r\nabc\r\n0\r\n\r\n"), ("4", "")] {
        let head = app.until("\r\n\r\n");
        assert_eq!(target(&head), format!("/{number}"));
        assert!(head.contains("\r\nX-Session: {}\r\n"), "{head}");
        assert_eq!(app.take(body.len()), body.as_bytes());
        app.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}"));
    }
    for number in ["1", "2", "3", "4"] {
        assert_eq!(client.receive("GET").text(), number);
    }
    assert_eq!(sidecar.access_lines(4).len(), 4);
}

#[test]
fn a_pipelined_request_that_is_malformed_is_refused_behind_the_answer() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send(format!("{}GET /2 HTTP/1.1\nHost: app.test\n\n", get("/1")));
    answer(&mut app.accept(), OK);
    assert_eq!(client.receive("GET").status(), 200);
    assert_eq!(client.receive("GET").status(), 400);
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_connection_to_the_app_is_used_again_only_behind_the_exact_end_of_an_answer() {
    for (what, bytes, is_reused) in [
        ("a length", OK.to_owned(), true),
        ("no body", "HTTP/1.1 204 No Content\r\n\r\n".into(), true),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".into(),
            true,
        ),
        (
            "more than the length",
            format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            false,
        ),
        (
            "an answer behind no body",
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
                .into(),
            false,
        ),
        (
            "a byte behind the last chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX".into(),
            false,
        ),
        (
            "an end",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".into(),
            false,
        ),
        (
            "two framings",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .into(),
            false,
        ),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".into(), false),
    ] {
        let app = Direct::listen();
        let sidecar = before(&app);
        let mut first = app_and_client(&app, &sidecar, &bytes, what);
        let mut client = sidecar.connect();
        client.send(get("/2"));
        let mut second = if is_reused {
            first
        } else {
            assert_eq!(first.rest(), b"", "{what}: nothing more is sent on it");
            app.accept()
        };
        assert_eq!(target(&answer(&mut second, OK)), "/2", "{what}");
        assert_eq!(client.receive("GET").text(), "ok", "{what}");
    }
}

/// One request is answered with these bytes. Returns the app's end of the connection.
fn app_and_client(app: &Direct, sidecar: &Sidecar, bytes: &str, what: &str) -> Client {
    let mut client = sidecar.connect();
    client.send(get("/1"));
    let mut first = app.accept();
    answer(&mut first, bytes);
    assert!((200..300).contains(&client.receive("GET").status()), "{what}");
    first
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_length() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send("HEAD /1 HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let mut connection = app.accept();
    answer(&mut connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.receive("HEAD").value("Content-Length").as_deref(), Some("5"));
    client.send(get("/2"));
    answer(&mut connection, OK);
    assert_eq!(client.receive("GET").text(), "ok");
}

#[test]
fn what_can_be_read_in_two_ways_is_no_answer() {
    for bytes in [
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
    ] {
        let app = Direct::listen();
        let sidecar = before(&app);
        let mut client = sidecar.connect();
        client.send(get("/"));
        let mut connection = app.accept();
        answer(&mut connection, bytes);
        let answer = client.receive("GET");
        assert_eq!(answer.status(), 502, "{bytes:?}");
        assert_eq!(answer.value("Connection").as_deref(), Some("close"), "{bytes:?}");
        assert_eq!((client.rest(), connection.rest()), (vec![], vec![]), "{bytes:?}");
    }
}

#[test]
fn chunks_that_can_be_read_in_two_ways_end_both_connections() {
    for chunks in [
        "2\nok\r\n0\r\n\r\n",
        "2\r\nokk\r\n0\r\n\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        "2;a\nb\r\nok\r\n0\r\n\r\n",
        "2\r\nok\r\n0\r\nA\r\n\r\n",
    ] {
        let app = Direct::listen();
        let sidecar = before(&app);
        let mut client = sidecar.connect();
        client.send(get("/"));
        let mut connection = app.accept();
        answer(&mut connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        client.until("1\r\na\r\n");
        connection.send(chunks);
        let rest = client.rest();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{chunks:?}: {}", String::from_utf8_lossy(&rest));
        assert_eq!(connection.rest(), b"", "{chunks:?}");
    }
}

#[test]
fn an_early_answer_reaches_the_client_before_its_body_is_there() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\n12345");
    let mut connection = app.accept();
    connection.until("\r\n\r\n12345");
    connection.send("HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.receive("POST");
    assert_eq!((answer.status(), answer.text().as_str()), (413, "no"));
    // Where the next request begins depends on a body that is not all there.
    assert_eq!(answer.value("Connection").as_deref(), Some("close"));
    client.send("67890");
    assert_eq!(connection.take(5), b"67890");
    assert_eq!(client.rest(), b"");
}

#[test]
fn the_client_is_told_to_go_on_when_the_app_says_so() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send(
        "PUT / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    let mut connection = app.accept();
    let head = connection.until("\r\n\r\n");
    assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
    connection.send("HTTP/1.1 100 Continue\r\nX-Session-Save: {}\r\n\r\n");
    assert_eq!(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    assert_eq!(connection.take(5), b"hello");
    connection.send(OK);
    assert_eq!(client.receive("PUT").text(), "ok");
    client.send(get("/2"));
    assert_eq!(target(&answer(&mut connection, OK)), "/2");
    assert_eq!(client.receive("GET").text(), "ok");
}

#[test]
fn a_client_that_goes_away_takes_its_request_along() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send(get("/"));
    let mut connection = app.accept();
    connection.until("\r\n\r\n");
    drop(client);
    assert_eq!(connection.rest(), b"");
    assert_eq!(sidecar.access_lines(1)[0]["status"], 499);
}

#[test]
fn a_client_that_asks_for_nothing_more_may_close_its_half() {
    let app = Direct::listen();
    let sidecar = app.behind().top("workers = 1").env("CLOAKROOM_CARRIER", "exchange").start();
    for (connection, goes_on) in [("keep-alive", false), ("close", true)] {
        let mut client = sidecar.connect();
        client
            .send(format!("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: {connection}\r\n\r\n"));
        let mut waiting = app.accept();
        waiting.until("\r\n\r\n");
        client.half_close();
        // The one worker has seen it by the time that somebody who came later has been answered.
        let mut later = sidecar.connect();
        later.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
        answer(
            &mut app.accept(),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        later.rest();
        if goes_on {
            waiting.send(OK);
            assert_eq!(client.receive("GET").text(), "ok");
        } else {
            assert_eq!(waiting.rest(), b"");
        }
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_stale_connection_is_replaced_where_a_request_may_be_sent_twice() {
    for (method, body, is_repeated) in
        [("GET", "", true), ("PUT", "hello", true), ("DELETE", "", true), ("POST", "hello", false)]
    {
        let app = Direct::listen();
        let sidecar = before(&app);
        let mut stale = app_and_client(&app, &sidecar, OK, method);
        let mut client = sidecar.connect();
        let head = format!(
            "{method} /2 HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(format!("{head}{body}"));
        // It has been taken from the pool, and is closed before anything is answered.
        stale.until("\r\n\r\n");
        assert_eq!(stale.take(body.len()), body.as_bytes());
        drop(stale);
        if is_repeated {
            let mut fresh = app.accept();
            assert_eq!(target(&fresh.until("\r\n\r\n")), "/2", "{method}");
            assert_eq!(fresh.take(body.len()), body.as_bytes(), "{method}");
            fresh.send(OK);
        }
        let status = if is_repeated { 200 } else { 502 };
        assert_eq!(client.receive(method).status(), status, "{method}");
    }
}

#[test]
fn nothing_is_sent_twice_once_an_answer_has_begun() {
    let app = Direct::listen();
    let sidecar = before(&app);
    for beginning in
        ["H", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"]
    {
        let mut stale = app_and_client(&app, &sidecar, OK, beginning);
        let mut client = sidecar.connect();
        client.send(get("/2"));
        answer(&mut stale, beginning);
        drop(stale);
        let all = client.rest();
        let text = String::from_utf8_lossy(&all);
        assert!(text.contains("502 Bad Gateway") || text.ends_with("\r\n\r\nhel"), "{text:?}");
    }
    assert_eq!(sidecar.count("cloakroom_backend_errors_total{kind=\"reset\"}"), 3.0);
}

#[test]
fn fields_of_one_connection_go_no_further() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send(
        "POST /x?y=z HTTP/1.1\r\nhOST: app.test\r\nConnection: keep-alive, X-Gone, cookie\r\n\
         Keep-Alive: 5\r\nTE: trailers\r\nTrailer: a\r\nX-Gone: 1\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\n\
         Cookie: a=b\r\nX-Kept:  two  words \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    let head = answer(&mut app.accept(), OK);
    let (first, rest) = head.split_once("\r\n").unwrap();
    assert_eq!(first, "POST /x?y=z HTTP/1.1");
    let rest: Vec<&str> = rest
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("X-Request-Id: "))
        .collect();
    assert_eq!(
        rest,
        [
            "hOST: app.test",
            "X-Kept: two  words",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: app.test",
            "X-Session: {}",
            "Transfer-Encoding: chunked",
        ]
    );
    assert_eq!(client.receive("POST").text(), "ok");
}

#[test]
fn a_body_in_chunks_is_framed_anew() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut connection = app.accept();
    connection.until("\r\n\r\n");
    for (sent, arrives) in [
        ("0005;ext=\"x\"\r\nhel", "3\r\nhel\r\n"),
        ("lo\r\n", "2\r\nlo\r\n"),
        ("1 \r\n!\r\n00\r\nX-Session: {}\r\nTrailer: x\r\n\r\n", "1\r\n!\r\n0\r\n\r\n"),
    ] {
        client.send(sent);
        assert_eq!(String::from_utf8_lossy(&connection.take(arrives.len())), arrives);
    }
    connection.send(OK);
    assert_eq!(client.receive("POST").text(), "ok");
}

#[test]
fn what_the_exchange_does_not_take_goes_to_pingora_on_the_same_connection() {
    let app = Direct::listen();
    let sidecar = before(&app);
    let mut client = sidecar.connect();
    let websocket = Request::get("/ws")
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    client.send(get("/1"));
    let mut first = app.accept();
    answer(&mut first, OK);
    assert_eq!(client.receive("GET").text(), "ok");
    client.send(get("http://app.test/2"));
    let mut second = app.accept();
    assert!(target(&answer(&mut second, OK)).ends_with("/2"));
    assert_eq!(client.receive("GET").text(), "ok");
    client.send(get("/3"));
    assert_eq!(target(&answer(&mut first, OK)), "/3");
    assert_eq!(client.receive("GET").text(), "ok");
    client.send(websocket.bytes(Protocol::Http11));
    let mut third = app.accept();
    answer(
        &mut third,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    );
    assert_eq!(client.receive("GET").status(), 101);
    client.send("hello");
    assert_eq!(third.take(5), b"hello");
}
