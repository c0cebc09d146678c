//! The way to whatever the configuration names: a server, the master that sentinels name, a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use redis::{ErrorKind, RedisResult};

use super::connection::{Connection, Settings, both, to_cluster};
use super::facts::{self, Facts};
use super::names::Names;
use super::sentinel::dial_master;
use crate::store::server::{Node, Topology};

/// Connections that are in use.
pub(super) struct Live {
    pub(super) general: Connection,
    /// For what a replica has to acknowledge: whoever waits for that holds up what comes behind on
    /// the same connection.
    pub(super) ends: Connection,
    /// How many calls in a row were not answered in time.
    pub(super) late: AtomicU32,
    /// It leads to a server that is of no use now.
    pub(super) is_flawed: AtomicBool,
    pub(super) facts: Facts,
    /// The server it leads to, where that is one.
    pub(super) node: Option<Node>,
}

/// Connects, and asks the server what it is.
///
/// # Errors
/// Why there is no connection that is of use.
pub(super) async fn dial(settings: &Arc<Settings>, names: &Names) -> RedisResult<Live> {
    let (general, ends, node) = match &settings.spec.topology {
        Topology::Single => {
            let node = first(&settings.spec.nodes)?;
            let (general, ends) = both(settings, node).await?;
            (general, ends, Some(node.clone()))
        }
        Topology::Sentinel { master } => {
            let (general, ends, node) = dial_master(settings, master).await?;
            (general, ends, Some(node))
        }
        Topology::Cluster => {
            let (general, ends) = to_cluster(settings).await?;
            (general, ends, None)
        }
    };
    let facts = facts::ask(&general, names).await?;
    Ok(Live {
        general,
        ends,
        late: AtomicU32::new(0),
        is_flawed: AtomicBool::new(false),
        facts,
        node,
    })
}

fn first(nodes: &[Node]) -> RedisResult<&Node> {
    nodes.first().ok_or_else(|| (ErrorKind::InvalidClientConfig, "no server is named").into())
}
