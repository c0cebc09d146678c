//! What leaves on an HTTP/2 connection. `h2` and pingora refuse malformed requests before the
//! sidecar sees them: they reset the stream, end the connection, or answer 400 or 431 with nothing
//! but the status. Each is counted and logged here, and such an answer becomes the sidecar's own.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use http::Version;
use pingora_core::protocols::http::date::get_cached_date;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::state::Shared;
use crate::visit::Reply;
use crate::visit::access::Refusal;

/// RFC 9113 section 4.1.
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PROTOCOL_ERROR: &[u8] = &[0, 0, 0, 1];

/// The field `:status: 400`, and the start of one with a status that is in no table (RFC 7541
/// sections 6.1 and 6.2.1, appendix A).
const STATUS_400: u8 = 0x8c;
const STATUS: u8 = 0x48;

/// A stream on which refusals leave a trace.
pub(super) struct Outgoing {
    stream: Stream,
    shared: Arc<Shared>,
    peer: Option<IpAddr>,
    /// How much of the current frame has still to pass.
    left: usize,
    /// A whole frame, perhaps replaced, that goes first.
    first: Vec<u8>,
}

impl Outgoing {
    pub(super) fn new(stream: Stream, shared: &Arc<Shared>, peer: Option<IpAddr>) -> Self {
        Self { stream, shared: Arc::clone(shared), peer, left: 0, first: Vec::new() }
    }

    /// Notes a refusal with this status. An answer gets fields and a body.
    fn note(&self, frame: &Frame<'_>, status: u16) -> Vec<u8> {
        let refusal = Refusal {
            reply: Reply::refusing(status),
            method: b"-",
            target: b"-",
            version: Version::HTTP_2,
            peer: self.peer,
            took: Duration::ZERO,
        };
        if frame.kind != HEADERS {
            refusal.report_unanswered(&self.shared);
            return frame.bytes.to_vec();
        }
        let (fields, body) = refusal.report_rendered(&self.shared);
        let mut block = frame.payload().to_vec();
        literal(&mut block, "date", get_cached_date().as_bytes());
        for (name, value) in fields {
            literal(&mut block, &name.to_ascii_lowercase(), value.as_bytes());
        }
        // `h2` does not count this DATA against the client's window: it is short, and a connection
        // ends after a few refusals.
        let mut answer = Vec::new();
        put(&mut answer, HEADERS, END_HEADERS, frame.stream(), &block);
        put(&mut answer, DATA, END_STREAM, frame.stream(), body.as_bytes());
        answer
    }

    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.first.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.first))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => drop(self.first.drain(..count)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A whole frame at the start of some bytes.
struct Frame<'a> {
    kind: u8,
    flags: u8,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame's length, and the frame if all of it is here. None without its head.
    fn at(bytes: &'a [u8]) -> Option<(usize, Option<Self>)> {
        let &[a, b, c, kind, flags, ..] = bytes.get(..FRAME_HEAD)? else { return None };
        let length = FRAME_HEAD + u32::from_be_bytes([0, a, b, c]) as usize;
        let whole = bytes.get(..length).map(|bytes| Self { kind, flags, bytes });
        Some((length, whole))
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[FRAME_HEAD..]
    }

    fn stream(&self) -> &[u8] {
        &self.bytes[FRAME_HEAD - 4..FRAME_HEAD]
    }

    /// The status of a refusal; other answers have a date at least.
    fn refuses(&self) -> Option<u16> {
        let is_refusal = match self.kind {
            HEADERS if self.flags & END_STREAM != 0 => {
                return match after_table_sizes(self.payload()) {
                    [STATUS_400] => Some(400),
                    [STATUS, length, rest @ ..] if usize::from(length & 0x7f) == rest.len() => {
                        Some(431)
                    }
                    // The same from the encoder's table.
                    [0xbe..=0xfe] => Some(431),
                    _ => None,
                };
            }
            RST_STREAM => self.payload() == PROTOCOL_ERROR,
            GOAWAY => self.payload().get(4..8) == Some(PROTOCOL_ERROR),
            _ => false,
        };
        is_refusal.then_some(400)
    }
}

/// The fields of a block: before them the encoder may change the size of its table (RFC 7541
/// section 6.3).
fn after_table_sizes(mut block: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = block
        && first & 0xe0 == 0x20
    {
        let is_long = first & 0x1f == 0x1f;
        let more = rest.iter().take_while(|&byte| is_long && byte & 0x80 != 0).count();
        block = rest.get(more + usize::from(is_long)..).unwrap_or_default();
    }
    block
}

fn put(to: &mut Vec<u8>, kind: u8, flags: u8, stream: &[u8], payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(stream);
    to.extend_from_slice(payload);
}

/// A field that is in no table (RFC 7541 section 6.2.2); both parts are shorter than 127.
fn literal(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for part in [name.as_bytes(), value] {
        block.push(u8::try_from(part.len()).unwrap_or_default());
        block.extend_from_slice(part);
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_first(context))?;
        // The end of the frames that may pass as they are. `h2` offers each frame with its whole
        // head, and whole if it is not DATA.
        let mut end = self.left;
        while let Some((length, whole)) = bytes.get(end..).and_then(Frame::at) {
            if let Some((frame, status)) = whole.and_then(|it| it.refuses().map(|why| (it, why))) {
                if end > 0 {
                    break;
                }
                self.first = self.note(&frame, status);
                return Poll::Ready(Ok(length));
            }
            end += length;
        }
        if end == 0 {
            // No frame: let everything pass.
            (self.left, end) = (usize::MAX, usize::MAX);
        }
        let offered = &bytes[..end.min(bytes.len())];
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, offered))?;
        let mut begun = self.left;
        while begun < count {
            let length = bytes.get(begun..).and_then(Frame::at).map(|(length, _)| length);
            begun = begun.saturating_add(length.unwrap_or(usize::MAX));
        }
        self.left = begun - count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Outgoing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

#[async_trait]
impl Shutdown for Outgoing {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for Outgoing {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

// pingora has read these already.
impl Ssl for Outgoing {}
impl Peek for Outgoing {}

impl GetTimingDigest for Outgoing {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Outgoing {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Outgoing {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_from_other_frames() {
        let of = |kind, flags, payload: &[u8]| {
            let mut bytes = Vec::new();
            put(&mut bytes, kind, flags, &[0, 0, 0, 1], payload);
            Frame::at(&bytes).and_then(|(_, whole)| whole?.refuses())
        };
        let end = END_HEADERS | END_STREAM;
        assert_eq!(of(HEADERS, end, &[STATUS_400]), Some(400));
        assert_eq!(of(HEADERS, end, &[0x20, STATUS_400]), Some(400));
        assert_eq!(of(HEADERS, end, &[0x20, 0x3f, 0xe1, 0x1f, STATUS_400]), Some(400));
        assert_eq!(of(HEADERS, end, &[STATUS, 3, b'4', b'3', b'1']), Some(431));
        assert_eq!(of(HEADERS, end, &[0xbe]), Some(431));
        assert_eq!(of(HEADERS, END_HEADERS, &[STATUS_400]), None);
        for others in [&[STATUS_400, 0x61][..], &[0x20, 0x88, STATUS_400], &[0x3f, 0xff], &[0x88]] {
            assert_eq!(of(HEADERS, end, others), None, "{others:?}");
        }
        assert_eq!(of(HEADERS, end, &[STATUS, 3, b'4', b'3', b'1', 0x61]), None);
        assert_eq!(of(DATA, END_STREAM, &[STATUS_400]), None);
        assert_eq!(of(RST_STREAM, 0, &[0, 0, 0, 1]), Some(400));
        assert_eq!(of(RST_STREAM, 0, &[0, 0, 0, 8]), None);
        assert_eq!(of(GOAWAY, 0, &[0, 0, 0, 5, 0, 0, 0, 1, b'x']), Some(400));
        assert_eq!(of(GOAWAY, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), None);
        assert_eq!(of(GOAWAY, 0, &[]), None);
    }

    #[test]
    fn a_frame_in_part_is_no_refusal() {
        let mut bytes = Vec::new();
        put(&mut bytes, RST_STREAM, 0, &[0, 0, 0, 1], PROTOCOL_ERROR);
        assert!(
            Frame::at(&bytes[..12]).is_some_and(|(length, whole)| length == 13 && whole.is_none())
        );
        assert!(Frame::at(&bytes[..8]).is_none());
    }
}
