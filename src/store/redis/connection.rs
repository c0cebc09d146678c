//! Connections to a server, a sentinel or a cluster.
//!
//! The client's `ConnectionManager` is not used: after a failover it keeps a server that has become
//! read-only, and it never reconnects if the server silently disappears.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo as _, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode, Value,
};

use super::fault::is_unknown_script;
use super::scripts::{Call, Script, Setting};
use crate::store::server::{Node, Secrets, ServerSpec};

/// How many calls may wait to be sent on a connection.
const WAITING: usize = 1024;

/// The connection settings: the configuration and the contents of its files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) spec: ServerSpec,
    pub(super) secrets: Secrets,
    /// The time limit to connect.
    pub(super) patience: Duration,
}

/// A connection shared by many calls.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// # Errors
    /// The error of the server or the connection.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(node) => command.query_async(&mut node.clone()).await,
            Self::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
        }
    }

    /// Runs a script.
    ///
    /// # Errors
    /// The error of the server or the connection.
    pub(super) async fn run(
        &self,
        script: &Script,
        setting: Setting<'_>,
        call: &Call,
    ) -> RedisResult<Value> {
        match self.send(&script.call(false, setting, call)).await {
            // The server was restarted, or its scripts were flushed.
            Err(error) if is_unknown_script(&error) => {
                self.send(&script.call(true, setting, call)).await
            }
            answered => answered,
        }
    }

    /// Sends several commands at once, in a cluster all for one node. Returns the answers and
    /// errors in order.
    ///
    /// # Errors
    /// The error of the connection.
    pub(super) async fn send_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        let count = pipeline.len();
        match self {
            Self::Node(node) => node.clone().req_packed_commands(pipeline, 0, count).await,
            Self::Cluster(cluster) => cluster.clone().req_packed_commands(pipeline, 0, count).await,
        }
    }
}

/// Two connections to a server.
pub(super) async fn both(
    settings: &Settings,
    node: &Node,
) -> RedisResult<(Connection, Connection)> {
    let login = login(&settings.spec, &settings.secrets);
    let client = client(settings, node, login)?;
    let config = config(settings);
    let (general, ends) = tokio::try_join!(
        client.get_multiplexed_async_connection_with_config(&config),
        client.get_multiplexed_async_connection_with_config(&config)
    )?;
    Ok((Connection::Node(general), Connection::Node(ends)))
}

/// A connection to a sentinel.
pub(super) async fn to_sentinel(settings: &Settings, node: &Node) -> RedisResult<Connection> {
    let Settings { spec, secrets, .. } = settings;
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = &spec.sentinel_username {
        login = login.set_username(username);
    }
    if let Some(password) = &secrets.sentinel_password {
        login = login.set_password(password.as_str());
    }
    let client = client(settings, node, login)?;
    let connected = client.get_multiplexed_async_connection_with_config(&config(settings)).await?;
    Ok(Connection::Node(connected))
}

fn client(settings: &Settings, node: &Node, login: RedisConnectionInfo) -> RedisResult<Client> {
    let info = info(&settings.spec, node)?.set_redis_settings(login);
    match settings.spec.tls {
        true => Client::build_with_tls(info, certificates(&settings.secrets)),
        false => Client::open(info),
    }
}

fn info(spec: &ServerSpec, Node { host, port }: &Node) -> RedisResult<ConnectionInfo> {
    let (host, port) = (host.clone(), *port);
    let address = match spec.tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    };
    Ok(address.into_connection_info()?.set_tcp_settings(tcp()))
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn login(spec: &ServerSpec, secrets: &Secrets) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(spec.database.into())
        .set_skip_set_lib_name();
    if let Some(username) = &spec.username {
        login = login.set_username(username);
    }
    if let Some(password) = &secrets.password {
        login = login.set_password(password.as_str());
    }
    login
}

fn certificates(secrets: &Secrets) -> TlsCertificates {
    let client_tls = secrets
        .client
        .as_ref()
        .map(|(cert, key)| ClientTlsConfig { client_cert: cert.clone(), client_key: key.to_vec() });
    TlsCertificates { client_tls, root_cert: secrets.authorities.clone() }
}

/// No time limit here, because each call has its own.
fn config(settings: &Settings) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(Some(settings.patience))
        .set_pipeline_buffer_size(WAITING)
}

/// Two connections to each node of a cluster.
pub(super) async fn to_cluster(settings: &Settings) -> RedisResult<(Connection, Connection)> {
    let client = cluster_client(settings)?;
    let (general, ends) =
        tokio::try_join!(client.get_async_connection(), client.get_async_connection())?;
    Ok((Connection::Cluster(general), Connection::Cluster(ends)))
}

fn cluster_client(settings: &Settings) -> RedisResult<redis::cluster::ClusterClient> {
    let Settings { spec, secrets, patience } = settings;
    let nodes: Result<Vec<_>, RedisError> =
        spec.nodes.iter().map(|node| info(spec, node)).collect();
    let mut builder = ClusterClientBuilder::new(nodes?)
        // Needed to notice that a node is gone.
        .use_protocol(ProtocolVersion::RESP3)
        .connection_timeout(*patience)
        // For one try, before the next one.
        .response_timeout(*patience)
        .overall_response_timeout(None)
        .retries(CLUSTER_TRIES)
        .min_retry_wait(CLUSTER_WAIT)
        .max_retry_wait(10 * CLUSTER_WAIT)
        .tcp_settings(tcp());
    if let Some(username) = &spec.username {
        builder = builder.username(username);
    }
    if let Some(password) = &secrets.password {
        builder = builder.password(password.as_str());
    }
    if spec.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(secrets));
    }
    builder.build()
}

/// How often a call is tried at most if keys are being moved or a node has failed, and the first
/// pause between tries in milliseconds.
const CLUSTER_TRIES: u32 = 8;
const CLUSTER_WAIT: u64 = 5;
