//! Parses the `path` of a route; accepts only paths that all servers read the same way.

use super::error::RouteReason;
use super::reading::{Keep, decode, escaped_byte};

/// The segments of a route's path, decoded.
pub(super) fn parse(path: &str) -> Result<Vec<Box<[u8]>>, RouteReason> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(RouteReason::Relative);
    };
    if path.contains(['?', '#']) {
        return Err(RouteReason::NotAPathOnly);
    }
    if path.contains('*') {
        return Err(RouteReason::Pattern);
    }
    if path.contains([';', '\\']) {
        return Err(RouteReason::Disputed);
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return if path.starts_with("//") {
            Err(RouteReason::EmptySegment)
        } else {
            Ok(Vec::new())
        };
    }
    rest.split('/').map(parse_segment).collect()
}

fn parse_segment(segment: &str) -> Result<Box<[u8]>, RouteReason> {
    let decoded = decode(segment.as_bytes(), Keep::Nothing);
    match &decoded[..] {
        b"" => Err(RouteReason::EmptySegment),
        b"." | b".." => Err(RouteReason::DotSegment),
        bytes if bytes.iter().any(u8::is_ascii_control) => Err(RouteReason::ControlCharacter),
        bytes if bytes.iter().any(|byte| b"/\\;?#".contains(byte)) => {
            Err(RouteReason::EscapedDelimiter)
        }
        // Either an invalid escape, or an escaped escape.
        bytes if is_ambiguous(segment.as_bytes(), bytes) => Err(RouteReason::Percent),
        _ => Ok(decoded.into_boxed_slice()),
    }
}

/// Whether a segment has a `%` that is not an escape, or is an escape again after decoding.
fn is_ambiguous(segment: &[u8], decoded: &[u8]) -> bool {
    let malformed =
        (0..segment.len()).any(|at| segment[at] == b'%' && escaped_byte(&segment[at..]).is_none());
    malformed || (0..decoded.len()).any(|at| escaped_byte(&decoded[at..]).is_some())
}
