//! The order of the rules: when a request arrives, when it goes to the app, and when its answer
//! leaves.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::fields::{HeadFull, RequestHead, ResponseHead};
use super::forwarded::Scheme;
use super::reply::Reply;
use super::response::{self, AnswerFault};
use super::{Visit, hop, refreshing, refused, request};
use crate::state::Shared;

/// The connected peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// None is a unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) scheme: Scheme,
}

impl Peer {
    /// The address as in logs.
    pub(crate) fn canonical(&self) -> Option<IpAddr> {
        self.address.map(|address| address.to_canonical())
    }
}

/// A request that is answered without the app.
pub(crate) struct Refused {
    pub(crate) reply: Reply,
    /// Whether to close the connection after the answer.
    pub(crate) is_last: bool,
}

/// Handles a request before it goes to the app: removes the fields that a client must not send, and
/// opens the session.
pub(crate) async fn arrive(
    shared: &Shared,
    request: &mut impl RequestHead,
    peer: Peer,
    visit: &mut Visit,
) -> Result<(), Refused> {
    // Remove forged fields first, even before an error answer.
    let odd = request::strip(shared, request, peer.address, peer.scheme, visit);
    if let Some(reply) = refused::reply(request, &visit.state.config.limits).or(odd) {
        // The end of its body is unknown.
        return Err(Refused { reply, is_last: true });
    }
    if shared.drain.is_late() {
        return Err(Refused { reply: Reply::STOPPING, is_last: true });
    }
    match request::open_session(shared, request, visit).await {
        Some(reply) => Err(Refused { reply, is_last: false }),
        None => Ok(()),
    }
}

/// Writes the sidecar's fields into the head for the app. Repeated for each attempt, because a
/// signature must be fresh.
pub(crate) fn tell(
    shared: &Shared,
    upstream: &mut impl RequestHead,
    visit: &mut Visit,
) -> Result<(), HeadFull> {
    request::insert_forwarded(upstream, visit)?;
    request::insert_session(shared, upstream, visit)?;
    request::insert_signature(upstream, visit)?;
    visit.handed_on = Some(Instant::now());
    Ok(())
}

/// Whether this is an interim answer (1xx), of which there may be several. 101 is final.
pub(crate) fn is_interim(response: &impl ResponseHead) -> bool {
    (100..200).contains(&response.status()) && response.status() != 101
}

/// Handles the final head of an answer before it goes to the client. `may_switch`: the request
/// asked for another protocol.
pub(crate) async fn leave(
    shared: &Arc<Shared>,
    request: &impl RequestHead,
    response: &mut impl ResponseHead,
    (peer, may_switch): (Peer, bool),
    visit: &mut Visit,
) -> Result<(), AnswerFault> {
    response::check_framing(response)?;
    response::check_switch(response, may_switch)?;
    // Before the sidecar adds its own fields, which the app's `Connection` must not remove.
    hop::remove(response, &visit.state.config);
    visit.backend_took = visit.handed_on.map(|handed_on| handed_on.elapsed());
    response::close_session(shared, request, response, visit).await?;
    visit.watch(shared, request, response.status(), peer.canonical());
    if !visit.follows.is_empty() {
        refreshing::have_left(shared, &visit.follows).await;
    }
    Ok(())
}
