//! The secret that an operator shows to the admin listener. Only its hash is kept.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// What `Authorization: Bearer …` has to carry.
#[derive(Clone, Copy)]
pub struct Bearer([u8; 32]);

impl Bearer {
    /// How long it is at least, in bytes.
    pub const LEAST_BYTES: usize = 32;

    /// From the secret as it is written.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn new(secret: &[u8]) -> Result<Self, BearerError> {
        let bytes = secret.len();
        if bytes == 0 {
            return Err(BearerError::Empty);
        }
        if bytes < Self::LEAST_BYTES {
            return Err(BearerError::Short { bytes });
        }
        // A header could not carry anything else.
        if !secret.iter().all(u8::is_ascii_graphic) {
            return Err(BearerError::NotPrintable);
        }
        Ok(Self::hash(secret))
    }

    /// Whether this is what was shown. How long that takes says nothing about the secret: hashes
    /// of one length are compared, in constant time.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &Self::hash(shown).0).is_ok()
    }

    fn hash(text: &[u8]) -> Self {
        Self(digest(&SHA256, text).as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// Why a secret cannot be shown in a header: the end of a sentence about it. Says nothing of it but its
/// length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerError {
    /// There is nothing.
    Empty,
    /// It is too short.
    Short {
        /// How long it is.
        bytes: usize,
    },
    /// It has something in it that no header carries.
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

/// Shows nothing of it.
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
