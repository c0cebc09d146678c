//! The rules in their order: as a request arrives, as it goes to the app, and as the answer leaves.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::fields::{HeadFull, RequestHead, ResponseHead};
use super::forwarded::Scheme;
use super::reply::Reply;
use super::response::{self, AnswerFault};
use super::{Visit, refreshing, refused, request};
use crate::state::Shared;

/// Who has connected, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// None is a unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) scheme: Scheme,
}

impl Peer {
    /// As it stands in logs.
    pub(crate) fn canonical(&self) -> Option<IpAddr> {
        self.address.map(|address| address.to_canonical())
    }
}

/// A request that goes no further.
pub(crate) struct Refused {
    pub(crate) reply: Reply,
    /// Nothing more is read from this client.
    pub(crate) is_last: bool,
}

/// What happens to a request before it goes to the app: what it may not say is taken out, and its
/// session opened.
pub(crate) async fn arrive(
    shared: &Shared,
    request: &mut impl RequestHead,
    peer: Peer,
    visit: &mut Visit,
) -> Result<(), Refused> {
    // First, before any answer of our own: whatever speaks in the sidecar's name goes.
    let odd = request::strip(shared, request, peer.address, peer.scheme, visit);
    if let Some(reply) = refused::reply(request, &visit.state.config.limits).or(odd) {
        // Where its body ends is anybody's guess.
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

/// Writes into the head that the app gets what it is told. Again for each attempt: what is signed
/// must be fresh.
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

/// Whether this is only a 1xx before the answer, of which there may be several. 101 is final.
pub(crate) fn is_interim(response: &impl ResponseHead) -> bool {
    (100..200).contains(&response.status()) && response.status() != 101
}

/// What happens to the final head of an answer before it goes to the client. `may_switch`: the
/// request has asked for another protocol.
pub(crate) async fn leave(
    shared: &Arc<Shared>,
    request: &impl RequestHead,
    response: &mut impl ResponseHead,
    (peer, may_switch): (Peer, bool),
    visit: &mut Visit,
) -> Result<(), AnswerFault> {
    response::check_framing(response)?;
    response::check_switch(response, may_switch)?;
    visit.backend_took = visit.handed_on.map(|handed_on| handed_on.elapsed());
    response::close_session(shared, request, response, visit).await?;
    visit.watch(shared, request, response.status(), peer.canonical());
    if !visit.follows.is_empty() {
        refreshing::have_left(shared, &visit.follows).await;
    }
    Ok(())
}
