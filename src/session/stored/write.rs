//! The write of a save, and what to do if others write the session at the same time.

use super::made::{Randomness, end_others_but, is_placed, issue, placed, row, stamp, user};
use crate::session::broken::{Broken, BrokenReason};
use crate::session::closing::{Asked, CookieAction, IssueKind, Successor, check_header};
use crate::session::dict::Dict;
use crate::session::directive::Save;
use crate::session::issuer::Issuer;
use crate::session::lifetime::Managed;
use crate::session::policy::OnConflict;
use crate::session::rebase::rebase;
use crate::session::{Opened, VerifiedToken, claims, subject};
use crate::store::operation::{Applied, Change, Row};
use crate::store::record;

/// How often a write is tried at most, if others write the same session at the same time.
const TRIES: u8 = 5;

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
pub(super) struct Intent {
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

impl Intent {
    /// For the first try.
    pub(super) fn of(save: Save, base: Dict) -> Self {
        Self { save, base, tries: 1 }
    }
}

impl Write {
    pub(super) fn of(change: Change, action: CookieAction) -> Self {
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
pub(super) fn write(
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
