//! Revocations from the log that all sidecars share.

use std::collections::HashMap;
use std::time::Duration;

use crate::session::lifetime::{Managed, SessionId};
use crate::store::operation::{Revocation, Revoked};
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

/// How long another sidecar may take to learn of a revocation. Tokens that it issues meanwhile for
/// the revoked sessions are revoked too.
const NEWS: Duration = Duration::from_secs(2);

/// Tokens give the start of their session in whole seconds. A user who logs in again at once must
/// not be locked out.
const SECOND: Duration = Duration::from_secs(1);

/// The revocations known from the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Revoked sessions, and when each can be forgotten.
    sessions: HashMap<SessionId, Timestamp>,
    /// Revocations by user, mostly one each.
    subjects: HashMap<SubjectHash, Vec<Moment>>,
    all: Vec<Moment>,
}

/// Ends all sessions from before a time, and from its millisecond: which of the two came first is not
/// known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    before: Timestamp,
    /// The session that does not end.
    except: Option<SessionId>,
    until: Timestamp,
}

impl Moment {
    fn ends(&self, session: &SessionId, managed: Option<&Managed>) -> bool {
        if self.except.as_ref() == Some(session) {
            return false;
        }
        // A token without a time of issue counts as older than everything.
        managed.is_none_or(|managed| {
            managed.issued <= self.before
                || (managed.start.plus(SECOND) <= self.before
                    && managed.issued < self.before.plus(NEWS))
        })
    }

    /// Whether this entry ends all the sessions that the other one ends.
    fn covers(&self, other: &Self) -> bool {
        self.before >= other.before
            && self.until >= other.until
            && (self.except.is_none() || self.except == other.except)
    }
}

fn add(moments: &mut Vec<Moment>, new: Moment) {
    if moments.iter().all(|known| !known.covers(&new)) {
        moments.retain(|known| !new.covers(known));
        moments.push(new);
    }
}

impl Log {
    /// Adds a revocation.
    pub fn add(&mut self, revocation: Revocation) {
        let Revocation { what, before, until } = revocation;
        let moment = |except| Moment { before, except, until };
        match what {
            Revoked::Session(id) => {
                // The latest time counts.
                let known = self.sessions.entry(id).or_insert(until);
                *known = (*known).max(until);
            }
            Revoked::Subject(subject) => {
                add(self.subjects.entry(subject).or_default(), moment(None));
            }
            Revoked::Others { subject, except } => {
                add(self.subjects.entry(subject).or_default(), moment(Some(except)));
            }
            Revoked::All => add(&mut self.all, moment(None)),
        }
    }

    /// Whether a revocation, or one that ends no less, has been added.
    #[must_use]
    pub fn knows(&self, revocation: &Revocation) -> bool {
        let Revocation { what, before, until } = revocation;
        let covered = |moments: Option<&Vec<Moment>>, except: Option<&SessionId>| {
            let new = Moment { before: *before, except: except.cloned(), until: *until };
            moments.is_some_and(|moments| moments.iter().any(|known| known.covers(&new)))
        };
        match what {
            Revoked::Session(id) => self.sessions.get(id).is_some_and(|known| known >= until),
            Revoked::Subject(subject) => covered(self.subjects.get(subject), None),
            Revoked::Others { subject, except } => {
                covered(self.subjects.get(subject), Some(except))
            }
            Revoked::All => covered(Some(&self.all), None),
        }
    }

    /// Removes the revocations that can no longer end a session. Returns whether there were any.
    pub fn forget(&mut self, now: Timestamp) -> bool {
        let before = self.len();
        self.sessions.retain(|_, until| now < *until);
        self.subjects.retain(|_, moments| {
            moments.retain(|moment| now < moment.until);
            !moments.is_empty()
        });
        self.all.retain(|moment| now < moment.until);
        self.len() < before
    }

    /// Whether there are no revocations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.subjects.is_empty() && self.all.is_empty()
    }

    /// The number of known revocations.
    #[must_use]
    pub fn len(&self) -> usize {
        let of_users: usize = self.subjects.values().map(Vec::len).sum();
        self.sessions.len() + of_users + self.all.len()
    }

    /// Whether a session has ended. `managed` is the claim `cr` of its token; `subject` is called
    /// only if there are revocations by user.
    #[must_use]
    pub fn revokes(
        &self,
        session: &SessionId,
        managed: Option<&Managed>,
        subject: impl FnOnce() -> Option<SubjectHash>,
        now: Timestamp,
    ) -> bool {
        let in_force = |moments: &[Moment]| {
            moments.iter().any(|moment| now < moment.until && moment.ends(session, managed))
        };
        let of_user = || {
            let moments = subject().and_then(|subject| self.subjects.get(&subject));
            moments.is_some_and(|moments| in_force(moments))
        };
        self.sessions.get(session).is_some_and(|until| now < *until)
            || in_force(&self.all)
            || (!self.subjects.is_empty() && of_user())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests may panic")]

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000).plus(Duration::from_millis(millis))
    }

    fn id(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16])
    }

    fn user(name: &str) -> SubjectHash {
        SubjectHash::of_text(name.as_bytes())
    }

    fn log(entries: &[(Revoked, u64, u64)]) -> Log {
        let mut log = Log::default();
        for (what, before, until) in entries {
            let (before, until) = (at(*before), at(*until));
            log.add(Revocation { what: what.clone(), before, until });
        }
        log
    }

    fn managed(byte: u8, start: u64, issued: u64) -> Managed {
        Managed { id: id(byte), start: at(start), issued: at(issued), own_max_age: None }
    }

    /// Whether the session of the user `ada` has ended.
    fn ends(log: &Log, byte: u8, start: u64, issued: u64) -> bool {
        let managed = managed(byte, start, issued);
        log.revokes(&managed.id, Some(&managed), || Some(user("ada")), at(500_000))
    }

    #[test]
    fn what_was_added_is_known_and_what_ends_no_more_than_that() {
        let of_ada = || Revoked::Subject(user("ada"));
        let others = |byte| Revoked::Others { subject: user("ada"), except: id(byte) };
        let every = [Revoked::Session(id(1)), of_ada(), others(1), Revoked::All];
        for what in &every {
            let log = log(&[(what.clone(), 10, 900)]);
            for (before, until, is_known) in [(10, 900, true), (10, 899, true), (10, 901, false)] {
                let (before, until) = (at(before), at(until));
                let asked = Revocation { what: what.clone(), before, until };
                assert_eq!(log.knows(&asked), is_known, "{asked:?}");
                assert!(!Log::default().knows(&asked));
            }
        }
        let knows =
            |log: &Log, what| log.knows(&Revocation { what, before: at(10), until: at(900) });
        let all_of_ada = log(&[(of_ada(), 10, 900)]);
        assert!(knows(&all_of_ada, others(1)));
        assert!(!knows(&all_of_ada, Revoked::Session(id(1))));
        let but_one = log(&[(others(1), 10, 900)]);
        assert!(!knows(&but_one, of_ada()));
        assert!(!knows(&but_one, others(2)));
        assert!(!knows(&log(&[(of_ada(), 9, 900)]), of_ada()));
    }

    #[test]
    fn a_session_has_ended_for_good_and_until_it_need_not_be_known() {
        let log = log(&[
            (Revoked::Session(id(1)), 10, 900_000),
            (Revoked::Session(id(2)), 10, 500_000),
            (Revoked::Session(id(3)), 10, 900_000),
            (Revoked::Session(id(3)), 10, 400_000),
        ]);
        // The id is never used again, so the token's time of issue does not matter.
        let has_ended = [1, 2, 3, 4].map(|byte| ends(&log, byte, 0, 999));
        assert_eq!(has_ended, [true, false, true, false]);
    }

    #[test]
    fn all_sessions_of_a_user_end_and_nobody_elses() {
        let log = log(&[(Revoked::Subject(user("ada")), 10_000, 900_000)]);
        assert!(ends(&log, 1, 0, 9_999));
        // What was issued in the same millisecond has ended too.
        assert!(ends(&log, 1, 9_001, 10_000));
        // A new log-in is valid, although its token has the start of the second.
        assert!(!ends(&log, 1, 10_000, 10_001));
        assert!(!ends(&log, 1, 9_001, 10_001));
        // Tokens renewed by a sidecar that did not know of the revocation have ended too.
        assert!(ends(&log, 1, 0, 11_999));
        assert!(!ends(&log, 1, 0, 12_000));
        let other = managed(1, 0, 0);
        for subject in [Some(user("eve")), None] {
            assert!(!log.revokes(&other.id, Some(&other), || subject, at(500_000)));
        }
        // A token without a time of issue counts as older.
        assert!(log.revokes(&id(1), None, || Some(user("ada")), at(500_000)));
    }

    #[test]
    fn others_leaves_one_and_does_not_bring_back_what_ended_before() {
        let subject = user("ada");
        let but = |byte, before| (Revoked::Others { subject, except: id(byte) }, before, 900_000);
        let log = log(&[but(1, 10_000), but(2, 20_000)]);
        assert_eq!([1, 2, 3].map(|byte| ends(&log, byte, 0, 9_000)), [true, true, true]);
        assert_eq!([1, 2, 3].map(|byte| ends(&log, byte, 0, 15_000)), [true, false, true]);
        assert_eq!([1, 2, 3].map(|byte| ends(&log, byte, 0, 30_000)), [false; 3]);
    }

    #[test]
    fn of_several_moments_the_latest_holds() {
        let ada = Revoked::Subject(user("ada"));
        for order in [[10_000, 20_000], [20_000, 10_000]] {
            let log = log(&order.map(|before| (ada.clone(), before, 900_000)));
            assert_eq!(log.len(), 1);
            assert!(ends(&log, 1, 0, 19_999));
        }
        let all = log(&[(Revoked::All, 10, 900_000), (Revoked::All, 20_000, 900_001)]);
        assert_eq!(all.len(), 1);
        assert!(ends(&all, 1, 0, 19_999));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut log = log(&[
            (Revoked::Session(id(1)), 10, 100),
            (Revoked::Subject(user("ada")), 10, 100),
            (Revoked::All, 10, 200),
        ]);
        assert!(!log.forget(at(99)));
        assert_eq!(log.len(), 3);
        assert!(log.forget(at(100)));
        assert_eq!(log.len(), 1);
        assert!(log.forget(at(200)));
        assert!(log.is_empty());
    }

    #[test]
    fn nobody_is_asked_for_while_no_user_has_ended_sessions() {
        let log = log(&[(Revoked::Session(id(1)), 10, 900_000), (Revoked::All, 10, 900_000)]);
        let managed = managed(2, 20, 20);
        assert!(!log.revokes(&id(2), Some(&managed), || panic!("asked"), at(30)));
    }
}
