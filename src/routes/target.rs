//! Request targets (RFC 9112 section 3.2): their path, and redirects back to them.

use super::reading::{Keep, decode};

/// The path of a request target as sent, without its query.
pub(crate) fn path_of(target: &[u8]) -> &[u8] {
    let target = origin_form(target);
    target.split(|&byte| byte == b'?').next().unwrap_or_default()
}

/// The `Location` of the login page with `target` to return to; with `/` instead if an app or a
/// browser could read `target` as another site.
#[must_use]
pub fn login_location(login: &str, target: &[u8]) -> String {
    let (login, fragment) = match login.split_once('#') {
        Some((login, fragment)) => (login, Some(fragment)),
        None => (login, None),
    };
    let separator = if login.contains('?') { '&' } else { '?' };
    let mut location = format!("{login}{separator}next=%2F");
    // Reduce all slashes at the start to one: `//evil.example` is another site, browsers treat `/\`
    // like `//`, and they skip white space in between.
    let back = trim_slashes(origin_form(target));
    let back = if may_lead_elsewhere(path_of(back)) { b"" } else { back };
    for &byte in back {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            location.push(char::from(byte));
        } else {
            location.push('%');
            location.push(char::from(HEX[usize::from(byte >> 4)]));
            location.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    if let Some(fragment) = fragment {
        location.push('#');
        location.push_str(fragment);
    }
    location
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A request target without scheme and authority, with its query.
fn origin_form(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let Some(colon) = target.iter().position(|byte| !is_scheme_byte(*byte)) else {
        return target;
    };
    match &target[colon..] {
        [b':', b'/', b'/', rest @ ..] => {
            // For parsers that treat a backslash as a slash, it also ends the authority.
            let end = rest.iter().position(|byte| b"/\\?#".contains(byte));
            end.map_or(b"/", |end| &rest[end..])
        }
        _ => target,
    }
}

/// How often a path may be decoded: by the app, once too often, and by a server behind it.
const MOST_DECODINGS: usize = 3;

/// Whether a reader could turn a path into one with two slashes at the start, which is another
/// site: by resolving dot segments, as in `/.//evil.example`, or by removing control characters, as
/// browsers do.
fn may_lead_elsewhere(path: &[u8]) -> bool {
    // Readers decode a path a different number of times, so a dot segment in one reading and an
    // empty segment in another are enough.
    let (mut dots, mut empty) = (false, false);
    let mut text = [b"/", path].concat();
    for _ in 0..=MOST_DECODINGS {
        if text.iter().any(u8::is_ascii_control) {
            return true;
        }
        let mut segments = text.split(|byte| matches!(byte, b'/' | b'\\')).skip(1).peekable();
        let first_is_empty = segments.peek().is_some_and(|first| first.is_empty());
        if first_is_empty && text.len() > 1 {
            return true;
        }
        while let Some(segment) = segments.next() {
            dots |= matches!(segment, b"." | b"..");
            empty |= segment.is_empty() && segments.peek().is_some();
        }
        if dots && empty {
            return true;
        }
        let decoded = decode(&text, Keep::Nothing);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    // A path that is encoded so often is an attack.
    true
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

fn trim_slashes(mut target: &[u8]) -> &[u8] {
    if target == b"*" {
        return b"";
    }
    loop {
        target = match target {
            [b'/' | b'\\' | ..=b' ', rest @ ..] => rest,
            [b'%', b'2', b'f' | b'F', rest @ ..] | [b'%', b'5', b'c' | b'C', rest @ ..] => rest,
            _ => return target,
        };
    }
}
