//! A head of HTTP/1.1 whose bytes stay where they lie: a field is a place in them, and only what is
//! changed is written anew.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};

use crate::visit::{Fields, HeadFull, RequestHead, ResponseHead};

/// Where the lines of a head are in the bytes that it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The first one, without its end.
    pub(crate) first: Range<usize>,
    pub(crate) fields: Vec<Line>,
    /// Where the head ends, its empty line included.
    pub(crate) end: usize,
}

/// One field: its name, a colon, and a value up to `end`, behind which the line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) start: usize,
    pub(crate) name_length: usize,
    pub(crate) end: usize,
}

/// The most bytes that one head can have, ours among them.
const LONGEST: usize = u32::MAX as usize / 4;

/// How a field line begins behind its name, where nothing about it has to be mended.
const COLON: &[u8] = b": ";
const END: &[u8] = b"\r\n";

/// How much room to allocate for our own fields: enough for most requests and answers.
const OWN_FIELDS: usize = 12;
const OWN_BYTES: usize = 512;
const OWN_NAMES: usize = 160;

/// A head, with what its first line says as `T`.
#[derive(Debug)]
pub(super) struct Head<'a, T> {
    pub(super) first: T,
    sent: &'a [u8],
    /// Lines of our own, one behind the other.
    own: Vec<u8>,
    /// The names in lower case, one behind the other.
    lower: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    /// Where its name begins in lower case.
    lower: u32,
    name_length: u32,
    /// Where its line begins, and its value, and how long that is.
    line: u32,
    value: u32,
    value_length: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it was sent: one space behind the colon and none at the end.
    Sent,
    /// As it was sent, but for white space around the value.
    Untidy,
    Own,
    Removed,
}

impl<'a, T> Head<'a, T> {
    pub(super) fn new(first: T, sent: &'a [u8], lines: &[Line]) -> Self {
        let mut head = Self::with_room_for(first, sent, lines.len());
        for line in lines {
            head.push_sent(*line);
        }
        head
    }

    /// One to which so many fields are to be added.
    pub(super) fn with_room_for(first: T, sent: &'a [u8], count: usize) -> Self {
        Self {
            first,
            sent,
            own: Vec::new(),
            lower: Vec::with_capacity(24 * count + OWN_NAMES),
            fields: Vec::with_capacity(count + OWN_FIELDS),
        }
    }

    /// A copy, with room for the fields that are added for the app.
    pub(super) fn copy(&self) -> Self
    where
        T: Clone,
    {
        Self {
            first: self.first.clone(),
            sent: self.sent,
            own: with_room(&self.own, OWN_BYTES),
            lower: with_room(&self.lower, OWN_NAMES),
            fields: with_room(&self.fields, OWN_FIELDS),
        }
    }

    /// Adds a field as it was sent.
    pub(super) fn push_sent(&mut self, Line { start, name_length, end }: Line) {
        let Some(text) = self.sent.get(start..end) else { return };
        let Some((name, behind)) = text.split_at_checked(name_length) else { return };
        let value = behind.get(1..).unwrap_or_default();
        let trimmed = trim(value);
        // Where nothing is left, there is no telling where it was.
        let indent = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let value_start = name_length + 1 + if trimmed.is_empty() { 1 } else { indent };
        // The line is copied with its end: a parser may have left spaces in front of that out.
        let is_tidy = behind.starts_with(COLON)
            && value_start == name_length + 2
            && value_start + trimmed.len() == text.len()
            && self.sent.get(end..).is_some_and(|rest| rest.starts_with(END));
        let lower = self.push_lower(name);
        self.fields.push(Field {
            lower,
            name_length: narrow(name_length),
            line: narrow(start),
            value: narrow(start + value_start),
            value_length: narrow(trimmed.len()),
            state: if is_tidy { State::Sent } else { State::Untidy },
        });
    }

    fn push_lower(&mut self, name: &[u8]) -> u32 {
        let at = self.lower.len();
        self.lower.extend_from_slice(name);
        self.lower[at..].make_ascii_lowercase();
        narrow(at)
    }

    /// A field of our own, which is in no place yet.
    fn own_field(&mut self, name: &[u8], value: &[u8]) -> Result<Field, HeadFull> {
        let line = self.own.len();
        if line == 0 {
            self.own.reserve(OWN_BYTES);
        }
        if line + name.len() + value.len() > LONGEST {
            return Err(HeadFull);
        }
        for part in [name, COLON, value, END] {
            self.own.extend_from_slice(part);
        }
        let lower = self.push_lower(name);
        Ok(Field {
            lower,
            name_length: narrow(name.len()),
            line: narrow(line),
            value: narrow(line + name.len() + COLON.len()),
            value_length: narrow(value.len()),
            state: State::Own,
        })
    }

    fn lower_of(&self, field: &Field) -> &[u8] {
        slice(&self.lower, field.lower, field.name_length)
    }

    fn value_of(&self, field: &Field) -> &[u8] {
        let bytes = if field.state == State::Own { &self.own } else { self.sent };
        slice(bytes, field.value, field.value_length)
    }

    fn present(&self) -> impl DoubleEndedIterator<Item = &Field> {
        self.fields.iter().filter(|field| field.state != State::Removed)
    }

    /// Removes the fields of which that is true.
    pub(super) fn remove_where(&mut self, is_one: impl Fn(&[u8]) -> bool) {
        for field in &mut self.fields {
            if is_one(slice(&self.lower, field.lower, field.name_length)) {
                field.state = State::Removed;
            }
        }
    }

    /// Writes the fields and the empty line behind them.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) {
        for field in self.present() {
            let line = field.line as usize;
            match field.state {
                State::Sent | State::Own => {
                    let bytes = if field.state == State::Own { &self.own } else { self.sent };
                    let end = (field.value + field.value_length) as usize;
                    out.extend_from_slice(bytes.get(line..end + END.len()).unwrap_or_default());
                }
                State::Untidy => {
                    out.extend_from_slice(slice(self.sent, field.line, field.name_length));
                    out.extend_from_slice(COLON);
                    out.extend_from_slice(self.value_of(field));
                    out.extend_from_slice(END);
                }
                State::Removed => {}
            }
        }
        out.extend_from_slice(END);
    }
}

fn with_room<T: Copy>(items: &[T], more: usize) -> Vec<T> {
    let mut copy = Vec::with_capacity(items.len() + more);
    copy.extend_from_slice(items);
    copy
}

fn slice(bytes: &[u8], start: u32, length: u32) -> &[u8] {
    let start = start as usize;
    bytes.get(start..start + length as usize).unwrap_or_default()
}

/// A place in a head, which is shorter than that.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Without the white space of RFC 9110 section 5.5 at either end.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

impl<'s, T> Fields for Head<'s, T> {
    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.present().map(|field| self.lower_of(field))
    }

    fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.present().map(|field| (self.lower_of(field), self.value_of(field)))
    }

    fn all<'a>(
        &'a self,
        name: &HeaderName,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 's, T> {
        let name = name.clone();
        let is_one = move |field: &&Field| self.lower_of(field) == name.as_str().as_bytes();
        self.present().filter(is_one).map(|field| self.value_of(field))
    }

    fn remove(&mut self, name: &[u8]) -> usize {
        let mut count = 0;
        for field in &mut self.fields {
            if field.state != State::Removed
                && slice(&self.lower, field.lower, field.name_length) == name
            {
                field.state = State::Removed;
                count += 1;
            }
        }
        count
    }

    fn set(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull> {
        let new = self.own_field(&name, value.as_bytes())?;
        let mut new = Some(new);
        for field in &mut self.fields {
            let is_one = field.state != State::Removed
                && slice(&self.lower, field.lower, field.name_length).eq_ignore_ascii_case(&name);
            if is_one {
                match new.take() {
                    Some(new) => *field = new,
                    None => field.state = State::Removed,
                }
            }
        }
        self.fields.extend(new);
        Ok(())
    }

    fn append(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull> {
        let field = self.own_field(&name, value.as_bytes())?;
        self.fields.push(field);
        Ok(())
    }
}

/// Method and target.
#[derive(Clone, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) line: &'a [u8],
    pub(super) method: Method,
    pub(super) target: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Of a line that has been looked at: three words.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|&byte| byte == b' ');
        let method = Method::from_bytes(words.next()?).ok()?;
        let target = words.next()?;
        Some(Self { line, method, target })
    }
}

impl RequestHead for Head<'_, RequestLine<'_>> {
    fn method(&self) -> &Method {
        &self.first.method
    }

    fn version(&self) -> Version {
        Version::HTTP_11
    }

    fn scheme(&self) -> Option<&str> {
        None
    }

    fn target(&self) -> &[u8] {
        self.first.target
    }

    fn authority(&self) -> Option<&str> {
        None
    }
}

/// Version, status and the words behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusLine<'a> {
    pub(super) is_http11: bool,
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
}

impl ResponseHead for Head<'_, StatusLine<'_>> {
    fn status(&self) -> u16 {
        self.first.status
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    /// The lines of a head, each with a colon.
    fn head(sent: &[u8]) -> Head<'_, ()> {
        let mut lines = Vec::new();
        let mut start = 0;
        for line in sent.split_inclusive(|&byte| byte == b'\n') {
            let name_length = line.iter().position(|&byte| byte == b':').unwrap();
            lines.push(Line { start, name_length, end: start + line.len() - 2 });
            start += line.len();
        }
        Head::new((), sent, &lines)
    }

    fn written<T>(head: &Head<'_, T>) -> String {
        let mut out = Vec::new();
        head.write_fields(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    fn value(value: &'static str) -> HeaderValue {
        HeaderValue::from_static(value)
    }

    #[test]
    fn what_nobody_changes_goes_as_it_came_but_for_white_space() {
        for (sent, expected) in [
            ("A: b\r\nC-d: e f\r\n", "A: b\r\nC-d: e f\r\n\r\n"),
            ("a:b\r\nA:  b \t\r\n", "a: b\r\nA: b\r\n\r\n"),
            ("A:\r\nB: \r\nC:  \r\nD:\t\r\n", "A: \r\nB: \r\nC: \r\nD: \r\n\r\n"),
            ("", "\r\n"),
        ] {
            assert_eq!(written(&head(sent.as_bytes())), expected, "{sent:?}");
        }
    }

    #[test]
    fn fields_are_found_by_their_name_in_any_case() {
        let head = head(b"Host: a\r\ncookie: b \r\nX-A: 1\r\nCOOKIE:c\r\nEmpty:\r\n");
        let all = |which| head.all(&name(which)).collect::<Vec<_>>();
        assert_eq!(all("cookie"), [b"b", b"c"]);
        assert_eq!(all("host"), [b"a"]);
        assert_eq!(all("empty"), [b""]);
        assert_eq!(all("x"), [b""; 0]);
        assert_eq!(head.all(&name("cookie")).next_back(), Some(&b"c"[..]));
        let names: Vec<_> = head.names().collect();
        assert_eq!(names, [&b"host"[..], b"cookie", b"x-a", b"cookie", b"empty"]);
        assert!(head.has(&name("x-a")) && !head.has(&name("x-b")));
    }

    #[test]
    fn a_field_that_is_set_takes_the_place_of_all_of_its_name() {
        let mut head = head(b"A: 1\r\nx-a: 2\r\nB: 3\r\nX-A: 4\r\n");
        head.set(Bytes::from_static(b"X-A"), value("new")).unwrap();
        head.set(Bytes::from_static(b"X-New"), value("")).unwrap();
        head.append(Bytes::from_static(b"B"), value("5")).unwrap();
        assert_eq!(written(&head), "A: 1\r\nX-A: new\r\nB: 3\r\nX-New: \r\nB: 5\r\n\r\n");
        head.set(Bytes::from_static(b"B"), value("6")).unwrap();
        assert_eq!(written(&head), "A: 1\r\nX-A: new\r\nB: 6\r\nX-New: \r\n\r\n");
        assert_eq!(head.first(&name("b")), Some(&b"6"[..]));
        assert_eq!(head.names().count(), 4);
    }

    #[test]
    fn a_field_that_is_removed_is_gone_and_can_come_back() {
        let mut head = head(b"A: 1\r\nB: 2\r\na: 3\r\n");
        assert_eq!((head.remove(b"a"), head.remove(b"a"), head.remove(b"c")), (2, 0, 0));
        assert_eq!(written(&head), "B: 2\r\n\r\n");
        head.append(Bytes::from_static(b"A"), value("4")).unwrap();
        assert_eq!(written(&head), "B: 2\r\nA: 4\r\n\r\n");
        assert_eq!(head.remove(b"a"), 1);
        head.remove_where(|name| name == b"b");
        assert_eq!(written(&head), "\r\n");
    }
}
