//! Connects to the configured target: a server, the master that sentinels name, or a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use redis::{ErrorKind, RedisResult};

use super::connection::{Connection, Settings, both, to_cluster};
use super::facts::{self, Facts};
use super::names::Names;
use super::sentinel::dial_master;
use crate::store::server::{Node, Topology};

/// The connections in use.
pub(super) struct Live {
    pub(super) general: Connection,
    /// For ends that wait for a replica: the wait blocks later commands on the same connection.
    pub(super) ends: Connection,
    /// How many consecutive calls were not answered in time.
    pub(super) late: AtomicU32,
    /// The server cannot be used at the moment.
    pub(super) is_flawed: AtomicBool,
    pub(super) facts: Facts,
    /// The connected server, unless it is a cluster.
    pub(super) node: Option<Node>,
}

/// Connects, and asks the server for its properties.
///
/// # Errors
/// Why there is no usable connection.
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
