//! What an operator has decided about sessions.

use std::time::Duration;

use super::cookie::{CookieAttributes, CookieName, Names};
use super::dict::Dict;
use super::header::Encoding;
use super::lifetime::{self, Managed, SessionId};
use super::revocation::Revocations;
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

/// What a save does where somebody else has written the session since its request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// What it changed is put into what is there now.
    #[default]
    Rebase,
    /// Nothing: the client is told that there is a conflict.
    Fail,
    /// It replaces what is there.
    Overwrite,
}

/// What is kept outside of cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Holds {
    /// The dicts: a cookie has a ticket.
    #[default]
    Sessions,
    /// What has ended before its time: the dicts are in cookies.
    Revocations,
}

/// What the core has to know of the configuration, besides the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `[cookie]`
    pub cookie: CookieAttributes,
    /// `session.max_cookie_bytes`: name, `=` and value.
    pub max_cookie_bytes: usize,
    /// `session.max_bytes`: the longest dict that can be saved, as the request header carries it.
    pub max_bytes: usize,
    /// `headers.encoding`: how it does.
    pub encoding: Encoding,
    /// `session.issuer`: written into tokens as `iss`, and required of them.
    pub issuer: Option<String>,
    /// `session.audience`: written into tokens as `aud`, and required of them.
    pub audience: Option<String>,
    /// `session.leeway`: how far clocks may disagree about `exp` and `nbf`.
    pub leeway: Duration,
    /// `session.require_exp`: refuse tokens without a lifetime that the sidecar gave them.
    pub require_exp: bool,
    /// `session.ttl`: how long a token is good for.
    pub ttl: Option<Duration>,
    /// `session.refresh_after`: the age at which a token is renewed.
    pub refresh_after: Option<Duration>,
    /// `session.absolute_ttl`: the age at which a session ends, whatever happens.
    pub absolute_ttl: Option<Duration>,
    /// `session.not_before` and `session.revoked_file`: sessions that end before their time.
    pub revocations: Revocations,
    /// `session.subject`: the way to the value in the dict that says whose session it is.
    pub subject: Option<Vec<String>>,
    /// `session.on_conflict`, where the dicts are in a store.
    pub on_conflict: OnConflict,
    /// `store.holds`; None without a store.
    pub store: Option<Holds>,
    /// `cookie.accept_names`: other cookies to read a session from.
    pub accept_names: Vec<CookieName>,
}

impl Policy {
    /// What holds where nothing but the cookie is configured, which is what microdot does.
    #[must_use]
    pub fn of(cookie: CookieAttributes) -> Self {
        Self {
            cookie,
            max_cookie_bytes: 4096,
            max_bytes: 8192,
            encoding: Encoding::default(),
            issuer: None,
            audience: None,
            leeway: Duration::ZERO,
            require_exp: false,
            ttl: None,
            refresh_after: None,
            absolute_ttl: None,
            revocations: Revocations::default(),
            subject: None,
            on_conflict: OnConflict::default(),
            store: None,
            accept_names: Vec::new(),
        }
    }

    /// The names that a session is read from.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names { own: self.cookie.name(), old: &self.accept_names }
    }

    /// How long a token is good for where nothing else is said; None where the sidecar does not
    /// manage a lifetime. It does wherever tokens have to say when they were issued or which
    /// session they belong to.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        // A store of revocations knows sessions by what the sidecar writes into their tokens.
        let is_revocable = self.revocations.are_in_use() || self.store == Some(Holds::Revocations);
        let revocable = || is_revocable.then_some(lifetime::LONGEST);
        self.ttl.or(self.absolute_ttl).or_else(revocable)
    }

    /// Whether a session is past the end that `session.absolute_ttl` sets.
    #[must_use]
    pub fn is_over(&self, managed: &Managed, now: Timestamp) -> bool {
        self.absolute_ttl.is_some_and(|absolute| managed.start.plus(absolute) <= now)
    }

    /// Whether the log in the store says that a session has ended. `managed` is what its token says of
    /// it.
    #[must_use]
    pub fn log_ends(
        &self,
        session: &SessionId,
        managed: Option<&Managed>,
        dict: &Dict,
        now: Timestamp,
    ) -> bool {
        let log = &self.revocations.log;
        let subject = || self.subject.as_ref().and_then(|path| SubjectHash::of(dict, path));
        !log.is_empty() && log.revokes(session, managed, subject, now)
    }
}
