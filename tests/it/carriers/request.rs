//! A request that somebody might send.

use super::dice::{Dice, TEXT, chunks};
use crate::support::mint;

pub fn request(dice: &mut Dice, is_lax: &mut bool) -> Vec<u8> {
    let methods =
        ["GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "BREW", "TRACE", "get"];
    let targets = [
        "/",
        "/a/b?c=d",
        "/admin/x",
        "/static/y",
        "//a",
        "/%2e%2e/z",
        "/a%00",
        "*",
        "http://app.test/a",
        "/\u{e4}",
    ];
    // pingora looks for `close` in the first of several fields only.
    let close = dice.pick(&[
        "Connection: close",
        "connection:  Close , X-Gone",
        "Connection: cookie,close",
        "Connection: close, content-length",
    ]);
    let (method, target) = (dice.pick(&methods), dice.pick(&targets));
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: app.test\r\n{close}\r\n").into_bytes();
    let token = format!("Cookie: a=1; session={}; b=2", mint(r#"{"n":1,"user":{"id":7}}"#));
    let fields = [
        &token,
        "Cookie: session=forged",
        "cookie:c=d",
        "Cookie: e=\u{e4}",
        "X-Session: {\"a\":1}",
        "x_session: 1",
        "X.Session: 2",
        "X-Session-Save: {}",
        "X-Remote-User: root",
        "Accept: text/html",
        "Accept: application/json",
        "X-Request-Id: my-id",
        "X-Forwarded-For: 1.2.3.4",
        "X_Forwarded_For: 1.2.3.4",
        "Forwarded: for=1.2.3.4",
        "TE: trailers",
        "X-Gone: 1",
        "Keep-Alive: timeout=5",
        "Proxy: http://evil",
        "Proxy-Connection: keep-alive",
        "Origin: http://evil.test",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Dest: image",
        "Sec-Fetch-Mode: navigate",
        "A:b",
        "A: b ",
        "A:  spaced  out \t",
        "Empty:",
        "Empty: ",
        "B: \u{ff}",
        "Odd_Name: x",
        "Transfer_Encoding: chunked",
        "Expect: 100-continue",
        "Upgrade: h2c",
        "Signature: sig1=:x:",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "Content-Type: text/plain",
        "Range: bytes=0-1",
        "If-None-Match: \"x\"",
        "Via: 1.1 x",
        "Max-Forwards: 1",
        "Connection: X-Gone",
        "Connection: cookie, A",
        "Connection: content-length",
        "Connection: x-session",
        "Host: two.test",
        "No colon",
        "B: \u{1}",
        "C : d",
    ];
    for _ in 0..dice.roll(8) {
        // The last are refused: seldom.
        let most = if dice.roll(6) == 0 { fields.len() } else { fields.len() - 4 };
        head.extend_from_slice(fields[dice.roll(most)].as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match dice.roll(5) {
        0 => {
            let length = dice.roll(TEXT.len());
            head.extend_from_slice(
                format!("Content-Length: {length}\r\n\r\n{}", &TEXT[..length]).as_bytes(),
            );
        }
        1 => {
            let chunks = chunks(dice, is_lax);
            head.extend_from_slice(
                format!("Transfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes(),
            );
        }
        2 if dice.roll(4) == 0 => {
            let framing = dice.pick(&[
                "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "Transfer-Encoding: gzip\r\n\r\n",
                "Content-Length: +3\r\n\r\nabc",
                "Content-Length: 10\r\n\r\nabc",
            ]);
            head.extend_from_slice(framing.as_bytes());
        }
        _ => head.extend_from_slice(b"\r\n"),
    }
    head
}
