//! One request's stay: all that is decided on a request and on the app's answer, whoever carries them.
//!
//! The rules know heads as names and values ([`Fields`]), and neither sockets nor a proxy framework:
//! a carrier brings a request, sends on what it is told to, and does the same with the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::Action;
use crate::session::Opened;
use crate::session::lifetime::SessionId;
use crate::session::view::View;
use crate::state::{Shared, State};

pub(crate) mod access;
mod caching;
pub mod cross_site;
mod done;
mod ending;
mod failure;
mod fields;
pub mod forwarded;
mod list;
mod open;
mod phases;
pub(crate) mod rechecking;
mod refreshing;
pub(crate) mod refused;
mod reply;
mod request;
mod request_id;
pub(crate) mod response;
mod signing;
mod storing;
pub(crate) mod trace;

pub(crate) use failure::Failure;
pub use fields::{Fields, HeadFull};
pub(crate) use fields::{RequestHead, ResponseHead};
pub(crate) use phases::{Peer, Refused, arrive, is_interim, leave, tell};
pub(crate) use reply::{Form, Reply};
pub(crate) use response::AnswerFault;

use forwarded::Forwarding;
use open::Open;
use refreshing::Refreshing;
use request_id::RequestId;

/// What one request needs from its first byte to the last of its answer.
pub(crate) struct Visit {
    /// Configuration and keys as they were when the request began: a reload does not touch it. What
    /// is issued at its end goes by those in force then.
    pub(crate) state: Arc<State>,
    pub(crate) begun: Instant,
    /// The request's name in logs: `X-Request-Id`.
    pub(crate) id: Option<RequestId>,
    /// The trace that begins here, where the request is part of none.
    pub(crate) trace: Option<trace::Trace>,
    /// What the app is told about where the request comes from.
    pub(crate) forwarding: Option<Forwarding>,
    /// What the app is shown of the dict, where that is not all.
    pub(crate) view: Option<View>,
    /// The session, opened; None before that, and where a route has none.
    pub(crate) session: Option<Opened>,
    /// Which app it goes to: see [`crate::state::Apps`].
    pub(crate) backend: usize,
    /// Whether it has an access line.
    pub(crate) is_logged: bool,
    /// When the request was handed to the app.
    pub(crate) handed_on: Option<Instant>,
    /// How long the app took to answer.
    pub(crate) backend_took: Option<Duration>,
    /// What became of the session, for the access line.
    pub(crate) action: Option<Action>,
    /// This answer refreshes a session, and is on its way.
    pub(crate) refreshing: Option<Refreshing>,
    /// The sessions this answer writes, where refreshes of them were on their way before it: they
    /// leave first.
    pub(crate) follows: Vec<SessionId>,
    /// The answer, from its head to its end, where it ends with its session.
    open: Option<Open>,
    _in_flight: InFlight,
}

impl Visit {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.metrics.request_begun();
        Self {
            state: shared.state.load_full(),
            begun: Instant::now(),
            id: None,
            trace: None,
            forwarding: None,
            view: None,
            session: None,
            backend: 0,
            is_logged: true,
            handed_on: None,
            backend_took: None,
            action: None,
            refreshing: None,
            follows: Vec::new(),
            open: None,
            _in_flight: InFlight(Arc::clone(shared)),
        }
    }

    /// The request's name, as it stands in logs.
    pub(crate) fn id(&self) -> &str {
        self.id.as_ref().map_or("-", RequestId::as_str)
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.session.as_ref()
    }
}

/// Counts a request as under way for as long as it lives.
struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.request_ended();
    }
}
