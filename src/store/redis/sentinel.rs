//! Finds the master by asking the sentinels.

use std::collections::HashMap;
use std::sync::Arc;

use redis::{ErrorKind, RedisResult};
use tokio::task::JoinSet;

use super::connection::{Connection, Settings, both, to_sentinel};
use super::facts;
use crate::store::server::Node;

/// Connects to the master. If sentinels disagree, the server that most of them name is tried first.
///
/// # Errors
/// No named server is a master, or why there is no connection.
pub(super) async fn dial_master(
    settings: &Arc<Settings>,
    master: &str,
) -> RedisResult<(Connection, Connection, Node)> {
    let mut last = None;
    for (node, _) in named(settings, master).await? {
        match dial_if_master(settings, &node).await {
            Ok((general, ends)) => return Ok((general, ends, node)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        (ErrorKind::MasterNameNotFoundBySentinel, "no sentinel names a master").into()
    }))
}

async fn dial_if_master(settings: &Settings, node: &Node) -> RedisResult<(Connection, Connection)> {
    let (general, ends) = both(settings, node).await?;
    // A sentinel may be out of date: a replica would have old data and refuse writes.
    let role = facts::role(&general).await?;
    if role == "master" {
        return Ok((general, ends));
    }
    let message = "the server that the sentinels name is not the master";
    Err((ErrorKind::MasterNameNotFoundBySentinel, message, format!("{node} is a {role}")).into())
}

/// The master that more than half of the sentinels name, if there is one.
pub(super) async fn agreed(settings: &Arc<Settings>, master: &str) -> Option<Node> {
    let (node, votes) = named(settings, master).await.ok()?.into_iter().next()?;
    is_most(votes, settings).then_some(node)
}

const fn is_most(votes: usize, settings: &Settings) -> bool {
    2 * votes > settings.spec.nodes.len()
}

/// The named servers, each with its number of votes, most votes first. All sentinels are asked at
/// once; as soon as most of them agree, the others are not waited for.
async fn named(settings: &Arc<Settings>, master: &str) -> RedisResult<Vec<(Node, usize)>> {
    let mut asked = JoinSet::new();
    for sentinel in &settings.spec.nodes {
        let (settings, master) = (Arc::clone(settings), master.to_owned());
        let sentinel = sentinel.clone();
        asked.spawn(async move { ask(&settings, &sentinel, &master).await });
    }
    let mut votes: HashMap<Node, usize> = HashMap::new();
    let mut last = None;
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(node)) => {
                let votes = votes.entry(node).or_default();
                *votes += 1;
                if is_most(*votes, settings) {
                    break;
                }
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
    }
    let mut named: Vec<(Node, usize)> = votes.into_iter().collect();
    named.sort_by_key(|(_, votes)| std::cmp::Reverse(*votes));
    match last {
        Some(error) if named.is_empty() => Err(error),
        _ => Ok(named),
    }
}

async fn ask(settings: &Settings, sentinel: &Node, master: &str) -> RedisResult<Node> {
    let asked = async {
        let connection = to_sentinel(settings, sentinel).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        connection.send(&command).await
    };
    let answer = match tokio::time::timeout(settings.patience, asked).await {
        Ok(answer) => answer?,
        Err(_) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    };
    match redis::from_redis_value::<Option<(String, u16)>>(answer)? {
        Some((host, port)) => Ok(Node { host, port }),
        None => {
            let message = "the sentinel knows no master of the name in store.master";
            Err((ErrorKind::MasterNameNotFoundBySentinel, message).into())
        }
    }
}
