//! The proxy: pingora's callbacks in the order of their calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::state::Shared;
use crate::visit::forwarded::Scheme;
use crate::visit::{self, Peer, Refused, refused, response};

mod access;
mod context;
mod failure;
mod head;
mod send;

use context::Context;
pub(crate) use failure::{cause, of as failure_of};
use send::send;

/// How often a request is tried at most: for each address of the backend, and again if a reused
/// connection was stale.
pub(crate) const MAX_ATTEMPTS: usize = 4;

/// The sidecar as a pingora service.
pub(crate) struct Proxy(pub(crate) Arc<Shared>);

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed, because pingora moves it between futures.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(&self.0))
    }

    /// No modules: pingora's compression would see heads before they are stripped.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(
        &self,
        session: &mut Session,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        // pingora has no limit of its own for keep-alive connections.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(ctx.state.config.timeouts.keep_alive.as_secs().max(1)));
        } else {
            // A client that sends no more requests may close its half and wait for the answer (RFC
            // 9112 section 9.6). Any other client that closes is gone.
            session.set_abort_on_close(false);
        }
        session.set_read_timeout(Some(ctx.state.config.timeouts.body));
        session.set_write_timeout(Some(ctx.state.config.timeouts.body));
        // Otherwise bytes of the next request would abort this one. `logging` turns it off again.
        session.set_pipelining_enabled(true);
        // An HTTP/1.0 client would take a 1xx for the final answer (RFC 9110 section 15.2).
        if session.req_header().version == http::Version::HTTP_10 {
            session.set_ignore_info_resp(true);
        }
        refused::ignore_upgrade(session.req_header_mut());
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Context>) -> Result<bool> {
        let peer = peer(session);
        if refused::is_last_of_connection(session.req_header()) {
            session.set_keepalive(None);
        }
        let arrived = visit::arrive(&self.0, session.req_header_mut(), peer, &mut ctx.visit).await;
        let Err(Refused { reply, is_last }) = arrived else { return Ok(false) };
        if is_last {
            session.set_keepalive(None);
        }
        send(&reply, session, ctx.id()).await?;
        Ok(true)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<bytes::Bytes>,
        end: bool,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        // pingora would write an empty piece as a last chunk, followed by another last chunk, which
        // the app would read as the start of the next request.
        if end && body.as_ref().is_some_and(bytes::Bytes::is_empty) {
            *body = None;
        }
        ctx.body_bytes += body.as_ref().map_or(0, bytes::Bytes::len);
        match ctx.state.config.limits.body_bytes {
            Some(most) if ctx.body_bytes > most && !session.was_upgraded() => {
                Err(Error::explain(ErrorType::HTTPStatus(413), "the body is too large").into_down())
            }
            _ => Ok(()),
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Box<Context>,
    ) -> Result<Box<HttpPeer>> {
        // Fixed, so that a retry does not go to another app.
        let app = ctx.state.apps.get(ctx.backend);
        let peer = app.upstream.peer(ctx.attempts, session.is_upgrade_req()).await;
        ctx.attempts += 1;
        peer
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Box<Context>,
        mut e: Box<Error>,
    ) -> Box<Error> {
        // Nothing has been sent yet, so another address may be tried.
        let upstream = &ctx.state.apps.get(ctx.backend).upstream;
        e.set_retry(upstream.missed(peer, ctx.attempts) && ctx.attempts < MAX_ATTEMPTS);
        e
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        // Called here because pingora has just removed what `Connection` names, and because each
        // retry passes here.
        visit::tell(&self.0, upstream, ctx).map_err(|full| failure::not_passed_on(full.into()))?;
        // pingora sends it as HTTP/1.1, which requires a Host.
        if !upstream.headers.contains_key(http::header::HOST) {
            upstream.set_version(http::Version::HTTP_10);
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        if visit::is_interim(response) {
            return response::strip(&self.0, response, &ctx.state.config)
                .map_err(failure::not_passed_on);
        }
        if response.status.as_u16() == 101 {
            session.set_read_timeout(Some(ctx.state.config.timeouts.upgraded));
        }
        if self.0.drain.has_begun() {
            session.set_keepalive(None);
        }
        let how = (peer(session), session.is_upgrade_req());
        visit::leave(&self.0, session.req_header(), response, how, &mut ctx.visit)
            .await
            .map_err(failure::not_passed_on)?;
        // An HTTP/1.0 client would take the chunk sizes for the body (RFC 9112 section 6.1).
        if session.req_header().version == http::Version::HTTP_10
            && response.remove_header(&http::header::TRANSFER_ENCODING).is_some()
        {
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<bytes::Bytes>,
        _: bool,
        ctx: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        ctx.passed_on(body.as_ref().map_or(0, bytes::Bytes::len));
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut http::HeaderMap,
        ctx: &mut Box<Context>,
    ) -> Result<Option<bytes::Bytes>> {
        response::strip_own(trailers, &ctx.state.config);
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        e: &Error,
        ctx: &mut Box<Context>,
    ) -> FailToProxy {
        let failure = failure::of(e);
        let how = (&*failure::cause(e), ctx.attempts);
        failure.report(&self.0, session.req_header(), how, &mut ctx.visit);
        // If the head has been sent, it is too late for an error answer: close the connection.
        let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
        let mut error_code = 0;
        if let Some(reply) = failure.reply().filter(|_| !begun) {
            error_code = reply.status;
            session.set_keepalive(None);
            if let Err(e) = send(&reply, session, ctx.id()).await {
                log::debug!(cause = failure::cause(&e).as_str(); "the client closed the connection");
            }
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Box<Context>) {
        ctx.has_ended();
        // The bytes that came early were not checked: close the connection after this answer.
        session.set_pipelining_enabled(false);
        if let Some(refreshing) = ctx.refreshing.take() {
            refreshing.written(session.is_http2());
        }
        access::finished(&self.0, session, ctx);
    }

    // pingora's messages can quote heads. `Failure::report` logs the failure instead.
    fn suppress_error_log(&self, _: &Session, _: &Box<Context>, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Box<Context>,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn request_summary(&self, session: &Session, _: &Box<Context>) -> String {
        session.req_header().method.to_string()
    }
}

/// The peer of the connection.
fn peer(session: &Session) -> Peer {
    let address = session.client_addr().and_then(|address| address.as_inet()).map(|at| at.ip());
    let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    Peer { address, scheme: if is_tls { Scheme::Https } else { Scheme::Http } }
}
