//! Checks a server before sessions are kept in it: `cloakroom check --connect`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::connection::{Connection, Settings};
use super::dial::{Live, dial};
use super::facts::Facts;
use super::names::Names;
use crate::store::server::{Secrets, ServerSpec, Topology};

/// The result of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// Properties of the server, one per line.
    pub facts: Vec<String>,
    /// Settings that can lose sessions or log-outs, or prevent writes.
    pub warnings: Vec<String>,
}

/// Why a check failed.
#[derive(Debug)]
pub enum Unreached {
    /// The error of the server or the network.
    Said(RedisError),
    /// No answer for this time.
    Silent(Duration),
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(error) => error.fmt(f),
            Self::Silent(patience) => write!(f, "no answer within {patience:?}"),
        }
    }
}

impl std::error::Error for Unreached {}

/// The minimum version for the scripts.
const LEAST: (u32, u32) = (7, 0);

/// Connects to the server and checks it.
///
/// # Errors
/// Why there is no connection.
pub async fn inspect(
    spec: ServerSpec,
    secrets: Secrets,
    prefix: String,
    patience: Duration,
) -> Result<Report, Unreached> {
    let is_cluster = spec.topology == Topology::Cluster;
    let topology = spec.topology.name();
    let settings = Arc::new(Settings { spec, secrets, patience });
    let names = Names::new(prefix);
    let dialled = tokio::time::timeout(2 * patience, dial(&settings, &names)).await;
    let live = match dialled {
        Ok(Ok(live)) => live,
        Ok(Err(error)) => return Err(Unreached::Said(error)),
        Err(_) => return Err(Unreached::Silent(2 * patience)),
    };
    let missing = missing_rights(&live.general, &names, is_cluster).await;
    let snapshots = snapshots(&live.general).await;
    Ok(report(topology, &live, snapshots, &missing))
}

fn report(topology: &str, live: &Live, snapshots: Option<bool>, missing: &[&str]) -> Report {
    let facts = &live.facts;
    let unknown = || "unknown: the user lacks the right to ask (+info)".to_owned();
    let server = facts.version.clone().unwrap_or_else(unknown);
    let node = live.node.as_ref().map(|node| format!(", at {node}")).unwrap_or_default();
    let replicas = facts.replicas.map_or_else(unknown, |count| count.to_string());
    let mut report = Report {
        facts: vec![
            format!("topology: {topology}{node}"),
            format!("server: {server}"),
            format!("replicas: {replicas}"),
            format!("persistence: {}", persistence(facts.appends, snapshots)),
            format!("eviction: {}", eviction(facts)),
        ],
        warnings: warnings(facts, snapshots),
    };
    let rights = if missing.is_empty() { "all that are needed".into() } else { missing.join(" ") };
    let rights_are = if missing.is_empty() { "rights" } else { "missing rights" };
    report.facts.push(format!("{rights_are}: {rights}"));
    if !missing.is_empty() {
        report.warnings.push(format!(
            "the user of the store lacks rights: ACL SETUSER NAME {}",
            missing.iter().map(|right| format!("+{right}")).collect::<Vec<_>>().join(" ")
        ));
    }
    report
}

fn persistence(appends: Option<bool>, snapshots: Option<bool>) -> String {
    let word = |known: Option<bool>| match known {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    format!("append-only file {}, snapshots {}", word(appends), word(snapshots))
}

fn eviction(facts: &Facts) -> String {
    let policy = facts.evicts.as_deref().unwrap_or("noeviction");
    let limit = if facts.is_limited { "maxmemory is set" } else { "maxmemory is not set" };
    match facts.version {
        Some(_) => format!("{policy}, {limit}"),
        None => "unknown".into(),
    }
}

fn warnings(facts: &Facts, snapshots: Option<bool>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(version) = &facts.version
        && version_of(version).is_some_and(|version| version < LEAST)
    {
        warnings
            .push(format!("the store is {version}: it has to be Redis 7.0 or Valkey 8 at least"));
    }
    if let Some(policy) = &facts.evicts {
        let when =
            if facts.is_limited { "when its memory is full" } else { "once maxmemory is set" };
        warnings.push(format!(
            "the store removes sessions {when} (maxmemory-policy {policy}), which logs users out: set \
             noeviction"
        ));
    }
    match (facts.appends, snapshots) {
        (Some(false), Some(false)) => warnings.push(
            "the store keeps nothing on a disk: when it restarts, all users are logged out: set \
             appendonly yes"
                .into(),
        ),
        (Some(false), _) => warnings.push(
            "the store appends no writes to a file: when it restarts, the sessions of the last minutes \
             are lost and log-outs undone: set appendonly yes"
                .into(),
        ),
        _ => {}
    }
    if facts.role.as_deref() == Some("replica") {
        warnings.push("the store is a replica: it takes no writes".into());
    } else if facts.replicas == Some(0) {
        warnings.push("the store has no replica: where it fails, sessions are away with it".into());
    }
    warnings
}

/// Reads a version such as `redis 7.0.15`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(' ').nth(1)?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

async fn snapshots(connection: &Connection) -> Option<bool> {
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("save");
    let answer = connection.send(&get).await.ok()?;
    let found: std::collections::HashMap<String, String> = redis::from_redis_value(answer).ok()?;
    found.get("save").map(|save| !save.is_empty())
}

/// Tries each command that is needed, on its own keys, which are removed at once.
async fn missing_rights(
    connection: &Connection,
    names: &Names,
    is_cluster: bool,
) -> Vec<&'static str> {
    let [text, set, stream] = ["text", "set", "stream"].map(|kind| names.scratch(kind));
    let attempts = [
        ("get", command(&["GET", &text])),
        ("set", command(&["SET", &text, "1", "PX", "1000"])),
        ("setrange", command(&["SETRANGE", &text, "0", "2"])),
        ("exists", command(&["EXISTS", &text])),
        ("pexpire", command(&["PEXPIRE", &text, "1000"])),
        ("zadd", command(&["ZADD", &set, "1", "a"])),
        ("zrange", command(&["ZRANGE", &set, "0", "-1"])),
        ("zrem", command(&["ZREM", &set, "b"])),
        ("zremrangebyscore", command(&["ZREMRANGEBYSCORE", &set, "2", "3"])),
        ("xadd", command(&["XADD", &stream, "MAXLEN", "1", "*", "a", "1"])),
        ("xrange", command(&["XRANGE", &stream, "-", "+", "COUNT", "1"])),
        ("scan", command(&["SCAN", "0", "MATCH", &text, "COUNT", "1"])),
        ("eval", command(&["EVAL", "return 1", "1", &text])),
        ("evalsha", command(&["EVALSHA", "0000000000000000000000000000000000000000", "1", &text])),
        ("script|load", command(&["SCRIPT", "LOAD", "return 1"])),
        ("wait", command(&["WAIT", "0", "1"])),
        ("info", command(&["INFO", "replication"])),
        ("del", command(&["DEL", &text])),
        ("del", command(&["DEL", &set])),
        ("del", command(&["DEL", &stream])),
    ];
    let in_cluster =
        [("cluster|slots", command(&["CLUSTER", "SLOTS"])), ("ping", command(&["PING"]))];
    let mut missing = Vec::new();
    for (right, command) in
        attempts.into_iter().chain(in_cluster.into_iter().filter(|_| is_cluster))
    {
        if is_denied(&connection.send(&command).await) && !missing.contains(&right) {
            missing.push(right);
        }
    }
    missing
}

fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

fn is_denied(answer: &RedisResult<Value>) -> bool {
    let denied = ErrorKind::Server(ServerErrorKind::NoPerm);
    answer.as_ref().is_err_and(|error| error.kind() == denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: Some("redis 7.0.15".into()),
            replicas: Some(1),
            appends: Some(true),
            role: Some("master".into()),
            ..Facts::default()
        }
    }

    #[test]
    fn what_loses_sessions_is_warned_of() {
        assert_eq!(warnings(&facts(), Some(true)), [""; 0]);
        let evicts = Some("allkeys-lru".to_owned());
        for (facts, snapshots, expected) in [
            (
                Facts { version: Some("redis 6.2.1".into()), ..facts() },
                None,
                "Redis 7.0 or Valkey 8",
            ),
            (Facts { evicts: evicts.clone(), ..facts() }, None, "once maxmemory is set"),
            (Facts { evicts, is_limited: true, ..facts() }, None, "when its memory is full"),
            (Facts { appends: Some(false), ..facts() }, Some(false), "keeps nothing on a disk"),
            (Facts { appends: Some(false), ..facts() }, Some(true), "appends no writes to a file"),
            (Facts { appends: Some(false), ..facts() }, None, "appends no writes to a file"),
            (Facts { replicas: Some(0), ..facts() }, None, "has no replica"),
            (Facts { role: Some("replica".into()), ..facts() }, None, "is a replica"),
        ] {
            let warnings = warnings(&facts, snapshots);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(expected), "{warnings:?}");
        }
    }

    #[test]
    fn a_version_is_read() {
        assert_eq!(version_of("valkey 8.0.1"), Some((8, 0)));
        assert_eq!(version_of("redis 7.4"), Some((7, 4)));
        assert_eq!(version_of("unknown"), None);
    }
}
