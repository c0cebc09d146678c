//! Sessions that end early: all that were issued before a time, and individual ones.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::lifetime::SessionId;
use crate::time::Timestamp;

mod entries;

pub use entries::Log;

/// What is revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// `session.not_before`: revokes every token issued earlier.
    pub not_before: Option<Timestamp>,
    /// From `session.revoked_file`: session ids, and when each can be forgotten.
    sessions: Arc<HashMap<SessionId, Option<Timestamp>>>,
    /// Whether `session.revoked_file` is configured, even if it is empty.
    has_file: bool,
    /// Revocations from the store, if it holds them.
    pub log: Arc<Log>,
}

impl Revocations {
    /// Revokes everything issued before a time, and no individual session.
    #[must_use]
    pub fn since(not_before: Option<Timestamp>) -> Self {
        Self { not_before, ..Self::default() }
    }

    /// Whether revocations are configured.
    #[must_use]
    pub fn are_in_use(&self) -> bool {
        self.not_before.is_some() || self.has_file
    }

    /// Reads the text of a `session.revoked_file`: one session id per line, optionally followed by
    /// the time (RFC 3339) after which the line no longer counts. `#` starts a comment.
    ///
    /// # Errors
    /// Every invalid line, counted from 1, and why.
    pub fn read_sessions(
        &mut self,
        text: &str,
        moment: impl Fn(&str) -> Option<Timestamp>,
    ) -> Result<(), Vec<(usize, LineError)>> {
        self.has_file = true;
        let mut faults = Vec::new();
        let sessions = Arc::make_mut(&mut self.sessions);
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(id) = words.next() else { continue };
            match (SessionId::parse(id), words.next().map(&moment), words.next()) {
                (Some(id), None, None) => {
                    sessions.insert(id, None);
                }
                (Some(id), Some(Some(until)), None) => {
                    sessions.insert(id, Some(until));
                }
                (None, ..) => faults.push((index + 1, LineError::NoSession)),
                _ => faults.push((index + 1, LineError::NoMoment)),
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Whether a token is revoked, given its session and its time of issue. A token without a time
    /// of issue (None) counts as older than everything.
    #[must_use]
    pub fn revokes(&self, session: &SessionId, issued: Option<Timestamp>, now: Timestamp) -> bool {
        let too_early = self
            .not_before
            .is_some_and(|not_before| issued.is_none_or(|issued| issued < not_before));
        let named = self.sessions.get(session);
        too_early || named.is_some_and(|until| until.is_none_or(|until| now < until))
    }
}

/// What is wrong with a line of a `session.revoked_file`. The message says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// It does not start with a session id.
    NoSession,
    /// The text after the id is not a time.
    NoMoment,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => {
                "expected a session id: 22 letters, digits, \"-\" and \"_\", as \
                 `cloakroom token decode --explain` shows it"
            }
            Self::NoMoment => {
                "expected a time such as 2026-11-22T10:00:00Z after the session id, or nothing"
            }
        })
    }
}

impl std::error::Error for LineError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    const ID: &str = "AQEBAQEBAQEBAQEBAQEBAQ";

    fn seconds(text: &str) -> Option<Timestamp> {
        text.parse().ok().map(Timestamp::from_secs)
    }

    fn read(text: &str) -> Result<Revocations, Vec<(usize, LineError)>> {
        let mut revocations = Revocations::default();
        revocations.read_sessions(text, seconds).map(|()| revocations)
    }

    #[test]
    fn a_line_names_a_session_for_ever_or_until_a_moment() {
        let id = SessionId::from_bytes([1; 16]);
        assert_eq!(id.as_str(), ID);
        let now = Timestamp::from_secs(100);
        for (text, revoked) in [
            (String::new(), false),
            ("# nobody\n\n".into(), false),
            (format!("{ID}\n"), true),
            (format!("  {ID}  # stolen"), true),
            (format!("{ID} 101"), true),
            (format!("{ID} 100"), false),
            (format!("#{ID}"), false),
        ] {
            assert_eq!(read(&text).unwrap().revokes(&id, None, now), revoked, "{text:?}");
        }
    }

    #[test]
    fn every_faulty_line_is_told() {
        let text = format!("{ID}\nshort\n{ID} soon\n{ID} 5 6\n{ID}A\n");
        let lines: Vec<usize> = read(&text).unwrap_err().iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
    }

    #[test]
    fn not_before_binds_those_that_do_not_say_when_too() {
        let at = Timestamp::from_secs;
        let revocations = Revocations { not_before: Some(at(50)), ..Revocations::default() };
        let id = SessionId::from_bytes([1; 16]);
        for (issued, revoked) in [(None, true), (Some(at(49)), true), (Some(at(50)), false)] {
            assert_eq!(revocations.revokes(&id, issued, at(100)), revoked, "{issued:?}");
        }
    }
}
