//! What pingora knows of a request that is over.

use pingora_core::Error;
use pingora_http::RequestHeader;
use pingora_proxy::Session as ProxySession;

use super::context::Context;
use super::failure::{self, Failure};
use crate::state::Shared;
use crate::visit::access::{self, Ended};

/// Logs why there is no answer of the backend's to pass on.
pub(super) fn failed(request: &RequestHeader, failure: &Failure, error: &Error, ctx: &Context) {
    let path = access::path(request);
    let cause = failure::cause(error);
    match failure.backend {
        Some(kind) => log::error!(
            kind = kind.label(), cause = cause.as_str(), attempts = ctx.attempts,
            backend = ctx.state.apps.get(ctx.backend).name.as_str(),
            path = path.as_str(), request_id = ctx.id();
            "the backend failed"
        ),
        // What could not be saved has been told where it was found out.
        None if failure::is_told(error) => {}
        None if failure.reply.is_some() => {
            log::warn!(
                cause = cause.as_str(), path = path.as_str(), request_id = ctx.id();
                "the request failed"
            );
        }
        None => log::debug!(cause = cause.as_str(), path = path.as_str(); "the client went away"),
    }
}

/// Counts and logs a request that is over.
pub(super) fn finished(shared: &Shared, session: &ProxySession, ctx: &Context) {
    let peer = session.client_addr().and_then(|address| address.as_inet());
    let ended = Ended {
        status: session.response_written().map(|head| head.status.as_u16()),
        bytes: session.body_bytes_sent() as u64,
        peer: peer.map(|address| address.ip().to_canonical()),
    };
    ended.report(shared, session.req_header(), &ctx.visit);
}
