//! Cookie names, and the bytes of a token (RFC 9110).

use std::fmt;

/// A cookie name that is valid in `Set-Cookie`: a token of RFC 9110 section 5.6.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieName(String);

impl CookieName {
    /// Checks that `name` is a token.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, CookieNameError> {
        if name.is_empty() {
            return Err(CookieNameError::Empty);
        }
        match name.chars().find(|&c| !is_token_char(c)) {
            Some(c) => Err(CookieNameError::NoToken(c)),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a cookie name. The message says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieNameError {
    /// It is empty.
    Empty,
    /// It contains this character.
    NoToken(char),
}

impl fmt::Display for CookieNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a cookie name, in quotes and not empty"),
            Self::NoToken(c) => {
                write!(f, "a token (letters, digits and !#$%&'*+-.^_`|~), but it contains {c:?}")
            }
        }
    }
}

impl std::error::Error for CookieNameError {}

pub(in crate::session) fn is_token_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_token_byte)
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// A table, because every byte of every field name is looked up.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};
