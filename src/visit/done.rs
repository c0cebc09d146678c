//! What an answer has done to a session: it is counted, remembered, and handed to whoever writes the
//! answer's head.

use std::sync::Arc;

use super::access;
use super::fields::{HeadFull, RequestHead};
use super::refreshing::Refreshing;
use crate::config::{Config, OnBadSave};
use crate::metrics::Action;
use crate::session::directive::Broken;
use crate::session::lifetime::SessionId;
use crate::session::{CookieAction, IssueKind, Opened, VerifiedToken};
use crate::state::{Shared, State};
use crate::time::Timestamp;

/// Why an answer of the app's is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    /// Its length is said twice.
    LengthTwice,
    /// It switches protocols, and nobody asked it to.
    UnaskedSwitch,
    /// What it asks for could not be saved.
    BadSave,
    /// The store did not carry out what it asks for.
    StoreAway,
    /// Others have written the session meanwhile, or ended it.
    Conflict,
    /// It has more fields than a head can have.
    HeadFull,
}

impl From<HeadFull> for AnswerFault {
    fn from(_: HeadFull) -> Self {
        Self::HeadFull
    }
}

/// What was done, and the field that does it.
#[derive(Default)]
pub(super) struct Done {
    pub(super) action: Option<Action>,
    pub(super) set_cookie: Option<String>,
    pub(super) refreshing: Option<Refreshing>,
    pub(super) follows: Vec<SessionId>,
}

/// Counts and remembers what is about to be sent, at the moment that stands in it: signing takes a
/// while, and a token must not look older than its own writing.
///
/// A refresh names the token that it replaces, and nothing is sent if its session was written since:
/// looking at the record and writing to it is one step, so that no refresh follows a delete. One that
/// went before and has not left yet is waited for.
pub(super) fn carry_out(
    shared: &Arc<Shared>,
    state: &State,
    opened: &Opened,
    action: CookieAction,
    now: Timestamp,
    replaces: Option<&VerifiedToken>,
) -> Done {
    let mut cookie_bytes = None;
    let (action, session, set_cookie) = match action {
        CookieAction::Keep => return Done::default(),
        CookieAction::Expire { set_cookie, session } => (Action::Deleted, session, set_cookie),
        CookieAction::Issue(issued) => {
            cookie_bytes = Some(issued.cookie_bytes);
            if issued.renewed && issued.kind != IssueKind::Renewed {
                shared.metrics.session_written(Action::Renewed);
            }
            let action = match issued.kind {
                IssueKind::Renewed => Action::Renewed,
                IssueKind::Saved => Action::Saved,
                IssueKind::Merged => Action::Merged,
                IssueKind::Refreshed => Action::Refreshed,
            };
            (action, issued.session, issued.set_cookie)
        }
    };
    // Whether tokens are refreshed or not: after a reload they may be. The token that came and the
    // one that goes can have different ids, where the one that came was not ours.
    let came = opened.token().map(VerifiedToken::id).filter(|came| session.as_ref() != Some(*came));
    let mut recent = shared.recent.lock();
    if replaces.is_some_and(|token| recent.is_newer(token.id(), token.issued(), now)) {
        drop(recent);
        return skipped(shared);
    }
    let mut written = Vec::new();
    for session in came.into_iter().chain(&session) {
        let evicted = recent.note(session.clone(), now);
        shared.metrics.recent_writes_evicted.inc_by(evicted as u64);
        if replaces.is_some() {
            recent.refresh_begins(session.clone(), now);
            written.push(session.clone());
        } else if recent.is_being_refreshed(session, now) {
            written.push(session.clone());
        }
    }
    drop(recent);
    let (refreshing, follows) = match replaces {
        Some(_) => (Some(Refreshing::new(shared, written)), Vec::new()),
        None => (None, written),
    };
    if let Some(bytes) = cookie_bytes {
        state.key_uses.signed();
        shared.metrics.cookie_issued(bytes);
    }
    shared.metrics.session_written(action);
    Done { action: Some(action), set_cookie: Some(set_cookie), refreshing, follows }
}

/// A refresh that a newer write has overtaken.
pub(super) fn skipped(shared: &Shared) -> Done {
    shared.metrics.session_written(Action::RefreshSkipped);
    Done { action: Some(Action::RefreshSkipped), ..Done::default() }
}

/// A save that cannot be carried out: what the client is told.
pub(super) fn bad_save(
    shared: &Shared,
    config: &Config,
    request: &impl RequestHead,
    id: &str,
    broken: &Broken,
) -> Result<Done, AnswerFault> {
    shared.metrics.session_written(Action::Rejected);
    log::error!(
        reason:% = broken.reason, bytes = broken.bytes,
        path = access::path(request).as_str(), request_id = id;
        "the session could not be saved"
    );
    match config.on_bad_save {
        OnBadSave::Ignore => Ok(Done { action: Some(Action::Rejected), ..Done::default() }),
        OnBadSave::Fail => Err(AnswerFault::BadSave),
    }
}
