//! The head of an app's answer: read as strictly as a client's request, since what is in doubt here
//! is which answer belongs to whom.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};

use super::body::{Body, Framing};
use super::chunks::{Chunks, Malformed};
use super::head::{Head, Line, StatusLine};
use crate::visit::Fields;

/// The most fields and bytes, as with pingora.
const MOST_FIELDS: usize = 256;
pub(super) const LONGEST: usize = 1_048_575;

/// What every answer begins with.
const VERSION: &[u8] = b"HTTP/1.";

/// Looks for the end of a head as it arrives.
#[derive(Debug, Default)]
pub(super) struct End {
    /// What has been looked at.
    at: usize,
    /// Where the current line starts.
    line: usize,
}

impl End {
    /// Where the head ends, once all of it is there. `bytes` begin with what was there before.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let begins = &bytes[..bytes.len().min(VERSION.len())];
        if !VERSION.starts_with(begins) {
            return Err(Malformed);
        }
        while let Some(feed) = memchr::memchr(b'\n', &bytes[self.at..]) {
            let feed = self.at + feed;
            // A line ends in CR LF: a bare LF is the end of one for some, and a part of it for others.
            if feed == 0 || bytes[feed - 1] != b'\r' {
                return Err(Malformed);
            }
            self.at = feed + 1;
            if feed - 1 == self.line {
                return Ok(Some(self.at));
            }
            self.line = self.at;
        }
        self.at = bytes.len();
        if bytes.len() > LONGEST { Err(Malformed) } else { Ok(None) }
    }
}

/// Reads a head that is all there.
pub(super) fn parse(bytes: &[u8]) -> Result<Head<'_, StatusLine<'_>>, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let mut parser = httparse::ParserConfig::default();
    // Old servers do both, and of both there is but one reading (RFC 9112 sections 5.1 and 5.2):
    // they are mended on the way.
    parser.allow_spaces_after_header_name_in_responses(true);
    parser.allow_obsolete_multiline_headers_in_responses(true);
    let parsed = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut fields);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        _ => return Err(Malformed),
    }
    let (Some(version), Some(status)) = (response.version, response.code) else {
        return Err(Malformed);
    };
    if !(100..=999).contains(&status) {
        return Err(Malformed);
    }
    let reason = response.reason.unwrap_or_default().as_bytes();
    let first = StatusLine { is_http11: version == 1, status, reason };
    let mut head = Head::with_room_for(first, bytes, response.headers.len());
    let base = bytes.as_ptr() as usize;
    for field in response.headers.iter() {
        let (name, value) = (field.name.as_bytes(), field.value);
        let start = name.as_ptr() as usize - base;
        let colon = start + name.len();
        // A value of nothing is where the parser says, or nowhere.
        let end = match value {
            [] => colon + 1,
            _ => value.as_ptr() as usize - base + value.len(),
        };
        let behind = bytes.get(colon..end).ok_or(Malformed)?;
        // The parser skips a fold in front of a value.
        if memchr::memchr(b'\n', behind).is_some() || !behind.starts_with(b":") {
            let value = HeaderValue::try_from(unfolded(value)).map_err(|_| Malformed)?;
            head.append(Bytes::copy_from_slice(name), value).map_err(|_| Malformed)?;
            continue;
        }
        head.push_sent(Line { start, name_length: name.len(), end });
    }
    Ok(head)
}

/// A value that goes over several lines, in one.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(&b' ')
}

/// Where the body of a final answer ends, and whether the connection can be used behind it.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) body: Body,
    /// How it goes on to the client.
    pub(super) framing: Framing,
    pub(super) is_reusable: bool,
}

/// Says where a body ends, in the one way in which that can be read (RFC 9112 section 6.3). Chunks
/// overrule a length, which is taken out; where nothing is said, the client is told of chunks.
pub(super) fn framing(
    head: &mut Head<'_, StatusLine<'_>>,
    method: &Method,
) -> Result<Framed, Malformed> {
    let length = only(head, &CONTENT_LENGTH)?;
    let coding = only(head, &TRANSFER_ENCODING)?;
    let length = match length {
        Some(digits) => Some(number(digits).ok_or(Malformed)?),
        None => None,
    };
    let is_chunked = match coding {
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => true,
        Some(_) => return Err(Malformed),
        None => false,
    };
    // An answer of HTTP/1.0 has no chunks (RFC 9112 section 6.1).
    if is_chunked && !head.first.is_http11 {
        return Err(Malformed);
    }
    let is_said_twice = is_chunked && length.is_some();
    if is_said_twice {
        head.remove(CONTENT_LENGTH.as_str().as_bytes());
    }
    let has_none = *method == Method::HEAD || matches!(head.first.status, 204 | 304);
    let (body, framing) = match (has_none, is_chunked, length) {
        (true, ..) => (Body::NONE, Framing::Plain),
        (_, true, _) => (Body::Chunks(Chunks::new()), Framing::Chunked),
        (_, _, Some(length)) => (Body::Length(length), Framing::Plain),
        _ => (Body::UntilClose, Framing::Chunked),
    };
    let ends_with_connection = matches!(body, Body::UntilClose);
    let is_reusable = !ends_with_connection && !is_said_twice && keeps(head);
    if ends_with_connection {
        let coding = HeaderValue::from_static("chunked");
        head.append(Bytes::from_static(b"Transfer-Encoding"), coding).map_err(|_| Malformed)?;
    }
    Ok(Framed { body, framing, is_reusable })
}

/// Whether the app will keep the connection (RFC 9112 section 9.3).
fn keeps(head: &Head<'_, StatusLine<'_>>) -> bool {
    let mut names_close = false;
    let mut names_keep_alive = false;
    for option in head.all(&CONNECTION).flat_map(|value| value.split(|&byte| byte == b',')) {
        let option = option.trim_ascii();
        names_close |= option.eq_ignore_ascii_case(b"close");
        names_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    !names_close && (head.first.is_http11 || names_keep_alive)
}

/// The value of a field that is said once.
fn only<'a, T>(head: &'a Head<'_, T>, name: &HeaderName) -> Result<Option<&'a [u8]>, Malformed> {
    let mut values = head.all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Malformed),
    }
}

/// Digits and nothing else (RFC 9112 section 6.3).
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let is_one = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| is_one)?.parse().ok()
}

/// Writes a head as the client gets it.
pub(super) fn write(head: &Head<'_, StatusLine<'_>>, out: &mut Vec<u8>) {
    let status = head.first.status;
    let digit = |place: u16| b'0' + (status / place % 10) as u8;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    out.extend_from_slice(head.first.reason);
    out.extend_from_slice(b"\r\n");
    head.write_fields(out);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn end(bytes: &[u8], step: usize) -> Result<Option<usize>, Malformed> {
        let mut end = End::default();
        for length in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
            let found = end.find(&bytes[..length])?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    #[test]
    fn the_end_of_a_head_is_an_empty_line() {
        let whole = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for step in [1, 2, 5, whole.len() + 4] {
            for (text, found) in [
                (whole.to_owned(), Ok(Some(whole.len()))),
                (format!("{whole}body\n\r\n"), Ok(Some(whole.len()))),
                ("HTTP/1.1 200 OK\r\n\r\n".into(), Ok(Some(19))),
                (whole[..whole.len() - 1].into(), Ok(None)),
                ("HTTP/1".into(), Ok(None)),
                ("HTTP/1.1 200 OK\nA: b\r\n\r\n".into(), Err(Malformed)),
                ("HTTP/1.1 200 OK\r\nA: b\n\r\n".into(), Err(Malformed)),
                ("HTTP/1.1 200 OK\r\nA: b\r\n\n".into(), Err(Malformed)),
                ("\r\nHTTP/1.1 200 OK\r\n\r\n".into(), Err(Malformed)),
                ("SSH-2.0".into(), Err(Malformed)),
                ("HTTP/2".into(), Err(Malformed)),
            ] {
                assert_eq!(end(text.as_bytes(), step), found, "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn a_head_is_what_it_says_or_none() {
        for (bytes, is_one) in [
            (&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"[..], true),
            (b"HTTP/1.0 404 Not here, but there\r\n\r\n", true),
            (b"HTTP/1.1 200\r\n\r\n", true),
            (b"HTTP/1.1 200 \r\nA:b\r\nB: \xe4\xff\r\n\r\n", true),
            (b"HTTP/1.1 999 X\r\n\r\n", true),
            (b"HTTP/1.1 OK\r\n\r\n", false),
            (b"HTTP/1.1 99999 No\r\n\r\n", false),
            (b"HTTP/1.1 099 No\r\n\r\n", false),
            (b"HTTP/1.1  200 OK\r\n\r\n", false),
            (b"HTTP/1.2 200 OK\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", true),
            (b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", true),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n \0\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA: b\x7fc\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\nA\xe4: b\r\n\r\n", false),
            (b"HTTP/1.1 200 O\0K\r\n\r\n", false),
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(parse(bytes).is_ok(), is_one, "{text:?}");
        }
        let many = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(parse(many(MOST_FIELDS).as_bytes()).is_ok());
        assert!(parse(many(MOST_FIELDS + 1).as_bytes()).is_err());
    }

    #[test]
    fn a_head_is_written_as_it_came() {
        for (bytes, expected) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\nset-Cookie: c\r\n\r\n", None),
            ("HTTP/1.1 404 Not here, but there\r\n\r\n", None),
            ("HTTP/1.0 200 OK\r\nA:b\r\n\r\n", Some("HTTP/1.1 200 OK\r\nA: b\r\n\r\n")),
            (
                "HTTP/1.1 200 OK\r\nA : b\r\nB: c\r\n \t d\r\n\te \r\nC:\r\n f\r\n\r\n",
                Some("HTTP/1.1 200 OK\r\nA: b\r\nB: c d e\r\nC: f\r\n\r\n"),
            ),
            (
                "HTTP/1.1 200 OK\r\nA: b \r\nB: c\t\r\nC: d\r\n\r\n",
                Some("HTTP/1.1 200 OK\r\nA: b\r\nB: c\r\nC: d\r\n\r\n"),
            ),
            ("HTTP/1.1 200\r\nA:  b \r\nB:\r\n\r\n", Some("HTTP/1.1 200 \r\nA: b\r\nB: \r\n\r\n")),
        ] {
            let mut out = Vec::new();
            write(&parse(bytes.as_bytes()).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected.unwrap_or(bytes), "{bytes:?}");
        }
    }

    /// What is read of a body, how it goes on, and whether the connection does.
    fn framed(
        method: &Method,
        first: &str,
        fields: &str,
    ) -> Result<(String, bool, bool), Malformed> {
        let head = format!("{first}\r\n{fields}\r\n");
        let mut head = parse(head.as_bytes()).unwrap();
        let was_said = head.has(&TRANSFER_ENCODING);
        let framed = framing(&mut head, method)?;
        assert!(!(head.has(&CONTENT_LENGTH) && head.has(&TRANSFER_ENCODING)));
        let body = match framed.body {
            Body::Length(length) => length.to_string(),
            Body::Chunks(_) => "chunks".into(),
            Body::UntilClose => "close".into(),
        };
        Ok((body, head.has(&TRANSFER_ENCODING) && !was_said, framed.is_reusable))
    }

    #[test]
    fn where_an_answer_ends_is_said_in_one_way() {
        let (get, head) = (Method::GET, Method::HEAD);
        let (ok, old) = ("HTTP/1.1 200 OK", "HTTP/1.0 200 OK");
        let (none, unchanged) = ("HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified");
        for (method, first, fields, body, is_added, is_reusable) in [
            (&get, ok, "Content-Length: 5\r\n", "5", false, true),
            (&get, ok, "Content-Length: 5\r\nConnection: x, Close\r\n", "5", false, false),
            (&get, ok, "Content-Length: 0\r\n", "0", false, true),
            (&get, ok, "Transfer-Encoding: Chunked\r\n", "chunks", false, true),
            (
                &get,
                ok,
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "chunks",
                false,
                false,
            ),
            (&get, ok, "Transfer-Encoding : chunked\r\n", "chunks", false, true),
            (&get, ok, "Content-Length:\r\n 5\r\n", "5", false, true),
            (&get, ok, "", "close", true, false),
            (&get, old, "", "close", true, false),
            (&get, old, "Content-Length: 5\r\n", "5", false, false),
            (&get, old, "Content-Length: 5\r\nConnection: Keep-Alive\r\n", "5", false, true),
            (&head, ok, "Content-Length: 5\r\n", "0", false, true),
            (&head, ok, "Transfer-Encoding: chunked\r\n", "0", false, true),
            (&head, ok, "", "0", false, true),
            (&get, none, "", "0", false, true),
            (&get, unchanged, "Content-Length: 5\r\n", "0", false, true),
        ] {
            let expected = Ok((body.to_owned(), is_added, is_reusable));
            assert_eq!(framed(method, first, fields), expected, "{method} {first} {fields:?}");
        }
        for (first, fields) in [
            (ok, "Content-Length: 5\r\nContent-Length: 5\r\n"),
            (ok, "Content-Length: 5, 5\r\n"),
            (ok, "Content-Length: +5\r\n"),
            (ok, "Content-Length: \r\n"),
            (ok, "Content-Length: 18446744073709551616\r\n"),
            (ok, "Transfer-Encoding: gzip, chunked\r\n"),
            (ok, "Transfer-Encoding: identity\r\n"),
            (ok, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            (ok, "Transfer-Encoding: \r\n"),
            (old, "Transfer-Encoding: chunked\r\n"),
            (none, "Content-Length: x\r\n"),
        ] {
            assert_eq!(framed(&get, first, fields), Err(Malformed), "{first} {fields:?}");
        }
    }
}
