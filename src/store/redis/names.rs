//! The names of keys. Pure.
//!
//! ```text
//! P{ab}:s:ID    a session; `ab` are the first two characters of its id, 12 bits
//! P{ab}:u:SUB   the ids of a user's sessions, by expiry; `ab` are those of SUB
//! P{ab}:p:ID    the previous id of this session
//! P:revoked     the revocations, as a stream (P without the part in braces)
//! ```
//!
//! In a cluster the part in braces decides about the place of a key. The id of a session with a
//! user starts like the user's hash, so that all sessions of the user and their index are on one
//! server, where one script can access them.

use crate::session::lifetime::SessionId;
use crate::store::record::SubjectHash;

/// Makes names that start with `store.prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn session(&self, id: &SessionId) -> String {
        self.name("s", id.as_str())
    }

    pub(super) fn index(&self, subject: &str) -> String {
        self.name("u", subject)
    }

    pub(super) fn revocations(&self) -> String {
        format!("{}revoked", self.prefix)
    }

    /// A name that is never used, to check that the server answers.
    pub(super) fn probe(&self) -> String {
        format!("{}probe", self.prefix)
    }

    /// A temporary name for checks; all of these are on one server.
    pub(super) fn scratch(&self, kind: &str) -> String {
        format!("{}{{check}}:{kind}", self.prefix)
    }

    /// A pattern for all sessions (`SCAN … MATCH`).
    pub(super) fn every_session(&self) -> String {
        let mut pattern = String::new();
        for character in self.prefix.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern + "{??}:s:*"
    }

    fn name(&self, kind: &str, id: &str) -> String {
        format!("{}{{{}}}:{kind}:{id}", self.prefix, lead(id))
    }
}

/// A user's hash as in names: base64url, 22 characters.
pub(super) fn subject(subject: &SubjectHash) -> String {
    SessionId::from_bytes(*subject.as_bytes()).as_str().to_owned()
}

/// The part that decides about the place of a key in a cluster.
fn lead(id: &str) -> &str {
    id.get(..2).unwrap_or(id)
}

/// Whether both are on the same server of a cluster.
pub(super) fn are_together(one: &SessionId, other: &SessionId) -> bool {
    lead(one.as_str()) == lead(other.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    fn names() -> Names {
        Names::new("cloakroom:".into())
    }

    #[test]
    fn names_are_as_documented() {
        let id = SessionId::from_bytes([1; 16]);
        assert_eq!(names().session(&id), "cloakroom:{AQ}:s:AQEBAQEBAQEBAQEBAQEBAQ");
        let ada = SubjectHash::of_text(b"ada");
        let text = subject(&ada);
        assert_eq!(text.len(), 22);
        assert_eq!(names().index(&text), format!("cloakroom:{{{}}}:u:{text}", &text[..2]));
        assert_eq!(names().revocations(), "cloakroom:revoked");
    }

    /// The hash tag is the part between the first brace and the next closing one (Redis cluster
    /// specification, "Hash tags").
    fn hash_tag(name: &str) -> &str {
        let (_, behind) = name.split_once('{').unwrap();
        behind.split_once('}').unwrap().0
    }

    #[test]
    fn a_users_sessions_and_index_are_in_one_slot() {
        for user in 0..500 {
            let ada = SubjectHash::of_text(format!("user {user}").as_bytes());
            let id = SessionId::from_bytes([user as u8; 16]).led_by(ada.lead());
            assert!(id.to_bytes().is_some());
            let slot = |name: String| hash_tag(&name).to_owned();
            assert_eq!(slot(names().session(&id)), slot(names().index(&subject(&ada))));
        }
    }

    #[test]
    fn a_pattern_matches_the_prefix_as_it_is() {
        let odd = Names::new("a*[b]\\:".into());
        assert_eq!(odd.every_session(), r"a\*\[b\]\\:{??}:s:*");
    }
}
