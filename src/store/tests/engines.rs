//! Stores in servers started by the tests.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::store::redis::RedisStore;
use crate::store::server::{Node, Topology};

#[path = "../../../tests/it/support/engine/mod.rs"]
pub(super) mod engine;

pub(super) use engine::{Engine, Server};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn spec(server: &Server) -> ServerSpec {
    ServerSpec {
        nodes: vec![Node { host: "127.0.0.1".into(), port: server.port() }],
        topology: Topology::Single,
        tls: false,
        database: 0,
        username: None,
        password_file: None,
        sentinel_username: None,
        sentinel_password_file: None,
        ca_file: None,
        client: None,
        line: 1,
    }
}

/// The addresses in URLs without a path.
pub(super) fn nodes_at(urls: &[String]) -> Vec<Node> {
    let node = |url: &String| {
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Node { host: "127.0.0.1".into(), port }
    };
    urls.iter().map(node).collect()
}

/// A store that connects, and its runtime.
pub(super) fn start(spec: ServerSpec, secrets: Secrets) -> (Store, Box<dyn Any>) {
    start_with(spec, secrets, "cloakroom:".into(), PATIENCE)
}

/// A store whose calls take at most `timeout`.
pub(super) fn start_hurried(spec: ServerSpec, timeout: Duration) -> (Store, Box<dyn Any>) {
    start_with(spec, Secrets::default(), "cloakroom:".into(), timeout)
}

/// What must live as long as the stores, and stores that share their sessions in this server, with
/// no others.
pub(super) fn sharing<const N: usize>(server: &Server) -> (Box<dyn Any>, [Store; N]) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test-{}:", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut runtimes = Vec::new();
    let stores = [(); N].map(|()| {
        let (store, runtime) =
            start_with(spec(server), Secrets::default(), prefix.clone(), PATIENCE);
        runtimes.push(runtime);
        store
    });
    (Box::new(runtimes), stores)
}

fn start_with(
    spec: ServerSpec,
    secrets: Secrets,
    prefix: String,
    timeout: Duration,
) -> (Store, Box<dyn Any>) {
    let redis = RedisStore::new(spec, secrets, prefix, timeout);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = Store::new(Home::Redis(redis), timeout);
    store.start(runtime.handle());
    (store, Box::new(runtime))
}
