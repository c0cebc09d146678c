//! Why a text is no dict.

use std::fmt;

/// How deep arrays and objects may nest, the dict itself being the first level.
pub const MAX_DEPTH: usize = 128;

/// Why a text is no dict. Says where, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DictError {
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, from this byte on.
    NotJson {
        /// The offset of the first byte that does not fit.
        at: usize,
    },
    /// JSON of another kind than an object.
    NotAnObject,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A key stands twice at the top.
    RepeatedKey,
}

impl fmt::Display for DictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NotJson { at } => write!(f, "not JSON at byte {at}"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
            Self::RepeatedKey => f.write_str("a key stands twice at the top"),
        }
    }
}

impl std::error::Error for DictError {}
