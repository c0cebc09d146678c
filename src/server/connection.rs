//! A client's connection: counted while it lives, told apart by its first bytes, and read request
//! by request.
//!
//! pingora's own look for the HTTP/2 preface waits for 24 bytes and so for ever on
//! `GET / HTTP/1.0` with an empty head, which is shorter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::stream::Stream as L4Stream;
use pingora_core::protocols::{GetSocketDigest as _, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::{HttpProxy, ProxyHttp};
use pingora_timeout::fast_timeout::fast_timeout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::head::{self, Progress, Scan};
use crate::proxy::{Shared, refusal};

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much is asked for at a time while a head is read, and how little.
const STEP: usize = 4096;
const PIECE: usize = 256;

/// How long, and how much, is read from a client that was refused, so that it gets to see why: a
/// connection that is closed over unread bytes is reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// The proxy, with its connections counted.
pub(super) struct Connections<P> {
    proxy: Arc<HttpProxy<P>>,
    shared: Arc<Shared>,
}

impl<P> Connections<P> {
    pub(super) fn new(proxy: HttpProxy<P>, shared: Arc<Shared>) -> Self {
        Self { proxy: Arc::new(proxy), shared }
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
        // Over TLS, ALPN has decided.
        if !stream.as_any().is::<L4Stream>() {
            return self.proxy.process_new(stream, shutdown).await;
        }
        let stream = stream.into_any().downcast::<L4Stream>().ok()?;
        self.serve(stream, shutdown).await
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
    /// One request after the other; or, behind the preface, whatever HTTP/2 brings.
    async fn serve(&self, stream: Box<L4Stream>, shutdown: &ShutdownWatch) -> Option<Stream> {
        let mut settings = None;
        let mut stream = stream;
        let mut is_first = true;
        loop {
            match self.read_head(&mut stream, is_first, shutdown).await? {
                Opening::Http1 => {}
                Opening::Http2 => return self.proxy.process_new(stream, shutdown).await,
            }
            let mut session = ServerSession::new_http1(stream);
            match settings {
                Some(settings) => pingora_core::apps::HttpPersistentSettings::apply_to_session(
                    settings,
                    &mut session,
                ),
                None => session.set_keepalive((!*shutdown.borrow()).then_some(1)),
            }
            let reusable = self.proxy.process_new_http(session, shutdown).await?;
            let (reused, persistent): (Stream, _) = ReusedHttpStream::consume(reusable);
            stream = reused.into_any().downcast::<L4Stream>().ok()?;
            settings = persistent;
            is_first = false;
        }
    }

    /// Reads up to the end of a head and puts what was read back. None where there is nothing more
    /// to be read, or nothing more to be said.
    async fn read_head(
        &self,
        stream: &mut L4Stream,
        is_first: bool,
        shutdown: &ShutdownWatch,
    ) -> Option<Opening> {
        let (limits, timeouts) = {
            let state = self.shared.state.load();
            (state.config.limits, state.config.timeouts)
        };
        let mut shutdown = shutdown.clone();
        let mut bytes = Vec::with_capacity(STEP);
        // A client that says nothing has only the connection to lose.
        let patience = if is_first { timeouts.head } else { timeouts.keep_alive };
        tokio::select! {
            biased;
            read = fast_timeout(patience, stream.read_buf(&mut bytes)) => match read {
                Ok(Ok(1..)) => {}
                _ => return None,
            },
            _ = shutdown.wait_for(|stops| *stops) => return None,
        }
        let begun = Instant::now();
        let mut scan = Scan::new(limits);
        loop {
            let may_be_http2 =
                is_first && PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]);
            let status = match scan.advance(&bytes) {
                _ if may_be_http2 && bytes.len() >= PREFACE.len() => {
                    stream.rewind(&bytes);
                    return Some(Opening::Http2);
                }
                Progress::Complete => {
                    stream.rewind(&bytes);
                    return Some(Opening::Http1);
                }
                Progress::Refused(status) if !may_be_http2 => status,
                Progress::More | Progress::Refused(_) => {
                    // What does not come in one piece may be long in coming: it holds what it has
                    // sent, and as much again.
                    if bytes.len() < STEP {
                        bytes.shrink_to(2 * bytes.len());
                    }
                    bytes.reserve(bytes.len().clamp(PIECE, STEP));
                    let left = timeouts.head.saturating_sub(begun.elapsed());
                    match fast_timeout(left, stream.read_buf(&mut bytes)).await {
                        Ok(Ok(1..)) => continue,
                        // It went away in the middle of a request.
                        Ok(_) => return None,
                        Err(_) => 408,
                    }
                }
            };
            self.refuse(stream, &bytes, status, begun).await;
            return None;
        }
    }

    async fn refuse(&self, stream: &mut L4Stream, bytes: &[u8], status: u16, begun: Instant) {
        let (method, target) = head::method_and_target(bytes);
        let digest = stream.get_socket_digest();
        let client = digest
            .as_ref()
            .and_then(|digest| digest.peer_addr())
            .and_then(|address| address.as_inet())
            .map(|address| address.ip());
        let answer = refusal(&self.shared, status, method, target, client, begun.elapsed());
        let say_and_listen = async {
            stream.write_all(&answer).await.ok()?;
            stream.flush().await.ok()?;
            stream.shutdown().await.ok()?;
            let mut rest = Vec::with_capacity(STEP);
            let mut heard = 0;
            while heard < LINGER_BYTES {
                rest.clear();
                match stream.read_buf(&mut rest).await {
                    Ok(count @ 1..) => heard += count,
                    _ => break,
                }
            }
            Some(())
        };
        // Whether the client hears it is up to the client.
        let _ = fast_timeout(LINGER, say_and_listen).await;
    }
}

/// How a connection, or the next request on it, begins.
enum Opening {
    Http1,
    Http2,
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    /// None where there are too many already.
    fn new(shared: &Arc<Shared>) -> Option<Self> {
        let most = shared.state.load().config.limits.connections;
        let open = Self(Arc::clone(shared));
        if shared.metrics.connection_opened() > most {
            shared.metrics.connections_refused.inc();
            return None;
        }
        Some(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connection_closed();
    }
}
