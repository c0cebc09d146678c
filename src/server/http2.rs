//! An HTTP/2 connection: accepts its requests and passes each to pingora.
//!
//! pingora's own loop has fixed limits and a fixed idle time-out. Requests that it or `h2` refuses
//! leave their trace in [`outgoing`].

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pingora_core::apps::HttpServerApp as _;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession, default_h2_options, handshake,
};
use pingora_core::protocols::{Digest, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::{HttpProxy, ProxyHttp};
use tokio::sync::Notify;

use crate::config::Limits;
use crate::proxy::cause;
use crate::state::{Shared, unless_over};

mod outgoing;

use outgoing::Outgoing;

/// The number of malformed requests that ends a connection, as in pingora.
const MOST_MALFORMED: usize = 32;

/// The size that HTTP/2 adds to each field (RFC 9113 section 6.5.2), and the number of cookies to
/// allow for, since a browser sends a field for each.
const FIELD_OVERHEAD: usize = 32;
const MOST_COOKIES: usize = 1024;

/// `h2` refuses a longer head without an error page, so allow somewhat more than `limits`; each
/// request is checked later.
fn options(limits: &Limits) -> H2Options {
    let fields = limits.header_fields.saturating_add(MOST_COOKIES);
    let most = limits
        .head_bytes
        .saturating_add(limits.cookie_bytes)
        .saturating_add(fields.saturating_mul(FIELD_OVERHEAD));
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(most).unwrap_or(u32::MAX));
    options
}

/// Serves a connection to its end, with the current limits.
pub(super) async fn serve<P>(
    proxy: &Arc<HttpProxy<P>>,
    shared: &Arc<Shared>,
    stream: Stream,
    shutdown: &ShutdownWatch,
) where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    });
    let options = options(&shared.state.load().config.limits);
    let stream: Stream = Box::new(Outgoing::new(stream, shared, client(&digest)));
    let mut connection = match handshake(stream, Some(options)).await {
        Ok(connection) => connection,
        Err(error) => {
            log::debug!(cause = cause(&error).as_str(); "an HTTP/2 connection failed to start");
            return;
        }
    };
    let streams = Arc::new(Streams::default());
    let mut stops = shutdown.clone();
    let mut is_stopping = false;
    let mut malformed = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stops.changed(), if !is_stopping => {
                connection.graceful_shutdown();
                is_stopping = true;
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => accepted,
            () = streams.idle(shared), if !is_stopping => return,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                let (proxy, shutdown) = (Arc::clone(proxy), shutdown.clone());
                let open = Open::new(&streams);
                tokio::spawn(async move {
                    let _open = open;
                    let session = ServerSession::new_http2(session);
                    unless_over(pin!(proxy.process_new_http(session, &shutdown))).await;
                });
            }
            Ok(Some(H2Accept::Rejected)) => {
                malformed += 1;
                if malformed >= MOST_MALFORMED {
                    // The answer is sent when the connection is polled once more.
                    tokio::select! {
                        biased;
                        _ = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => {}
                        () = std::future::ready(()) => {}
                    }
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                log::debug!(cause = cause(&error).as_str(); "an HTTP/2 connection ended with an error");
                return;
            }
        }
    }
}

fn client(digest: &Digest) -> Option<IpAddr> {
    let address = digest.socket_digest.as_ref()?.peer_addr()?;
    Some(address.as_inet()?.ip())
}

/// The requests in progress on a connection.
#[derive(Default)]
struct Streams {
    open: AtomicUsize,
    none_left: Notify,
}

impl Streams {
    /// Waits until there have been none for the keep-alive time.
    async fn idle(&self, shared: &Shared) {
        while self.open.load(Ordering::Relaxed) > 0 {
            self.none_left.notified().await;
        }
        pingora_timeout::sleep(shared.state.load().config.timeouts.keep_alive).await;
    }
}

/// Counts a request as in progress until it is dropped.
struct Open(Arc<Streams>);

impl Open {
    fn new(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.none_left.notify_one();
        }
    }
}
