//! A client's connection: counts it, detects the protocol by the first bytes, and reads it request
//! by request.
//!
//! pingora would wait for 24 bytes to detect HTTP/2, and so forever on `GET / HTTP/1.0` with an
//! empty head, which is shorter.
//!
//! TLS connections work the same after the handshake, except that ALPN selects HTTP/2.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{BufMut as _, BytesMut};
use http::Version;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::stream::Stream as L4Stream;
use pingora_core::protocols::{ALPN, IO, Ssl as _, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::{HttpProxy, ProxyHttp};
use pingora_timeout::fast_timeout::fast_timeout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::head::{self, Progress, Scan};
use super::http2;
use super::silence::Silence;
use super::tls::{self, TlsStream};
use crate::exchange::{self, Exchange, Lines};
use crate::session::cookie::Transport;
use crate::state::{Shared, unless_over};
use crate::visit::access::Refusal;
use crate::visit::forwarded::Scheme;
use crate::visit::{Peer, Reply};

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The maximum and the minimum size of a read buffer for a head.
const STEP: usize = 4096;
const PIECE: usize = 256;

/// How long a refused client has to read the answer.
const HEARING: Duration = Duration::from_secs(1);

/// The first byte of a TLS handshake (RFC 8446 section 5.1); no request starts with it.
const HANDSHAKE: u8 = 22;

/// The proxy for one type of listener, with its connections counted.
pub(super) struct Connections<P> {
    proxy: Arc<HttpProxy<P>>,
    /// None if pingora carries all requests.
    exchange: Option<Arc<Exchange>>,
    shared: Arc<Shared>,
    transport: Transport,
}

impl<P> Connections<P> {
    pub(super) fn new(
        (proxy, exchange): (Arc<HttpProxy<P>>, Option<Arc<Exchange>>),
        shared: Arc<Shared>,
        transport: Transport,
    ) -> Self {
        Self { proxy, exchange, shared, transport }
    }
}

/// A connection to which bytes can be returned.
trait Rewind: IO + Sized + 'static {
    /// Whether HTTP/2 may start without negotiation.
    const PRIOR_KNOWLEDGE: bool;

    /// Returns bytes, to be read again.
    fn put_back(&mut self, bytes: &[u8]);
}

impl Rewind for L4Stream {
    const PRIOR_KNOWLEDGE: bool = true;

    fn put_back(&mut self, bytes: &[u8]) {
        self.rewind(bytes);
    }
}

impl Rewind for TlsStream {
    const PRIOR_KNOWLEDGE: bool = false;

    fn put_back(&mut self, bytes: &[u8]) {
        self.rewind(bytes);
    }
}

#[async_trait]
impl<P> ServerApp for Connections<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let open = Open::new(&self.shared)?;
        let stream = stream.into_any().downcast::<L4Stream>().ok()?;
        let (connections, shutdown) = (Arc::clone(self), shutdown.clone());
        // The task that called has room for a TLS handshake of pingora's, which would stay as long as
        // the connection: twice as much as all else that an idle connection needs.
        tokio::spawn(async move {
            let _open = open;
            connections.attend(stream, &shutdown).await
        });
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

impl<P> Connections<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    /// Serves a connection to its end.
    async fn attend(&self, stream: Box<L4Stream>, shutdown: &ShutdownWatch) -> Over {
        let mut silence = Silence::new(shutdown);
        match self.transport {
            Transport::Clear => self.serve(stream, silence, shutdown).await,
            Transport::Tls => {
                let mut stream = self.encrypt(stream, &mut silence).await?;
                match stream.selected_alpn_proto() {
                    Some(ALPN::H2) => {
                        self.read_preface(&mut stream, &mut silence).await?;
                        http2::serve(&self.proxy, &self.shared, stream, shutdown).await;
                        None
                    }
                    _ => self.serve(stream, silence, shutdown).await,
                }
            }
        }
    }

    /// Does the TLS handshake. None if it fails.
    async fn encrypt(
        &self,
        mut stream: Box<L4Stream>,
        silence: &mut Silence,
    ) -> Option<Box<TlsStream>> {
        let (config, patience) = {
            let state = self.shared.state.load();
            (state.tls.clone()?, state.config.timeouts.head)
        };
        let begun = Instant::now();
        let mut first = [0];
        tokio::select! {
            // A client that only connects and closes has not failed.
            read = stream.read_exact(&mut first) => read.ok()?,
            () = silence.is_too_long(patience) => return None,
        };
        if first[0] != HANDSHAKE {
            self.refuse(&mut *stream, b"", Reply::WANTS_TLS, begun).await;
            return None;
        }
        stream.rewind(&first);
        let left = patience.saturating_sub(begun.elapsed());
        let cause = match fast_timeout(left, tls::accept(config, stream)).await {
            Ok(Ok(encrypted)) => return Some(encrypted),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".into(),
        };
        self.shared.metrics.tls_handshakes_failed.inc();
        log::debug!(cause = cause.as_str(); "a TLS handshake failed");
        None
    }

    /// Waits for the preface and returns it to the stream; pingora would wait forever.
    async fn read_preface(&self, stream: &mut TlsStream, silence: &mut Silence) -> Option<()> {
        let patience = self.shared.state.load().config.timeouts.head;
        let mut preface = [0; PREFACE.len()];
        tokio::select! {
            read = stream.read_exact(&mut preface) => read.ok()?,
            () = silence.is_too_long(patience) => return None,
        };
        stream.rewind(&preface);
        Some(())
    }

    /// Serves one request after another or, after the preface, an HTTP/2 connection.
    async fn serve<S: Rewind>(
        &self,
        stream: Box<S>,
        mut silence: Silence,
        shutdown: &ShutdownWatch,
    ) -> Over {
        let mut settings = None;
        let mut stream = stream;
        let mut is_first = true;
        let mut early = BytesMut::new();
        loop {
            let begun = std::mem::take(&mut early);
            let head = match self.read_head(&mut *stream, begun, is_first, &mut silence).await? {
                Opening::Http1(head, Some(lines)) => {
                    let Some(exchange) = &self.exchange else { return None };
                    let (peer, is_last) = (peer(&*stream), *shutdown.borrow());
                    let answered =
                        pin!(exchange.serve(&mut *stream, peer, (&head, &lines), is_last));
                    early = unless_over(answered).await?;
                    is_first = false;
                    continue;
                }
                Opening::Http1(head, None) => head,
                Opening::Http2(bytes) => {
                    stream.put_back(&bytes);
                    http2::serve(&self.proxy, &self.shared, stream, shutdown).await;
                    return None;
                }
            };
            let session = begin(stream, head, settings, *shutdown.borrow());
            let answered = pin!(self.proxy.process_new_http(session, shutdown));
            let reusable = unless_over(answered).await?;
            let (reused, persistent): (Stream, _) = ReusedHttpStream::consume(reusable);
            stream = reused.into_any().downcast::<S>().ok()?;
            settings = persistent;
            is_first = false;
        }
    }

    /// Reads until the end of a head, perhaps more. None if the connection is finished or refused.
    /// `bytes` have already been read.
    async fn read_head<S: Rewind>(
        &self,
        stream: &mut S,
        mut bytes: BytesMut,
        is_first: bool,
        silence: &mut Silence,
    ) -> Option<Opening> {
        let (limits, timeouts) = {
            let state = self.shared.state.load();
            (state.config.limits, state.config.timeouts)
        };
        if bytes.is_empty() {
            bytes.reserve(STEP);
            // A client that sends nothing is closed without an answer.
            let patience = if is_first { timeouts.head } else { timeouts.keep_alive };
            tokio::select! {
                biased;
                read = stream.read_buf(&mut bytes) => match read {
                    Ok(1..) => {}
                    _ => return None,
                },
                () = silence.is_too_long(patience) => return None,
            }
        }
        let mut begun = None;
        let mut scan = Scan::new(limits);
        loop {
            let may_be_http2 = S::PRIOR_KNOWLEDGE
                && is_first
                && PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]);
            let status = match scan.advance(&bytes) {
                _ if may_be_http2 && bytes.len() >= PREFACE.len() => {
                    return Some(Opening::Http2(bytes));
                }
                Progress::Complete if scan.has_too_many_lines() => {
                    return Some(Opening::Http1(head::with_one_cookie_field(&bytes), None));
                }
                Progress::Complete => {
                    let lines = self.exchange.as_ref().and_then(|_| scan.into_lines());
                    let lines = lines.filter(|lines| Exchange::takes(&bytes, lines));
                    return Some(Opening::Http1(bytes, lines));
                }
                Progress::Refused(status) if !may_be_http2 => status,
                Progress::More | Progress::Refused(_) => {
                    // A slow client gets a small buffer: what it has sent, and as much again.
                    let room = bytes.len().clamp(PIECE, STEP);
                    match bytes.capacity() - bytes.len() {
                        0 => bytes.reserve(room),
                        spare if spare > room => {
                            let mut small = BytesMut::with_capacity(bytes.len() + room);
                            small.put_slice(&bytes);
                            bytes = small;
                        }
                        _ => {}
                    }
                    let left = timeouts
                        .head
                        .saturating_sub(begun.get_or_insert_with(Instant::now).elapsed());
                    match fast_timeout(left, stream.read_buf(&mut bytes)).await {
                        Ok(Ok(1..)) => continue,
                        // The client closed the connection in the middle of a request.
                        Ok(_) => return None,
                        Err(_) => 408,
                    }
                }
            };
            let begun = begun.unwrap_or_else(Instant::now);
            self.refuse(stream, &bytes, Reply::refusing(status), begun).await;
            return None;
        }
    }

    async fn refuse<S: IO>(&self, stream: &mut S, bytes: &[u8], reply: Reply, begun: Instant) {
        let (method, target) = head::method_and_target(bytes);
        let peer = peer(stream).canonical();
        let (version, took) = (Version::HTTP_11, begun.elapsed());
        let refusal = Refusal { reply, method, target, version, peer, took };
        let answer = refusal.report(&self.shared);
        let say = async {
            stream.write_all(&answer).await?;
            stream.flush().await
        };
        // The client may not read it.
        if let Ok(Ok(())) = fast_timeout(HEARING, say).await {
            exchange::end(stream).await;
        }
    }
}

/// What is left of a connection that has been served: None.
type Over = Option<Infallible>;

/// The peer of the connection.
fn peer(stream: &impl IO) -> Peer {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr()?.as_inet().copied());
    let is_tls = stream.get_ssl_digest().is_some();
    Peer {
        address: address.map(|address| address.ip()),
        scheme: if is_tls { Scheme::Https } else { Scheme::Http },
    }
}

/// A pingora session whose head has been read.
fn begin(
    stream: Stream,
    head: BytesMut,
    settings: Option<HttpPersistentSettings>,
    is_last: bool,
) -> ServerSession {
    let mut session = ServerSession::new_http1(stream);
    // pingora parses it from here, like a pipelined request.
    session.set_pipelined_prefix(head);
    match settings {
        Some(settings) => settings.apply_to_session(&mut session),
        None => session.set_keepalive(Some(1)),
    }
    if is_last {
        session.set_keepalive(None);
    }
    session
}

/// The start of a connection or of a further request, with the bytes read.
enum Opening {
    /// With its lines if the exchange carries it.
    Http1(BytesMut, Option<Lines>),
    Http2(BytesMut),
}

/// Counts a connection as open until it is dropped.
struct Open {
    shared: Arc<Shared>,
    _open: TaskTrackerToken,
}

impl Open {
    /// None if there are too many already.
    fn new(shared: &Arc<Shared>) -> Option<Self> {
        let most = shared.state.load().config.limits.connections.min(shared.room);
        let open = Self { shared: Arc::clone(shared), _open: shared.connections.token() };
        if shared.metrics.connection_opened() > most {
            shared.metrics.connections_refused.inc();
            return None;
        }
        Some(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.metrics.connection_closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Proxy;

    fn size_of_future<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// Thousands of connections may be open. What is large and rare is boxed where it is made.
    #[test]
    fn an_open_connection_takes_little_memory() {
        type Arguments = (&'static Connections<Proxy>, Box<L4Stream>, &'static ShutdownWatch);
        let size = size_of_future(|(this, stream, stop): Arguments| this.attend(stream, stop));
        assert!(size < 6 * 1024, "{size}");
    }
}
