//! The parts of a write: ids, times, records and tickets.

use crate::keys::Nonce;
use crate::session::broken::{Broken, BrokenReason};
use crate::session::closing::{IssueKind, Issued};
use crate::session::cookie::Transport;
use crate::session::dict::Dict;
use crate::session::issuer::Issuer;
use crate::session::lifetime::{Managed, SessionId};
use crate::session::policy::Policy;
use crate::session::stamp::Stamp;
use crate::session::ticket;
use crate::store::operation::{Change, Row};
use crate::store::record::{self, SessionKey, SubjectHash};
use crate::time::Timestamp;

/// The random bytes for one write.
pub struct Randomness {
    /// The id of a new session.
    pub id: SessionId,
    /// The key of a new session.
    pub key: SessionKey,
    /// For one record, never used again.
    pub nonce: [u8; 12],
    /// For the ticket if it is sealed, never used again.
    pub seal: Nonce,
}

/// The change that ends every other session of the user in `dict`.
pub(super) fn end_others_but(id: &SessionId, dict: &Dict, policy: &Policy) -> Option<Change> {
    let subject = SubjectHash::of(dict, policy.subject.as_ref()?)?;
    Some(Change::EndSubject { subject, except: Some(id.clone()) })
}

pub(super) fn user(dict: &Dict, policy: &Policy) -> Option<SubjectHash> {
    SubjectHash::of(dict, policy.subject.as_ref()?)
}

/// The id of a new session of this user: a user's sessions share the start of their ids.
pub(super) fn placed(fresh: SessionId, subject: Option<SubjectHash>) -> SessionId {
    match subject {
        Some(subject) => fresh.led_by(subject.lead()),
        None => fresh,
    }
}

/// Whether the id belongs to this user. It does not if `session.subject` has changed since.
pub(super) fn is_placed(id: &SessionId, subject: Option<SubjectHash>) -> bool {
    subject.is_none_or(|subject| id.is_led_by(subject.lead()))
}

pub(super) fn stamp(
    policy: &Policy,
    previous: Option<&Managed>,
    max_age: Option<u64>,
    now: Timestamp,
    id: &SessionId,
) -> Result<Stamp, Broken> {
    // The configuration check ensures that sessions in a store have a lifetime.
    Stamp::new(policy, previous, max_age, now, || id.clone())
        .ok_or(Broken { reason: BrokenReason::NoLifetime, bytes: 0 })
}

pub(super) fn row(
    dict: &Dict,
    stamp: &Stamp,
    key: &SessionKey,
    rev: u64,
    nonce: [u8; 12],
    subject: Option<SubjectHash>,
) -> Result<Row, Broken> {
    let id = &stamp.managed.id;
    let data = record::seal(dict, key, id, rev, nonce)
        .ok_or_else(|| Broken { reason: BrokenReason::Unsealed, bytes: dict.as_str().len() })?;
    let (start, seen) = (stamp.managed.start, stamp.managed.issued);
    Ok(Row { rev, start, seen, exp: stamp.expires, subject, data })
}

/// Makes a ticket for the client.
pub(super) fn issue(
    stamp: &Stamp,
    key: &SessionKey,
    kind: IssueKind,
    renewed: bool,
    transport: Transport,
    seal: Nonce,
    issuer: Issuer<'_>,
) -> Result<Issued, Broken> {
    let Issuer { keys, policy, now } = issuer;
    let ticket = ticket::issue(stamp, key, keys, policy, Some(seal))
        .map_err(|unwritten| Broken { reason: BrokenReason::Unwritten(unwritten), bytes: 0 })?;
    let bytes = policy.cookie.bytes_with(ticket.as_bytes());
    if bytes > policy.max_cookie_bytes {
        let limit = policy.max_cookie_bytes;
        let reason = BrokenReason::LongCookie { limit };
        return Err(Broken { reason, bytes });
    }
    Ok(Issued {
        set_cookie: policy.cookie.issue(&ticket, stamp.max_age, now, transport),
        cookie_bytes: bytes,
        session: Some(stamp.managed.id.clone()),
        kind,
        renewed,
    })
}
