//! The exchange: a carrier for requests of HTTP/1.1 to apps that speak it. It edits the bytes of a
//! head where they lie and passes the rest on, over the streams and the connector of pingora-core;
//! what is decided on a request and its answer is [`crate::visit`]'s.
//!
//! A connection to the app goes back to the pool only where both messages on it have been read and
//! written to their exact ends: nobody gets an answer to another's request.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::header::UPGRADE;
use http::{HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::{IO, Stream};

pub mod answer;
mod body;
mod chunks;
mod download;
mod failed;
mod halves;
mod head;
mod pool;
mod request;
mod response;
mod timed;
mod upload;

pub(crate) use head::{Line, Lines};
pub(crate) use timed::end;

use download::{Asked, Over, Sent};
use failed::Failed;
use halves::Half;
use head::{Head, StatusLine};
use pool::Pool;
use request::Request;
use upload::{Progress, Upload};

use crate::proxy::MAX_ATTEMPTS;
use crate::state::Shared;
use crate::upstream::{Place, Upstream};
use crate::visit::access::Ended;
use crate::visit::{self, Fields as _, Form, Peer, Refused, Reply, RequestHead as _, Visit, trace};

/// Carries requests to the apps.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    connector: TransportConnector,
    idle: Arc<Pool>,
}

impl Exchange {
    pub(crate) fn new(shared: &Arc<Shared>, options: ConnectorOptions) -> Self {
        let idle = Pool::new(options.keepalive_pool_size);
        let connector = TransportConnector::new(Some(options));
        Self { shared: Arc::clone(shared), connector, idle }
    }

    /// Whether it takes a request with such a head, which is one of HTTP/1.1 with a plain path for
    /// a target; what asks for another protocol is pingora's.
    pub(crate) fn takes(bytes: &[u8], lines: &Lines) -> bool {
        let is_upgrade = |line: &Line| {
            let name = bytes.get(line.start..line.start + line.name_length);
            name.is_some_and(|name| name.eq_ignore_ascii_case(UPGRADE.as_str().as_bytes()))
        };
        !lines.fields.iter().any(is_upgrade)
    }

    /// Answers the request whose head, and what came behind it, is in `bytes`. `is_last`: the
    /// connection is to end with it. Returns what has come of the next request, or None where there
    /// can be none.
    pub(crate) async fn serve<S: IO>(
        &self,
        client: &mut S,
        peer: Peer,
        (bytes, lines): (&[u8], &Lines),
        is_last: bool,
    ) -> Option<BytesMut> {
        let mut visit = Visit::new(&self.shared);
        let mut request = request::parse(bytes, lines)?;
        let mut sent = Sent::default();
        let mut goes_on = !is_last && request::wishes_to_go_on(&request);
        let body = request::body(&request);
        let can_repeat = request.method().is_idempotent();
        let early = bytes.get(lines.end..).unwrap_or_default();
        let limit = visit.state.config.limits.body_bytes;
        let mut upload = Upload::new(body, early, limit, can_repeat);
        let arrived = visit::arrive(&self.shared, &mut request, peer, &mut visit).await;
        let mut is_cut = false;
        let refused = match arrived {
            Ok(()) => {
                let forwarded = self
                    .forward(client, peer, &request, &mut upload, goes_on, &mut visit, &mut sent)
                    .await;
                match forwarded {
                    Ok(still) => {
                        goes_on = still;
                        None
                    }
                    Err((failed, attempts)) => {
                        goes_on = false;
                        let how = (&*failed.cause, attempts);
                        failed.failure.report(&self.shared, &request, how, &mut visit);
                        // A head that is on its way cannot be taken back: the connection is
                        // closed under it.
                        let reply = failed.failure.reply().filter(|_| !sent.has_begun);
                        is_cut = reply.is_none();
                        reply
                    }
                }
            }
            Err(Refused { reply, is_last }) => {
                goes_on &= !is_last && upload.is_read();
                Some(reply)
            }
        };
        if let Some(reply) = refused {
            let patience = visit.state.config.timeouts.body;
            let (answer, length) = rendered(&reply, &request, visit.id(), goes_on);
            match timed::write(client, &answer, patience).await {
                Ok(()) => {
                    sent.status = Some(reply.status);
                    sent.body = length;
                }
                Err(trouble) => {
                    is_cut = true;
                    goes_on = false;
                    let failed = Failed::client(trouble);
                    log::debug!(cause = failed.cause.as_str(); "the client closed the connection");
                }
            }
        }
        visit.has_ended();
        let ended = Ended {
            status: sent.status,
            bytes: sent.body,
            peer: peer.canonical(),
            trace_id: trace::id_in(&request),
        };
        let what = (request.method().as_str(), request.target(), request.version());
        ended.report(&self.shared, what, &visit);
        drop(visit);
        if goes_on {
            return Some(upload.into_next());
        }
        if !is_cut {
            timed::end(client).await;
        }
        None
    }

    /// Takes a request to the app and its answer back. Returns whether the connection goes on.
    #[allow(clippy::too_many_arguments, reason = "both sides of one exchange, and what it leaves")]
    async fn forward<S: IO>(
        &self,
        client: &mut S,
        peer: Peer,
        request: &Request<'_>,
        upload: &mut Upload,
        may_go_on: bool,
        visit: &mut Visit,
        sent: &mut Sent,
    ) -> Result<bool, (Failed, usize)> {
        let state = Arc::clone(&visit.state);
        let upstream = &state.apps.get(visit.backend).upstream;
        let timeouts = &state.config.timeouts;
        let asked = Asked { shared: &self.shared, request, peer, timeouts, may_go_on };
        // Who asks for nothing more may close that half and wait for the answer (RFC 9112 section
        // 9.6). Of all others it means that they are gone.
        if may_go_on {
            upload.watch();
        }
        let has_body = !upload.is_read();
        let mut attempts = 0;
        loop {
            let connected = self.connect(upstream, &mut attempts).await;
            let (place, mut app, is_reused) = connected.map_err(|failed| (failed, attempts))?;
            let failed = |fault: visit::HeadFull| (Failed::answer(fault), attempts);
            let (mut head, framing) = request::for_app(request, has_body);
            visit::tell(&self.shared, &mut head, visit).map_err(failed)?;
            let mut out = Vec::with_capacity(2048);
            request::write(head, framing, &mut out).map_err(failed)?;
            upload.begin(out, framing).map_err(|failed| (failed, attempts))?;
            match exchange(client, &mut app, &asked, upload, visit, sent).await {
                Ok((Over { goes_on, is_reusable }, is_sent)) => {
                    if is_reusable && is_sent {
                        self.idle.put(&place, app).await;
                    }
                    return Ok(goes_on);
                }
                Err(failed)
                    if failed.is_stale
                        && is_reused
                        && !sent.has_begun
                        && upload.can_repeat()
                        && attempts < MAX_ATTEMPTS => {}
                Err(failed) => return Err((failed, attempts)),
            }
        }
    }

    /// A connection to the app: one that is there already, or a new one to one of its addresses.
    async fn connect(
        &self,
        upstream: &Arc<Upstream>,
        attempts: &mut usize,
    ) -> Result<(Place, Stream, bool), Failed> {
        loop {
            let place = upstream.place(*attempts).await;
            let place = place.map_err(|error| Failed::connecting(&error))?;
            *attempts += 1;
            if let Some(stream) = self.idle.take(&place).await {
                return Ok((place, stream, true));
            }
            // Boxed, as every open connection has room for this future.
            match Box::pin(self.connector.new_stream(&*place.peer)).await {
                Ok(stream) => return Ok((place, stream, false)),
                // Nothing has been sent: another address may be tried.
                Err(_) if upstream.missed(&place.peer, *attempts) && *attempts < MAX_ATTEMPTS => {}
                Err(mut error) => {
                    error.as_up();
                    return Err(Failed::connecting(&error));
                }
            }
        }
    }
}

/// Sends a request and passes the answer on, both at once: an app may answer before it has all of
/// the request. Returns as well whether it has got all of it.
async fn exchange<S: IO>(
    client: &mut S,
    app: &mut Stream,
    asked: &Asked<'_>,
    upload: &mut Upload,
    visit: &mut Visit,
    sent: &mut Sent,
) -> Result<(Over, bool), Failed> {
    let progress = Progress::default();
    let (client, app) = (Mutex::new(client), Mutex::new(app));
    let (mut from_client, mut to_client) = (Half(&client), Half(&client));
    let (mut from_app, mut to_app) = (Half(&app), Half(&app));
    let mut up = pin!(upload.run(&mut from_client, &mut to_app, asked.timeouts, &progress));
    let mut down = pin!(asked.pass_on(&mut from_app, &mut to_client, (&progress, sent), visit));
    let over = std::future::poll_fn(|context| {
        // First the request, or there would be no answer to wait for.
        if let Poll::Ready(failed) = up.as_mut().poll(context) {
            return Poll::Ready(Err(failed));
        }
        down.as_mut().poll(context)
    })
    .await?;
    // The answer came early. The app gets the rest all the same: it may still be reading.
    std::future::poll_fn(|context| {
        if !progress.is_over() && up.as_mut().poll(context).is_pending() && !progress.is_over() {
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
    Ok((over, progress.is_done()))
}

/// An answer of the sidecar's own, as it is sent, and how long its body is.
fn rendered(reply: &Reply, request: &Request<'_>, id: &str, goes_on: bool) -> (Vec<u8>, u64) {
    let (fields, body) = reply.render(Form::wanted(request), id);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = status.canonical_reason().unwrap_or_default().as_bytes();
    let first = StatusLine { is_http11: true, status: status.as_u16(), reason };
    let mut head = Head::new(first, b"", &[]);
    for (name, value) in fields {
        let Ok(value) = HeaderValue::try_from(value) else { continue };
        // A head of a few fields has room for them.
        let _ = head.append(Bytes::from_static(name.as_bytes()), value);
    }
    let _ = download::say_connection(&mut head, goes_on);
    let mut out = Vec::with_capacity(512);
    response::write(&head, &mut out);
    if *request.method() == Method::HEAD {
        return (out, 0);
    }
    out.extend_from_slice(body.as_bytes());
    (out, body.len() as u64)
}
