//! The documented behaviour of sessions in a store, as simple as possible.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::session::OnConflict;
use crate::session::lifetime::SessionId;
use crate::store::operation::{Applied, Change, Row};
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

/// A dict: values as their text.
pub(super) type Members = BTreeMap<String, String>;

/// How an answer changes a dict.
pub(super) enum Content {
    Same,
    Whole(Members),
    Patch(BTreeMap<String, Option<String>>),
}

impl Content {
    /// The expected result, if `head` was stored and the app got `base`. `conflict`: how a conflict
    /// was resolved. `is_hidden`: which keys the app cannot see.
    pub(super) fn onto(
        &self,
        base: &Members,
        head: &Members,
        conflict: Option<OnConflict>,
        is_hidden: impl Fn(&str) -> bool,
    ) -> Members {
        let mut next = head.clone();
        match (self, conflict) {
            (Self::Same, _) => {}
            (Self::Patch(patch), _) => {
                for (key, value) in patch {
                    match value {
                        Some(value) => drop(next.insert(key.clone(), value.clone())),
                        None => drop(next.remove(key)),
                    }
                }
            }
            (Self::Whole(whole), Some(OnConflict::Rebase)) => {
                for key in base.keys().chain(whole.keys()) {
                    match (base.get(key), whole.get(key)) {
                        (old, new) if old == new => {}
                        (_, Some(new)) => drop(next.insert(key.clone(), new.clone())),
                        (_, None) => drop(next.remove(key)),
                    }
                }
            }
            (Self::Whole(whole), _) => {
                next.retain(|key, _| is_hidden(key));
                next.extend(whole.clone());
            }
        }
        next
    }
}

/// A session under one id.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) rev: u64,
    pub(super) members: Members,
    exp: Timestamp,
    /// If it has a new id: until when it can be read under this one.
    until: Option<Timestamp>,
}

impl Kept {
    fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none() && self.exp > now
    }

    fn is_of(&self, subject: &SubjectHash) -> bool {
        let user = self.members.get("user");
        user.is_some_and(|user| SubjectHash::of_text(user.trim_matches('"').as_bytes()) == *subject)
    }
}

#[derive(Default)]
pub(super) struct Model {
    kept: HashMap<SessionId, Kept>,
    /// Each session with all its ids, in order.
    sessions: Vec<Vec<SessionId>>,
    /// The ids of logged-out sessions.
    over: HashSet<SessionId>,
    /// Each revision that was used.
    given: HashSet<(SessionId, u64)>,
}

impl Model {
    /// The session under an id, and whether the id is an old one.
    pub(super) fn load(&self, id: &SessionId, now: Timestamp) -> Option<(&Kept, bool)> {
        let kept = self.kept.get(id)?;
        let until = kept.until.unwrap_or(kept.exp);
        (until > now).then_some((kept, kept.until.is_some()))
    }

    /// Whether it was logged out.
    pub(super) fn is_over(&self, id: &SessionId) -> bool {
        self.over.contains(id)
    }

    /// Applies a change as expected, for a request whose app got `base`. `dict` makes the new
    /// content from the current one.
    pub(super) fn apply(
        &mut self,
        change: &Change,
        now: Timestamp,
        base: &Members,
        dict: impl Fn(&Members) -> Members,
    ) -> Applied {
        let done = Applied::done(0);
        match change {
            Change::Create { id, row } => {
                self.keep(id, row, dict(base));
                self.sessions.push(vec![id.clone()]);
                done
            }
            Change::Save { id, expected, row } => match self.kept.get(id) {
                Some(kept) if kept.is_live(now) && kept.rev == *expected => {
                    let members = dict(&kept.members);
                    self.keep(id, row, members);
                    done
                }
                Some(kept) if kept.is_live(now) => Applied::Conflict(row.clone()),
                _ => Applied::Gone,
            },
            Change::Renew { old, expected, id, row } => match self.kept.get_mut(old) {
                Some(kept) if kept.is_live(now) && kept.rev == *expected => {
                    kept.until = Some(kept.exp.min(now.plus(Duration::from_secs(10))));
                    let members = dict(&kept.members);
                    self.keep(id, row, members);
                    let is_it = |ids: &&mut Vec<SessionId>| ids.contains(old);
                    self.sessions.iter_mut().find(is_it).unwrap().push(id.clone());
                    done
                }
                Some(kept) if kept.is_live(now) => Applied::Conflict(row.clone()),
                _ => Applied::Gone,
            },
            Change::Touch { id, exp, .. } => {
                match self.kept.get_mut(id).filter(|kept| kept.is_live(now)) {
                    Some(kept) => {
                        kept.exp = kept.exp.max(*exp);
                        done
                    }
                    None => Applied::Gone,
                }
            }
            Change::Delete { id } => {
                let ids = self.sessions.iter().find(|ids| ids.contains(id));
                self.end(&ids.cloned().unwrap_or_default());
                done
            }
            Change::EndSubject { subject, except } => {
                let sessions = self.sessions.clone();
                for ids in sessions {
                    let is_theirs = |id: &SessionId| {
                        Some(id) != except.as_ref()
                            && self.kept.get(id).is_some_and(|kept| kept.is_of(subject))
                    };
                    // Its later ids belong to another user.
                    let last = ids.iter().rposition(is_theirs);
                    self.end(&ids[..last.map_or(0, |last| last + 1)]);
                }
                done
            }
            Change::EndAll => panic!("no app asks for that"),
        }
    }

    fn keep(&mut self, id: &SessionId, row: &Row, members: Members) {
        assert!(self.given.insert((id.clone(), row.rev)), "a revision was given out twice");
        assert!(!self.over.contains(id), "a session was written that had been logged out");
        self.kept.insert(id.clone(), Kept { rev: row.rev, members, exp: row.exp, until: None });
    }

    fn end(&mut self, ids: &[SessionId]) {
        for id in ids {
            self.kept.remove(id);
            self.over.insert(id.clone());
        }
    }
}
