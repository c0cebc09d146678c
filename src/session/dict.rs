//! The dict: a JSON object (RFC 8259), kept as the text in which it was written. Key order, long
//! integers, the digits of floats and lone surrogates survive.
//!
//! A scan checks each text once; all other code relies on that check.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

mod error;
mod scan;
mod walk;

pub use error::{DictError, MAX_DEPTH};
use scan::MemberPlaces;
pub(super) use walk::{elements, members};

/// From this number of keys, duplicates are found by sorting; below it, by marks.
const MANY: usize = 128;

/// The length of `\uXXXX`.
const ESCAPE: usize = 6;

/// A JSON object in UTF-8, without white space between tokens and without duplicate keys at the top
/// level.
#[derive(Clone)]
pub struct Dict {
    text: String,
    /// Whether the text is printable ASCII and fits unchanged in a header field.
    printable: bool,
    /// The positions of its members, if known.
    keys: MemberPlaces,
}

/// Shows the size, never the content.
impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dict({} bytes)", self.text.len())
    }
}

/// Two dicts are equal if their texts are.
impl PartialEq for Dict {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Dict {}

impl Default for Dict {
    fn default() -> Self {
        Self { text: "{}".into(), printable: true, keys: MemberPlaces::NONE }
    }
}

impl Dict {
    /// Checks that `bytes` are a dict and removes the white space between tokens.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, DictError> {
        Self::from_vec(bytes.to_vec())
    }

    /// Like [`Dict::parse`], but takes ownership of the buffer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self, DictError> {
        let text = String::from_utf8(bytes).map_err(|_| DictError::NotUtf8)?;
        let shape = scan::scan(text.as_bytes())?;
        let (text, keys) = match shape.spaced {
            true => (walk::without_space(&text), MemberPlaces::UNKNOWN),
            false => (text, shape.keys),
        };
        let dict = Self { text, printable: shape.printable, keys };
        if dict.repeats_a_key() { Err(DictError::RepeatedKey) } else { Ok(dict) }
    }

    /// Joins members that come from dicts; there must be no duplicate key.
    pub(super) fn from_members<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let text = write_object(members);
        let printable = is_printable(&text);
        Self { text, printable, keys: MemberPlaces::UNKNOWN }
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text == "{}"
    }

    /// The members at the top level, in order: each key as written, with its quotes, and the text
    /// of its value.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        let known = self.keys.ranges();
        let walked = if known.is_none() { Some(members(&self.text)) } else { None };
        let known = known.unwrap_or_default();
        let noted = known.iter().enumerate().filter_map(|(index, &(start, end))| {
            // A value ends at the comma before the next key, or at the brace.
            let next = known.get(index + 1).map_or(self.text.len(), |&(next, _)| next.into());
            let (start, end) = (usize::from(start), usize::from(end));
            Some((self.text.get(start..end)?, self.text.get(end + 1..next - 1)?))
        });
        noted.chain(walked.into_iter().flatten())
    }

    /// The text of the value at a path of keys; None if a key is missing or its parent is not an
    /// object. If a key below the top level is repeated, the last one counts, as in most parsers.
    #[must_use]
    pub fn get(&self, path: &[impl AsRef<str>]) -> Option<&str> {
        let mut value = self.text.as_str();
        for key in path {
            if !value.starts_with('{') {
                return None;
            }
            let wanted = key.as_ref().as_bytes();
            let found = members(value).filter(|(key, _)| *unescape(key) == *wanted).last();
            value = found?.1;
        }
        Some(value)
    }

    /// The text in printable ASCII: other characters become `\uXXXX` escapes, those outside the
    /// Basic Multilingual Plane a pair of escapes (RFC 8259 section 7).
    #[must_use]
    pub fn to_ascii(&self) -> Cow<'_, str> {
        if self.printable {
            return Cow::Borrowed(&self.text);
        }
        let mut ascii = String::with_capacity(self.text.len() * 2);
        for c in self.text.chars() {
            if is_printable_byte(u32::from(c)) {
                ascii.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(ascii, "\\u{unit:04x}");
                }
            }
        }
        Cow::Owned(ascii)
    }

    /// The length of [`Dict::to_ascii`].
    #[must_use]
    pub fn ascii_bytes(&self) -> usize {
        if self.printable {
            return self.text.len();
        }
        // Counted by the first byte of each character: a character of four bytes becomes two
        // escapes.
        let escaped = |byte: u8| match byte {
            0x20..=0x7E => 1,
            0x80..=0xBF => 0,
            0xF0.. => 2 * ESCAPE,
            _ => ESCAPE,
        };
        self.text.bytes().map(escaped).sum()
    }

    fn repeats_a_key(&self) -> bool {
        match self.keys.ranges() {
            Some(ranges) if ranges.len() <= MANY => self.repeats_among_few(ranges),
            _ => {
                let mut keys: Vec<_> = self.members().map(|(key, _)| unescape(key)).collect();
                keys.sort_unstable();
                keys.windows(2).any(|pair| pair[0] == pair[1])
            }
        }
    }

    /// Compares each key with the earlier keys that have the same mark.
    fn repeats_among_few(&self, ranges: &[(u16, u16)]) -> bool {
        let key = |&(start, end): &(u16, u16)| {
            unescape(self.text.get(start.into()..end.into()).unwrap_or_default())
        };
        // The last key with each mark, and for each key the previous one with its mark; counted
        // from 1.
        let mut last = [0u8; MARKS];
        let mut before = [0u8; MANY + 1];
        (1u8..).zip(ranges).any(|(place, range)| {
            let this = key(range);
            let last = &mut last[mark(&this)];
            let mut other = usize::from(*last);
            while other > 0 {
                if key(&ranges[other - 1]) == this {
                    return true;
                }
                other = before[other].into();
            }
            before[usize::from(place)] = *last;
            *last = place;
            false
        })
    }
}

/// The number of different marks.
const MARKS: usize = 256;

/// A small hash, below [`MARKS`], of the length and the last eight bytes: similar keys mostly
/// differ at their ends.
fn mark(key: &[u8]) -> usize {
    let end = match key.last_chunk() {
        Some(end) => u64::from_le_bytes(*end),
        None => key.iter().fold(0, |end, byte| end << 8 | u64::from(*byte)),
    };
    // Fibonacci hashing (Knuth, volume 3, section 6.4): the high bits depend on all the others.
    let mixed = (end ^ key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - MARKS.ilog2())) as usize
}

/// The text of an object with these members.
pub(super) fn write_object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("{");
    for (key, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(key);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

/// Decodes a JSON string, given with its quotes. A lone surrogate becomes the three bytes that
/// UTF-8 would use for it, so that different strings stay different.
pub(crate) fn unescape(quoted: &str) -> Cow<'_, [u8]> {
    let inner = quoted.as_bytes();
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some((&escape, behind)) = rest.split_first() else {
            break;
        };
        rest = behind;
        match escape {
            b'b' => bytes.push(0x08),
            b'f' => bytes.push(0x0c),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'u' => {
                let unit = hex4(rest);
                rest = rest.get(4..).unwrap_or_default();
                let low = rest.strip_prefix(b"\\u").map(hex4);
                let code = match (unit, low) {
                    (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                        rest = rest.get(6..).unwrap_or_default();
                        0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
                    }
                    _ => unit,
                };
                push_code_point(&mut bytes, code);
            }
            other => bytes.push(other),
        }
    }
    Cow::Owned(bytes)
}

/// The value of four hexadecimal digits, already checked by the scan.
fn hex4(digits: &[u8]) -> u32 {
    let digits = digits.iter().take(4);
    digits.fold(0, |value, &digit| value << 4 | char::from(digit).to_digit(16).unwrap_or_default())
}

fn push_code_point(bytes: &mut Vec<u8>, code: u32) {
    if let Some(c) = char::from_u32(code) {
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let continuation = |shift: u32| 0x80 | (code >> shift & 0x3F) as u8;
        bytes.extend_from_slice(&[
            0xE0 | (code >> 12 & 0x0F) as u8,
            continuation(6),
            continuation(0),
        ]);
    }
}

pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| is_printable_byte(u32::from(byte)))
}

fn is_printable_byte(code: u32) -> bool {
    (0x20..0x7F).contains(&code)
}

#[cfg(test)]
mod tests;
