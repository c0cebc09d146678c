//! The format of a stored session: a head with fixed positions, which scripts read, and the sealed
//! dict. Pure.
//!
//! ```text
//! at  length
//!  0  8       revision, big-endian
//!  8  1       layout, 1
//!  9  1       flags: 1 it has a subject, 2 it has a new id
//! 10  6       start, in milliseconds since 1970, big-endian; so are
//! 16  6       seen
//! 22  6       exp
//! 28  22      subject, in base64url, if it has one
//!     6 + 22  if it has a new id: until when this one can be read, and the new id
//!             the sealed dict
//! ```

use crate::session::lifetime::SessionId;
use crate::store::operation::{Listed, Row};
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

use super::names;

const LAYOUT: u8 = 1;
const HAS_SUBJECT: u8 = 1;
const REPLACED: u8 = 2;

/// The length of the fixed part.
const HEAD: usize = 28;

/// The length of an id or a subject.
const ID: usize = 22;

/// The maximum length of a head; enough for a list of sessions.
#[cfg(test)]
const LONGEST_HEAD: usize = HEAD + ID + 6 + ID;

/// A value that was not written by this version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign;

/// A decoded value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) row: Row,
    /// Until when it can be read, if the session has a new id.
    pub(super) until: Option<Timestamp>,
}

/// A time in six bytes.
pub(super) fn moment(at: Timestamp) -> [u8; 6] {
    const MOST: u64 = (1 << 48) - 1;
    let [_, _, rest @ ..] = at.as_millis().min(MOST).to_be_bytes();
    rest
}

pub(super) fn write(row: &Row) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD + ID + row.data.len());
    value.extend(row.rev.to_be_bytes());
    value.extend([LAYOUT, if row.subject.is_some() { HAS_SUBJECT } else { 0 }]);
    value.extend([row.start, row.seen, row.exp].into_iter().flat_map(moment));
    if let Some(subject) = &row.subject {
        value.extend(names::subject(subject).into_bytes());
    }
    value.extend(&row.data);
    value
}

/// Reads what [`write()`] or a script has written.
pub(super) fn read(value: &[u8]) -> Result<Value, Foreign> {
    let (head, mut rest) = Head::split(value)?;
    let subject = head.subject(&mut rest)?;
    let until = if head.flags & REPLACED == 0 {
        None
    } else {
        let (until, behind) = rest.split_first_chunk::<6>().ok_or(Foreign)?;
        rest = behind.get(ID..).ok_or(Foreign)?;
        Some(read_moment(*until))
    };
    let Head { rev, start, seen, exp, .. } = head;
    Ok(Value { row: Row { rev, start, seen, exp, subject, data: rest.to_vec() }, until })
}

/// The public data of a session, from the start of its value and the value's length; None if the
/// session has a new id.
pub(super) fn list(id: SessionId, value: &[u8], length: usize) -> Result<Option<Listed>, Foreign> {
    let (head, mut rest) = Head::split(value)?;
    head.subject(&mut rest)?;
    if head.flags & REPLACED != 0 {
        return Ok(None);
    }
    let before = value.len() - rest.len();
    let bytes = u64::try_from(length.saturating_sub(before)).unwrap_or(u64::MAX);
    let Head { start, seen, exp, .. } = head;
    Ok(Some(Listed { id, start, seen, exp, bytes }))
}

/// Whether two values come from the same write; the start is ignored, because a save does not set
/// it.
pub(super) fn are_one_write(one: &Row, other: &Row) -> bool {
    one.rev == other.rev && one.data == other.data && one.subject == other.subject
}

struct Head {
    rev: u64,
    flags: u8,
    start: Timestamp,
    seen: Timestamp,
    exp: Timestamp,
}

impl Head {
    fn split(value: &[u8]) -> Result<(Self, &[u8]), Foreign> {
        let (rev, rest) = value.split_first_chunk().ok_or(Foreign)?;
        let ([layout, flags], rest) = rest.split_first_chunk().ok_or(Foreign)?;
        let (start, rest) = rest.split_first_chunk().ok_or(Foreign)?;
        let (seen, rest) = rest.split_first_chunk().ok_or(Foreign)?;
        let (exp, rest) = rest.split_first_chunk().ok_or(Foreign)?;
        if *layout != LAYOUT || *flags > (HAS_SUBJECT | REPLACED) {
            return Err(Foreign);
        }
        let [start, seen, exp] = [start, seen, exp].map(|at| read_moment(*at));
        Ok((Self { rev: u64::from_be_bytes(*rev), flags: *flags, start, seen, exp }, rest))
    }

    /// Removes the subject from the start of the part after the head.
    fn subject(&self, rest: &mut &[u8]) -> Result<Option<SubjectHash>, Foreign> {
        if self.flags & HAS_SUBJECT == 0 {
            return Ok(None);
        }
        let (text, behind) = rest.split_at_checked(ID).ok_or(Foreign)?;
        *rest = behind;
        let text = str::from_utf8(text).map_err(|_| Foreign)?;
        let bytes = SessionId::parse(text).and_then(|text| text.to_bytes()).ok_or(Foreign)?;
        Ok(Some(SubjectHash::from_bytes(bytes)))
    }
}

fn read_moment(bytes: [u8; 6]) -> Timestamp {
    let [a, b, c, d, e, f] = bytes;
    Timestamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use proptest::prelude::*;

    fn row(subject: Option<SubjectHash>) -> Row {
        let at = Timestamp::from_millis;
        Row { rev: 7, start: at(1), seen: at(2), exp: at(3), subject, data: b"sealed".to_vec() }
    }

    #[test]
    fn the_places_are_as_documented() {
        let value = write(&row(Some(SubjectHash::from_bytes([1; 16]))));
        assert_eq!(value[..8], 7u64.to_be_bytes());
        assert_eq!(value[8..10], [1, 1]);
        assert_eq!(value[10..28], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3]);
        assert_eq!(value[28..50], *b"AQEBAQEBAQEBAQEBAQEBAQ");
        assert_eq!(value[50..], *b"sealed");
        assert_eq!(write(&row(None))[28..], *b"sealed");
    }

    #[test]
    fn what_no_script_has_written_is_no_session() {
        let good = write(&row(None));
        for cut in 0..HEAD {
            assert_eq!(read(&good[..cut]), Err(Foreign), "{cut}");
        }
        let mut later = good.clone();
        later[8] = 2;
        assert_eq!(read(&later), Err(Foreign));
        // Flags for a subject and an id that are missing.
        for flags in [1, 2, 3, 4, 255] {
            let mut flagged = good.clone();
            flagged[9] = flags;
            assert_eq!(read(&flagged), Err(Foreign), "{flags}");
        }
    }

    #[test]
    fn a_replaced_one_says_until_when_and_is_in_no_list() {
        let mut value = write(&row(Some(SubjectHash::from_bytes([1; 16]))));
        value[9] |= 2;
        let link = [&[0, 0, 0, 0, 0, 9][..], b"AgICAgICAgICAgICAgICAg"].concat();
        value.splice(50..50, link);
        let read = read(&value).unwrap();
        assert_eq!(read.until, Some(Timestamp::from_millis(9)));
        assert_eq!(read.row, row(Some(SubjectHash::from_bytes([1; 16]))));
        assert_eq!(list(SessionId::from_bytes([3; 16]), &value, value.len()), Ok(None));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            rev: u64, times: [u32; 3], subject: Option<[u8; 16]>, data: Vec<u8>, id: [u8; 16],
        ) {
            let [start, seen, exp] = times.map(|at| Timestamp::from_secs(at.into()));
            let subject = subject.map(SubjectHash::from_bytes);
            let bytes = data.len() as u64;
            let row = Row { rev, start, seen, exp, subject, data };
            let value = write(&row);
            let id = SessionId::from_bytes(id);
            let head = &value[..value.len().min(LONGEST_HEAD)];
            let listed = list(id.clone(), head, value.len()).unwrap().unwrap();
            prop_assert_eq!(listed, Listed { id, start, seen, exp, bytes });
            prop_assert_eq!(read(&value), Ok(Value { row, until: None }));
        }

        #[test]
        fn nothing_that_is_read_panics(value: Vec<u8>, length: usize) {
            let _ = read(&value);
            let _ = list(SessionId::from_bytes([1; 16]), &value, length);
        }
    }
}
