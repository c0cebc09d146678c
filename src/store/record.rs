//! What the store keeps of a session: its dict, sealed, and whose it is, as a hash. Pure: no socket,
//! no clock; randomness is an argument.
//!
//! ```text
//! record = version (1 byte, 1) ‖ nonce (12) ‖ AES-256-GCM(the dict's JSON text) ‖ tag (16)
//! associated data = id of the session (16) ‖ revision (8, big-endian)
//! ```
//!
//! The key is the session's own and only its cookie holds it, so neither the store nor the keys
//! that sign cookies open a record. Id and revision are bound to it: whoever can write to the store
//! cannot hand one session's record to another, nor an older one of the same session as a newer one.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::session::dict::Dict;
use crate::session::lifetime::SessionId;
use crate::session::subject;

/// The layout of the records that this version writes.
const VERSION: u8 = 1;

/// What stands before the sealed text.
const HEAD: usize = 1 + NONCE_LEN;

/// The length of a tag.
const TAG: usize = 16;

/// How much longer a record is than the dict in it.
pub const OVERHEAD: usize = HEAD + TAG;

/// 32 random bytes that open one session's records. They leave memory when the key is dropped.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The length of its text.
    pub const TEXT_LENGTH: usize = 43;

    /// From 32 random bytes.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(bytes);
        bytes.zeroize();
        key
    }

    /// From its text in a ticket: 43 characters of base64url, and those that are written for it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The engine asks for room in whole groups of three bytes.
        let mut bytes = Zeroizing::new([0; 33]);
        match URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()) {
            Ok(32) => bytes.first_chunk().map(|key| Self(*key)),
            _ => None,
        }
    }

    /// Appends its text, as it stands in a ticket.
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

/// In constant time.
impl PartialEq for SessionKey {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for SessionKey {}

/// Shows nothing of it.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// Why a record was not opened. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A later version wrote it.
    UnknownVersion(u8),
    /// It is shorter than any record.
    Cut,
    /// It was not sealed with this key for this session and revision, or was changed since.
    NotAuthentic,
    /// What was sealed is no dict.
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

/// Seals a dict for one session and one revision of it. `nonce` must be fresh random bytes.
///
/// None where the crypto library fails, or the id is none of the sidecar's.
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
    // Room for everything at once: the text is sealed where it lies, and no copy of it stays behind.
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
/// Why it does not open. Never a part of what is in it.
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
    // What stands behind is left over from the move.
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

/// Whose a session is: the first half of a SHA-256. It hides names that cannot be guessed; one that
/// can is found by hashing guesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubjectHash([u8; 16]);

impl SubjectHash {
    /// Of the subject that a dict has at `path`; None where it has none.
    #[must_use]
    pub fn of(dict: &Dict, path: &[impl AsRef<str>]) -> Option<Self> {
        subject::of(dict, path).map(|subject| Self::of_text(&subject))
    }

    /// Of a subject's text, as an operator gives it.
    #[must_use]
    pub fn of_text(subject: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"cloakroom subject\0");
        context.update(subject);
        let hash = context.finish();
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// As it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What the ids of this user's sessions begin with: 12 bits. It keeps them together where a
    /// store has several servers.
    #[must_use]
    pub const fn lead(&self) -> [u8; 2] {
        let [first, second, ..] = self.0;
        [first, second & 0xf0]
    }

    /// As it is stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Shows nothing of it: names that can be guessed could be found out.
impl fmt::Debug for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHash")
    }
}

#[cfg(test)]
mod tests;
