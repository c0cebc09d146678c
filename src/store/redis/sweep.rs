//! Ends all sessions, however many, in short steps that do not block the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, RedisResult, Value};
use tokio::task::JoinSet;

use super::connection::Connection;
use super::names::Names;
use super::scripts::{Call, SCRIPTS, Setting};
use crate::time::Timestamp;

/// How many names the server scans in a step.
const STEP: usize = 1000;

/// The maximum number of passes; several are needed because sessions are renewed meanwhile.
const PASSES: usize = 10;

/// Ends every session that began at the first time or before; returns how many of them were live at
/// the second time.
///
/// # Errors
/// The error of the server. Some may have been ended.
pub(super) async fn end_all(
    connection: &Connection,
    names: &Arc<Names>,
    moments: (Timestamp, Timestamp),
) -> RedisResult<u64> {
    let mut all = 0;
    for _ in 0..PASSES {
        let mut ended = 0;
        for place in places(connection).await? {
            ended += end_at(connection, names, place, moments).await?;
        }
        all += ended;
        if ended == 0 {
            break;
        }
    }
    Ok(all)
}

/// Whether a replica of each server has acknowledged, within that many milliseconds, what was written
/// over this connection.
///
/// # Errors
/// The error of a server.
pub(super) async fn is_acknowledged(
    connection: &Connection,
    milliseconds: u64,
) -> RedisResult<bool> {
    for place in places(connection).await? {
        let mut wait = redis::cmd("WAIT");
        wait.arg(1).arg(milliseconds);
        if !matches!(at(connection, place, wait).await?, Value::Int(1..)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A slot of each server with keys; None for a single server.
async fn places(connection: &Connection) -> RedisResult<Vec<Option<u16>>> {
    let Connection::Cluster(_) = connection else { return Ok(vec![None]) };
    let slots = connection.send(redis::cmd("CLUSTER").arg("SLOTS")).await?;
    let ranges: Vec<Vec<Value>> = redis::from_redis_value(slots)?;
    let mut known = BTreeSet::new();
    let mut places = Vec::new();
    for range in ranges {
        let mut range = range.into_iter();
        let (Some(first), Some(_), Some(master)) = (range.next(), range.next(), range.next())
        else {
            continue;
        };
        if known.insert(format!("{master:?}")) {
            places.push(Some(redis::from_redis_value(first)?));
        }
    }
    Ok(places)
}

async fn end_at(
    connection: &Connection,
    names: &Arc<Names>,
    place: Option<u16>,
    moments: (Timestamp, Timestamp),
) -> RedisResult<u64> {
    let (mut cursor, mut ended) = (0u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(names.every_session()).arg("COUNT").arg(STEP);
        let (next, keys): (u64, Vec<String>) =
            redis::from_redis_value(at(connection, place, scan).await?)?;
        ended += end_these(connection, names, keys, moments).await?;
        cursor = next;
        if cursor == 0 {
            return Ok(ended);
        }
    }
}

async fn at(connection: &Connection, place: Option<u16>, command: Cmd) -> RedisResult<Value> {
    match (connection, place) {
        (Connection::Cluster(cluster), Some(slot)) => {
            let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
            cluster.clone().route_command(command, RoutingInfo::SingleNode(route)).await
        }
        _ => connection.send(&command).await,
    }
}

/// All at once, because they may be on different servers.
async fn end_these(
    connection: &Connection,
    names: &Arc<Names>,
    keys: Vec<String>,
    (before, now): (Timestamp, Timestamp),
) -> RedisResult<u64> {
    let mut tasks = JoinSet::new();
    for key in keys {
        let Some(id) = key.rsplit(':').next().map(str::to_owned) else { continue };
        let (connection, names) = (connection.clone(), Arc::clone(names));
        tasks.spawn(async move {
            let setting = Setting { names: &names, now, anywhere: false };
            let call = Call::of(key).text(&id).number(before.as_millis());
            connection.run(&SCRIPTS.end_begun, setting, &call).await
        });
    }
    let mut ended = 0;
    while let Some(done) = tasks.join_next().await {
        // A task neither panics nor is cancelled.
        let Ok(answer) = done else { continue };
        ended += redis::from_redis_value::<u64>(answer?)?;
    }
    Ok(ended)
}
