//! The `path` of a route: only what all servers read alike.

use super::reading::{Keep, decode, escaped_byte};

/// The segments of a route's path, decoded.
pub(super) fn parse(path: &str) -> Result<Vec<Box<[u8]>>, String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("a path that starts with \"/\", not {path:?}"));
    };
    if path.contains(['?', '#']) {
        return Err(format!("{path:?}: a path only, without query or fragment"));
    }
    if path.contains('*') {
        return Err(format!(
            "{path:?}: not a pattern but a prefix, which covers all that is below it"
        ));
    }
    if path.contains([';', '\\']) {
        return Err(format!(
            "{path:?}: a path without \";\" and \"\\\", which servers disagree on"
        ));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return if path.starts_with("//") {
            Err(format!("{path:?}: a path without empty segments"))
        } else {
            Ok(Vec::new())
        };
    }
    let parse_segment = |segment: &str| {
        let decoded = decode(segment.as_bytes(), Keep::Nothing);
        match &decoded[..] {
            b"" => Err(format!("{path:?}: a path without empty segments")),
            b"." | b".." => Err(format!("{path:?}: a path without dot segments")),
            bytes if bytes.iter().any(u8::is_ascii_control) => {
                Err(format!("{path:?}: a path without control characters"))
            }
            bytes if bytes.iter().any(|byte| b"/\\;?#".contains(byte)) => {
                Err(format!("{path:?}: a path without escaped delimiters"))
            }
            // Either it was no escape to begin with, or one within another.
            bytes if is_ambiguous(segment.as_bytes(), bytes) => {
                Err(format!("{path:?}: a \"%\" is written \"%25\" and must not start an escape"))
            }
            _ => Ok(decoded.into_boxed_slice()),
        }
    };
    rest.split('/').map(parse_segment).collect()
}

/// Whether a segment has a `%` that is no escape, or one more escape once it is decoded.
fn is_ambiguous(segment: &[u8], decoded: &[u8]) -> bool {
    let malformed =
        (0..segment.len()).any(|at| segment[at] == b'%' && escaped_byte(&segment[at..]).is_none());
    malformed || (0..decoded.len()).any(|at| escaped_byte(&decoded[at..]).is_some())
}
