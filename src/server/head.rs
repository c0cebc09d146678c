//! Reads the head of an HTTP/1 request before pingora does: with limits and a deadline, and only in
//! the form that all readers understand the same way (RFC 9112). pingora alone would wait forever
//! for a slow head, accept a megabyte, accept other line ends, and repair request lines.
//!
//! What pingora would refuse is refused here, because its own answer names pingora and leaves no
//! trace in logs and metrics.

use std::ops::Range;

use first_line::FirstLine;
pub(super) use first_line::method_and_target;
pub(super) use joined::with_one_cookie_field;

use crate::config::Limits;
use crate::exchange::{Line, Lines};

mod first_line;
mod joined;

/// pingora's maximum number of fields.
const MOST_FIELDS: usize = 256;

/// Enough for most requests.
const USUAL_FIELDS: usize = 16;

/// pingora's limits for a field name and a head.
const LONGEST_NAME: usize = u16::MAX as usize;
const LONGEST: usize = 1_048_575;

/// The state of the scan of a head.
#[derive(Debug)]
pub(super) struct Scan {
    limits: Limits,
    /// The position of the scan.
    at: usize,
    /// The start of the current line.
    line: usize,
    /// The number of complete lines, without empty ones before the first.
    lines: usize,
    /// The number of `Cookie` lines and their size. They count as one field and have a limit of
    /// their own.
    cookie_lines: usize,
    cookies: usize,
    previous: u8,
    /// The position of the first line.
    first: Range<usize>,
    /// Whether the target contains unusual characters.
    has_odd_target: bool,
    /// Whether the version supports chunked bodies.
    knows_chunks: bool,
    /// The position of the value of `Host`.
    host: Option<Range<usize>>,
    /// Whether the length of the body is given.
    is_framed: bool,
    /// The positions of the fields.
    fields: Vec<Line>,
}

/// The result so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The head is incomplete.
    More,
    /// The head is complete and valid.
    Complete,
    /// The head is refused with this status.
    Refused(u16),
}

impl Scan {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            at: 0,
            line: 0,
            lines: 0,
            cookie_lines: 0,
            cookies: 0,
            previous: 0,
            first: 0..0,
            has_odd_target: false,
            knows_chunks: false,
            host: None,
            is_framed: false,
            fields: Vec::with_capacity(USUAL_FIELDS),
        }
    }

    /// The lines of a complete head, if the exchange can carry it: HTTP/1.1 with a plain path as
    /// its target.
    pub(super) fn into_lines(self) -> Option<Lines> {
        let can = self.knows_chunks && !self.has_odd_target && !self.has_too_many_lines();
        can.then_some(Lines { first: self.first, fields: self.fields, end: self.at })
    }

    /// Scans the bytes that are new. `bytes` is everything received so far.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Progress {
        loop {
            self.skip_plain(bytes);
            let Some(&byte) = bytes.get(self.at) else {
                return Progress::More;
            };
            if (byte == b'\n') != (self.previous == b'\r') || is_forbidden(byte) {
                return Progress::Refused(400);
            }
            if self.at - self.cookies >= self.limits.head_bytes && self.is_past(bytes) {
                return self.too_long();
            }
            self.previous = byte;
            self.at += 1;
            if byte == b'\n' {
                let line = self.line..self.at - 2;
                self.line = self.at;
                self.previous = 0;
                match self.end_of(line, bytes) {
                    Progress::More => {}
                    verdict => return verdict,
                }
            } else if self.lines == 0 && self.at - self.line > self.limits.request_line_bytes {
                return self.too_long();
            }
        }
    }

    /// Whether there are more fields than pingora accepts; the number of cookies is not limited.
    pub(super) fn has_too_many_lines(&self) -> bool {
        self.lines > MOST_FIELDS
    }

    /// Skips to the next control character, at most to a limit.
    fn skip_plain(&mut self, bytes: &[u8]) {
        let mut end = self.cookies + self.limits.head_bytes;
        if self.lines == 0 {
            end = end.min(self.line + self.limits.request_line_bytes);
        }
        let Some(plain) = bytes.get(self.at..end.min(bytes.len())) else {
            return;
        };
        // After a CR, the next byte must be checked: only LF is valid.
        if self.previous == b'\r' {
            return;
        }
        let count = plain_bytes(plain);
        if count > 0 {
            self.at += count;
            self.previous = plain[count - 1];
        }
    }

    /// Whether the limit is exceeded, counting the current line for cookies or for the rest.
    fn is_past(&self, bytes: &[u8]) -> bool {
        let line = &bytes[self.line..self.at];
        let before = self.line - self.cookies;
        let is_cookie = self.lines > 0 && is_cookie(line);
        !is_cookie
            || before >= self.limits.head_bytes
            || self.cookies + line.len() >= self.limits.cookie_bytes
    }

    fn too_long(&self) -> Progress {
        Progress::Refused(if self.lines == 0 { 414 } else { 431 })
    }

    fn end_of(&mut self, line: Range<usize>, bytes: &[u8]) -> Progress {
        let text = &bytes[line.clone()];
        let verdict = match (self.lines, text) {
            // Ignore empty lines before a request (RFC 9112 section 2.2).
            (0, b"") => return Progress::More,
            (0, text) => self.end_of_first(line, text),
            (_, b"") => return self.end(bytes),
            (_, text) => self.end_of_field(line.start, text),
        };
        self.lines += 1;
        verdict
    }

    fn end_of_first(&mut self, line: Range<usize>, text: &[u8]) -> Progress {
        match FirstLine::parse(text) {
            None => Progress::Refused(400),
            Some(line) if line.target.len() > first_line::LONGEST_TARGET => Progress::Refused(414),
            Some(parsed) => {
                self.has_odd_target = !parsed.is_plain;
                self.knows_chunks = parsed.is_http11;
                self.first = line;
                Progress::More
            }
        }
    }

    /// Checks a field: a name, directly followed by a colon, and a value (RFC 9112 section 5),
    /// without line folding. Fields for the host and for the length of the body must be
    /// unambiguous.
    fn end_of_field(&mut self, start: usize, line: &[u8]) -> Progress {
        let name =
            line.iter().take_while(|byte| crate::session::cookie::is_token_byte(**byte)).count();
        if name == 0 || line.get(name) != Some(&b':') {
            return Progress::Refused(400);
        }
        if name > LONGEST_NAME {
            return Progress::Refused(431);
        }
        self.fields.push(Line { start, name_length: name, end: start + line.len() });
        let (name, value) = (&line[..name], &line[name + 1..]);
        let is_clear = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let begin = start + name.len() + 1;
                let is_second = self.host.replace(begin..begin + value.len()).is_some();
                !is_second && !value.contains(&b'@')
            }
            6 if name.eq_ignore_ascii_case(b"cookie") => {
                self.cookie_lines += 1;
                self.cookies += line.len() + 2;
                if self.cookies > self.limits.cookie_bytes {
                    return self.too_long();
                }
                true
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                !std::mem::replace(&mut self.is_framed, true) && is_length(value.trim_ascii())
            }
            // Stricter than necessary: backends disagree about `chunked, chunked`.
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                !std::mem::replace(&mut self.is_framed, true)
                    && self.knows_chunks
                    && value.trim_ascii().eq_ignore_ascii_case(b"chunked")
            }
            _ => true,
        };
        // The count includes the first line, but not yet this field.
        let fields = self.lines - self.cookie_lines.saturating_sub(1);
        match is_clear {
            false => Progress::Refused(400),
            true if fields > self.limits.header_fields => Progress::Refused(431),
            true => Progress::More,
        }
    }

    fn end(&self, bytes: &[u8]) -> Progress {
        if self.has_odd_target {
            let host = self.host.clone().and_then(|host| bytes.get(host)).map(<[u8]>::trim_ascii);
            let line = FirstLine::parse(&bytes[self.first.clone()]);
            if !line.is_some_and(|line| line.is_readable(host)) {
                return Progress::Refused(400);
            }
        }
        if bytes.len() > LONGEST { Progress::Refused(431) } else { Progress::Complete }
    }
}

/// The number of bytes before the first control character.
fn plain_bytes(bytes: &[u8]) -> usize {
    let is_control = |byte: u8| (byte < b' ') | (byte == 0x7f);
    // Without a branch for each byte, so that it is vectorized.
    let is_plain =
        |chunk: &&[u8]| !chunk.iter().fold(false, |found, &byte| found | is_control(byte));
    let count = 16 * bytes.chunks_exact(16).take_while(is_plain).count();
    count + bytes[count..].iter().take_while(|&&byte| !is_control(byte)).count()
}

/// Whether it is a control character that is forbidden in heads (RFC 9110 section 5.5).
fn is_forbidden(byte: u8) -> bool {
    byte == 0x7f || (byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n'))
}

/// Only digits (RFC 9112 section 6.3); not every backend reads `+5` as pingora does.
fn is_length(value: &[u8]) -> bool {
    let digits = str::from_utf8(value).ok().filter(|_| value.iter().all(u8::is_ascii_digit));
    digits.is_some_and(|digits| digits.parse::<usize>().is_ok())
}

/// Whether an unfinished line is a `Cookie` field.
fn is_cookie(line: &[u8]) -> bool {
    const NAME: &[u8] = b"cookie:";
    line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}

#[cfg(test)]
mod tests;
