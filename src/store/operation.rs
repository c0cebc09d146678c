//! The calls and answers of a store, the same for every implementation.

use std::fmt;
use std::time::Duration;

use super::record::SubjectHash;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// The stored data of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The revision, which increases with each save.
    pub rev: u64,
    /// When the session was first saved.
    pub start: Timestamp,
    /// When it was last saved or refreshed.
    pub seen: Timestamp,
    /// When it expires.
    pub exp: Timestamp,
    /// The user, as a hash.
    pub subject: Option<SubjectHash>,
    /// The sealed dict: see [`super::record`].
    pub data: Vec<u8>,
}

/// The answer to a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The session.
    Found(Row),
    /// The session under its old id, renewed a moment ago. It can be read but not written.
    Replaced(Row),
    /// There is no session with this id, or it has ended.
    Gone,
}

/// A change of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Create a session.
    Create {
        /// A new id that was never used before.
        id: SessionId,
        /// The content.
        row: Row,
    },
    /// Write a session that nobody else has written since it was read.
    Save {
        /// The session.
        id: SessionId,
        /// The revision that was read.
        expected: u64,
        /// The new content, with a higher revision. `start` is ignored.
        row: Row,
    },
    /// Extend a session. Does not change its content or revision, and never shortens it.
    Touch {
        /// The session.
        id: SessionId,
        /// When it expires.
        exp: Timestamp,
        /// When the extension was requested.
        seen: Timestamp,
    },
    /// End a session at any revision, also under its recent ids.
    Delete {
        /// The session.
        id: SessionId,
    },
    /// Continue a session under a new id. The old id can be read for another [`REPLACED`].
    Renew {
        /// Its old id.
        old: SessionId,
        /// The revision that was read.
        expected: u64,
        /// Its new id.
        id: SessionId,
        /// The new content.
        row: Row,
    },
    /// End every session of a user.
    EndSubject {
        /// The user.
        subject: SubjectHash,
        /// A session that does not end.
        except: Option<SessionId>,
    },
    /// End every session.
    EndAll,
}

/// How long a session can be read under its old id.
pub const REPLACED: Duration = Duration::from_secs(10);

/// How long a change under a replaced id reaches the new one: as long as an answer to a request
/// with the old id may take.
pub const LINKED: Duration = Duration::from_secs(60);

impl Change {
    /// Whether it must survive a power failure: an ended session must not come back.
    #[must_use]
    pub const fn is_an_end(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Save { .. } | Self::Touch { .. } => false,
            Self::Delete { .. } | Self::Renew { .. } | Self::EndSubject { .. } | Self::EndAll => {
                true
            }
        }
    }
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was applied.
    Done {
        /// How many sessions it ended.
        ended: u64,
        /// Whether it has been replicated. Only determined for changes that end sessions.
        replicated: bool,
        /// Whether it was only a step of [`Change::EndSubject`], and the next must follow.
        has_more: bool,
    },
    /// Not applied: another request has written the session. Contains the current row.
    Conflict(Row),
    /// Not applied: the session has ended or has a new id.
    Gone,
}

impl Applied {
    /// Applied, and replicated.
    #[must_use]
    pub const fn done(ended: u64) -> Self {
        Self::Done { ended, replicated: true, has_more: false }
    }
}

/// A session in a list: what is known without its cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The session.
    pub id: SessionId,
    /// When it was first saved.
    pub start: Timestamp,
    /// When it was last saved or refreshed.
    pub seen: Timestamp,
    /// When it expires.
    pub exp: Timestamp,
    /// The length of its record.
    pub bytes: u64,
}

impl Listed {
    /// As JSON, for operators.
    #[must_use]
    pub fn to_json(&self) -> String {
        let [start, seen, expires] = [self.start, self.seen, self.exp].map(Timestamp::to_rfc3339);
        format!(
            r#"{{"id":"{}","start":"{start}","seen":"{seen}","expires":"{expires}","bytes":{}}}"#,
            self.id.as_str(),
            self.bytes
        )
    }
}

/// The maximum number of sessions in a list. Reading more would delay other requests to the store.
pub const MOST_LISTED: usize = 1000;

/// The maximum number of sessions of a user that end in a step. Ending more at once would delay other
/// requests to the store.
pub(super) const MOST_ENDED: usize = 100;

/// The sessions of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// At most [`MOST_LISTED`], oldest first.
    pub sessions: Vec<Listed>,
    /// Whether there may be more.
    pub has_more: bool,
}

impl Listing {
    /// As JSON, for operators.
    #[must_use]
    pub fn to_json(&self) -> String {
        let sessions: Vec<String> = self.sessions.iter().map(Listed::to_json).collect();
        let more = if self.has_more { r#","more":true"# } else { "" };
        format!(r#"{{"sessions":[{}]{more}}}"#, sessions.join(","))
    }
}

/// The sessions that a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// One session.
    Session(SessionId),
    /// All sessions of a user.
    Subject(SubjectHash),
    /// All sessions of a user except one.
    Others {
        /// The user.
        subject: SubjectHash,
        /// The session that does not end.
        except: SessionId,
    },
    /// Every session.
    All,
}

/// A revocation of sessions that are in cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The sessions that it ends.
    pub what: Revoked,
    /// Tokens issued before this time, or in its millisecond, are revoked.
    pub before: Timestamp,
    /// When all these tokens have expired, so that the revocation can be forgotten.
    pub until: Timestamp,
}

/// A revocation with its position in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, higher than all earlier ones and never reused.
    pub seq: u64,
    /// The revocation.
    pub revocation: Revocation,
}

/// Why the store did not answer. Says nothing about any session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outage {
    /// No answer in time.
    Timeout,
    /// The store cannot be reached.
    Connect,
    /// The answer is invalid.
    Protocol,
    /// The store is full.
    Full,
    /// The store is read-only.
    ReadOnly,
    /// Not called, because too many earlier calls failed.
    OpenCircuit,
}

impl Outage {
    /// Every kind, in the order of docs/metrics.md.
    pub const ALL: [Self; 6] = [
        Self::Timeout,
        Self::Connect,
        Self::Protocol,
        Self::Full,
        Self::ReadOnly,
        Self::OpenCircuit,
    ];

    /// The value of the label `kind`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Protocol => "protocol",
            Self::Full => "full",
            Self::ReadOnly => "readonly",
            Self::OpenCircuit => "open_circuit",
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "the session store did not answer in time",
            Self::Connect => "the session store cannot be reached",
            Self::Protocol => "the session store sent an invalid answer",
            Self::Full => "the session store is full",
            Self::ReadOnly => "the session store is read-only",
            Self::OpenCircuit => {
                "the session store was not called: the calls before this one failed"
            }
        })
    }
}

impl std::error::Error for Outage {}
