//! What an answer has done to a session: counts it, remembers it and returns it to the writer of
//! the answer's head.

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

/// Why an answer of the app is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    /// It has more than one `Content-Length`.
    LengthTwice,
    /// It switches protocols, but the request did not ask for it.
    UnaskedSwitch,
    /// The save that it asks for failed.
    BadSave,
    /// The store is unavailable.
    StoreAway,
    /// Another request has changed or ended the session meanwhile.
    Conflict,
    /// Its head is full.
    HeadFull,
}

impl From<HeadFull> for AnswerFault {
    fn from(_: HeadFull) -> Self {
        Self::HeadFull
    }
}

/// What was done, and the header field to set.
#[derive(Default)]
pub(super) struct Done {
    pub(super) action: Option<Action>,
    pub(super) set_cookie: Option<String>,
    pub(super) refreshing: Option<Refreshing>,
    pub(super) follows: Vec<SessionId>,
}

/// Counts and remembers a cookie that is about to be sent. `now` is the time of issue in its token:
/// signing takes time, and the token must not look older than the write that made it.
///
/// A refresh names the token that it replaces, and is skipped if its session was written since
/// then. Check and note happen under one lock, so that no refresh is sent after a delete. An
/// earlier refresh that is still being sent is waited for.
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
    // Remember every write, even if refreshes are off: a reload may turn them on. The old and the
    // new token have different ids if the sidecar did not issue the old one.
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

/// Skips a refresh because the session was written after it started.
pub(super) fn skipped(shared: &Shared) -> Done {
    shared.metrics.session_written(Action::RefreshSkipped);
    Done { action: Some(Action::RefreshSkipped), ..Done::default() }
}

/// Handles a save that failed, and gives the client's answer.
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
