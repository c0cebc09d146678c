//! What is asked of a store, and what it answers: the same for each home.

use std::fmt;
use std::time::Duration;

use super::record::SubjectHash;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// What a store knows of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which revision of the session this is: higher with each save.
    pub rev: u64,
    /// When the session was first saved.
    pub start: Timestamp,
    /// When it was last saved or refreshed.
    pub seen: Timestamp,
    /// From when on it is gone.
    pub exp: Timestamp,
    /// Whose it is.
    pub subject: Option<SubjectHash>,
    /// The sealed dict: see [`super::record`].
    pub data: Vec<u8>,
}

/// The answer to a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The session.
    Found(Row),
    /// The session, as it was when it got another id a moment ago. It can be read and not written.
    Replaced(Row),
    /// There is none of this id, or none any more.
    Gone,
}

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new session.
    Create {
        /// A fresh id: one that has never been used.
        id: SessionId,
        /// What to keep.
        row: Row,
    },
    /// Another content for a session that nobody else has written since.
    Save {
        /// Which session.
        id: SessionId,
        /// The revision that was read.
        expected: u64,
        /// What to keep; of a higher revision. `start` stays as it is.
        row: Row,
    },
    /// A longer life for a session. It changes no content and no revision, and never shortens.
    Touch {
        /// Which session.
        id: SessionId,
        /// From when on it is gone.
        exp: Timestamp,
        /// When that was asked for.
        seen: Timestamp,
    },
    /// The end of a session, whatever its revision, under each of the ids it had a moment ago too.
    Delete {
        /// Which session.
        id: SessionId,
    },
    /// A session goes on under a new id. The old one can be read for [`REPLACED`] more.
    Renew {
        /// The id it had.
        old: SessionId,
        /// The revision that was read.
        expected: u64,
        /// A fresh id.
        id: SessionId,
        /// What to keep under it.
        row: Row,
    },
    /// The end of each session of a user.
    EndSubject {
        /// Whose.
        subject: SubjectHash,
        /// A session that stays.
        except: Option<SessionId>,
    },
    /// The end of every session.
    EndAll,
}

/// How long a session can be read under the id that it had before.
pub const REPLACED: Duration = Duration::from_secs(10);

/// How long a replaced id leads to the session that goes on: as long as an answer may take that began
/// with it.
pub const LINKED: Duration = Duration::from_secs(60);

impl Change {
    /// Whether it must outlive a loss of power: what has ended must not come back.
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
    /// It is done.
    Done {
        /// How many sessions have ended by it; none where there was none.
        ended: u64,
        /// Whether it outlives the server that has done it. Of what ends no session this is not
        /// asked.
        replicated: bool,
    },
    /// Nothing was written: somebody else has written since. What is there now.
    Conflict(Row),
    /// Nothing was written: the session has ended, or goes on under another id.
    Gone,
}

impl Applied {
    /// It is done, for good.
    #[must_use]
    pub const fn done(ended: u64) -> Self {
        Self::Done { ended, replicated: true }
    }
}

/// A session in a list: all that can be told of it without its cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which session.
    pub id: SessionId,
    /// When it was first saved.
    pub start: Timestamp,
    /// When it was last saved or refreshed.
    pub seen: Timestamp,
    /// From when on it is gone.
    pub exp: Timestamp,
    /// How long its record is.
    pub bytes: u64,
}

/// What a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// One session.
    Session(SessionId),
    /// All sessions of a user.
    Subject(SubjectHash),
    /// All sessions of a user but one.
    Others {
        /// Whose.
        subject: SubjectHash,
        /// The session that goes on.
        except: SessionId,
    },
    /// Every session.
    All,
}

/// A revocation, for sessions that are in cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What it ends.
    pub what: Revoked,
    /// Tokens issued before this moment.
    pub before: Timestamp,
    /// From when on none of these can be good any more, so that it need not be known.
    pub until: Timestamp,
}

/// A revocation and its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: higher than that of each one before, and never used again.
    pub seq: u64,
    /// What it says.
    pub revocation: Revocation,
}

/// Why a store gave no answer. It says nothing about any session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outage {
    /// None came in time.
    Timeout,
    /// It cannot be reached.
    Connect,
    /// What came is no answer.
    Protocol,
    /// It has no room left.
    Full,
    /// It can be read and not written.
    ReadOnly,
    /// It was not asked: too many calls before have failed.
    OpenCircuit,
}

impl Outage {
    /// Each of them, in the order of the documentation.
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
