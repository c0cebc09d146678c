//! Valid or nearly valid requests, with bytes after them that are not a request.

use super::{Alone, Arrives, BreaksOff, NEXT, Refused, Row, get, post, raw, request};

pub fn rows() -> Vec<Row> {
    let body = |length: usize| format!("Content-Length: {length}\r\n");
    let websocket = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nUpgrade: websocket\r\n";
    let h2c = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let mut rows = vec![
        get("a second request", Arrives, ""),
        get("a second request behind a close", Alone, "Connection: close\r\n"),
        post("a second request behind a body", Arrives, body(5), "hello"),
        post("a second request behind a body of nothing", Arrives, body(0), ""),
        post("a second request behind a POST without a length", Arrives, "", ""),
        post("a second request as the body", Arrives, body(NEXT.len()), NEXT),
        post("a body that takes half of the second request", Arrives, body(10), ""),
        post("a body that wants more than there is", BreaksOff, body(5000), "hello"),
        post(
            "an expectation, and no body",
            Arrives,
            format!("Expect: 100-continue\r\n{}", body(5)),
            "",
        ),
        raw(
            "an expectation, and nothing at all",
            BreaksOff,
            format!("POST /ROW HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{}\r\n", body(5)),
        ),
        post(
            "an expectation in other words",
            Arrives,
            format!("Expect: 100-Continue, 200-ok\r\n{}", body(5)),
            "hello",
        ),
        get("an expectation without a body", Arrives, "Expect: 100-continue\r\n"),
        get("h2c", Arrives, format!("{h2c}Connection: Upgrade, HTTP2-Settings\r\n")),
        get("h2c, half of it named", Arrives, format!("{h2c}Connection: Upgrade\r\n")),
        get("h2c, none of it named", Arrives, h2c),
        post(
            "h2c with a body",
            Arrives,
            format!("{h2c}Connection: Upgrade, HTTP2-Settings\r\n{}", body(5)),
            "hello",
        ),
        get(
            "h2c, then websocket",
            Arrives,
            format!("{websocket}Upgrade: h2c\r\nConnection: Upgrade\r\n"),
        ),
        get("h2c and websocket", Arrives, "Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n"),
        get("websocket", Arrives, format!("{websocket}Connection: Upgrade\r\n")),
        get("websocket, not named", Arrives, websocket),
        get(
            "websocket in another version",
            Arrives,
            format!("{}Connection: upgrade\r\n", websocket.replace("13", "777")),
        ),
        get(
            "websocket with a body",
            Arrives,
            format!("{websocket}Connection: Upgrade\r\n{}", body(0)),
        ),
        post(
            "websocket with POST",
            Arrives,
            format!("{websocket}Connection: Upgrade\r\n{}", body(5)),
            "hello",
        ),
        post(
            "websocket with chunks",
            Arrives,
            format!("{websocket}Connection: Upgrade\r\nTransfer-Encoding: chunked\r\n"),
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        raw(
            "websocket of HTTP/1.0",
            Alone,
            format!("GET /ROW HTTP/1.0\r\nHost: a\r\n{websocket}Connection: Upgrade\r\n\r\n{NEXT}"),
        ),
        get("an upgrade to TLS", Arrives, "Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n"),
        get("an upgrade to HTTP/1.1", Arrives, "Upgrade: HTTP/1.1\r\nConnection: Upgrade\r\n"),
        post(
            "a chunked body that is named",
            Arrives,
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        post(
            "a length that is named",
            Arrives,
            format!("Connection: Content-Length\r\n{}", body(5)),
            "hello",
        ),
        post(
            "a length that is named beside close",
            Alone,
            format!("Connection: close, content-length\r\n{}", body(5)),
            "hello",
        ),
        post(
            "a length that covers the next request, and is named",
            Arrives,
            format!("Connection: keep-alive, Content-Length\r\n{}", body(NEXT.len())),
            NEXT,
        ),
        get("a Host that is named", Refused(400), "Connection: Host\r\n"),
        get(
            "a cookie and a session that are named",
            Arrives,
            "Cookie: session=forged; a=b\r\nConnection: Cookie, X-Session\r\n",
        ),
        get("Connection with no names in it", Arrives, "Connection: , ,\r\n"),
        get("Connection in bad form", Refused(400), "Connection: ,,;=close\r\n"),
        post(
            "TE and Trailer",
            Arrives,
            "TE: trailers, chunked\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
        ),
        post(
            "Keep-Alive and Proxy-Connection",
            Arrives,
            format!("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n{}", body(5)),
            "hello",
        ),
    ];
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "get"] {
        rows.push(request(&format!("{method} with a body"), method, Arrives, body(5), "hello"));
        let fields = "Transfer-Encoding: chunked\r\n";
        rows.push(request(
            &format!("{method} in chunks"),
            method,
            Arrives,
            fields,
            "5\r\nhello\r\n0\r\n\r\n",
        ));
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"] {
        rows.push(post(
            &format!("TRACE by {name}"),
            Arrives,
            format!("{name}: TRACE\r\n{}", body(0)),
            "",
        ));
    }
    for name in ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"] {
        rows.push(get(
            &format!("another target by {name}"),
            Arrives,
            format!("{name}: /admin\r\n"),
        ));
    }
    rows
}
