//! The properties of a server that matter for sessions.

use std::collections::BTreeMap;

use redis::{FromRedisValue as _, Pipeline, RedisResult, Value};

use super::connection::Connection;
use super::names::Names;
use super::scripts::SCRIPTS;

/// The known properties of a server. None if it may not be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `redis` or `valkey`, and its version.
    pub(super) version: Option<String>,
    /// The number of replicas; in a cluster, of the master with the fewest.
    pub(super) replicas: Option<u64>,
    /// The name of the eviction policy, if it evicts keys.
    pub(super) evicts: Option<String>,
    /// Whether its memory is limited.
    pub(super) is_limited: bool,
    /// Whether each write is appended to a file (AOF).
    pub(super) appends: Option<bool>,
    /// Whether snapshots are saved (RDB). None if unknown.
    pub(super) snapshots: Option<bool>,
    /// `master` or `replica`.
    pub(super) role: Option<String>,
}

/// Checks that the server can be used, and asks for its properties.
///
/// # Errors
/// It cannot be used, for example because it is loading, or the user may not read.
pub(super) async fn ask(connection: &Connection, names: &Names) -> RedisResult<Facts> {
    let mut probe = redis::cmd("GET");
    probe.arg(names.probe());
    // If loading scripts is not allowed, or in a cluster, each script is sent in full at its first
    // use on a server.
    let load = async {
        if let Connection::Node(_) = connection {
            let mut pipeline = Pipeline::new();
            for script in SCRIPTS.iter() {
                pipeline.add_command(script.load());
            }
            let _ = connection.send_all(&pipeline).await;
        }
    };
    let (probed, facts, ()) = tokio::join!(connection.send(&probe), look(connection), load);
    probed.map(|_| facts)
}

/// The sections of `INFO` that are needed.
const SECTIONS: &[&str] = &["server", "memory", "persistence", "replication"];

/// Asks the server for its properties, as far as this is allowed.
pub(super) async fn look(connection: &Connection) -> Facts {
    let info = connection.send(redis::cmd("INFO").arg(SECTIONS)).await;
    let mut facts = match info.map(texts) {
        Ok(texts) => {
            texts.iter().map(|text| Facts::of(text)).reduce(Facts::worst).unwrap_or_default()
        }
        Err(_) => Facts::default(),
    };
    if facts.role.is_none() {
        facts.role = role(connection).await.ok();
    }
    facts
}

/// Whether it is a `master` or a `replica`. Every user may ask this.
pub(super) async fn role(connection: &Connection) -> RedisResult<String> {
    let said = connection.send(&redis::cmd("HELLO")).await?;
    let said = BTreeMap::<String, Value>::from_redis_value(said)?;
    let role = said.get("role").cloned().unwrap_or(Value::Nil);
    Ok(String::from_redis_value(role)?)
}

/// A cluster answers with one text for each node.
fn texts(info: Value) -> Vec<String> {
    let info = match info {
        Value::Map(nodes) => nodes.into_iter().map(|(_, text)| text).collect(),
        other => vec![other],
    };
    info.into_iter().filter_map(|text| String::from_redis_value(text).ok()).collect()
}

impl Facts {
    /// Reads the answer to `INFO`.
    fn of(info: &str) -> Self {
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let version = field("valkey_version").map(|version| format!("valkey {version}"));
        let version = version.or_else(|| field("redis_version").map(|it| format!("redis {it}")));
        Self {
            version,
            replicas: field("connected_slaves").and_then(|count| count.parse().ok()),
            evicts: field("maxmemory_policy").filter(|it| *it != "noeviction").map(str::to_owned),
            is_limited: field("maxmemory").is_some_and(|bytes| bytes != "0"),
            appends: field("aof_enabled").map(|enabled| enabled == "1"),
            snapshots: None,
            role: field("role").map(|role| if role == "slave" { "replica" } else { role }.into()),
        }
    }

    /// The worse of two nodes in each property: sessions may be on either.
    fn worst(self, other: Self) -> Self {
        // Ignore replicas: they have no replicas of their own and report what their master reports.
        if other.role.as_deref() == Some("replica") {
            return self;
        }
        if self.role.as_deref() == Some("replica") {
            return other;
        }
        Self {
            version: self.version.or(other.version),
            replicas: self.replicas.min(other.replicas),
            evicts: self.evicts.or(other.evicts),
            is_limited: self.is_limited || other.is_limited,
            appends: self.appends.min(other.appends),
            snapshots: self.snapshots.min(other.snapshots),
            role: self.role.or(other.role),
        }
    }

    /// Whether the server may evict sessions.
    pub(super) fn may_evict(&self) -> bool {
        self.is_limited && self.evicts.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &str = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory:0\r\n\
        maxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n# Replication\r\n\
        role:master\r\nconnected_slaves:2\r\n";

    #[test]
    fn what_a_server_says_is_read() {
        let expected = Facts {
            version: Some("redis 7.0.15".into()),
            replicas: Some(2),
            evicts: None,
            is_limited: false,
            appends: Some(true),
            snapshots: None,
            role: Some("master".into()),
        };
        assert_eq!(Facts::of(MASTER), expected);
        let valkey = "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nrole:slave\r\n\
            maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n";
        let expected = Facts {
            version: Some("valkey 8.0.1".into()),
            evicts: Some("allkeys-lru".into()),
            is_limited: true,
            appends: Some(false),
            role: Some("replica".into()),
            ..Facts::default()
        };
        assert_eq!(Facts::of(valkey), expected);
        assert!(expected.may_evict());
        assert_eq!(Facts::of(""), Facts::default());
    }

    #[test]
    fn of_many_nodes_the_worst_counts() {
        let good = Facts::of(MASTER);
        let bad = Facts { replicas: Some(0), appends: Some(false), ..good.clone() };
        assert_eq!(good.clone().worst(bad.clone()), bad);
        let replica = Facts { role: Some("replica".into()), ..Facts::default() };
        assert_eq!(good.clone().worst(replica.clone()), good);
        assert_eq!(replica.worst(good.clone()), good);
    }
}
