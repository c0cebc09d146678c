//! Repeated or unusual lengths, and malformed field lines.

use super::{Arrives, BreaksOff, NEXT, Refused, Row, get, post, raw};

pub fn framing() -> Vec<Row> {
    // One reader takes the rest as the body, another one as the next request.
    let covering = format!("Content-Length: {}\r\n", 5 + NEXT.len());
    let mut rows = vec![
        post(
            "CL.TE",
            Refused(400),
            format!("{covering}Transfer-Encoding: chunked\r\n"),
            "0\r\n\r\n",
        ),
        post(
            "TE.CL",
            Refused(400),
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "8d\r\n",
        ),
        post(
            "CL.TE, other case",
            Refused(400),
            "cOnTeNt-LeNgTh: 0\r\ntRaNsFeR-eNcOdInG: CHUNKED\r\n",
            "0\r\n\r\n",
        ),
        post(
            "CL.TE, empty coding",
            Refused(400),
            "Content-Length: 5\r\nTransfer-Encoding:\r\n",
            "hello",
        ),
        post(
            "TE.TE, nonsense first",
            Refused(400),
            "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE.TE, nonsense last",
            Refused(400),
            "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
            "0\r\n\r\n",
        ),
        post(
            "two lengths far apart",
            Refused(400),
            "Content-Length: 0\r\nA: b\r\nC: d\r\nContent-Length: 5\r\n",
            "hello",
        ),
        post(
            "two lengths, the same",
            Refused(400),
            "Content-Length: 5\r\ncontent-length: 5\r\n",
            "hello",
        ),
        post(
            "TE with a space before the colon",
            Refused(400),
            "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE with a tab before the colon",
            Refused(400),
            "Content-Length: 5\r\nTransfer-Encoding\t: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE behind a space",
            Refused(400),
            "Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE behind a bare LF",
            Refused(400),
            "Content-Length: 5\r\nA: b\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE behind a bare CR",
            Refused(400),
            "Content-Length: 5\r\nA: b\rTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE behind a NUL",
            Refused(400),
            "Content-Length: 5\r\n\0Transfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE in the next line",
            Refused(400),
            "Transfer-Encoding:\r\n chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "TE in a folded line",
            Refused(400),
            "A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
        ),
        post(
            "names that are read as TE by some",
            Refused(400),
            "Content-Length: 5\r\nTransfer_Encoding: chunked\r\nTransfer.Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "names that are read as CL by some",
            Refused(400),
            "Content-Length: 5\r\nContent_Length: 0\r\n",
            "hello",
        ),
        post(
            "TE with a tab before the value",
            Arrives,
            "Transfer-Encoding:\tchunked\r\n",
            "0\r\n\r\n",
        ),
        post("TE in capitals", Arrives, "TRANSFER-ENCODING: CHUNKED \r\n", "0\r\n\r\n"),
        raw(
            "TE of HTTP/1.0",
            Refused(400),
            format!(
                "POST /ROW HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}"
            ),
        ),
        raw(
            "CL.TE of HTTP/1.0",
            Refused(400),
            format!(
                "POST /ROW HTTP/1.0\r\nConnection: keep-alive\r\n{covering}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}"
            ),
        ),
    ];
    for coding in [
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunk",
        "chunked,",
        ",chunked",
        ", chunked",
        "identity, chunked",
        "chunked, identity",
        "gzip, chunked",
        "chunked chunked",
        "chunked\x0b",
        "\x0cchunked",
        "chunked\x01",
        "\u{ff}chunked",
        "chun ked",
        "x: chunked",
        "trailers",
    ] {
        let fields = format!("Content-Length: 5\r\nTransfer-Encoding: {coding}\r\n");
        rows.push(post(
            &format!("CL and the coding {coding:?}"),
            Refused(400),
            fields,
            "0\r\n\r\n",
        ));
        let fields = format!("Transfer-Encoding: {coding}\r\n");
        rows.push(post(&format!("the coding {coding:?}"), Refused(400), fields, "0\r\n\r\n"));
    }
    for length in [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5;",
        "5.0",
        "5e0",
        "\"5\"",
        "5_",
        "5 5",
        "5\t5",
        "5,5",
        "5,",
        ",5",
        "5\x0b",
        "\x0c5",
        "\u{665}",
        "five",
        "",
        "5h",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999999999",
    ] {
        let fields = format!("Content-Length: {length}\r\n");
        rows.push(post(&format!("the length {length:?}"), Refused(400), fields, "hello"));
    }
    rows.extend([
        post("a length with zeros in front", Arrives, "Content-Length: 00005\r\n", "hello"),
        post("a length with a tab in front", Arrives, "Content-Length:\t5 \r\n", "hello"),
        // Equal to 5 in 32 bits.
        post("a length of 33 bits", BreaksOff, "Content-Length: 4294967301\r\n", "hello"),
        post("a length of 63 bits", BreaksOff, "Content-Length: 9223372036854775807\r\n", "hello"),
    ]);
    rows
}

pub fn form() -> Vec<Row> {
    let mut rows = vec![
        get("a name of nothing", Refused(400), ": b\r\n"),
        get("no colon", Refused(400), "X-Session\r\n"),
        get("a first field behind a space", Refused(400), " A: b\r\n"),
        get("a first field behind a tab", Refused(400), "\tA: b\r\n"),
        get("a folded field", Refused(400), "A: b\r\n c\r\n"),
        get("a line of nothing but space", Refused(400), "A: b\r\n \r\n"),
        get("an end of CR LF LF", Refused(400), "A: b\r\n\n"),
        get("an end of LF LF", Refused(400), "A: b\n\n"),
        get("an end of LF CR LF", Refused(400), "A: b\n\r\n"),
        get("an end of CR CR LF", Refused(400), "A: b\r\r\n"),
        get("a head within a head", Refused(400), "A: b\n\nGET /smuggled/ROW HTTP/1.1\r\n"),
        raw(
            "bare LF all over",
            Refused(400),
            "GET /ROW HTTP/1.1\nHost: a\n\nGET /smuggled/ROW HTTP/1.1\nHost: a\n\n",
        ),
        raw(
            "bare CR all over",
            Refused(400),
            "GET /ROW HTTP/1.1\rHost: a\r\rGET /smuggled/ROW HTTP/1.1\rHost: a\r\r\n\r\n",
        ),
        raw(
            "a bare LF in front",
            Refused(400),
            format!("\nGET /ROW HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"),
        ),
        raw(
            "a space in front",
            Refused(400),
            format!(" GET /ROW HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"),
        ),
        raw(
            "a line of space in front",
            Refused(400),
            format!(" \r\nGET /ROW HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"),
        ),
        raw(
            "empty lines in front",
            Arrives,
            format!("\r\n\r\nGET /ROW HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"),
        ),
    ];
    // Servers end a line, name or value at these bytes, others do not.
    for byte in [0, 1, 8, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x1c, 0x1f, 0x7f] {
        for (place, before, after) in [
            ("in a name", &b"X"[..], &b"Y: b\r\n"[..]),
            ("at the end of a name", b"A", b": b\r\n"),
            ("in a value", b"A: b", b"X-Session: {}\r\n"),
            ("at the start of a value", b"A:", b"b\r\n"),
            ("at the end of a value", b"A: b", b"\r\n"),
        ] {
            let fields = [before, &[byte], after].concat();
            rows.push(get(&format!("the byte {byte:#04x} {place}"), Refused(400), fields));
        }
    }
    for byte in [
        b' ', b'\t', b'"', b'(', b')', b',', b'/', b';', b'<', b'=', b'@', b'[', b'{', 0x80, 0xa0,
        0xe4, 0xff,
    ] {
        let fields = [b"X", &[byte][..], b"Session: {\"forged\":1}\r\n"].concat();
        rows.push(get(&format!("the byte {byte:#04x} in a name"), Refused(400), fields));
    }
    for byte in [b'\t', 0x80, 0x85, 0xa0, 0xff] {
        let fields = [b"A: b", &[byte][..], b"c\r\n"].concat();
        rows.push(get(&format!("the byte {byte:#04x} in a value"), Arrives, fields));
    }
    rows
}
