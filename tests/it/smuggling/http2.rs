//! The same over HTTP/2: its framing is unambiguous, but its fields may not be once they are
//! written as HTTP/1.

use super::{Alone, Arrives, AtMostOnce, BreaksOff, Fate, Refused, of_row, strangers};
use crate::support::{Recorder, frames};

type Field = (&'static [u8], &'static [u8]);

/// A request and the expected result.
pub struct Row {
    name: &'static str,
    fate: Fate,
    fields: Vec<Field>,
    body: &'static [u8],
    trailers: Vec<Field>,
}

const GET: [Field; 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"app.test"), (b":path", b"/")];

const NOTHING: Fate = Refused(0);

fn row(name: &'static str, fate: Fate, fields: Vec<Field>) -> Row {
    Row { name, fate, fields, body: b"", trailers: Vec::new() }
}

fn with(name: &'static str, fate: Fate, fields: &[Field]) -> Row {
    row(name, fate, GET.iter().chain(fields).copied().collect())
}

fn without(name: &'static str, fate: Fate, field: &str, others: &[Field]) -> Row {
    let kept = GET.iter().filter(|(name, _)| *name != field.as_bytes());
    row(name, fate, kept.chain(others).copied().collect())
}

fn instead(name: &'static str, fate: Fate, field: &str, value: &'static [u8]) -> Row {
    let of = |&(name, old): &Field| (name, if name == field.as_bytes() { value } else { old });
    row(name, fate, GET.iter().map(of).collect())
}

impl Row {
    fn body(self, body: &'static [u8]) -> Self {
        Self { body, ..self }
    }

    fn trailer(mut self, name: &'static [u8], value: &'static [u8]) -> Self {
        self.trailers.push((name, value));
        self
    }
}

/// Sends each row on a new connection. The field `row` tells which ones arrived.
pub fn judge(rows: &[Row]) {
    let recorder = Recorder::start();
    let sidecar = recorder.behind().with("[timeouts]\nbody = \"1s\"").start();
    let mut answered = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let number = format!("{number:03}");
        let mut fields = row.fields.clone();
        let last = [(&b"row"[..], number.as_bytes())];
        let fields: Vec<(&[u8], &[u8])> = fields.drain(..).chain(last).collect();
        answered.push(frames::exchange(sidecar.address(), &fields, row.body, &row.trailers));
    }
    let arrived = recorder.stop(sidecar);
    let mut faults = strangers(&[], &arrived);
    for (number, row) in rows.iter().enumerate() {
        let (whole, rests) = of_row(number, &arrived);
        let is_as_it_should = match row.fate {
            Refused(_) => whole.is_empty() && rests.is_empty(),
            Arrives | Alone => answered[number] && whole.len() == 1 && rests.is_empty(),
            AtMostOnce => whole.len() < 2 && rests.iter().all(|(fault, _)| fault == "unfinished"),
            BreaksOff => whole.is_empty() && rests.iter().all(|(fault, _)| fault == "unfinished"),
        };
        if !is_as_it_should {
            let told = format!("answered: {}, {whole:?}, {rests:?}", answered[number]);
            faults.push(format!("{}: not {:?}: {told}", row.name, row.fate));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rows.len(), faults.join("\n"));
}

pub fn rows() -> Vec<Row> {
    [pseudo_fields(), fields(), lengths_and_trailers()].into_iter().flatten().collect()
}

fn pseudo_fields() -> Vec<Row> {
    let [method, scheme, authority, path] = GET;
    vec![
        with("a plain request", Arrives, &[]),
        row(
            "a pseudo-field behind a field",
            NOTHING,
            vec![method, scheme, authority, (b"a", b"b"), path],
        ),
        with("two methods", NOTHING, &[method]),
        with("two schemes", NOTHING, &[scheme]),
        with("two authorities", NOTHING, &[(b":authority", b"evil.test")]),
        with("the same authority twice", NOTHING, &[authority]),
        with("a pseudo-field nobody knows", NOTHING, &[(b":forged", b"a")]),
        with("a pseudo-field of an answer", NOTHING, &[(b":status", b"200")]),
        with("a protocol without CONNECT", NOTHING, &[(b":protocol", b"websocket")]),
        with("a pseudo-field of no name", NOTHING, &[(b":", b"a")]),
        without("no method", NOTHING, ":method", &[]),
        without("no scheme", NOTHING, ":scheme", &[]),
        without("no path", NOTHING, ":path", &[]),
        without("no authority", NOTHING, ":authority", &[]),
        without(
            "a Host in place of the authority",
            Arrives,
            ":authority",
            &[(b"host", b"app.test")],
        ),
        without(
            "two Hosts in place of the authority",
            NOTHING,
            ":authority",
            &[(b"host", b"app.test"), (b"host", b"evil.test")],
        ),
        without(
            "a Host in bad form in place of the authority",
            NOTHING,
            ":authority",
            &[(b"host", b"a, b")],
        ),
        with("the same Host beside the authority", Arrives, &[(b"host", b"app.test")]),
        with("another port beside the authority", NOTHING, &[(b"host", b"app.test:81")]),
        with("an empty Host beside the authority", NOTHING, &[(b"host", b"")]),
        instead("somebody in front of the host", NOTHING, ":authority", b"evil.test@app.test"),
        instead("two hosts in the authority", NOTHING, ":authority", b"app.test, evil.test"),
        instead("a space in the authority", NOTHING, ":authority", b"app.test evil.test"),
        instead("a tab in the authority", NOTHING, ":authority", b"app.test\tevil.test"),
        instead("a query in the authority", NOTHING, ":authority", b"app.test?a"),
        instead("a fragment in the authority", NOTHING, ":authority", b"app.test#a"),
        instead("a backslash in the authority", NOTHING, ":authority", b"app.test\\a"),
        instead("a byte above 0x7f in the authority", NOTHING, ":authority", b"app.test\xe4"),
        instead("a port that is no number", NOTHING, ":authority", b"app.test:x"),
        instead("an empty authority", NOTHING, ":authority", b""),
        instead("all of the server, with GET", NOTHING, ":path", b"*"),
        instead("an absolute target", NOTHING, ":path", b"http://evil.test/"),
        instead("a query alone", NOTHING, ":path", b"?a"),
        instead("a tab in the path", NOTHING, ":path", b"/a\tb"),
        instead("a byte 0x7f in the path", NOTHING, ":path", b"/\x7f"),
        instead("two slashes", Arrives, ":path", b"//evil.test/"),
        instead("bytes above 0x7f in the path", Arrives, ":path", b"/\xc3\xa4"),
        instead("a method in lower case", Arrives, ":method", b"get"),
        instead("an empty method", NOTHING, ":method", b""),
        instead("a method of no proper form", NOTHING, ":method", b"GE@T"),
        instead("a method with a tab", NOTHING, ":method", b"GET\t"),
        instead("a method that some take for TRACE", NOTHING, ":method", b"trace"),
        row(
            "all of the server",
            Arrives,
            vec![(b":method", b"OPTIONS"), scheme, authority, (b":path", b"*")],
        ),
    ]
}

fn fields() -> Vec<Row> {
    vec![
        with("a name in capitals", NOTHING, &[(b"Transfer-Encoding", b"chunked")]),
        with("a name with one capital", NOTHING, &[(b"content-lengtH", b"5")]),
        with("a space in a name", NOTHING, &[(b"a b", b"c")]),
        with("a tab at the end of a name", NOTHING, &[(b"a\t", b"c")]),
        with("a byte 0x7f in a name", NOTHING, &[(b"a\x7f", b"c")]),
        with("a byte above 0x7f in a name", NOTHING, &[(b"a\xff", b"c")]),
        with("a colon at the end of a name", NOTHING, &[(b"a:", b"c")]),
        with("a control character in a value", NOTHING, &[(b"a", b"b\x01c")]),
        with("a byte 0x7f in a value", NOTHING, &[(b"a", b"b\x7fc")]),
        with("a line feed at the end of a value", NOTHING, &[(b"a", b"b\n")]),
        with("a carriage return at the start of a value", NOTHING, &[(b"a", b"\rb")]),
        with(
            "a request in a value",
            NOTHING,
            &[(b"a", b"b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
        ),
        with("bytes above 0x7f in a value", Arrives, &[(b"a", b"b\x85\xff")]),
        with("white space around a value", Arrives, &[(b"a", b" b\t")]),
        with(
            "names that are read as others by some",
            NOTHING,
            &[(b"transfer_encoding", b"chunked"), (b"content.length", b"5")],
        ),
        with("TE: trailers", Arrives, &[(b"te", b"trailers")]),
        with("TE with more", NOTHING, &[(b"te", b"gzip")]),
        with("Keep-Alive", NOTHING, &[(b"keep-alive", b"timeout=5")]),
        with("Proxy-Connection", NOTHING, &[(b"proxy-connection", b"keep-alive")]),
        with("Connection: close", NOTHING, &[(b"connection", b"close")]),
        with("Upgrade", NOTHING, &[(b"upgrade", b"h2c")]),
        with("Transfer-Encoding in capitals", NOTHING, &[(b"transfer-encoding", b"CHUNKED")]),
        with("an empty Transfer-Encoding", NOTHING, &[(b"transfer-encoding", b"")]),
        with(
            "cookie crumbs",
            Arrives,
            &[(b"cookie", b"a=1"), (b"cookie", b"session=forged"), (b"cookie", b"b=2; c=3")],
        ),
        with(
            "cookie crumbs that cut a value in two",
            Arrives,
            &[(b"cookie", b"a=\"1"), (b"cookie", b"session=forged\"")],
        ),
        with("an expectation without a body", Arrives, &[(b"expect", b"100-continue")]),
    ]
}

fn lengths_and_trailers() -> Vec<Row> {
    let plain = |name, fate| with(name, fate, &[(b"content-length", b"5")]).body(b"hello");
    vec![
        plain("a body of its length", Arrives),
        with("a body past its length", BreaksOff, &[(b"content-length", b"3")]).body(b"hello"),
        with("a body short of its length", BreaksOff, &[(b"content-length", b"9")]).body(b"hello"),
        with("a length and no body", BreaksOff, &[(b"content-length", b"5")]),
        with("a length of 33 bits", BreaksOff, &[(b"content-length", b"4294967301")])
            .body(b"hello"),
        with("a length of 65 bits", NOTHING, &[(b"content-length", b"18446744073709551621")])
            .body(b"hello"),
        with("a length in base 16", NOTHING, &[(b"content-length", b"0x5")]).body(b"hello"),
        with("a length with a minus", NOTHING, &[(b"content-length", b"-5")]).body(b"hello"),
        with("a length with zeros in front", Arrives, &[(b"content-length", b"0005")])
            .body(b"hello"),
        with("no length", Arrives, &[]).body(b"hello"),
        with("chunks as the body", Arrives, &[])
            .body(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        plain("a length in the trailers", Arrives).trailer(b"content-length", b"0"),
        plain("a coding in the trailers", AtMostOnce).trailer(b"transfer-encoding", b"chunked"),
        plain("a Host in the trailers", Arrives).trailer(b"host", b"evil.test"),
        plain("a dict in the trailers", Arrives).trailer(b"x-session", b"{\"forged\":1}"),
        plain("a line end in the trailers", AtMostOnce).trailer(b"a", b"b\r\nx-session: forged"),
        plain("a pseudo-field in the trailers", AtMostOnce).trailer(b":path", b"/smuggled"),
        with("a body short of its length, and trailers", BreaksOff, &[(b"content-length", b"9")])
            .body(b"hello")
            .trailer(b"a", b"b"),
    ]
}
