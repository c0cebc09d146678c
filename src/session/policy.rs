//! The operator's settings for sessions.

use std::time::Duration;

use super::cookie::{CookieAttributes, CookieName, Names};
use super::dict::Dict;
use super::header::Encoding;
use super::lifetime::{self, Managed, SessionId};
use super::revocation::Revocations;
use crate::store::record::SubjectHash;
use crate::time::Timestamp;

/// What a save does if another request has written the session meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The changes of this save are applied to the current dict.
    #[default]
    Rebase,
    /// Nothing is saved; the client gets a conflict error.
    Fail,
    /// The save replaces the current dict.
    Overwrite,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Holds {
    /// The dicts; a cookie contains only a ticket.
    #[default]
    Sessions,
    /// Revocations; the dicts are in cookies.
    Revocations,
}

/// The configuration that the core needs, except for the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `[cookie]`
    pub cookie: CookieAttributes,
    /// `session.max_cookie_bytes`: name, `=` and value.
    pub max_cookie_bytes: usize,
    /// `session.max_bytes`: the maximum length of a dict in the request header.
    pub max_bytes: usize,
    /// `headers.encoding`
    pub encoding: Encoding,
    /// `session.issuer`: written into tokens as `iss`, and required in them.
    pub issuer: Option<String>,
    /// `session.audience`: written into tokens as `aud`, and required in them.
    pub audience: Option<String>,
    /// `session.leeway`: tolerated clock difference for `exp` and `nbf`.
    pub leeway: Duration,
    /// `session.require_exp`: refuse tokens whose lifetime the sidecar does not manage.
    pub require_exp: bool,
    /// `session.ttl`: how long a token is valid.
    pub ttl: Option<Duration>,
    /// `session.refresh_after`: the age at which a token is renewed.
    pub refresh_after: Option<Duration>,
    /// `session.absolute_ttl`: the age at which a session ends, whatever happens.
    pub absolute_ttl: Option<Duration>,
    /// `session.not_before` and `session.revoked_file`
    pub revocations: Revocations,
    /// `session.subject`: the path to the value in the dict that identifies the user.
    pub subject: Option<Vec<String>>,
    /// `session.on_conflict`, if the dicts are in a store.
    pub on_conflict: OnConflict,
    /// `store.holds`; None without a store.
    pub store: Option<Holds>,
    /// `cookie.accept_names`: other cookies from which a session is read.
    pub accept_names: Vec<CookieName>,
}

impl Policy {
    /// The defaults if only the cookie is configured, which match microdot.
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

    /// The names of the cookies from which a session is read.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names { own: self.cookie.name(), old: &self.accept_names }
    }

    /// The default lifetime of a token; None if the sidecar does not manage lifetimes. It does
    /// whenever tokens must contain their time of issue or their session.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        // Revocations refer to claims that only managed tokens have.
        let is_revocable = self.revocations.are_in_use() || self.store == Some(Holds::Revocations);
        let revocable = || is_revocable.then_some(lifetime::LONGEST);
        self.ttl.or(self.absolute_ttl).or_else(revocable)
    }

    /// Whether the session is older than `session.absolute_ttl`.
    #[must_use]
    pub fn is_over(&self, managed: &Managed, now: Timestamp) -> bool {
        self.absolute_ttl.is_some_and(|absolute| managed.start.plus(absolute) <= now)
    }

    /// Whether the revocations in the store have ended a session. `managed` is the claim `cr` of
    /// its token.
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
