//! Why a route cannot be.

use std::fmt;

/// Why a route cannot be: what is wrong with its path, or that there is such a route already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// Its `path`, as it is written.
    pub path: String,
    /// What is wrong.
    pub reason: RouteReason,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteReason {
    /// It does not begin with a slash.
    Relative,
    /// It has a query or a fragment.
    NotAPathOnly,
    /// It has a `*`.
    Pattern,
    /// It has something in it that servers read in different ways.
    Disputed,
    /// Two slashes follow each other.
    EmptySegment,
    /// It has `.` or `..` in it.
    DotSegment,
    /// It has control characters.
    ControlCharacter,
    /// It has a delimiter that is escaped.
    EscapedDelimiter,
    /// It has a `%` that could be read as another thing once it is decoded.
    Percent,
    /// There is a route of this path already.
    Taken,
    /// There is a route of this path for this method already.
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
