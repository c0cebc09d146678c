//! What an app might answer.

use super::dice::{Dice, TEXT, chunks};

/// Its bytes, and whether the app ends its connection behind them.
pub fn answer(dice: &mut Dice, is_lax: &mut bool) -> (Vec<u8>, bool) {
    let mut bytes = String::new();
    if dice.roll(8) == 0 {
        bytes.push_str("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Session-Save: {}\r\n\r\n");
    }
    let version = if dice.roll(8) == 0 { "1.0" } else { "1.1" };
    let status = dice.pick(&[
        "200 OK",
        "200 OK",
        "200 OK",
        "201 Made",
        "204 No Content",
        "304 Not Modified",
        "302 Found",
        "404 Not here",
        "500 Oh",
        "299",
        "999 X",
    ]);
    bytes.push_str(&format!("HTTP/{version} {status}\r\n"));
    let fields = [
        "X-Session-Save: {\"n\":2}",
        "X-Session-Save: {\"n\":2}",
        "X-Session-Save: {\"n\":3}",
        "X-Session-Save: broken",
        "X-Session-Delete: 1",
        "X-Session-Merge: {\"m\":1}",
        "X-Session-Renew: 1",
        "x-session-unknown: 1",
        "X-Session: {}",
        "X_Session: {}",
        "Set-Cookie: session=x; Path=/",
        "Set-Cookie: a=b",
        "set-cookie: c=d; HttpOnly",
        "Vary: Accept",
        "Vary: X-Session, Origin",
        "Cache-Control: public, max-age=60",
        "Surrogate-Control: max-age=5",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "Connection: close",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Server: x",
        "A:b",
        "A: b ",
        "A:  c  ",
        "Empty:",
        "B: \u{ff}",
        "ETag: \"x\"",
        "Location: /login",
        "Trailer: B",
        "Upgrade: h2c",
        "A : d",
        "C: e\r\n  folded\r\n\tmore",
        "D:\r\n folded",
        "bad name: x",
        "E: f\rg",
        "no colon",
    ];
    for _ in 0..dice.roll(7) {
        let most = if dice.roll(8) == 0 { fields.len() } else { fields.len() - 3 };
        bytes.push_str(fields[dice.roll(most)]);
        bytes.push_str("\r\n");
    }
    let mut ends = version == "1.0";
    match dice.roll(6) {
        0 | 1 => {
            let length = dice.roll(TEXT.len());
            bytes.push_str(&format!("Content-Length: {length}\r\n\r\n{}", &TEXT[..length]));
        }
        2 | 3 => {
            *is_lax |= version == "1.0";
            let chunks = chunks(dice, is_lax);
            bytes.push_str(&format!("Transfer-Encoding: chunked\r\n\r\n{chunks}"));
        }
        4 => {
            ends = true;
            bytes.push_str(&format!("\r\n{TEXT}"));
        }
        _ => {
            let (framing, lax) = [
                ("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", false),
                (
                    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                    true,
                ),
                ("Transfer-Encoding: gzip\r\n\r\nabc", true),
                ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false),
                ("Content-Length: +3\r\n\r\nabc", false),
                ("Content-Length: 10\r\n\r\nabc", false),
                ("Content-Length: 3\n\r\nabc", true),
                ("Content-Length: 3\r\n\nabc", true),
                ("Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ][dice.roll(9)];
            *is_lax |= lax;
            ends = true;
            bytes.push_str(framing);
        }
    }
    let bytes = bytes.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    (bytes, ends)
}
