//! Chunks and the bytes after them.

use super::{Arrives, BreaksOff, Fate, NEXT, Row, post};

fn chunked(name: &str, fate: Fate, body: &str) -> Row {
    post(name, fate, "Transfer-Encoding: chunked\r\n", body)
}

pub fn chunks() -> Vec<Row> {
    let whole = |size: &str| format!("{size}\r\nhello\r\n0\r\n\r\n");
    let mut rows = vec![
        chunked("a plain chunk", Arrives, &whole("5")),
        chunked("zeros in front of the size", Arrives, &whole("00000005")),
        chunked("an extension", Arrives, &whole("5;a=b")),
        chunked("an extension in quotes", Arrives, &whole("5;a=\"b;\\\"\"")),
        chunked("a bare CR in an extension", BreaksOff, &whole("5;a=\"b\rc\"")),
        chunked("a line end in quotes", BreaksOff, &whole("5;a=\"b\r\n\"")),
        chunked("an extension with a line feed", Fate::lax(), &whole("5;a\nb")),
        chunked("a huge extension", BreaksOff, &whole(&format!("5;{}", "x".repeat(100_000)))),
        chunked("a last chunk of several zeros", Arrives, "5\r\nhello\r\n000\r\n\r\n"),
        chunked("a last chunk with an extension", Arrives, "5\r\nhello\r\n0;a=b\r\n\r\n"),
        chunked("no line end behind a chunk", BreaksOff, "5\r\nhello0\r\n\r\n"),
        chunked("a bare LF behind a chunk", BreaksOff, "5\r\nhello\n0\r\n\r\n"),
        chunked("a bare CR behind a chunk", BreaksOff, "5\r\nhello\r0\r\n\r\n"),
        chunked("two bytes of another kind behind a chunk", BreaksOff, "5\r\nhelloxx0\r\n\r\n"),
        chunked("more in a chunk than it says", BreaksOff, "3\r\nhello\r\n0\r\n\r\n"),
        chunked("less in a chunk than it says", BreaksOff, "6\r\nhello\r\n0\r\n\r\n"),
        // pingora reads a missing size as 0, and what follows as trailers.
        chunked("no size", Fate::lax(), "\r\nhello\r\n0\r\n\r\n"),
        chunked("an extension without a size", Fate::lax(), ";a\r\nhello\r\n0\r\n\r\n"),
        chunked("a bare LF behind a size", BreaksOff, "5\nhello\r\n0\r\n\r\n"),
        chunked("a bare CR behind a size", BreaksOff, "5\rhello\r\n0\r\n\r\n"),
        chunked("a bare CR and a line end behind a size", BreaksOff, "5\r\r\nhello\r\n0\r\n\r\n"),
        chunked("no body at all", BreaksOff, ""),
        chunked("no last chunk", BreaksOff, "5\r\nhello\r\n"),
        chunked("a last chunk that ends in LF LF", BreaksOff, "5\r\nhello\r\n0\n\n"),
        chunked("a last chunk that ends in CR LF LF", BreaksOff, "5\r\nhello\r\n0\r\n\n"),
        chunked("a last chunk that ends in CR LF CR", BreaksOff, "5\r\nhello\r\n0\r\n\r"),
    ];
    for size in [
        "0x5",
        "0X5",
        "5h",
        "5_",
        "+5",
        "-5",
        "-1",
        " 5",
        "\t5",
        "5 5",
        "5,",
        "5:",
        "\"5\"",
        "\x0b5",
        "5\x0b",
        "\u{ff15}",
        "5\0",
        "ffffffffffffffff",
        "7fffffffffffffff",
        "8000000000000000",
        "10000000000000005",
        "fffffffffffffffffffffffb",
    ] {
        rows.push(chunked(&format!("the size {size:?}"), BreaksOff, &whole(size)));
    }
    rows
}

pub fn trailers() -> Vec<Row> {
    let length = format!("Content-Length: {}", NEXT.len());
    let mut rows = Vec::new();
    for trailer in [
        "A: b",
        length.as_str(),
        "Transfer-Encoding: chunked",
        "Host: evil.test",
        "Cookie: session=forged",
        "X-Session: {\"forged\":1}",
        "x_session: {\"forged\":1}",
        "Upgrade: h2c",
    ] {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n");
        rows.push(chunked(&format!("the trailer {trailer:?}"), Arrives, &body));
    }
    for trailer in ["A: b\nC: d", "A: b\rC: d", "A: b\n"] {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n");
        rows.push(chunked(&format!("the trailer {trailer:?}"), BreaksOff, &body));
    }
    // pingora reads the lines of the next request as trailers, whose end ends the body.
    rows.push(chunked("no line end behind the last chunk", Fate::lax(), "5\r\nhello\r\n0\r\n"));
    rows
}
