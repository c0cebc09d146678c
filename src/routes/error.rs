//! Why a route is invalid.

use std::fmt;

/// Why a route is invalid: its path is wrong or a duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// Its `path`, as written.
    pub path: String,
    /// What is wrong.
    pub reason: RouteReason,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteReason {
    /// It does not start with a slash.
    Relative,
    /// It has a query or a fragment.
    NotAPathOnly,
    /// It contains `*`.
    Pattern,
    /// It contains characters that servers read differently.
    Disputed,
    /// It contains an empty segment.
    EmptySegment,
    /// It contains `.` or `..`.
    DotSegment,
    /// It contains control characters.
    ControlCharacter,
    /// It contains an escaped delimiter.
    EscapedDelimiter,
    /// It contains a `%` that is an escape again after decoding.
    Percent,
    /// Another route has this path.
    Taken,
    /// Another route has this path for this method.
    TakenFor(String),
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, reason } = self;
        let told = match reason {
            RouteReason::Relative => {
                return write!(f, "a path that starts with \"/\", not {path:?}");
            }
            RouteReason::Taken => {
                return write!(f, "duplicate path {path:?}: another [[routes]] has it already");
            }
            RouteReason::TakenFor(method) => {
                return write!(
                    f,
                    "duplicate route: another [[routes]] has {path:?} for {method} already"
                );
            }
            RouteReason::NotAPathOnly => "a path only, without query or fragment",
            RouteReason::Pattern => "a prefix instead of a pattern: it covers everything below it",
            RouteReason::Disputed => {
                "a path without \";\" and \"\\\", which servers read differently"
            }
            RouteReason::EmptySegment => "a path without empty segments",
            RouteReason::DotSegment => "a path without dot segments",
            RouteReason::ControlCharacter => "a path without control characters",
            RouteReason::EscapedDelimiter => "a path without escaped delimiters",
            RouteReason::Percent => "a \"%\" is written \"%25\" and must not start an escape",
        };
        write!(f, "{path:?}: {told}")
    }
}

impl std::error::Error for RouteError {}
