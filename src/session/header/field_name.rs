//! Names of header fields, and the names that servers treat as equal.

use std::fmt;

use bytes::Bytes;
use http::HeaderName;

use crate::session::cookie::is_token_char;

/// The name of a header field, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    sent: String,
    wire: Bytes,
    name: HeaderName,
    pub(super) folded: String,
}

impl FieldName {
    /// Checks that `name` is a field name (RFC 9110 section 5.1).
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, FieldNameError> {
        if name.is_empty() {
            return Err(FieldNameError::Empty);
        }
        if let Some(c) = name.chars().find(|&c| !is_token_char(c)) {
            return Err(FieldNameError::NoToken(c));
        }
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldNameError::TooLong)?;
        Ok(Self {
            sent: name.to_owned(),
            wire: Bytes::copy_from_slice(name.as_bytes()),
            name: parsed,
            folded: name.bytes().map(fold).map(char::from).collect(),
        })
    }

    /// The name as spelled in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.sent
    }

    /// The same, to be written without a copy.
    #[must_use]
    pub fn to_wire(&self) -> Bytes {
        self.wire.clone()
    }

    /// The name in lower case, for look-ups.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Whether a server may treat `name` as this name: CGI, WSGI and others map `X_Session` and
    /// `x.session` to it.
    #[must_use]
    pub fn is_alias(&self, name: &[u8]) -> bool {
        folds_to(name, &self.folded)
    }
}

/// Why a text is not a header field name. The message says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldNameError {
    /// It is empty.
    Empty,
    /// It contains this character.
    NoToken(char),
    /// It is too long.
    TooLong,
}

impl fmt::Display for FieldNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a header name, in quotes and not empty"),
            Self::NoToken(c) => write!(f, "a header name, but it contains {c:?}"),
            Self::TooLong => f.write_str("a header name, but it is too long"),
        }
    }
}

impl std::error::Error for FieldNameError {}

/// Whether a server may treat `name` as `folded`, which is in lower case.
pub(crate) fn folds_to(name: &[u8], folded: &str) -> bool {
    name.len() == folded.len() && starts_with_folded(name, folded)
}

/// Converts to lower case, and everything except letters and digits to `-`.
pub(super) fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// Whether a server may treat `name` as starting with `folded`, which is in lower case.
pub(crate) fn starts_with_folded(name: &[u8], folded: &str) -> bool {
    name.len() >= folded.len()
        && name.iter().zip(folded.bytes()).all(|(&byte, want)| fold(byte) == want)
}
