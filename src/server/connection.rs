//! A client's connection: counted while it lives, told apart by its first bytes, and read request
//! by request.
//!
//! pingora's own look for the HTTP/2 preface waits for 24 bytes and so for ever on
//! `GET / HTTP/1.0` with an empty head, which is shorter.
//!
//! Over TLS all is the same behind the handshake, but that HTTP/2 is agreed on by ALPN.

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

/// How much is asked for at a time while a head is read, and how little.
const STEP: usize = 4096;
const PIECE: usize = 256;

/// How long a client that was refused may take to hear why.
const HEARING: Duration = Duration::from_secs(1);

/// The first byte of a client's handshake (RFC 8446 section 5.1), which no request begins with.
const HANDSHAKE: u8 = 22;

/// The proxy on listeners of one kind, with its connections counted.
pub(super) struct Connections<P> {
    proxy: Arc<HttpProxy<P>>,
    /// None where pingora carries all.
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

/// A connection from which more may be read than was meant to be.
trait Rewind: IO + Sized + 'static {
    /// Whether HTTP/2 may begin on it without having been agreed on.
    const PRIOR_KNOWLEDGE: bool;

    /// Puts back what was read.
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
        let _open = Open::new(&self.shared)?;
        let stream = stream.into_any().downcast::<L4Stream>().ok()?;
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

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

impl<P> Connections<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    /// Does the handshake of TLS. None where there is none.
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
            // Who only looks whether somebody listens has not failed at anything.
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

    /// Waits for the preface and puts it back: pingora would wait for it for ever.
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

    /// One request after the other; or, behind the preface, whatever HTTP/2 brings.
    async fn serve<S: Rewind>(
        &self,
        stream: Box<S>,
        mut silence: Silence,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
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
                    let answered = exchange.serve(&mut *stream, peer, (&head, &lines), is_last);
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
            let reusable = unless_over(self.proxy.process_new_http(session, shutdown)).await?;
            let (reused, persistent): (Stream, _) = ReusedHttpStream::consume(reusable);
            stream = reused.into_any().downcast::<S>().ok()?;
            settings = persistent;
            is_first = false;
        }
    }

    /// Reads up to the end of a head, or somewhat more. None where there is nothing more to be read,
    /// or nothing more to be said. `bytes` have been read already.
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
            // A client that says nothing has only the connection to lose.
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
                    // What does not come in one piece may be long in coming: it holds what it has
                    // sent, and as much again.
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
                        // It went away in the middle of a request.
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
        // Whether the client hears it is up to the client.
        if let Ok(Ok(())) = fast_timeout(HEARING, say).await {
            exchange::end(stream).await;
        }
    }
}

/// Who has connected, and how.
fn peer(stream: &impl IO) -> Peer {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr()?.as_inet().copied());
    let is_tls = stream.get_ssl_digest().is_some();
    Peer {
        address: address.map(|address| address.ip()),
        scheme: if is_tls { Scheme::Https } else { Scheme::Http },
    }
}

/// A session of pingora's whose head has been read.
fn begin(
    stream: Stream,
    head: BytesMut,
    settings: Option<HttpPersistentSettings>,
    is_last: bool,
) -> ServerSession {
    let mut session = ServerSession::new_http1(stream);
    // As if it had come with the request before: pingora parses it where it is.
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

/// How a connection, or the next request on it, begins, and what was read of it.
enum Opening {
    /// Where its lines are, where the exchange takes it.
    Http1(BytesMut, Option<Lines>),
    Http2(BytesMut),
}

/// Counts a connection as open for as long as it lives.
struct Open {
    shared: Arc<Shared>,
    _open: TaskTrackerToken,
}

impl Open {
    /// None where there are too many already.
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
