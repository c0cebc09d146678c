//! A bare pingora proxy, with the runtime settings of the sidecar and nothing of its work: what
//! cannot be undercut. Not a part of what is shipped; `benches/instructions` measures against it.
//!
//!     bare LISTEN BACKEND [WORKERS]

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    backend: String,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&*self.backend, false, String::new())))
    }
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let backend = arguments.next().unwrap_or_else(|| "127.0.0.1:5000".into());
    let workers = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let ca_file = Some("/dev/null".to_owned());
        let conf = Arc::new(ServerConf { ca_file, ..ServerConf::default() });
        let proxy = pingora_proxy::http_proxy(&conf, Bare { backend });
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
