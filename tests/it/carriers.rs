//! Both carriers get the same bytes from client and app, and the same must come of them at either
//! end. What may differ is listed here: the order of fields of different names, the version that an
//! old app's answer is passed on under, and what the exchange refuses because it can be read in two
//! ways.
//!
//! `CLOAKROOM_CASES` is how many cases are made up, and `CLOAKROOM_SEED` from where on.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::support::strict::{self, Reading};
use crate::support::{Builder, Client, Sidecar, WAIT, mint};

/// An app that keeps what it is sent and answers what it is told.
#[derive(Clone, Default)]
struct App {
    answer: Arc<Mutex<(Vec<u8>, bool)>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl App {
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = self.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let app = app.clone();
                thread::spawn(move || {
                    let mut open = Vec::new();
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        open.extend_from_slice(&buffer[..count]);
                        match strict::read(&open) {
                            Reading::Part => continue,
                            Reading::Whole(_, length) => {
                                let rest = open.split_off(length);
                                app.keep(&open);
                                open = rest;
                            }
                            Reading::Fault(fault) => {
                                app.seen.lock().push(format!("no request: {fault}"));
                                return;
                            }
                        }
                        let (answer, ends) = app.answer.lock().clone();
                        if stream.write_all(&answer).is_err() || ends {
                            return;
                        }
                    }
                });
            }
        });
        url
    }

    fn keep(&self, bytes: &[u8]) {
        let end = end_of_head(bytes).unwrap();
        let (head, body) = bytes.split_at(end);
        self.seen.lock().push(format!("{} {:?}", head_of(head), body_of(head, body)));
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// A head whose fields are in the order of their names, without what each carrier makes up anew.
fn head_of(head: &[u8]) -> String {
    let text: String = head.iter().map(|&byte| char::from(byte)).collect();
    let mut lines = text.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default().replacen("HTTP/1.0 ", "HTTP/1.1 ", 1);
    let mut fields: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(':').unwrap_or((line, "no colon"))).collect();
    for (name, value) in &mut fields {
        let is_fresh = *name == "Date" || (*name == "X-Request-Id" && value.trim().len() == 32);
        if is_fresh {
            *value = "…";
        }
    }
    fields.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    format!("{first} {fields:?}")
}

/// A body, chunks undone, and whether it is whole as far as they say.
fn body_of(head: &[u8], mut body: &[u8]) -> String {
    let is_chunked = String::from_utf8_lossy(head)
        .to_ascii_lowercase()
        .contains("\r\ntransfer-encoding: chunked\r\n");
    let mut text = Vec::new();
    let mut is_whole = !is_chunked;
    if is_chunked {
        while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
            let size = String::from_utf8_lossy(&body[..end]).into_owned();
            let size = usize::from_str_radix(&size, 16).unwrap_or(usize::MAX);
            body = &body[end + 2..];
            if size == 0 {
                is_whole = body == b"\r\n";
                body = &[];
                break;
            }
            text.extend_from_slice(&body[..size.min(body.len())]);
            body = body.get(size.saturating_add(2)..).unwrap_or_default();
        }
    }
    text.extend_from_slice(body);
    let text = String::from_utf8_lossy(&text).into_owned();
    // In an answer of the sidecar's own.
    let text = text.split_once("\nrequest ").map_or(text.clone(), |(text, _)| format!("{text} …"));
    format!("{text}{}", if is_whole { "" } else { " (not whole)" })
}

/// What the client sees: each head, and a body. Whether it gets a 1xx before an answer that is
/// refused depends on how fast that comes.
fn seen_by_client(mut bytes: &[u8]) -> String {
    let mut seen = String::new();
    while let Some(end) = end_of_head(bytes) {
        let (head, rest) = bytes.split_at(end);
        if head.starts_with(b"HTTP/1.1 502 ") {
            seen.clear();
        }
        seen.push_str(&head_of(head));
        if !head.starts_with(b"HTTP/1.1 1") {
            let id = String::from_utf8_lossy(rest).into_owned();
            let body = match id.split_once("\"request_id\":") {
                Some((body, _)) => body.to_owned(),
                None => body_of(head, rest),
            };
            return format!("{seen} {body:?}");
        }
        bytes = rest;
    }
    format!("{seen} cut: {:?}", String::from_utf8_lossy(bytes))
}

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % sides as u64).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.roll(all.len())]
    }
}

#[derive(Debug)]
struct Case {
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Whether the app ends its connection behind the answer.
    ends: bool,
    /// What in it pingora reads in one of two ways.
    is_lax: bool,
}

const TEXT: &str = "The quick brown fox jumps over the lazy dog";

/// A body in chunks, sometimes in a form that is not quite one.
fn chunks(dice: &mut Dice, is_lax: &mut bool) -> String {
    let mut chunks = String::new();
    for _ in 0..dice.roll(4) {
        let piece = &TEXT[..1 + dice.roll(TEXT.len() - 1)];
        let extension = dice.pick(&["", "", "", ";a=b", ";a=\"b;c\""]);
        let zeros = dice.pick(&["", "", "00"]);
        chunks.push_str(&format!("{zeros}{:x}{extension}\r\n{piece}\r\n", piece.len()));
    }
    let fault = dice.roll(12);
    *is_lax |= fault < 3;
    chunks.push_str(match fault {
        0 => "2;a\nb\r\nok\r\n0\r\n\r\n",
        1 => "0\r\nno field\r\n\r\n",
        2 => "0x2\r\nok\r\n0\r\n\r\n",
        3 => "0\r\nX-Session: {}\r\nB: c\r\n\r\n",
        4 => "000\r\n\r\n",
        _ => "0\r\n\r\n",
    });
    chunks
}

fn request(dice: &mut Dice, is_lax: &mut bool) -> Vec<u8> {
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

fn answer(dice: &mut Dice, is_lax: &mut bool) -> (Vec<u8>, bool) {
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

struct Side {
    app: App,
    sidecar: Sidecar,
}

impl Side {
    fn new(carrier: &str) -> Self {
        let app = App::default();
        let sidecar = Builder::new(&app.listen())
            .env("CLOAKROOM_CARRIER", carrier)
            .with(
                "[headers.claims]\n\"X-Remote-User\" = \"user.id\"\n\
                 [[routes]]\npath = \"/admin/\"\nrequire = true\nlogin = \"/login\"\n\
                 [[routes]]\npath = \"/static/\"\nsession = \"off\"\n[timeouts]\nbackend_read = \"2s\"",
            )
            .start();
        Self { app, sidecar }
    }

    /// What comes of a case at the app and at the client.
    fn run(&self, case: &Case) -> (Vec<String>, String) {
        self.app.seen.lock().clear();
        *self.app.answer.lock() = (case.answer.clone(), case.ends);
        let mut client: Client = self.sidecar.connect();
        client.send(&case.request);
        client.half_close();
        let (bytes, ended) = client.rest_or_silence(WAIT);
        assert!(ended, "no end of {case:?}");
        (self.app.seen.lock().clone(), seen_by_client(&bytes))
    }
}

/// Whether the exchange has refused what it cannot read in one way, or cut it off.
fn is_refusal(seen: &str) -> bool {
    ["HTTP/1.1 400 ", "HTTP/1.1 502 "].iter().any(|status| seen.contains(status))
        || seen.contains("(not whole)")
        || seen.contains(" cut: ")
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn both_carriers_make_the_same_of_the_same_bytes() {
    let (pingora, exchange) = (Side::new("pingora"), Side::new("exchange"));
    let cases = number("CLOAKROOM_CASES", 100);
    let mut dice = Dice(number("CLOAKROOM_SEED", 0x9e37_79b9_7f4a_7c15));
    let (mut stricter, mut faults) = (0, Vec::new());
    for case in 0..cases {
        let mut is_lax = false;
        let request = request(&mut dice, &mut is_lax);
        let (answer, ends) = answer(&mut dice, &mut is_lax);
        let case = (case, Case { request, answer, ends, is_lax });
        let (one, other) = (pingora.run(&case.1), exchange.run(&case.1));
        if one == other {
            continue;
        }
        if case.1.is_lax && is_refusal(&other.1) {
            stricter += 1;
            continue;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        faults.push(format!(
            "case {}: {:?}\n  answered {:?} ({}, {})\n  pingora:  {one:?}\n  exchange: {other:?}",
            case.0,
            text(&case.1.request),
            text(&case.1.answer),
            case.1.ends,
            case.1.is_lax,
        ));
    }
    println!("{cases} cases, {stricter} where the exchange is stricter");
    assert!(faults.is_empty(), "{} of {cases}:\n{}", faults.len(), faults.join("\n"));
}
