//! A bare pingora proxy with the sidecar's runtime settings, but none of its work: the lower limit.
//! Not shipped; the benches use it for comparison.
//!
//! bare LISTEN BACKEND [WORKERS [alike]]
//!
//! With `alike` it makes the same changes to heads as the sidecar for a request without a cookie,
//! in the shortest way: the same fields with constant values, and the same time-outs. The
//! difference between the two is the cost of pingora's heads and timers, not of sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    backend: String,
    alike: bool,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(&*self.backend, false, String::new());
        if self.alike {
            let options = &mut peer.options;
            options.connection_timeout = Some(Duration::from_secs(5));
            options.total_connection_timeout = Some(Duration::from_secs(5));
            options.read_timeout = Some(Duration::from_secs(60));
            options.write_timeout = Some(Duration::from_secs(60));
            options.idle_timeout = Some(Duration::from_secs(4));
        }
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        if self.alike {
            upstream.insert_header("X-Request-Id", "5b7c1c0c4d7a1e920000000000000000")?;
            upstream.insert_header("X-Forwarded-For", "127.0.0.1")?;
            upstream.insert_header("X-Forwarded-Proto", "http")?;
            upstream.insert_header("X-Forwarded-Host", "app.test")?;
            upstream.insert_header("X-Session", "{}")?;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        (): &mut (),
    ) -> Result<()> {
        if self.alike {
            response.insert_header("Vary", "Cookie")?;
        }
        Ok(())
    }
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let backend = arguments.next().unwrap_or_else(|| "127.0.0.1:5000".into());
    let workers = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let alike = arguments.next().is_some_and(|word| word == "alike");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let ca_file = Some("/dev/null".to_owned());
        let conf = Arc::new(ServerConf { ca_file, ..ServerConf::default() });
        let proxy = pingora_proxy::http_proxy(&conf, Bare { backend, alike });
        let mut service = Service::new("bare".into(), proxy);
        service.add_tcp(&listen);
        let (_stop, stops) = tokio::sync::watch::channel(false);
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            () = service.start_service(None, stops, 1) => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
