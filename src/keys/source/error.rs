//! Why there is no key where one is configured.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::keys::bearer::BearerError;
use crate::keys::{Algorithm, PemError};
use crate::named_file::told;

/// What a secret may take up, in any encoding: past it, the file is not what was meant.
pub(super) const MAX_SECRET_FILE_BYTES: usize = 16 * 1024;

/// Why a source gives no key, and which: `secret_file /run/key: does not exist …`.
#[derive(Debug)]
pub enum KeyError {
    /// A file that this key of the configuration, or this flag, names.
    File {
        /// What names it.
        key: &'static str,
        /// Its name.
        path: PathBuf,
        /// What is wrong with it.
        reason: SourceError,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: SourceError,
    },
    /// A secret in the configuration itself.
    Inline(SourceError),
    /// A key pair of which neither half is named.
    NoHalf,
    /// `private_key_file` and `public_key_file` belong to different pairs.
    NotAPair,
}

/// What is wrong with what a source holds. Of a secret it says nothing but its length.
#[derive(Debug)]
pub enum SourceError {
    /// There is no such variable.
    NotSet,
    /// The file cannot be read.
    Io(io::Error),
    /// It is too large for a key.
    TooLarge,
    /// It is not base64.
    NotBase64,
    /// It is not hexadecimal.
    NotHex,
    /// It is empty.
    Empty,
    /// It is too short for the algorithm.
    Short {
        /// How long it is.
        bytes: usize,
        /// What it is for.
        algorithm: Algorithm,
    },
    /// It is too short for signatures of requests.
    ShortForRequests {
        /// How long it is.
        bytes: usize,
    },
    /// It has not the one length that a cipher takes.
    OfOtherLength {
        /// How long it is.
        bytes: usize,
        /// What it is for.
        algorithm: Algorithm,
        /// Whether it is base64 of a secret of that length.
        is_base64: bool,
    },
    /// A public key where a key that signs is needed.
    CannotSign,
    /// No key pair for the algorithm.
    Pem(PemError),
    /// No secret that a header can carry.
    Bearer(BearerError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { key, path, reason } => f.write_str(&told(key, path, reason)),
            Self::Variable { name, reason } => write!(f, "secret_env {name}: {reason}"),
            Self::Inline(reason) => write!(f, "secret: {reason}"),
            Self::NoHalf => f.write_str("has neither private_key_file nor public_key_file"),
            Self::NotAPair => {
                f.write_str("private_key_file and public_key_file do not form a key pair")
            }
        }
    }
}

impl std::error::Error for KeyError {}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSet => "is not set: set this environment variable, or use secret_file",
            Self::Io(error) => match error.kind() {
                ErrorKind::NotFound => "does not exist: make it with `cloakroom keygen --out`",
                ErrorKind::PermissionDenied => {
                    "cannot be read: give cloakroom's user permission to read it"
                }
                ErrorKind::IsADirectory => {
                    "is a directory: container runtimes create one if the file to mount is missing"
                }
                _ => return write!(f, "cannot be read: {error}"),
            },
            Self::TooLarge => {
                return write!(
                    f,
                    "is larger than {MAX_SECRET_FILE_BYTES} bytes: is it the right file?"
                );
            }
            Self::NotBase64 => {
                "is not base64: secret_encoding = \"utf8\" takes the bytes as they are"
            }
            Self::NotHex => {
                "is not hexadecimal: secret_encoding = \"utf8\" takes the bytes as they are"
            }
            Self::Empty => "is empty: make a secret with `cloakroom keygen`",
            Self::Short { bytes, algorithm } => {
                let (name, least) = (algorithm.name(), algorithm.least_secret_bytes());
                let option = match algorithm {
                    Algorithm::Hs256 => String::new(),
                    _ => format!(" --algorithm {name}"),
                };
                return write!(
                    f,
                    "has {bytes} bytes, but {name} needs at least {least} (RFC 7518 section 3.2): \
                     make a secret with `cloakroom keygen{option}`, or set allow_weak_secret = true"
                );
            }
            Self::ShortForRequests { bytes } => {
                return write!(
                    f,
                    "has {bytes} bytes, but HMAC-SHA256 needs at least {}: make a secret with \
                     `cloakroom keygen`",
                    Algorithm::Hs256.least_secret_bytes()
                );
            }
            Self::OfOtherLength { bytes, algorithm, is_base64 } => {
                let (name, needed) = (algorithm.name(), algorithm.least_secret_bytes());
                write!(f, "has {bytes} bytes, but {name} needs exactly {needed}: ")?;
                return match is_base64 {
                    true => f.write_str("it is base64: set secret_encoding = \"base64\""),
                    false => write!(
                        f,
                        "make a secret with `cloakroom keygen --algorithm {name}`, and set \
                         secret_encoding = \"base64\""
                    ),
                };
            }
            Self::CannotSign => {
                "a public key cannot sign, and the first key signs: give it its \
                 private_key_file, or put another key first"
            }
            Self::Pem(error) => return error.fmt(f),
            Self::Bearer(error) => return error.fmt(f),
        })
    }
}

impl From<PemError> for SourceError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

impl From<BearerError> for SourceError {
    fn from(error: BearerError) -> Self {
        Self::Bearer(error)
    }
}
