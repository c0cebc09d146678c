//! Reports a request that pingora has finished.

use pingora_proxy::Session as ProxySession;

use super::context::Context;
use crate::state::Shared;
use crate::visit::access::Ended;
use crate::visit::trace;

/// Counts and logs a finished request.
pub(super) fn finished(shared: &Shared, session: &ProxySession, ctx: &Context) {
    let peer = session.client_addr().and_then(|address| address.as_inet());
    let head = session.req_header();
    let ended = Ended {
        status: session.response_written().map(|head| head.status.as_u16()),
        bytes: session.body_bytes_sent() as u64,
        peer: peer.map(|address| address.ip().to_canonical()),
        trace_id: trace::id_in(head),
    };
    ended.report(shared, (head.method.as_str(), head.raw_path(), head.version), &ctx.visit);
}
