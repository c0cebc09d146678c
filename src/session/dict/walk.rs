//! Walks over a text that [`super::scan`] has accepted as an object; nothing is checked again.

use std::ops::Range;

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

/// The members of a scanned object.
pub(in crate::session) fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let (key, value) = member(object.as_bytes(), at)?;
        at = value.end + 1;
        let text = |range: Range<usize>| object.get(range);
        Some((text(key)?, text(value)?))
    })
}

/// The elements of a scanned array; none if the value is not an array.
pub(in crate::session) fn elements(array: &str) -> impl Iterator<Item = &str> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let element = element(array.as_bytes(), at)?;
        at = element.end + 1;
        array.get(element)
    })
}

/// Key and value of the member that starts at `at` in a scanned, compact object.
fn member(object: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    if object.get(at) != Some(&b'"') {
        return None;
    }
    let key_end = string_end(object, at);
    let value = key_end + 1;
    Some((at..key_end, value..value_end(object, value)))
}

/// The element that starts at `at` in a scanned, compact array.
fn element(array: &[u8], at: usize) -> Option<Range<usize>> {
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

/// The position after the closing quote of the string that starts at `at`.
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
