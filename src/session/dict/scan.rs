//! Checks in one pass that a JSON text is an object (RFC 8259), and finds out whether it contains
//! white space and where its keys are. It converts no numbers and does not recurse.

use std::ops::Range;

use super::error::{DictError, MAX_DEPTH};

/// What the scan found out about a valid text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// There is white space between tokens.
    pub(super) spaced: bool,
    /// All of the text is printable ASCII.
    pub(super) printable: bool,
    /// The positions of the keys at the top level.
    pub(super) keys: MemberPlaces,
}

/// The positions of the keys at the top level, with their quotes. In a text without white space,
/// each key is followed by a colon and its value, then a comma or the end. None if they are unknown
/// or a position does not fit in 16 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberPlaces(Option<Vec<(u16, u16)>>);

impl MemberPlaces {
    pub(super) const NONE: Self = Self(Some(Vec::new()));
    pub(super) const UNKNOWN: Self = Self(None);

    fn note(&mut self, range: Range<usize>) {
        if let Some(ranges) = &mut self.0 {
            match (u16::try_from(range.start), u16::try_from(range.end)) {
                (Ok(start), Ok(end)) => ranges.push((start, end)),
                _ => self.0 = None,
            }
        }
    }

    /// All positions, in order.
    pub(super) fn ranges(&self) -> Option<&[(u16, u16)]> {
        self.0.as_deref()
    }
}

/// The index of the first of eight bytes that is special within a string: a quote, a backslash, a
/// control character, or not printable ASCII. All eight are tested in one word. The lowest bit
/// found is correct; a borrow or carry can only set wrong bits above it.
fn first_odd(bytes: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(bytes);
    let equals = |byte: u8| {
        let zero = word ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let past_printable = word.wrapping_add(ONES) | word;
    let odd = (control | equals(b'"') | equals(b'\\') | past_printable) & HIGH;
    (odd != 0).then(|| odd.trailing_zeros() as usize / 8)
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Which token may come next.
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
    let shape = Shape { spaced: false, printable: true, keys: MemberPlaces::NONE };
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
    /// Reads the object at the cursor with everything in it. The type of each level is one bit.
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
                    self.space();
                    // Most values are strings: handle them without another round of the loop.
                    if self.peek() == Some(b'"') {
                        self.string()?;
                        Expect::CommaOrEnd
                    } else {
                        Expect::Value
                    }
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
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                None | Some(0..=0x1F) => return Err(self.error()),
                Some(_) => {
                    self.shape.printable = false;
                    self.at += 1;
                }
            }
        }
    }

    fn skip_plain(&mut self) {
        while let Some(bytes) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            match first_odd(*bytes) {
                Some(odd) => {
                    self.at += odd;
                    return;
                }
                None => self.at += bytes.len(),
            }
        }
        while self.peek().is_some_and(is_plain) {
            self.at += 1;
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
        // No digits may follow a leading zero.
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

    /// Reads one or more digits.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = *b"abcdefgh";
                bytes[place] = byte;
                let odd = (!is_plain(byte)).then_some(place);
                assert_eq!(first_odd(bytes), odd, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_is_found_whatever_is_behind_it(bytes: [u8; 8]) {
            prop_assert_eq!(first_odd(bytes), bytes.iter().position(|byte| !is_plain(*byte)));
        }
    }
}
