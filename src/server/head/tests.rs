use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    head_bytes: 200,
    cookie_bytes: 300,
    request_line_bytes: 60,
    header_fields: 3,
    connections: 1,
    body_bytes: None,
};

fn verdict(head: &[u8]) -> Progress {
    Scan::new(LIMITS).advance(head)
}

#[test]
fn a_plain_head_is_complete_at_its_empty_line() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost:\r\nA:b:c\r\nB: \u{e4}\r\n\r\n",
        "POST /%20?a='{|} HTTP/1.1\r\nHost: a\r\n\r\nbody\0\n",
        "GET HTTP://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(verdict(head.as_bytes()), Progress::Complete, "{head:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\r\n",
        "GET /\0 HTTP/1.1\r\n",
        "GET /\t HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET * HTTP/1.1\r\n",
        "GET a:80 HTTP/1.1\r\n",
        "GET a HTTP/1.1\r\n",
        "GET ?a HTTP/1.1\r\n",
        "GET ../a HTTP/1.1\r\n",
        "GET ftp://a/ HTTP/1.1\r\n",
        "GET /a#b HTTP/1.1\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        " GET / HTTP/1.1\r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1.2\r\n",
        "GET / HTTP/11\r\n",
        "GET /\r\n",
        "GE(T / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n",
        "GET / HTTP/1.1\r\nHost\r\n",
        "GET / HTTP/1.1\r\n: a\r\n",
        "GET / HTTP/1.1\r\nX\u{e4}: a\r\n",
    ] {
        assert_eq!(verdict(head.as_bytes()), Progress::Refused(400), "{head:?}");
    }
}

#[test]
fn what_pingora_would_refuse_is_refused_before() {
    for head in [
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhOST:\r\n",
        "Host: u@a\r\n",
        "A: b\u{1}\r\n",
        "A: b\u{7f}\r\n",
        "A: \u{b}b\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5\r\ncontent-length: 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        let head = format!("POST / HTTP/1.1\r\n{head}\r\n");
        assert_eq!(verdict(head.as_bytes()), Progress::Refused(400), "{head:?}");
    }
    for head in [
        &b"GET /\xe4 HTTP/1.1\r\n\r\n"[..],
        b"GET /?a=<> HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let text = String::from_utf8_lossy(head);
        assert_eq!(verdict(head), Progress::Refused(400), "{text:?}");
    }
    for head in [
        "GET / HTTP/1.1\r\nHost: \ta \r\nContent-Length:\t0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED \r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: \ta \r\n\r\n",
        "GET http://a HTTP/1.0\r\n\r\n",
        "GET /\u{e4}[|] HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(verdict(head.as_bytes()), Progress::Complete, "{head:?}");
    }
}

#[test]
fn control_characters_are_found_wherever_they_are() {
    for length in 0..40 {
        let mut bytes = vec![b'\xe4'; length];
        assert_eq!(plain_bytes(&bytes), length);
        for at in 0..length {
            for control in [0, 9, 31, 127] {
                bytes[at] = control;
                assert_eq!(plain_bytes(&bytes), at);
                bytes[at] = b' ';
            }
        }
    }
}

#[test]
fn all_cookies_are_one_field() {
    let head = |cookies: usize, others: usize| {
        let (cookies, others) = ("Cookie: a=b\r\n".repeat(cookies), "A: b\r\n".repeat(others));
        format!("GET / HTTP/1.1\r\n{cookies}{others}\r\n")
    };
    for (cookies, others, verdict_of_it) in [
        (0, 3, Progress::Complete),
        (20, 2, Progress::Complete),
        (1, 3, Progress::Refused(431)),
        (20, 3, Progress::Refused(431)),
    ] {
        assert_eq!(verdict(head(cookies, others).as_bytes()), verdict_of_it);
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_has_arrived() {
    let line = |bytes| format!("GET /{} HTTP/1.1", "x".repeat(bytes));
    let long = line(60);
    assert_eq!(verdict(long.as_bytes()), Progress::Refused(414));
    assert_eq!(verdict(&long.as_bytes()[..60]), Progress::More);
    let field = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(200));
    assert_eq!(verdict(field.as_bytes()), Progress::Refused(431));
    let fields = |count| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(verdict(fields(3).as_bytes()), Progress::Complete);
    assert_eq!(verdict(fields(4).as_bytes()), Progress::Refused(431));
    assert_eq!(verdict("\r\n".repeat(101).as_bytes()), Progress::Refused(414));
}

#[test]
fn cookies_have_a_limit_of_their_own() {
    let head = |cookie: usize, other: usize| {
        let (cookie, other) = ("c".repeat(cookie), "o".repeat(other));
        format!("GET / HTTP/1.1\r\nA: {other}\r\ncOOKIE: {cookie}\r\nB: {other}\r\n\r\n")
    };
    assert_eq!(verdict(head(290, 10).as_bytes()), Progress::Complete);
    assert_eq!(verdict(head(299, 10).as_bytes()), Progress::Refused(431));
    assert_eq!(verdict(head(290, 90).as_bytes()), Progress::Refused(431));
    assert_eq!(verdict(head(10, 70).as_bytes()), Progress::Complete);
    // Not before the limit is reached.
    let long = head(400, 10);
    assert_eq!(verdict(&long.as_bytes()[..300]), Progress::More);
    assert_eq!(verdict(&long.as_bytes()[..400]), Progress::Refused(431));
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_a_head_arrives(
        head in "(GET|P\u{0}) (/|http://)a? HTTP/1.[01]\r?\n((A|Host|Cookie): [ab:\r]{0,3}\r\n){0,4}\r\n.{0,5}",
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = head.as_bytes();
        let mut scan = Scan::new(LIMITS);
        let mut pieces = scan.advance(&bytes[..cut.index(bytes.len())]);
        if pieces == Progress::More {
            pieces = scan.advance(bytes);
        }
        prop_assert_eq!(pieces, verdict(bytes));
    }
}
