//! The stored record of a session: its sealed dict, and the hash of its user. Pure: no sockets or
//! clock; randomness is an argument.
//!
//! ```text
//! record = version (1 byte, 1) ‖ nonce (12) ‖ AES-256-GCM(the dict's JSON text) ‖ tag (16)
//! associated data = id of the session (16) ‖ revision (8, big-endian)
//! ```
//!
//! Each session has its own key, which only its cookie contains. So neither the store nor the keys
//! that sign cookies can open a record. Id and revision are authenticated: somebody who can write
//! to the store can neither give one session's record to another session nor restore an older
//! revision.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::session::dict::Dict;
use crate::session::lifetime::SessionId;
use crate::session::subject;

/// The format version of the records that are written.
const VERSION: u8 = 1;

/// The bytes before the sealed text.
const HEAD: usize = 1 + NONCE_LEN;

/// The length of a tag.
const TAG: usize = 16;

/// How many bytes longer a record is than its dict.
pub const OVERHEAD: usize = HEAD + TAG;

/// 32 random bytes that seal the records of a session. Erased from memory when dropped.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The length of its text.
    pub const TEXT_LENGTH: usize = 43;

    /// Makes a key of 32 random bytes.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(bytes);
        bytes.zeroize();
        key
    }

    /// Reads the key from a ticket: 43 characters of canonical base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // base64 decodes in groups of three bytes.
        let mut bytes = Zeroizing::new([0; 33]);
        match URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()) {
            Ok(32) => bytes.first_chunk().map(|key| Self(*key)),
            _ => None,
        }
    }

    /// Appends the text of the key for a ticket.
    pub fn write_to(&self, text: &mut String) {
        URL_SAFE_NO_PAD.encode_string(self.0, text);
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).ok().map(LessSafeKey::new)
    }
}

impl Drop for SessionKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Compares in constant time.
impl PartialEq for SessionKey {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for SessionKey {}

/// Does not print the key.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// Why a record cannot be opened. The message does not contain any of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A later version wrote it.
    UnknownVersion(u8),
    /// It is shorter than any record.
    Cut,
    /// It was not sealed with this key for this session and revision, or it was modified.
    NotAuthentic,
    /// The sealed text is not a dict.
    NotADict,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion(version) => {
                write!(
                    f,
                    "a stored session has the unknown layout {version}: a later version of cloakroom wrote it"
                )
            }
            Self::Cut => f.write_str("a stored session is cut short"),
            Self::NotAuthentic => f.write_str(
                "a stored session does not open with its cookie's key: it was changed in the store",
            ),
            Self::NotADict => f.write_str("a stored session contains no JSON object"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Seals a dict for a session and revision. `nonce` must be new random bytes.
///
/// None if the crypto library fails, or the id was not made by the sidecar.
#[must_use]
pub fn seal(
    dict: &Dict,
    key: &SessionKey,
    id: &SessionId,
    revision: u64,
    nonce: [u8; NONCE_LEN],
) -> Option<Vec<u8>> {
    let bound = associated(id, revision)?;
    let text = dict.as_str().as_bytes();
    // Reserve the full size: the text is sealed in place and no copy of it stays in memory.
    let mut record = Vec::with_capacity(text.len() + OVERHEAD);
    record.push(VERSION);
    record.extend_from_slice(&nonce);
    record.extend_from_slice(text);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealed = key.cipher().and_then(|cipher| {
        cipher.seal_in_place_separate_tag(nonce, Aad::from(bound), record.get_mut(HEAD..)?).ok()
    });
    let Some(tag) = sealed else {
        record.zeroize();
        return None;
    };
    record.extend_from_slice(tag.as_ref());
    Some(record)
}

/// Opens a record in place.
///
/// # Errors
/// Why it cannot be opened, without any of the data.
pub fn open(
    mut record: Vec<u8>,
    key: &SessionKey,
    id: &SessionId,
    revision: u64,
) -> Result<Dict, RecordError> {
    let version = *record.first().ok_or(RecordError::Cut)?;
    if version != VERSION {
        return Err(RecordError::UnknownVersion(version));
    }
    if record.len() < OVERHEAD {
        return Err(RecordError::Cut);
    }
    let nonce = record.get(1..HEAD).and_then(|nonce| <[u8; NONCE_LEN]>::try_from(nonce).ok());
    let nonce = nonce.ok_or(RecordError::Cut)?;
    let bound = associated(id, revision).ok_or(RecordError::NotAuthentic)?;
    let cipher = key.cipher().ok_or(RecordError::NotAuthentic)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    // Moves the text to the front.
    let length = match cipher.open_within(nonce, Aad::from(bound), &mut record, HEAD..) {
        Ok(text) => text.len(),
        Err(_) => return Err(RecordError::NotAuthentic),
    };
    // Erase what the move left at the end.
    if let Some(behind) = record.get_mut(length..) {
        behind.zeroize();
    }
    record.truncate(length);
    Dict::from_vec(record).map_err(|_| RecordError::NotADict)
}

fn associated(id: &SessionId, revision: u64) -> Option<[u8; 24]> {
    let mut bound = [0; 24];
    let (id_bytes, revision_bytes) = bound.split_at_mut(16);
    id_bytes.copy_from_slice(&id.to_bytes()?);
    revision_bytes.copy_from_slice(&revision.to_be_bytes());
    Some(bound)
}

/// The hash of a user: the first half of a SHA-256. It hides names that cannot be guessed; guesses
/// can be tested by hashing them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubjectHash([u8; 16]);

impl SubjectHash {
    /// The user of a dict, at `path`; None if it has none.
    #[must_use]
    pub fn of(dict: &Dict, path: &[impl AsRef<str>]) -> Option<Self> {
        subject::of(dict, path).map(|subject| Self::of_text(&subject))
    }

    /// The hash of a user's name as an operator gives it.
    #[must_use]
    pub fn of_text(subject: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"cloakroom subject\0");
        context.update(subject);
        let hash = context.finish();
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// Reads a stored hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The first 12 bits of the ids of this user's sessions. They keep these together in a cluster.
    #[must_use]
    pub const fn lead(&self) -> [u8; 2] {
        let [first, second, ..] = self.0;
        [first, second & 0xf0]
    }

    /// The hash as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Does not print the hash, because guessable names could be found from it.
impl fmt::Debug for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHash")
    }
}

#[cfg(test)]
mod tests;
