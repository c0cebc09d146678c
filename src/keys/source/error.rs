//! Why a configured key cannot be read.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::keys::bearer::BearerError;
use crate::keys::{Algorithm, PemError};
use crate::named_file::told;

/// The maximum size of a secret file in any encoding; a larger one is not a key.
pub(super) const MAX_SECRET_FILE_BYTES: usize = 16 * 1024;

/// Why a source gives no key, and which source: `secret_file /run/key: does not exist …`.
#[derive(Debug)]
pub enum KeyError {
    /// A file named by a configuration key or a flag.
    File {
        /// The configuration key or flag.
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
    /// A key pair without a private and a public file.
    NoHalf,
    /// `private_key_file` and `public_key_file` belong to different pairs.
    NotAPair,
}

/// Why the content of a source cannot be used. The message reveals only the length of a secret.
#[derive(Debug)]
pub enum SourceError {
    /// The variable is not set.
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
        /// Its length.
        bytes: usize,
        /// The algorithm that it is for.
        algorithm: Algorithm,
    },
    /// It is too short to sign requests.
    ShortForRequests {
        /// Its length.
        bytes: usize,
    },
    /// It does not have the exact length that the cipher needs.
    OfOtherLength {
        /// Its length.
        bytes: usize,
        /// The algorithm that it is for.
        algorithm: Algorithm,
        /// Whether it is a secret of the right length in base64.
        is_base64: bool,
    },
    /// It is a public key, but this key must sign.
    CannotSign,
    /// It is not a key pair for the algorithm.
    Pem(PemError),
    /// It is not a secret that a header can carry.
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
