//! One pass over a JSON text that says whether it is an object (RFC 8259) and what it takes to
//! put it on one line. Numbers are never converted, nothing is recursive, nothing allocated.

use std::ops::Range;

use super::{DictError, MAX_DEPTH};

/// What a text that passed looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// There is white space between tokens.
    pub(super) spaced: bool,
    /// Between tokens and within them all is printable ASCII.
    pub(super) printable: bool,
    /// Where the keys at the top are.
    pub(super) keys: Keys,
}

/// How many keys are noted; of a dict with more, members are looked for where they are needed.
const NOTED: usize = 16;

/// Where the keys at the top of an object are, with their quotes: behind each stands a colon and its
/// value, and behind that a comma or the end, where there is no white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    ranges: [(u16, u16); NOTED],
    count: usize,
}

impl Keys {
    pub(super) const NONE: Self = Self { ranges: [(0, 0); NOTED], count: 0 };

    /// Says that nothing is known.
    pub(super) const UNKNOWN: Self = Self { count: usize::MAX, ..Self::NONE };

    fn note(&mut self, range: Range<usize>) {
        let range = (u16::try_from(range.start), u16::try_from(range.end));
        match (self.ranges.get_mut(self.count), range) {
            (Some(place), (Ok(start), Ok(end))) => {
                *place = (start, end);
                self.count += 1;
            }
            _ => *self = Self::UNKNOWN,
        }
    }

    /// All of them in order; None where there are too many to note.
    pub(super) fn ranges(&self) -> Option<&[(u16, u16)]> {
        self.ranges.get(..self.count)
    }
}

/// What a byte is within a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    /// A quote, a backslash or a control character.
    Special,
    /// DEL, or a part of a character past ASCII.
    Unprintable,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte {
            0..=0x1F | 0x22 | 0x5C => Class::Special,
            0x7F.. => Class::Unprintable,
            _ => Class::Plain,
        };
        byte += 1;
    }
    classes
};

/// What may come next.
enum Expect {
    Value,
    KeyOrEnd,
    Key,
    ElementOrEnd,
    CommaOrEnd,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    shape: Shape,
}

/// Checks that `bytes`, known to be UTF-8, are one JSON object.
pub(super) fn scan(bytes: &[u8]) -> Result<Shape, DictError> {
    let shape = Shape { spaced: false, printable: true, keys: Keys::NONE };
    let mut scanner = Scanner { bytes, at: 0, shape };
    scanner.space();
    match scanner.peek() {
        Some(b'{') => scanner.object()?,
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            return Err(DictError::NotAnObject);
        }
        _ => return Err(scanner.error()),
    }
    scanner.space();
    if scanner.at == bytes.len() { Ok(scanner.shape) } else { Err(scanner.error()) }
}

impl Scanner<'_> {
    /// The object at the cursor and all within it. One bit a level says what the level is.
    fn object(&mut self) -> Result<(), DictError> {
        let mut objects: u128 = 0;
        let mut depth: usize = 0;
        let mut expect = Expect::Value;
        loop {
            self.space();
            let byte = self.peek().ok_or_else(|| self.error())?;
            expect = match (expect, byte) {
                (Expect::Value | Expect::ElementOrEnd, b'{' | b'[') => {
                    if depth == MAX_DEPTH {
                        return Err(DictError::TooDeep);
                    }
                    depth += 1;
                    self.at += 1;
                    objects = objects << 1 | u128::from(byte == b'{');
                    if byte == b'{' { Expect::KeyOrEnd } else { Expect::ElementOrEnd }
                }
                (Expect::KeyOrEnd | Expect::CommaOrEnd, b'}') if objects & 1 == 1 => {
                    self.at += 1;
                    depth -= 1;
                    objects >>= 1;
                    Expect::CommaOrEnd
                }
                (Expect::ElementOrEnd | Expect::CommaOrEnd, b']') if objects & 1 == 0 => {
                    self.at += 1;
                    depth -= 1;
                    objects >>= 1;
                    Expect::CommaOrEnd
                }
                (Expect::CommaOrEnd, b',') => {
                    self.at += 1;
                    if objects & 1 == 1 { Expect::Key } else { Expect::Value }
                }
                (Expect::KeyOrEnd | Expect::Key, b'"') => {
                    let start = self.at;
                    self.string()?;
                    if depth == 1 {
                        self.shape.keys.note(start..self.at);
                    }
                    self.space();
                    self.expect(b':')?;
                    Expect::Value
                }
                (Expect::Value | Expect::ElementOrEnd, _) => {
                    self.scalar(byte)?;
                    Expect::CommaOrEnd
                }
                _ => return Err(self.error()),
            };
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self, first: u8) -> Result<(), DictError> {
        match first {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(self.error()),
        }
    }

    fn string(&mut self) -> Result<(), DictError> {
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            let class = |byte: &u8| CLASSES[usize::from(*byte)];
            let plain = rest.iter().position(|byte| class(byte) != Class::Plain);
            let Some(plain) = plain else {
                self.at = self.bytes.len();
                return Err(self.error());
            };
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    self.escape()?;
                }
                0..=0x1F => return Err(self.error()),
                _ => {
                    self.shape.printable = false;
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), DictError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.error());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.error()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), DictError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // A leading zero stands alone.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), DictError> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(self.error()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), DictError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.error());
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), DictError> {
        if self.peek() != Some(byte) {
            return Err(self.error());
        }
        self.at += 1;
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.shape.spaced = true;
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn error(&self) -> DictError {
        DictError::NotJson { at: self.at }
    }
}

/// A scanned text without the white space between its tokens.
pub(super) fn without_space(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        let (between, from_quote) = rest.split_at(quote);
        let (string, behind) = from_quote.split_at(string_end(from_quote.as_bytes(), 0));
        compact.extend(between.chars().filter(|c| !c.is_ascii_whitespace()));
        compact.push_str(string);
        rest = behind;
    }
    compact.extend(rest.chars().filter(|c| !c.is_ascii_whitespace()));
    compact
}

/// Key and value of the member that starts at `at` in a scanned, compact object.
pub(super) fn member(object: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    if object.get(at) != Some(&b'"') {
        return None;
    }
    let key_end = string_end(object, at);
    let value = key_end + 1;
    Some((at..key_end, value..value_end(object, value)))
}

/// The element that starts at `at` in a scanned, compact array.
pub(super) fn element(array: &[u8], at: usize) -> Option<Range<usize>> {
    if array.first() != Some(&b'[') || matches!(array.get(at), None | Some(b']')) {
        return None;
    }
    Some(at..value_end(array, at))
}

/// Where the value that starts at `at` ends.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => break,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => break,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that starts at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(rest) = bytes.get(at..) {
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(plain) if rest[plain] == b'"' => return at + plain + 1,
            Some(plain) => at += plain + 2,
            None => break,
        }
    }
    bytes.len()
}
