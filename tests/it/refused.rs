//! Requests that never reach the backend.

use crate::support::{Backend, Protocol, Request, Sidecar, WAIT, mint};

/// Sends each request and checks the status; nothing may reach the backend, and the connection is
/// closed.
fn refused(status: u16, requests: &[&[u8]]) {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut faults = Vec::new();
    for request in requests {
        let before = backend.received().len();
        let mut client = sidecar.connect();
        client.send(request);
        let (answer, ended) = client.rest_or_silence(WAIT / 5);
        let answer = String::from_utf8_lossy(&answer);
        let arrived = &backend.received()[before..];
        let is_refusal = answer.starts_with(&format!("HTTP/1.1 {status} "))
            && answer.matches("HTTP/1.1 ").count() == 1
            && !answer.to_ascii_lowercase().contains("set-cookie");
        if !is_refusal || !ended || !arrived.is_empty() {
            let request = String::from_utf8_lossy(request);
            let status = answer.lines().next();
            faults.push(format!("{request:?}: {status:?}, ended: {ended}, arrived: {arrived:?}"));
        }
    }
    assert!(faults.is_empty(), "not refused with {status}:\n{}", faults.join("\n"));
}

#[test]
fn http_1_1_without_host() {
    refused(
        400,
        &[
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n",
            b"GET / HTTP/1.1\r\nHostname: app.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test\r\nhost: a.test\r\n\r\n",
        ],
    );
}

#[test]
fn http_1_0_needs_no_host() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.receive("GET").status(), 200);
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
}

#[test]
fn bare_line_feed() {
    refused(
        400,
        &[
            b"GET / HTTP/1.1\nHost: app.test\n\n",
            b"GET / HTTP/1.1\nHost: app.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\nX-Session: {}\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\r\n\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA:\n b\r\n\r\n",
        ],
    );
}

#[test]
fn bare_carriage_return() {
    refused(
        400,
        &[
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\rX-Session: {}\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\r\r\n\r\n",
            b"GET / HTTP/1.1\rHost: app.test\r\n\r\n",
            b"GET / HTTP/1.1\r\r\nHost: app.test\r\n\r\n",
        ],
    );
}

#[test]
fn nul() {
    refused(
        400,
        &[
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\0c\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA\0: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nCookie: session=x\0\r\n\r\n",
        ],
    );
}

#[test]
fn control_characters_in_the_target() {
    refused(
        400,
        &[
            b"GET /\0 HTTP/1.1\r\nHost: app.test\r\n\r\n",
            b"GET /\r HTTP/1.1\r\nHost: app.test\r\n\r\n",
            b"GET /\ra HTTP/1.1\r\nHost: app.test\r\n\r\n",
        ],
    );
}

#[test]
fn framing_that_can_be_read_in_two_ways() {
    refused(
        400,
        &[
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5, 6\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5, 5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: +5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: -5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0x5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5 5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: \r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length : 5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: identity\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    );
}

#[test]
fn fields_that_are_folded_or_have_no_proper_name() {
    refused(
        400,
        &[
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nA: b\r\n\tX-Session: {}\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nX-Session : {}\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\nX-Session\r\n\r\n",
            b"GET / HTTP/1.1\r\n X-Session: {}\r\nHost: app.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app.test\r\n: {}\r\n\r\n",
        ],
    );
}

#[test]
fn chunks_that_can_be_read_in_two_ways_do_not_become_a_request() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut faults = Vec::new();
    for body in [
        &b"5\nhello\r\n0\r\n\r\n"[..],
        b"5\r\nhello\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = sidecar.connect();
        client.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(body);
        let (answer, ended) = client.rest_or_silence(WAIT / 5);
        let answer = String::from_utf8_lossy(&answer);
        let smuggled = backend.received().iter().any(|request| request.target() == "/smuggled");
        if !ended || smuggled || answer.starts_with("HTTP/1.1 2") {
            let body = String::from_utf8_lossy(body);
            faults.push(format!("{body:?}: {answer:?}, ended: {ended}, smuggled: {smuggled}"));
        }
    }
    assert!(faults.is_empty(), "not refused:\n{}", faults.join("\n"));
}

/// A proxy in front that treats the line feed as a line end sees one request with a long body. Here
/// the body ends earlier; what follows, at once or later, must not become a request.
#[test]
fn line_feed_in_a_chunk_extension_smuggles_nothing() {
    let head = "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for behind in ["", "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n"] {
        let backend = Backend::plain();
        let sidecar = Sidecar::start(&backend);
        let mut client = sidecar.connect();
        client.send(format!("{head}2;\nxx\r\n45\r\n0\r\n\r\n{behind}"));
        let (answer, ended) = client.rest_or_silence(WAIT);
        let answer = String::from_utf8_lossy(&answer);
        assert!(ended, "{answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer:?}");
        assert!(backend.received().iter().all(|request| request.target() != "/smuggled"));
    }
}

#[test]
fn trace_and_connect() {
    refused(
        405,
        &[
            b"TRACE / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n",
            b"TRACE / HTTP/1.0\r\n\r\n",
            b"CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\nConnection: close\r\n\r\n",
        ],
    );
}

#[test]
fn trace_over_http_2() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let request = Request::new("TRACE", "/").session(&mint(r#"{"n":1}"#));
    let response = sidecar.send_over(Protocol::H2c, &request);
    assert_eq!(response.status(), 405);
    assert!(!response.text().contains("session="), "{response:?}");
    assert!(backend.received().is_empty());
}

#[test]
fn body_says_why() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let response = sidecar.send(&Request::new("TRACE", "/"));
    assert!(response.value("Content-Type").is_some_and(|value| value.starts_with("text/plain")));
    assert!(!response.text().trim().is_empty());
    let mut client = sidecar.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    let response = client.receive("GET");
    assert_eq!(response.status(), 400);
    assert!(!response.text().trim().is_empty(), "{response:?}");
    sidecar.counts(r#"cloakroom_requests_total{method="TRACE",status="405"}"#, 1.0);
}
