//! What a request carries from phase to phase.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::forwarded::Forwarding;
use super::refreshing::Refreshing;
use super::request_id::RequestId;
use super::{Shared, State};
use crate::metrics::Action;
use crate::session::Opened;
use crate::session::lifetime::SessionId;

/// One request's state.
pub(crate) struct Context {
    /// Configuration and keys as they were when the request began: a reload does not touch it.
    pub(super) state: Arc<State>,
    pub(super) begun: Instant,
    /// What the request is called in logs: `X-Request-Id`.
    pub(super) id: Option<RequestId>,
    /// What the backend is told about where the request comes from.
    pub(super) forwarding: Option<Forwarding>,
    pub(super) session: Session,
    /// How often a connection to the backend was tried.
    pub(super) attempts: usize,
    /// How much of the request's body has come by.
    pub(super) body_bytes: usize,
    /// When the request was handed to the backend.
    pub(super) handed_on: Option<Instant>,
    /// How long the backend took to answer.
    pub(super) backend_took: Option<Duration>,
    /// What became of the session, for the access line.
    pub(super) action: Option<Action>,
    /// This answer refreshes a session, and is on its way.
    pub(super) refreshing: Option<Refreshing>,
    /// The sessions this answer writes, where refreshes of them were on their way before it: they
    /// leave first.
    pub(super) follows: Vec<SessionId>,
    _in_flight: InFlight,
}

/// How far the sidecar has got with a request's session.
pub(super) enum Session {
    /// Not looked at, or none of the sidecar's business on this route.
    Off,
    /// Opened.
    Open(Opened),
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.metrics.request_begun();
        Self {
            state: shared.state.load_full(),
            begun: Instant::now(),
            id: None,
            forwarding: None,
            session: Session::Off,
            attempts: 0,
            body_bytes: 0,
            handed_on: None,
            backend_took: None,
            action: None,
            refreshing: None,
            follows: Vec::new(),
            _in_flight: InFlight(Arc::clone(shared)),
        }
    }

    /// The name, as it stands in logs.
    pub(super) fn id(&self) -> &str {
        self.id.as_ref().map_or("-", RequestId::as_str)
    }

    pub(super) fn opened(&self) -> Option<&Opened> {
        match &self.session {
            Session::Off => None,
            Session::Open(opened) => Some(opened),
        }
    }
}

/// Counts a request as under way for as long as it lives.
struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.request_ended();
    }
}
