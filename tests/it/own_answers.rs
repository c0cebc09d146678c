//! The sidecar itself answers invalid requests, with a trace: a short body with the request's id,
//! no name of a library, an access line, and a count.

use std::time::Duration;

use serde_json::Value;

use crate::support::frames::{self, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS};
use crate::support::{Backend, Client, Protocol, Request, Sidecar, WAIT};

/// Requests that are answered with 400. `\u{ff}` stands for the byte 0xe4.
const MALFORMED: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nhost: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a@a.test\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\x01c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\x7fc\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\x0bc\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\x1f\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\0c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA : b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\r\n c\r\n\r\n",
    "GET / HTTP/1.1\nHost: a.test\n\n",
    "GET /\u{ff} HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /?\u{ff} HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /\x7f HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /\t HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "M-SEARCH /\u{ff} HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "G\u{ff}T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://A.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://b.test/ HTTP/1.0\r\nHost: a.test\r\n\r\n",
    "GET http://a@b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n",
    "GET http:// HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http:///a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://a.test\\b/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://[::1/ HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "GET https://a.test:x/ HTTP/1.1\r\nHost: a.test:x\r\n\r\n",
    "CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "CONNECT a@b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n",
    "CONNECT b.test:443:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5, 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5x\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \u{ff}\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length:\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Host\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x-forwarded-for\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, :authority\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: \"close\"\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: a\r\nConnection: b,c,d,e,f,g,h,i,j,k\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nTransfer_Encoding: chunked\r\n\r\n",
    "\r\n\r\nGET /\u{ff} HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "\u{1}\r\n\r\n",
    "\u{ff}\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSMALL\r\n\r\n",
];

fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|c| if c == '\u{ff}' { 0xe4 } else { u8::try_from(c).unwrap() }).collect()
}

/// What is wrong with an answer of the sidecar.
fn faults_of(answer: &str, line: &Value) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let id = field("X-Request-Id").unwrap_or_default();
    let is_own = head.starts_with("HTTP/1.1 400 ")
        && !id.is_empty()
        && body == format!("400 The request is malformed.\nrequest {id}\n")
        && field("Server").is_none()
        && field("Set-Cookie").is_none();
    let is_logged = line["request_id"] == id && line["status"] == 400;
    (!is_own || !is_logged).then(|| format!("{answer:?}, logged: {line}"))
}

#[test]
fn every_request_that_cannot_be_parsed_is_answered_logged_and_counted() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut faults = Vec::new();
    for (number, text) in MALFORMED.iter().enumerate() {
        let mut client = sidecar.connect();
        client.send(bytes_of(text));
        let (answer, ended) = client.rest_or_silence(WAIT);
        let answer = String::from_utf8_lossy(&answer);
        if !answer.contains("X-Request-Id") || !ended {
            faults.push(format!("{text:?}: {answer:?}, ended: {ended}"));
            continue;
        }
        let line = sidecar.access_lines(number + 1 - faults.len()).pop().unwrap_or_default();
        faults.extend(faults_of(&answer, &line).map(|fault| format!("{text:?}: {fault}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(backend.received().is_empty());
    let counted = sidecar.metrics().text.clone();
    let counted: f64 = counted
        .lines()
        .filter(|line| {
            line.starts_with("cloakroom_requests_total{") && line.contains("status=\"400\"")
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    assert!((counted - MALFORMED.len() as f64).abs() < 0.5, "{counted} of {}", MALFORMED.len());
    assert!(!sidecar.log().contains("Fail to proxy"), "{}", sidecar.log());
}

#[test]
fn odd_but_proper_requests_arrive() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (text, target) in [
        ("GET /\u{c3}\u{a9} HTTP/1.1\r\nHost: a.test\r\n\r\n", "/\u{e9}"),
        ("\r\n\r\nGET /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "/a"),
        ("GET http://a.test/a?b HTTP/1.1\r\nHost: a.test\r\n\r\n", "http://a.test/a?b"),
        ("M-SEARCH /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "/a"),
        ("GET /a HTTP/1.1\r\nHost: a.test\r\nA:\tb\tc\u{ff}\t\r\n\r\n", "/a"),
        ("GET /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n", "/a"),
        ("GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, TE\r\n\r\n", "/a"),
    ] {
        let mut client = sidecar.connect();
        client.send(bytes_of(text));
        assert_eq!(client.receive("GET").status(), 200, "{text:?}");
        assert_eq!(backend.last().target(), target, "{text:?}");
    }
}

/// A GET of this path over HTTP/2 with these fields more, as it is sent.
fn over_http_2(path: &[u8], more: frames::Fields<'_>) -> Vec<u8> {
    let fields: Vec<(&[u8], &[u8])> = [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", path),
    ]
    .into_iter()
    .chain(more.iter().copied())
    .collect();
    let mut bytes = PREFACE.to_vec();
    // Other than by default, the encoder's table has no room, which its first block says.
    frames::frame(&mut bytes, SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
    frames::frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 1, &frames::block(&fields));
    bytes
}

/// Reads an answer over HTTP/2 to its end: this message, and the request's id as in the access line.
#[track_caller]
fn receive_own(client: &mut Client, message: &str, line: &Value) {
    let id = line["request_id"].as_str().unwrap();
    let body = format!("{message}\nrequest {id}\n");
    let mut answer = Vec::new();
    while !answer.ends_with(body.as_bytes()) {
        let some = client.some();
        assert!(!some.is_empty(), "ended after {answer:?}, logged: {line}");
        answer.extend(some);
    }
}

/// pingora answers some by itself, with an empty 400.
#[test]
fn malformed_requests_of_http_2_are_answered_like_those_of_http_1() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let cases: [(&[u8], frames::Fields<'_>); 6] = [
        (b"/", &[(b"host", b"evil.test")]),
        (b"/", &[(b"host", b"a"), (b"host", b"b")]),
        (b"/", &[(b"host", b"u@app.test")]),
        (b"/", &[(b"content-length", b"0"), (b"content-length", b"0")]),
        (b"?a", &[]),
        (b"*", &[]),
    ];
    for (index, (path, more)) in cases.into_iter().enumerate() {
        let mut client = sidecar.connect();
        client.send(over_http_2(path, more));
        let line = sidecar.access_lines(index + 1).remove(index);
        assert_eq!(line["status"], 400, "{path:?} {more:?}");
        assert_eq!(line["protocol"], "HTTP/2.0");
        receive_own(&mut client, "400 The request is malformed.", &line);
    }
    assert!(backend.received().is_empty());
    let of = |method| {
        sidecar.count(&format!(r#"cloakroom_requests_total{{method="{method}",status="400"}}"#))
    };
    assert!((of("GET") + of("other") - cases.len() as f64).abs() < 0.5);
}

/// `h2` would answer nothing but 431. The second time its encoder has that in a table.
#[test]
fn heads_of_http_2_far_above_the_limits_are_answered_like_others() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend)
        .with("[limits]\nhead_bytes = 2048\ncookie_bytes = 2048\nheader_fields = 8")
        .start();
    let mut client = sidecar.connect();
    let long = [b'x'; 100];
    let many = vec![(&b"a"[..], &long[..]); 500];
    let mut bytes = PREFACE.to_vec();
    frames::frame(&mut bytes, SETTINGS, 0, 0, &[]);
    client.send(&bytes);
    for index in 0..2 {
        let fields = [&[(&b":method"[..], &b"GET"[..])][..], &many].concat();
        let block = frames::block(&fields);
        let (first, rest) = block.split_at(16_000);
        let pieces: Vec<&[u8]> = rest.chunks(16_000).collect();
        let stream = 2 * u32::try_from(index).unwrap() + 1;
        let mut bytes = Vec::new();
        frames::frame(&mut bytes, HEADERS, END_STREAM, stream, first);
        for (number, piece) in pieces.iter().enumerate() {
            let is_last = number + 1 == pieces.len();
            let flags = if is_last { END_HEADERS } else { 0 };
            frames::frame(&mut bytes, frames::CONTINUATION, flags, stream, piece);
        }
        client.send(&bytes);
        let line = sidecar.access_lines(index + 1).remove(index);
        assert_eq!((&line["status"], &line["protocol"]), (&431.into(), &"HTTP/2.0".into()));
        receive_own(&mut client, "431 The request headers are too large.", &line);
    }
    sidecar.counts(r#"cloakroom_requests_total{method="other",status="431"}"#, 2.0);
}

/// By `h2` or by pingora: the stream is reset, or the connection ends.
#[test]
fn requests_of_http_2_that_are_refused_without_an_answer_leave_a_trace() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let cases: [(&[u8], frames::Fields<'_>); 12] = [
        (b"/", &[(b"transfer-encoding", b"chunked")]),
        (b"/", &[(b"connection", b"close")]),
        (b"/", &[(b"content-length", b"x")]),
        (b"/", &[(b"content-length", b"0"), (b"content-length", b"1")]),
        (b"/", &[(b":path", b"/admin")]),
        (b"/", &[(b"a", b"b\0c")]),
        (b"/", &[(b"a", b"b\r\nc: d")]),
        (b"/", &[(b"A", b"b")]),
        (b"", &[]),
        (b"/a b", &[]),
        (b"/\xe4", &[]),
        (b"http://app.test/", &[]),
    ];
    for (index, (path, more)) in cases.into_iter().enumerate() {
        let mut client = sidecar.connect();
        client.send(over_http_2(path, more));
        let line = sidecar.access_lines(index + 1).remove(index);
        assert_eq!(
            (&line["status"], &line["bytes"]),
            (&400.into(), &0.into()),
            "{path:?} {more:?}"
        );
        assert_eq!(line["protocol"], "HTTP/2.0");
    }
    assert!(backend.received().is_empty());
    let series = r#"cloakroom_requests_total{method="other",status="400"}"#;
    sidecar.counts(series, cases.len() as f64);
}

/// Otherwise they would occupy a connection forever.
#[test]
fn connection_of_http_2_with_nothing_but_malformed_requests_ends() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut bytes = PREFACE.to_vec();
    frames::frame(&mut bytes, SETTINGS, 0, 0, &[]);
    let fields: frames::Fields<'_> = &[
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", b"/"),
        (b"host", b"evil.test"),
    ];
    for stream in 0..40 {
        let block = frames::block(fields);
        frames::frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, &block);
    }
    let mut client = sidecar.connect();
    client.send(bytes);
    assert!(client.rest_or_silence(Duration::from_secs(5)).1);
    sidecar.counts(r#"cloakroom_requests_total{method="other",status="400"}"#, 32.0);
    assert!(backend.received().is_empty());
}

#[test]
fn schemes_that_are_not_of_http_are_refused_over_http_2() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (number, scheme) in [&b""[..], b"ftp", b"javascript", b"ws"].iter().enumerate() {
        let fields: frames::Fields<'_> = &[
            (b":method", b"GET"),
            (b":scheme", scheme),
            (b":authority", b"app.test"),
            (b":path", b"/"),
        ];
        frames::exchange(sidecar.address(), fields, b"", &[]);
        let line = sidecar.access_lines(number + 1).remove(number);
        assert_eq!((&line["status"], &line["method"]), (&400.into(), &"GET".into()), "{scheme:?}");
    }
    assert!(backend.received().is_empty());
    for protocol in [Protocol::H2c, Protocol::Http11] {
        assert_eq!(sidecar.send_over(protocol, &Request::get("/")).status(), 200);
    }
}
