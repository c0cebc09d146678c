//! Answers of an app: a byte of flags, then all that it sends until it closes the connection.

use cloakroom::exchange::answer::{Outcome, Passed, pass};

/// How many fields of an app's head are taken.
const MOST_FIELDS: usize = 256;

/// A message as a strict reader has it: heads of 1xx, the final one, and a body.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    heads: Vec<Head>,
    body: Vec<u8>,
    length: usize,
    is_whole: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What goes on is one answer that nobody can read in two ways, and says what came; where that was
/// well-formed, it goes on.
pub fn answer(data: &[u8]) {
    let [flags, bytes @ ..] = data else { return };
    let is_head = flags & 1 != 0;
    let passed = pass(is_head, bytes, bytes.len());
    let seen = strict(&passed.sent, is_head).expect("a client can read it in one way");
    for step in [1, 2, 5, 1 + usize::from(flags >> 1)] {
        let pieces = pass(is_head, bytes, step);
        assert_eq!((pieces.length, pieces.outcome), (passed.length, passed.outcome), "by {step}");
        // Where chunks begin depends on the pieces.
        let again = strict(&pieces.sent, is_head).expect("in pieces as well");
        let same = again.heads == seen.heads && again.body == seen.body;
        assert!(same && again.is_whole == seen.is_whole, "by {step}: {again:?}, not {seen:?}");
    }
    // Of what is sent on, the exchange may have added a field.
    let has_few = |head: &Head| head.fields.len() <= MOST_FIELDS;
    if let Ok(sent) = strict(bytes, is_head)
        && sent.heads.iter().all(has_few)
    {
        assert_ne!(passed.outcome, Outcome::Malformed, "well-formed");
        assert_eq!((&sent.heads, &sent.body), (&seen.heads, &seen.body), "as it was sent");
    }
    match passed.outcome {
        Outcome::Malformed => assert_eq!((passed.sent.len(), passed.length), (0, 0)),
        Outcome::Part => assert!(!seen.is_whole && passed.length <= bytes.len()),
        Outcome::Last | Outcome::Reusable => {
            assert!(seen.is_whole, "whole at one end and not at the other");
            assert_eq!(passed.sent.len(), seen.length, "nothing behind the end");
            check_content(&bytes[..passed.length], is_head, &seen);
        }
    }
    if passed.outcome == Outcome::Reusable {
        check_end(bytes, is_head, &passed);
    }
}

/// Where an answer ends does not depend on what comes behind it, and no part of it is a whole one.
fn check_end(bytes: &[u8], is_head: bool, passed: &Passed) {
    let own = &bytes[..passed.length];
    let behind = |more: &[u8]| pass(is_head, &[own, more].concat(), usize::MAX);
    for more in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n", b"0\r\n\r\n", b"\0"] {
        assert_eq!(&behind(more), passed, "with {more:?} behind it");
    }
    for length in [own.len() / 2, own.len() - 1] {
        let part = pass(is_head, &own[..length], usize::MAX);
        assert_eq!(part.outcome, Outcome::Part, "its first {length} bytes");
    }
}

/// The same fields and the same body as in a reading that forgives much.
fn check_content(mut bytes: &[u8], is_head: bool, seen: &Message) {
    let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    for (number, head) in seen.heads.iter().enumerate() {
        let end = find(bytes, b"\r\n\r\n").expect("the end of a head") + 4;
        let mut fields = forgiving(&bytes[..end]);
        bytes = &bytes[end..];
        let is_final = number + 1 == seen.heads.len();
        let has = |name| fields.iter().any(|(other, _)| is(other, name));
        let is_chunked = is_final && has("transfer-encoding");
        let ends_with_connection = is_final
            && !is_chunked
            && !has("content-length")
            && !is_head
            && !matches!(head.status, 204 | 304);
        if is_chunked {
            fields.retain(|(name, _)| !is(name, "content-length"));
        }
        if ends_with_connection {
            fields.push((b"Transfer-Encoding".to_vec(), b"chunked".to_vec()));
        }
        assert_eq!(fields, head.fields);
        if is_final && is_chunked && !is_head && !matches!(head.status, 204 | 304) {
            let (body, length) = chunks(bytes).expect("chunks");
            assert_eq!((&body, length), (&seen.body, bytes.len()));
        } else if is_final {
            assert_eq!(bytes, seen.body);
        }
    }
}

/// Names and values; lines that were folded are joined.
fn forgiving(head: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let lines = split(head, b"\r\n").into_iter().skip(1);
    for line in lines.filter(|line| !line.is_empty()) {
        let text = line.trim_ascii();
        match (line[0], fields.last_mut()) {
            (b' ' | b'\t', Some((_, value))) => {
                if !value.is_empty() && !text.is_empty() {
                    value.push(b' ');
                }
                value.extend_from_slice(text);
            }
            _ => {
                let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
                let (name, value) = (&line[..colon], &line[colon + 1..]);
                fields.push((name.trim_ascii_end().to_vec(), value.trim_ascii().to_vec()));
            }
        }
    }
    fields
}

/// A message in the strictest form there is, as far as it has come; or why it is none.
fn strict(bytes: &[u8], is_head: bool) -> Result<Message, &'static str> {
    let mut message = Message::default();
    let mut at = 0;
    let head = loop {
        let Some(end) = find(&bytes[at..], b"\r\n\r\n") else {
            return if bytes.len() == at { Ok(message) } else { Err("a head without an end") };
        };
        let head = strict_head(&bytes[at..at + end])?;
        at += end + 4;
        message.length = at;
        let is_interim = head.status < 200;
        message.heads.push(head);
        if !is_interim {
            break message.heads.last().expect("just pushed");
        }
    };
    let values = |wanted: &str| -> Vec<&[u8]> {
        let wanted = wanted.as_bytes();
        let fields = head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        fields.map(|(_, value)| &value[..]).collect()
    };
    let has_none = is_head || matches!(head.status, 204 | 304);
    let rest = &bytes[at..];
    let length = match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => None,
        ([length], []) if length.iter().all(u8::is_ascii_digit) => {
            let length = str::from_utf8(length).expect("digits").parse::<u64>();
            Some(usize::try_from(length.map_err(|_| "no length")?).map_err(|_| "a long one")?)
        }
        ([], []) if has_none => Some(0),
        _ => return Err("no end, or two"),
    };
    match length {
        _ if has_none => message.is_whole = true,
        Some(length) => {
            message.body = rest[..length.min(rest.len())].to_vec();
            message.is_whole = rest.len() >= length;
        }
        None => {
            let (body, is_whole, length) = strict_chunks(rest)?;
            (message.body, message.is_whole) = (body, is_whole);
            message.length += length;
            return Ok(message);
        }
    }
    message.length += message.body.len();
    Ok(message)
}

fn strict_head(head: &[u8]) -> Result<Head, &'static str> {
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F);
    let mut lines = split(head, b"\r\n").into_iter();
    let first = lines.next().unwrap_or_default();
    let status = match first.strip_prefix(b"HTTP/1.1 ") {
        Some([a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ ..])
            if reason.iter().all(is_text) =>
        {
            [a, b, c].into_iter().fold(0, |status, digit| 10 * status + u16::from(digit - b'0'))
        }
        _ => return Err("no status line"),
    };
    if status == 101 {
        return Err("a switch that nobody has asked for");
    }
    let mut fields = Vec::new();
    for line in lines {
        let colon = find(line, b": ").ok_or("no colon")?;
        let (name, value) = (&line[..colon], &line[colon + 2..]);
        let is_name = !name.is_empty() && name.iter().all(|byte| is_tchar(*byte));
        let is_bare = value.trim_ascii() == value && value.iter().all(is_text);
        if !is_name || !is_bare {
            return Err("no field");
        }
        fields.push((name.to_vec(), value.to_vec()));
    }
    Ok(Head { status, fields })
}

/// RFC 9110 section 5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A body in chunks without extensions and trailers, as far as it has come, whether it is whole, and
/// its length.
fn strict_chunks(bytes: &[u8]) -> Result<(Vec<u8>, bool, usize), &'static str> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let Some(end) = find(rest, b"\r\n") else {
            return if rest.is_empty() { Ok((body, false, at)) } else { Err("half a size") };
        };
        let digits = &rest[..end];
        let is_size = (1..=15).contains(&digits.len())
            && digits.iter().all(|digit| b"0123456789abcdef".contains(digit));
        if !is_size {
            return Err("no size");
        }
        let digits = str::from_utf8(digits).map_err(|_| "no size")?;
        let size = usize::from_str_radix(digits, 16).map_err(|_| "no size")?;
        let data = &rest[end + 2..];
        if size == 0 {
            let is_end = data.starts_with(b"\r\n");
            return if is_end { Ok((body, true, at + end + 4)) } else { Err("trailers") };
        }
        if data.len() < size + 2 || &data[size..size + 2] != b"\r\n" {
            return Err("half a chunk");
        }
        body.extend_from_slice(&data[..size]);
        at += end + 2 + size + 2;
    }
}

/// A body in chunks with whatever may stand beside them, and its length.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let end = at + find(&bytes[at..], b"\r\n")?;
        let line = bytes[at..end].split(|&byte| byte == b';').next()?.trim_ascii();
        let size = usize::from_str_radix(str::from_utf8(line).ok()?, 16).ok()?;
        at = end + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
    loop {
        let end = find(&bytes[at..], b"\r\n")?;
        at += end + 2;
        if end == 0 {
            return Some((body, at));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn split<'a>(mut bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, by) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + by.len()..];
    }
    parts.push(bytes);
    parts
}
