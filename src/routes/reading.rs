//! The steps by which servers change a path before they route it.

/// Whether all servers read a path the same way: single slashes, no special segments.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let mut previous = if path.starts_with(b"/") { 0 } else { b'/' };
    path.iter().all(|&byte| {
        let after_slash = std::mem::replace(&mut previous, byte) == b'/';
        match byte {
            b'%' | b';' | b'\\' | b'?' | b'#' | ..b' ' | 0x7f => false,
            b'/' | b'.' => !after_slash,
            _ => true,
        }
    }) && behind_script(path).is_none()
}

/// Whether frameworks read a decoded path the same way: some ignore a newline at the end, some drop
/// invalid UTF-8.
pub(super) fn is_text(path: &[u8]) -> bool {
    str::from_utf8(path).is_ok() && !path.iter().any(u8::is_ascii_control)
}

/// Whether lower-casing changes a path or a route.
pub(super) fn has_case(path: &[u8]) -> bool {
    path.iter().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
}

/// A segment in lower case.
pub(super) fn fold_case(segment: &[u8]) -> Vec<u8> {
    match str::from_utf8(segment) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => segment.to_ascii_lowercase(),
    }
}

const SCRIPTS: [&[u8]; 8] = [b".php", b".cgi", b".pl", b".py", b".rb", b".asp", b".aspx", b".jsp"];

/// The path that a front controller reads: the part after the segment with the script's name.
fn behind_script(path: &[u8]) -> Option<&[u8]> {
    memchr::memchr(b'.', path)?;
    let is_script = |segment: &[u8]| {
        SCRIPTS.iter().any(|end| {
            let start = segment.len().checked_sub(end.len());
            start.is_some_and(|start| segment[start..].eq_ignore_ascii_case(end))
        })
    };
    let mut start = 0;
    while let Some(length) = path[start..].iter().position(|&byte| byte == b'/') {
        if is_script(&path[start..start + length]) {
            return Some(&path[start + length..]);
        }
        start += length + 1;
    }
    None
}

pub(super) fn strip_script(path: &[u8]) -> Vec<u8> {
    behind_script(path).unwrap_or(path).to_vec()
}

pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/')
}

pub(super) type Step = fn(&[u8]) -> Vec<u8>;

/// The steps by which servers change a path. Each returns the path unchanged if it does not apply.
pub(super) const STEPS: [Step; 9] = [
    |path| decode(path, Keep::Nothing),
    |path| decode(path, Keep::Slashes),
    backslashes_to_slashes,
    merge_slashes,
    resolve_dots,
    strip_parameters,
    strip_authority,
    strip_script,
    cut_tail,
];

/// Which escapes are not decoded.
#[derive(Clone, Copy)]
pub(super) enum Keep {
    Nothing,
    /// Those that would separate segments.
    Slashes,
    /// Those of characters that need no escape: decodes only spaces and letters that cannot be sent
    /// unescaped.
    Needless,
}

/// Decodes `%XX`; invalid escapes stay.
pub(super) fn decode(path: &[u8], keep: Keep) -> Vec<u8> {
    let keeps = |byte: u8| match keep {
        Keep::Nothing => false,
        Keep::Slashes => matches!(byte, b'/' | b'\\'),
        Keep::Needless => byte != b' ' && byte.is_ascii(),
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        match escaped_byte(rest) {
            Some(byte) if !keeps(byte) => {
                decoded.push(byte);
                rest = &rest[3..];
            }
            _ => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

/// Whether there is a `%` that is not an escape.
pub(super) fn has_stray_percent(path: &[u8]) -> bool {
    memchr::memchr_iter(b'%', path).any(|at| escaped_byte(&path[at..]).is_none())
}

pub(super) fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// As Windows servers and browsers do.
pub(super) fn backslashes_to_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

pub(super) fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|byte, previous| *byte == b'/' && *previous == b'/');
    merged
}

/// RFC 3986 section 5.2.4; empty segments count.
pub(super) fn resolve_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments(path) {
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    join(kept.into_iter())
}

/// Servlet containers read `/static/..;x=1/admin` as `/static/../admin`.
pub(super) fn strip_parameters(path: &[u8]) -> Vec<u8> {
    join(segments(path).map(|segment| up_to(segment, b";")))
}

/// URL parsers read `//host/admin` as the path `/admin` on a host; those of browsers and Node
/// ignore the number of slashes before the host, and treat backslashes as slashes.
pub(super) fn strip_authority(path: &[u8]) -> Vec<u8> {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let slashes = path.iter().take_while(|byte| is_slash(byte)).count();
    if slashes < 2 {
        return path.to_vec();
    }
    let rest = &path[slashes..];
    let end = rest.iter().position(is_slash).unwrap_or(rest.len());
    rest[end..].to_vec()
}

/// URL parsers find a query and fragment in decoded text too; C ends a string at a NUL.
fn cut_tail(path: &[u8]) -> Vec<u8> {
    up_to(path, b"?#\0").to_vec()
}

fn up_to<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    text.split(|byte| ends.contains(byte)).next().unwrap_or_default()
}

fn join<'a>(segments: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for segment in segments {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    path
}
