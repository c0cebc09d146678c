//! Why a text is not a dict.

use std::fmt;

/// How deep arrays and objects may be nested; the dict itself is the first level.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not a dict. The message gives the position, never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DictError {
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, from this byte on.
    NotJson {
        /// The offset of the first byte that does not fit.
        at: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Duplicate key at the top level.
    RepeatedKey,
}

impl fmt::Display for DictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NotJson { at } => write!(f, "not JSON at byte {at}"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
            Self::RepeatedKey => f.write_str("ambiguous, with a duplicate key at the top level"),
        }
    }
}

impl std::error::Error for DictError {}
