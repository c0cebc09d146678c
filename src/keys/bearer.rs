//! The secret for access to the admin listener. Only its hash is kept.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// The token expected in `Authorization: Bearer …`.
#[derive(Clone, Copy)]
pub struct Bearer([u8; 32]);

impl Bearer {
    /// Its minimum length in bytes.
    pub const LEAST_BYTES: usize = 32;

    /// Makes it from the secret.
    ///
    /// # Errors
    /// Why the secret cannot be used.
    pub fn new(secret: &[u8]) -> Result<Self, BearerError> {
        let bytes = secret.len();
        if bytes == 0 {
            return Err(BearerError::Empty);
        }
        if bytes < Self::LEAST_BYTES {
            return Err(BearerError::Short { bytes });
        }
        // No other characters fit in a header.
        if !secret.iter().all(u8::is_ascii_graphic) {
            return Err(BearerError::NotPrintable);
        }
        Ok(Self::hash(secret))
    }

    /// Whether `shown` is the secret. Compares hashes of equal length in constant time, so that the
    /// time reveals nothing.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &Self::hash(shown).0).is_ok()
    }

    fn hash(text: &[u8]) -> Self {
        Self(digest(&SHA256, text).as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// Why a secret cannot be used; it completes a sentence about the secret. The message reveals only
/// its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerError {
    /// It is empty.
    Empty,
    /// It is too short.
    Short {
        /// Its length.
        bytes: usize,
    },
    /// It contains characters that a header cannot carry.
    NotPrintable,
}

impl fmt::Display for BearerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: make a secret with `cloakroom keygen`"),
            Self::Short { bytes } => write!(
                f,
                "has {bytes} bytes and needs at least {}: make a secret with `cloakroom keygen`",
                Bearer::LEAST_BYTES
            ),
            Self::NotPrintable => f.write_str(
                "contains something other than printable ASCII, such as a space or a line end: \
                 make a secret with `cloakroom keygen`",
            ),
        }
    }
}

impl std::error::Error for BearerError {}

/// Does not print the hash.
impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_whole_secret_is_taken() {
        let bearer = Bearer::new(SECRET).unwrap();
        assert!(bearer.is(SECRET));
        let longer = [SECRET, b"0"].concat();
        for other in [&b""[..], &SECRET[..31], &longer, b"0123456789abcdef0123456789abcdeF"] {
            assert!(!bearer.is(other));
        }
    }

    #[test]
    fn a_secret_that_is_short_or_fits_into_no_header_is_refused() {
        for (secret, reason) in [
            (&b""[..], "is empty"),
            (&SECRET[..31], "has 31 bytes and needs at least 32"),
            (&[b' '; 40][..], "other than printable ASCII"),
            (&[0xE4; 40][..], "other than printable ASCII"),
        ] {
            let error = Bearer::new(secret).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(format!("{:?}", Bearer::new(SECRET)), "Ok(Bearer)");
    }
}
