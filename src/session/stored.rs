//! Sessions whose dict is in the store: reads them for a request and plans the writes of its
//! answer.
//!
//! Pure: the caller awaits the store in between.
//!
//! ```text
//! Opened ──awaits──> id ~~load~~> Loaded ──complete──> Opened
//! Directive ──plan──> Write ~~apply~~> Applied ──done, conflict, gone──> cookie, another Write, an end
//! ```

use super::broken::{Broken, BrokenReason};
use super::closing::{Asked, CookieAction, IssueKind, Issued, Successor, check_header};
use super::cookie::Transport;
use super::dict::Dict;
use super::directive::{Directive, Save};
use super::issuer::Issuer;
use super::lifetime::{Managed, SessionId};
use super::policy::{OnConflict, Policy};
use super::stamp::Stamp;
use super::{Home, Opened, Outcome, VerifiedToken};
use super::{claims, rebase::rebase, subject, ticket};
use crate::keys::Nonce;
use crate::store::operation::{Applied, Change, Loaded, Row};
use crate::store::record::{self, RecordError, SessionKey, SubjectHash};
use crate::time::Timestamp;

/// How often a write is tried at most, if others write the same session at the same time.
const TRIES: u8 = 5;

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

impl Opened {
    /// The session whose dict must be loaded first.
    #[must_use]
    pub fn awaits(&self) -> Option<&SessionId> {
        let token = self.token.as_ref()?;
        matches!(token.home, Home::Store { revision: None, .. }).then(|| token.id())
    }

    /// Adds the dict that the store returned for the id of [`Opened::awaits`].
    ///
    /// # Errors
    /// Why the record cannot be opened. This is not a log-out: the state of the session is unknown.
    pub fn complete(&mut self, loaded: Loaded) -> Result<(), RecordError> {
        let (Loaded::Found(row) | Loaded::Replaced(row)) = loaded else {
            self.token = None;
            self.outcome = Outcome::Gone;
            return Ok(());
        };
        if let Some(token) = &mut self.token {
            let id = token.id().clone();
            if let Home::Store { key, revision } = &mut token.home {
                token.dict = record::open(row.data, key, &id, row.rev)?;
                *revision = Some(row.rev);
            }
        }
        Ok(())
    }

    /// Records that the store is unavailable: the state of the session is unknown.
    pub fn is_out_of_reach(&mut self) {
        self.token = None;
        self.outcome = Outcome::Unavailable;
    }

    /// The request's session in the store, and its revision.
    fn stored(&self) -> Option<(&VerifiedToken, &SessionKey, u64)> {
        let token = self.token.as_ref()?;
        match &token.home {
            Home::Store { key, revision: Some(revision) } => Some((token, key, *revision)),
            _ => None,
        }
    }

    fn dict(&self) -> Dict {
        self.token.as_ref().map(|token| token.dict.clone()).unwrap_or_default()
    }
}

/// What an answer does.
#[derive(Debug)]
pub enum Plan {
    /// Only the cookie changes, not the store.
    Cookie(CookieAction),
    /// The store must be written first.
    Write(Box<Write>),
}

/// A change of the store, and what the client gets after it.
#[derive(Debug)]
pub struct Write {
    /// The change to apply.
    pub change: Change,
    /// A second change, applied after the first.
    pub then: Option<Change>,
    /// What the client gets.
    action: CookieAction,
    /// How a conflict was resolved before this write.
    pub settled: Option<Settled>,
    /// What the app asked for, to apply it again to other content.
    intent: Option<Intent>,
}

/// How a conflict was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The changes of the save were applied to the current dict.
    Rebased,
    /// The patch was applied to the current dict.
    Merged,
    /// The save replaced the current dict.
    Overwritten,
}

/// A save as the app asked for it.
#[derive(Clone, Debug)]
struct Intent {
    save: Save,
    /// The dict that the request was given.
    base: Dict,
    tries: u8,
}

/// What to do about a write that the store refused.
#[derive(Debug)]
pub enum Retry {
    /// Try this write.
    Again(Box<Write>),
    /// Give up: others have written the session too often, or `session.on_conflict` forbids it.
    Refused,
    /// Give up: the session has ended, and a save does not revive it.
    Ended,
}

/// What the answer to a request does to the store and to the cookie.
///
/// # Errors
/// A save that cannot be carried out.
pub fn plan(
    opened: &Opened,
    directive: Directive,
    issuer: Issuer<'_>,
    fresh: &mut dyn FnMut() -> Result<Randomness, Broken>,
) -> Result<Plan, Broken> {
    match directive {
        Directive::Keep => Ok(Plan::Cookie(CookieAction::Keep)),
        Directive::Broken(broken) => Err(broken),
        Directive::EndOthers => Ok(match end_others(opened, &opened.dict(), issuer.policy) {
            Some(change) => Plan::Write(Box::new(Write::of(change, CookieAction::Keep))),
            None => Plan::Cookie(CookieAction::Keep),
        }),
        Directive::Delete { all, .. } => Ok(delete(opened, all, issuer.policy)),
        Directive::Save(save) => {
            let base = opened.dict();
            let dict = save.apply(&base);
            let is_empty = dict.members().next().is_none();
            let is_nothing = save.dict.is_none() && save.patch.is_none();
            if opened.token.is_none() && (is_empty || is_nothing) {
                return Ok(Plan::Cookie(CookieAction::Keep));
            }
            let intent = Intent { save, base, tries: 1 };
            let revision = opened.stored().map(|(_, _, revision)| revision);
            write(opened, dict, revision, intent, issuer, fresh)
                .map(|write| Plan::Write(Box::new(write)))
        }
    }
}

/// Extends a session that [`Opened::is_due`]; a session in a cookie moves into the store.
///
/// # Errors
/// The ticket would be too large, or the dict cannot be stored.
pub fn refresh(
    opened: &Opened,
    issuer: Issuer<'_>,
    fresh: &mut dyn FnMut() -> Result<Randomness, Broken>,
) -> Result<Plan, Broken> {
    let Some(token) = &opened.token else {
        return Ok(Plan::Cookie(CookieAction::Keep));
    };
    let Issuer { policy, now, .. } = issuer;
    let made = fresh()?;
    let subject = user(&token.dict, policy);
    let (key, id) = match opened.stored() {
        Some((_, key, _)) => (key.clone(), token.id().clone()),
        None => (made.key, placed(made.id, subject)),
    };
    let previous = token.managed().map(|managed| Managed { id: id.clone(), ..managed.clone() });
    let stamp = stamp(policy, previous.as_ref(), None, now, &id)?;
    let issued =
        issue(&stamp, &key, IssueKind::Refreshed, false, opened.transport, made.seal, issuer)?;
    let change = match opened.stored() {
        Some(_) => Change::Touch { id, exp: stamp.expires, seen: now },
        None => {
            let row = row(&token.dict, &stamp, &key, 1, made.nonce, subject)?;
            Change::Create { id, row }
        }
    };
    Ok(Plan::Write(Box::new(Write::of(change, CookieAction::Issue(issued)))))
}

impl Write {
    fn of(change: Change, action: CookieAction) -> Self {
        Self { change, then: None, action, settled: None, intent: None }
    }

    /// What the client gets after the write has succeeded.
    #[must_use]
    pub fn into_action(self) -> CookieAction {
        self.action
    }

    /// Handles the store's answer; None if the write has succeeded.
    ///
    /// # Errors
    /// The save cannot be applied to the current dict, or the record cannot be opened.
    pub fn retry(
        &self,
        applied: &Applied,
        opened: &Opened,
        issuer: Issuer<'_>,
        fresh: &mut dyn FnMut() -> Result<Randomness, Broken>,
    ) -> Result<Option<Retry>, Broken> {
        match applied {
            Applied::Done { .. } => Ok(None),
            Applied::Conflict(theirs) => self.on_top_of(theirs, opened, issuer, fresh).map(Some),
            Applied::Gone => self.without_it(opened, issuer, fresh).map(Some),
        }
    }

    fn on_top_of(
        &self,
        theirs: &Row,
        opened: &Opened,
        issuer: Issuer<'_>,
        fresh: &mut dyn FnMut() -> Result<Randomness, Broken>,
    ) -> Result<Retry, Broken> {
        let (Some(intent), Some((token, key, _))) = (&self.intent, opened.stored()) else {
            return Ok(Retry::Ended);
        };
        let is_replaced = intent.save.dict.is_some();
        let on_conflict = issuer.policy.on_conflict;
        if intent.tries >= TRIES || (is_replaced && on_conflict == OnConflict::Fail) {
            return Ok(Retry::Refused);
        }
        let current =
            record::open(theirs.data.clone(), key, token.id(), theirs.rev).map_err(|error| {
                Broken { reason: BrokenReason::Record(error), bytes: theirs.data.len() }
            })?;
        let (dict, settled) = match (is_replaced, on_conflict) {
            (false, _) => (intent.save.apply(&current), Settled::Merged),
            // Keys hidden from the app keep their current values.
            (true, OnConflict::Overwrite) => (intent.save.apply(&current), Settled::Overwritten),
            (true, OnConflict::Rebase | OnConflict::Fail) => {
                let mine = intent.save.apply(&intent.base);
                (rebase(&intent.base, &mine, &current), Settled::Rebased)
            }
        };
        let next = Intent { tries: intent.tries + 1, ..intent.clone() };
        let mut write = write(opened, dict, Some(theirs.rev), next, issuer, fresh)?;
        write.settled = Some(settled);
        Ok(Retry::Again(Box::new(write)))
    }

    /// The session has ended in the store: only a log-in may write, as a new session.
    fn without_it(
        &self,
        opened: &Opened,
        issuer: Issuer<'_>,
        fresh: &mut dyn FnMut() -> Result<Randomness, Broken>,
    ) -> Result<Retry, Broken> {
        let Some(intent) = self.intent.as_ref().filter(|intent| intent.tries < TRIES) else {
            return Ok(Retry::Ended);
        };
        let dict = intent.save.apply(&intent.base);
        let user = |dict| issuer.policy.subject.as_ref().and_then(|path| subject::of(dict, path));
        if user(&dict).is_none() || user(&dict) == user(&intent.base) {
            return Ok(Retry::Ended);
        }
        let next = Intent { tries: intent.tries + 1, ..intent.clone() };
        let write = write(opened, dict, None, next, issuer, fresh)?;
        Ok(Retry::Again(Box::new(write)))
    }
}

/// The write that stores `dict`: as the next revision of the request's session or, if that is None,
/// as a new session.
fn write(
    opened: &Opened,
    dict: Dict,
    revision: Option<u64>,
    intent: Intent,
    issuer: Issuer<'_>,
    fresh: &mut dyn FnMut() -> Result<Randomness, Broken>,
) -> Result<Write, Broken> {
    let Issuer { policy, now, .. } = issuer;
    let size = dict.as_str().len();
    claims::check_save(&dict, policy, true, now)
        .map_err(|reason| Broken { reason: BrokenReason::Unsavable(reason), bytes: size })?;
    check_header(&dict, policy)?;
    let kind = match (&intent.save.dict, &intent.save.patch) {
        (Some(_), _) => IssueKind::Saved,
        (None, Some(_)) => IssueKind::Merged,
        (None, None) => IssueKind::Renewed,
    };
    let asked = Asked { kind, max_age: intent.save.max_age, renew: intent.save.renew };
    let before = opened.token.as_ref().map(|_| &intent.base);
    let subject = user(&dict, policy);
    let stored = opened.stored().zip(revision);
    let successor = match Successor::of(before, &dict, asked, policy) {
        Successor::Same
            if stored.is_some_and(|((token, ..), _)| !is_placed(token.id(), subject)) =>
        {
            Successor::Renamed
        }
        successor => successor,
    };
    let made = fresh()?;
    let managed = opened.token.as_ref().and_then(VerifiedToken::managed);
    let (id, key) = match (&successor, &stored) {
        (Successor::Same, Some(((token, key, _), _))) => (token.id().clone(), (*key).clone()),
        _ => (placed(made.id, subject), made.key),
    };
    let previous = managed
        .filter(|_| !matches!(successor, Successor::Another))
        .map(|managed| Managed { id: id.clone(), ..managed.clone() });
    let stamp = stamp(policy, previous.as_ref(), asked.max_age, now, &id)?;
    let next = revision.map_or(1, |revision| revision + 1);
    let row = row(&dict, &stamp, &key, next, made.nonce, subject)?;
    let renewed = stored.is_some() && !matches!(successor, Successor::Same);
    let issued = issue(&stamp, &key, kind, renewed, opened.transport, made.seal, issuer)?;
    let then = intent.save.others.then(|| end_others_but(&id, &dict, policy)).flatten();
    let change = match stored {
        None => Change::Create { id, row },
        Some((_, expected)) if !renewed => Change::Save { id, expected, row },
        Some(((token, ..), expected)) => {
            Change::Renew { old: token.id().clone(), expected, id, row }
        }
    };
    let action = CookieAction::Issue(issued);
    Ok(Write { change, then, action, settled: None, intent: Some(intent) })
}

fn delete(opened: &Opened, all: bool, policy: &Policy) -> Plan {
    let action = CookieAction::Expire {
        set_cookie: policy.cookie.expire(opened.transport),
        session: opened.token.as_ref().map(|token| token.id().clone()),
    };
    let this = opened.stored().map(|(token, ..)| Change::Delete { id: token.id().clone() });
    let user = policy.subject.as_ref().filter(|_| all);
    let user = user.and_then(|path| SubjectHash::of(&opened.dict(), path));
    let every = user.map(|subject| Change::EndSubject { subject, except: None });
    // Always end this session by its id: it may be older than `session.subject`.
    let mut changes = this.into_iter().chain(every);
    match changes.next() {
        None => Plan::Cookie(action),
        Some(change) => {
            let then = changes.next();
            Plan::Write(Box::new(Write { then, ..Write::of(change, action) }))
        }
    }
}

/// The change that ends every other session of this user.
fn end_others(opened: &Opened, dict: &Dict, policy: &Policy) -> Option<Change> {
    let token = opened.token.as_ref()?;
    end_others_but(token.id(), dict, policy)
}

fn end_others_but(id: &SessionId, dict: &Dict, policy: &Policy) -> Option<Change> {
    let subject = SubjectHash::of(dict, policy.subject.as_ref()?)?;
    Some(Change::EndSubject { subject, except: Some(id.clone()) })
}

fn user(dict: &Dict, policy: &Policy) -> Option<SubjectHash> {
    SubjectHash::of(dict, policy.subject.as_ref()?)
}

/// The id of a new session of this user: a user's sessions share the start of their ids.
fn placed(fresh: SessionId, subject: Option<SubjectHash>) -> SessionId {
    match subject {
        Some(subject) => fresh.led_by(subject.lead()),
        None => fresh,
    }
}

/// Whether the id belongs to this user. It does not if `session.subject` has changed since.
fn is_placed(id: &SessionId, subject: Option<SubjectHash>) -> bool {
    subject.is_none_or(|subject| id.is_led_by(subject.lead()))
}

fn stamp(
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

fn row(
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
fn issue(
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

#[cfg(test)]
mod tests;
