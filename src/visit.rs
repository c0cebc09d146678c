//! One request from arrival to answer: every decision about the request and the app's answer, for
//! any carrier.
//!
//! The rules see heads as names and values ([`Fields`]), without sockets or a proxy framework. A
//! carrier brings the request, forwards what the rules tell it to, and does the same with the
//! answer.

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
mod hop;
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

/// The state of one request until the end of its answer.
pub(crate) struct Visit {
    /// Configuration and keys at the start of the request, unaffected by a reload. What is issued
    /// at the end uses the current ones.
    pub(crate) state: Arc<State>,
    pub(crate) begun: Instant,
    /// The request's id: `X-Request-Id`.
    pub(crate) id: Option<RequestId>,
    /// The trace that starts here, if the request did not bring one.
    pub(crate) trace: Option<trace::Trace>,
    /// What the app is told about the client.
    pub(crate) forwarding: Option<Forwarding>,
    /// The part of the dict that the app can see, if not all.
    pub(crate) view: Option<View>,
    /// The opened session; None before that, and on routes without sessions.
    pub(crate) session: Option<Opened>,
    /// The app that it goes to: see [`crate::state::Apps`].
    pub(crate) backend: usize,
    /// Whether it has an access line.
    pub(crate) is_logged: bool,
    /// When the request was sent to the app.
    pub(crate) handed_on: Option<Instant>,
    /// How long the app took to answer.
    pub(crate) backend_took: Option<Duration>,
    /// What happened to the session, for the access line.
    pub(crate) action: Option<Action>,
    /// Set while this answer, which refreshes a session, is being sent.
    pub(crate) refreshing: Option<Refreshing>,
    /// Sessions that this answer writes and that earlier answers are still refreshing; those
    /// answers must be sent first.
    pub(crate) follows: Vec<SessionId>,
    /// The answer while it is sent, if it must end with its session.
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

    /// The request's id, as in logs.
    pub(crate) fn id(&self) -> &str {
        self.id.as_ref().map_or("-", RequestId::as_str)
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.session.as_ref()
    }
}

/// Counts a request as in flight until it is dropped.
struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.request_ended();
    }
}
