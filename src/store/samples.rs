//! Sessions and changes for the tests of the stores.

use std::time::Duration;

use super::operation::{Applied, Change, Row};
use super::record::SubjectHash;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// Long after all sessions that the tests let expire, so that a test decides when expiry runs.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(super) fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

/// An id for tests with more sessions than a byte can count.
pub(super) fn numbered(number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

pub(super) fn subject(name: &str) -> SubjectHash {
    SubjectHash::of_text(name.as_bytes())
}

pub(super) fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A session without a user that lasts for 100 seconds.
pub(super) fn row(rev: u64, data: &str) -> Row {
    Row { rev, start: NOW, seen: NOW, exp: later(100), subject: None, data: data.into() }
}

pub(super) fn row_of(name: &str) -> Row {
    Row { subject: Some(subject(name)), ..row(1, name) }
}

pub(super) fn create(byte: u8, row: Row) -> Change {
    Change::Create { id: id(byte), row }
}

pub(super) fn save(byte: u8, expected: u64, row: Row) -> Change {
    Change::Save { id: id(byte), expected, row }
}

pub(super) fn renew(old: u8, expected: u64, new: u8, row: Row) -> Change {
    Change::Renew { old: id(old), expected, id: id(new), row }
}

pub(super) fn delete(byte: u8) -> Change {
    Change::Delete { id: id(byte) }
}

pub(super) const DONE: Applied = Applied::done(0);

pub(super) fn ended(ended: u64) -> Applied {
    Applied::done(ended)
}
