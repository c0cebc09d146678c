//! First lines, targets and host names.

use super::{Arrives, Fate, NEXT, Refused, Row, raw};

fn line(name: &str, fate: Fate, line: &str) -> Row {
    raw(name, fate, format!("{line}\r\nHost: app.test\r\nRow: ROW\r\n\r\n{NEXT}"))
}

pub fn lines() -> Vec<Row> {
    let mut rows = vec![
        line("a target and no version", Refused(400), "GET /ROW"),
        raw("HTTP/0.9", Refused(400), "GET /ROW\r\n"),
        line("a version and no target", Refused(400), "GET HTTP/1.1"),
        line("two spaces in front of the target", Refused(400), "GET  /ROW HTTP/1.1"),
        line("two spaces behind the target", Refused(400), "GET /ROW  HTTP/1.1"),
        line("a tab in front of the target", Refused(400), "GET\t/ROW HTTP/1.1"),
        line("a tab behind the target", Refused(400), "GET /ROW\tHTTP/1.1"),
        line("a space at the end", Refused(400), "GET /ROW HTTP/1.1 "),
        line("a request line in the target", Refused(400), "GET /ROW HTTP/1.1 /smuggled HTTP/1.1"),
        line("a space in the target", Refused(400), "GET /ROW /smuggled HTTP/1.1"),
        line("no method", Refused(400), " /ROW HTTP/1.1"),
        line("a method of no proper form", Refused(400), "GE@T /ROW HTTP/1.1"),
        line("a method with a colon", Refused(400), "GET: /ROW HTTP/1.1"),
        line("a method in lower case", Arrives, "get /ROW HTTP/1.1"),
        line("a method nobody knows", Arrives, "BREW /ROW HTTP/1.1"),
        line("the preface and no more of it", Refused(400), "PRI * HTTP/2.0"),
        raw(
            "the preface with a request in it",
            Refused(400),
            format!("PRI * HTTP/2.0\r\n\r\n{NEXT}"),
        ),
        raw(
            "the preface of HTTP/1",
            Refused(400),
            format!("PRI * HTTP/1.1\r\nRow: ROW\r\n\r\nSM\r\n\r\n{NEXT}"),
        ),
        line("all of the server", Arrives, "OPTIONS * HTTP/1.1"),
        line("all of the server, with GET", Refused(400), "GET * HTTP/1.1"),
        line("an authority", Refused(400), "GET app.test:80 HTTP/1.1"),
        line("a name", Refused(400), "GET ROW HTTP/1.1"),
        line("a path that does not begin", Refused(400), "GET ../ROW HTTP/1.1"),
        line("a query alone", Refused(400), "GET ?/ROW HTTP/1.1"),
        line("another host in the target", Refused(400), "GET http://evil.test/ROW HTTP/1.1"),
        line("another port in the target", Refused(400), "GET http://app.test:81/ROW HTTP/1.1"),
        line(
            "somebody in front of the host",
            Refused(400),
            "GET http://app.test@evil.test/ROW HTTP/1.1",
        ),
        line(
            "somebody in front of the right host",
            Refused(400),
            "GET http://evil.test@app.test/ROW HTTP/1.1",
        ),
        line("the same host in the target", Arrives, "GET http://app.test/ROW HTTP/1.1"),
        line("the same host in capitals", Refused(400), "GET http://APP.test/ROW HTTP/1.1"),
        line("another scheme in the target", Refused(400), "GET ftp://app.test/ROW HTTP/1.1"),
        line("no host in the target", Refused(400), "GET http:///ROW HTTP/1.1"),
        line("a scheme and no more", Refused(400), "GET http:/ROW HTTP/1.1"),
        line("two slashes", Arrives, "GET //evil.test/ROW HTTP/1.1"),
        line("a fragment", Refused(400), "GET /smuggled#/ROW HTTP/1.1"),
        line("a backslash", Arrives, "GET /\\evil.test\\/ROW HTTP/1.1"),
        line("backslashes in place of slashes", Refused(400), "GET \\\\evil.test/ROW HTTP/1.1"),
        line("bytes above 0x7f", Arrives, "GET /\u{e4}/ROW HTTP/1.1"),
        line("a byte 0x7f", Refused(400), "GET /\x7f/ROW HTTP/1.1"),
        line("a line feed in the target", Refused(400), "GET /ROW\n HTTP/1.1"),
        line("an encoded request", Arrives, "GET /%20HTTP/1.1%0d%0aX-Session:forged/ROW HTTP/1.1"),
    ];
    for version in [
        "HTTP/1.2",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3.0",
        "HTTP/0.9",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1,1",
        "HTTP/1.1x",
        "HTTP/-1.1",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "ICY/1.1",
        "HTTP 1.1",
        "HTTP/ 1.1",
        "\u{ff28}TTP/1.1",
    ] {
        rows.push(line(
            &format!("the version {version:?}"),
            Refused(400),
            &format!("GET /ROW {version}"),
        ));
    }
    for method in ["TRACE", "trace", "Trace", "TRACK", "CONNECT", "connect"] {
        rows.push(line(
            &format!("the method {method}"),
            Refused(405),
            &format!("{method} /ROW HTTP/1.1"),
        ));
    }
    rows.push(line("CONNECT to an authority", Refused(405), "CONNECT app.test:80 HTTP/1.1"));
    rows
}

pub fn hosts() -> Vec<Row> {
    let head = |fields: &str| format!("GET /ROW HTTP/1.1\r\n{fields}\r\n{NEXT}");
    let mut rows = vec![
        raw("no Host", Refused(400), head("A: b\r\n")),
        raw("two Hosts", Refused(400), head("Host: app.test\r\nHost: evil.test\r\n")),
        raw(
            "the same Host twice",
            Refused(400),
            head("Host: app.test\r\nA: b\r\nhost: app.test\r\n"),
        ),
        raw(
            "a second Host behind a fold",
            Refused(400),
            head("Host: app.test\r\n Host: evil.test\r\n"),
        ),
        raw(
            "a Host with a space before the colon",
            Refused(400),
            head("Host: app.test\r\nHost : evil.test\r\n"),
        ),
        raw("a port", Arrives, head("Host: app.test:8080\r\n")),
        raw("an address of IPv6", Arrives, head("Host: [::1]:8080\r\n")),
        raw("an empty Host", Arrives, head("Host:\r\n")),
        raw("white space around the Host", Arrives, head("Host: \t app.test \t\r\n")),
        raw("HTTP/1.0 without Host", Arrives, format!("GET /ROW HTTP/1.0\r\n\r\n{NEXT}")),
        raw(
            "HTTP/1.0 without Host that is kept alive",
            Arrives,
            format!("GET /ROW HTTP/1.0\r\nConnection: keep-alive\r\n\r\n{NEXT}"),
        ),
        raw(
            "HTTP/1.0 with two",
            Refused(400),
            format!("GET /ROW HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n{NEXT}"),
        ),
        raw(
            "HTTP/1.0 with another in the target",
            Refused(400),
            format!("GET http://evil.test/ROW HTTP/1.0\r\nHost: app.test\r\n\r\n{NEXT}"),
        ),
        raw(
            "HTTP/1.0 that is kept alive",
            Arrives,
            format!("GET /ROW HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n{NEXT}"),
        ),
    ];
    for host in [
        "app.test, evil.test",
        "app.test,evil.test",
        "app.test evil.test",
        "evil.test@app.test",
        "app.test/admin",
        "app.test?a",
        "app.test#a",
        "app.test\\a",
        "http://app.test",
        "app.test:80:81",
        "app.test:",
        "app.test:x",
        "app.test:-1",
        "[::1",
        "::1]",
        "app.test\t.evil.test",
        "app.test<",
        "\"app.test\"",
        "app.test{}",
        "\u{e4}pp.test",
        "app.test;a=b\u{ff}",
        "app.test|a",
        "app.test^a",
        "app.test`a",
    ] {
        rows.push(raw(
            &format!("the Host {host:?}"),
            Refused(400),
            head(&format!("Host: {host}\r\n")),
        ));
    }
    rows
}
