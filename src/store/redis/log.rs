//! The log of revocations as a stream. Pure.
//!
//! ```text
//! XADD P:revoked MINID ~ (400 days ago) * what KIND[ID] before MS until MS
//! ```

use std::time::Duration;

use redis::{Cmd, Value};

use super::names::{self, Names};
use crate::session::lifetime::{LONGEST, SessionId};
use crate::store::operation::{Entry, Revocation, Revoked};
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

/// How much longer than any session an entry is kept, because clocks differ.
const SPARE: Duration = Duration::from_secs(24 * 60 * 60);

/// An entry that this version cannot read. An error, because a revocation must not be lost.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign;

pub(super) fn add(names: &Names, revocation: &Revocation) -> Cmd {
    let Revocation { what, before, until } = revocation;
    let what = match what {
        Revoked::Session(id) => format!("session {}", id.as_str()),
        Revoked::Subject(subject) => format!("subject {}", names::subject(subject)),
        Revoked::Others { subject, except } => {
            format!("others {} {}", names::subject(subject), except.as_str())
        }
        Revoked::All => "all".into(),
    };
    let oldest = before.as_millis().saturating_sub(millis(LONGEST + SPARE));
    let mut add = redis::cmd("XADD");
    add.arg(names.revocations()).arg("MINID").arg("~").arg(oldest).arg("*");
    add.arg("what").arg(what).arg("before").arg(before.as_millis());
    add.arg("until").arg(until.as_millis());
    add
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The command to read the entries after a number.
pub(super) fn range(names: &Names, after: u64, most: usize) -> Cmd {
    let (ms, number) = (after >> NUMBER_BITS, after & NUMBERS);
    let mut range = redis::cmd("XRANGE");
    range.arg(names.revocations()).arg(format!("({ms}-{number}")).arg("+");
    range.arg("COUNT").arg(most);
    range
}

/// An entry's number is its time and its index within the millisecond.
const NUMBER_BITS: u32 = 16;
const NUMBERS: u64 = (1 << NUMBER_BITS) - 1;

/// Reads the answer to [`range`].
pub(super) fn read(answer: Value) -> Result<Vec<Entry>, Foreign> {
    let entries: Vec<(String, Vec<String>)> =
        redis::from_redis_value(answer).map_err(|_| Foreign)?;
    entries.into_iter().map(|(id, fields)| entry(&id, &fields)).collect()
}

fn entry(id: &str, fields: &[String]) -> Result<Entry, Foreign> {
    let (ms, number) = id.split_once('-').ok_or(Foreign)?;
    let (ms, number) = (parse(ms)?, parse(number)?);
    if number > NUMBERS || ms >> (u64::BITS - NUMBER_BITS) != 0 {
        return Err(Foreign);
    }
    let field = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        pairs.find_map(|pair| (pair.first()? == name).then(|| pair.get(1)).flatten())
    };
    let what = field("what").ok_or(Foreign)?;
    let what = match what.split(' ').collect::<Vec<_>>().as_slice() {
        ["session", id] => Revoked::Session(SessionId::parse(id).ok_or(Foreign)?),
        ["subject", subject] => Revoked::Subject(hash(subject)?),
        ["others", subject, except] => Revoked::Others {
            subject: hash(subject)?,
            except: SessionId::parse(except).ok_or(Foreign)?,
        },
        ["all"] => Revoked::All,
        _ => return Err(Foreign),
    };
    let moment = |name| field(name).ok_or(Foreign).and_then(|it| parse(it));
    let before = Timestamp::from_millis(moment("before")?);
    let until = Timestamp::from_millis(moment("until")?);
    Ok(Entry { seq: ms << NUMBER_BITS | number, revocation: Revocation { what, before, until } })
}

fn parse(text: &str) -> Result<u64, Foreign> {
    text.parse().map_err(|_| Foreign)
}

fn hash(text: &str) -> Result<SubjectHash, Foreign> {
    let bytes = SessionId::parse(text).and_then(|text| text.to_bytes()).ok_or(Foreign)?;
    Ok(SubjectHash::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    /// The entry that the server returns after running `command`.
    fn answer(id: &str, command: &Cmd) -> Value {
        let arguments: Vec<Value> = command
            .args_iter()
            .skip(6)
            .map(|argument| match argument {
                redis::Arg::Simple(bytes) => Value::BulkString(bytes.to_vec()),
                _ => Value::Nil,
            })
            .collect();
        Value::Array(vec![Value::Array(vec![bulk(id), Value::Array(arguments)])])
    }

    #[test]
    fn what_is_written_is_read() {
        let names = Names::new("p:".into());
        let at = Timestamp::from_secs;
        let ada = SubjectHash::of_text(b"ada");
        let id = SessionId::from_bytes([1; 16]);
        for what in [
            Revoked::Session(id.clone()),
            Revoked::Subject(ada),
            Revoked::Others { subject: ada, except: id },
            Revoked::All,
        ] {
            let revocation =
                Revocation { what, before: at(1_800_000_000), until: at(1_900_000_000) };
            let read = read(answer("1800000000001-2", &add(&names, &revocation))).unwrap();
            let seq = 1_800_000_000_001 << 16 | 2;
            assert_eq!(read, [Entry { seq, revocation }]);
            let next = range(&names, seq, 10).get_packed_command();
            let next = String::from_utf8(next).unwrap();
            assert!(next.contains("\r\n(1800000000001-2\r\n"), "{next}");
        }
        assert_eq!(read(Value::Array(vec![])), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_over() {
        let of = |id: &str, fields: &[&str]| {
            let fields = fields.iter().map(|field| bulk(field)).collect();
            read(Value::Array(vec![Value::Array(vec![bulk(id), Value::Array(fields)])]))
        };
        let good = ["what", "all", "before", "1", "until", "2"];
        assert!(of("1-1", &good).is_ok());
        for id in ["1", "x-1", "1-65536", "281474976710656-0", ""] {
            assert_eq!(of(id, &good), Err(Foreign), "{id}");
        }
        for fields in [
            &["what", "everything", "before", "1", "until", "2"][..],
            &["what", "session short", "before", "1", "until", "2"],
            &["what", "all", "until", "2"],
            &["what", "all", "before", "soon", "until", "2"],
            &[],
        ] {
            assert_eq!(of("1-1", fields), Err(Foreign), "{fields:?}");
        }
        assert_eq!(read(Value::Okay), Err(Foreign));
    }
}
