//! The answer on its way to the client: heads of 1xx, the final head, and its body to its exact end.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderValue;
use pingora_core::protocols::http::date::get_cached_date;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::body::Body;
use super::chunks;
use super::failed::Failed;
use super::request::Request;
use super::response::{self, End};
use super::timed::{Trouble, within, write};
use super::upload::Progress;
use crate::config::Timeouts;
use crate::metrics::BackendError;
use crate::state::Shared;
use crate::visit::{self, Failure, Peer, RequestHead as _, Visit};

/// How much is read at once: of a head, with the body of most answers behind it, and of a body.
const HEAD: usize = 4096;
const PIECE: usize = 32 * 1024;

/// What has left for the client.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The final status, once the client has got it.
    pub(super) status: Option<u16>,
    /// Bytes of the body.
    pub(super) body: u64,
    /// A head has begun that cannot be taken back.
    pub(super) has_begun: bool,
}

/// An answer that is over.
pub(super) struct Over {
    /// Whether the client was told that it can go on.
    pub(super) goes_on: bool,
    /// Whether the app's connection has been read to the end of this answer and no further.
    pub(super) is_reusable: bool,
}

/// What an answer is an answer to.
pub(super) struct Asked<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) request: &'a Request<'a>,
    pub(super) peer: Peer,
    pub(super) timeouts: &'a Timeouts,
    /// Whether the client wishes to go on, and can.
    pub(super) may_go_on: bool,
}

impl Asked<'_> {
    /// Passes an answer on, from its first byte to its last.
    pub(super) async fn pass_on(
        &self,
        app: &mut (impl AsyncRead + Unpin),
        client: &mut (impl AsyncWrite + Unpin),
        (upload, sent): (&Progress, &mut Sent),
        visit: &mut Visit,
    ) -> Result<Over, Failed> {
        let patience = self.timeouts.body;
        let mut input = BytesMut::with_capacity(HEAD);
        let mut out = Vec::with_capacity(HEAD);
        let mut is_first = true;
        let (mut framed, status, goes_on) = loop {
            let end = self.read_head(app, &mut input, upload, is_first).await?;
            is_first = false;
            let mut head = response::parse(&input[..end]).map_err(|_| malformed("its head"))?;
            if visit::is_interim(&head) {
                visit::response::strip(self.shared, &mut head, &visit.state.config)
                    .map_err(Failed::answer)?;
                response::write(&head, &mut out);
                sent.has_begun = true;
                write(client, &out, patience).await.map_err(Failed::client)?;
                sent.has_begun = false;
                out.clear();
                input.advance(end);
                continue;
            }
            let framed = response::framing(&mut head, self.request.method())
                .map_err(|_| malformed("its length"))?;
            let how = (self.peer, false);
            visit::leave(self.shared, self.request, &mut head, how, visit)
                .await
                .map_err(Failed::answer)?;
            // Of a body that is not all here nobody knows where the next request begins.
            let goes_on = self.may_go_on && upload.is_done() && !self.shared.drain.has_begun();
            say_connection(&mut head, goes_on).map_err(Failed::answer)?;
            let status = head.first.status;
            response::write(&head, &mut out);
            input.advance(end);
            break (framed, status, goes_on);
        };
        loop {
            if let (Some(count), true) = (framed.body.plain(&input, framed.framing), out.is_empty())
            {
                sent.has_begun = true;
                write(client, &input[..count], patience).await.map_err(Failed::client)?;
                framed.body.has_passed(count);
                input.advance(count);
                sent.passed(status, count as u64, visit);
            } else {
                let passed = framed
                    .body
                    .pass_on(&mut input, framed.framing, &mut out)
                    .map_err(|_| malformed("its chunks"))?;
                sent.has_begun = true;
                write(client, &out, patience).await.map_err(Failed::client)?;
                out.clear();
                // The head has left, and a refreshed cookie with it: nobody need wait for the body.
                visit.refreshing = None;
                sent.passed(status, passed, visit);
            }
            if framed.body.is_done() {
                return Ok(Over { goes_on, is_reusable: framed.is_reusable && input.is_empty() });
            }
            input.reserve(PIECE);
            match self.hear(app, &mut input, upload).await? {
                0 if matches!(framed.body, Body::UntilClose) => {
                    write(client, chunks::LAST, patience).await.map_err(Failed::client)?;
                    return Ok(Over { goes_on, is_reusable: false });
                }
                0 => return Err(Failed::new(BackendError::Reset, "the answer broke off")),
                _ => {}
            }
        }
    }

    /// Reads until there is a whole head, and says where it ends.
    async fn read_head(
        &self,
        app: &mut (impl AsyncRead + Unpin),
        input: &mut BytesMut,
        upload: &Progress,
        is_first: bool,
    ) -> Result<usize, Failed> {
        let mut end = End::default();
        loop {
            if let Some(end) = end.find(input).map_err(|_| malformed("its head"))? {
                return Ok(end);
            }
            input.reserve(HEAD / 4);
            let may_be_stale = is_first && input.is_empty();
            match self.hear(app, input, upload).await {
                Ok(0) => {
                    let failed = Failed::new(BackendError::Reset, "it closed the connection");
                    return Err(Failed { is_stale: may_be_stale, ..failed });
                }
                Ok(_) => {}
                Err(failed) => {
                    let is_gone = failed.failure == Failure::Backend(BackendError::Reset);
                    return Err(Failed { is_stale: may_be_stale && is_gone, ..failed });
                }
            }
        }
    }

    /// Reads some bytes. The app's patience with a request that is still being sent is its own.
    async fn hear(
        &self,
        app: &mut (impl AsyncRead + Unpin),
        input: &mut BytesMut,
        upload: &Progress,
    ) -> Result<usize, Failed> {
        loop {
            let steps = upload.steps();
            match within(self.timeouts.backend_read, app.read_buf(input)).await {
                Ok(count) => return Ok(count),
                Err(Trouble::Late) if upload.steps() != steps => {}
                Err(Trouble::Late) => {
                    return Err(Failed::new(BackendError::Timeout, "it said nothing"));
                }
                Err(Trouble::Gone(error)) => {
                    return Err(Failed::of(Failure::Backend(BackendError::Reset), &error));
                }
            }
        }
    }
}

impl Sent {
    fn passed(&mut self, status: u16, bytes: u64, visit: &mut Visit) {
        self.status = Some(status);
        self.body += bytes;
        visit.passed_on(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}

/// Says when it is, and whether the connection goes on, as every answer does.
pub(super) fn say_connection(
    head: &mut impl visit::Fields,
    goes_on: bool,
) -> Result<(), visit::HeadFull> {
    head.set(Bytes::from_static(b"Date"), get_cached_date())?;
    let connection = HeaderValue::from_static(if goes_on { "keep-alive" } else { "close" });
    head.set(Bytes::from_static(b"Connection"), connection)
}

fn malformed(what: &'static str) -> Failed {
    let failed = Failed::new(BackendError::Protocol, "malformed answer");
    Failed { cause: format!("{}: {what}", failed.cause), ..failed }
}
