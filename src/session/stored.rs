//! Sessions whose dict is in the store: reads them for a request and plans the writes of its
//! answer.
//!
//! Pure: the caller awaits the store in between.
//!
//! ```text
//! Opened ──awaits──> id ~~load~~> Loaded ──complete──> Opened
//! Directive ──plan──> Write ~~apply~~> Applied ──done, conflict, gone──> cookie, another Write, an end
//! ```

use super::Opened;
use super::broken::Broken;
use super::closing::{CookieAction, IssueKind};
use super::dict::Dict;
use super::directive::Directive;
use super::issuer::Issuer;
use super::lifetime::Managed;
use super::policy::Policy;
use crate::store::operation::Change;
use crate::store::record::SubjectHash;

mod found;
mod made;
mod write;

pub use made::Randomness;
pub use write::{Retry, Settled, Write};

use made::{end_others_but, issue, placed, row, stamp, user};
use write::{Intent, write};

/// What an answer does.
#[derive(Debug)]
pub enum Plan {
    /// Only the cookie changes, not the store.
    Cookie(CookieAction),
    /// The store must be written first.
    Write(Box<Write>),
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
            let intent = Intent::of(save, base);
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
            let mut write = Write::of(change, action);
            write.then = changes.next();
            Plan::Write(Box::new(write))
        }
    }
}

/// The change that ends every other session of this user.
fn end_others(opened: &Opened, dict: &Dict, policy: &Policy) -> Option<Change> {
    let token = opened.token.as_ref()?;
    end_others_but(token.id(), dict, policy)
}

#[cfg(test)]
mod tests;
