//! Keeps a store connected: makes the first connection, and replaces it when needed.
//!
//! A single task does this for all calls. A call without a connection waits for the attempt in
//! progress, but not for the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use redis::{Cmd, RedisError};
use tokio::sync::{Notify, watch};

use super::connection::{Connection, Settings};
use super::dial::{Live, dial};
use super::facts;
use super::fault::{Then, judge};
use super::names::Names;
use super::recent::Recent;
use super::replicas::Replicas;
use super::sentinel;
use super::telling::Telling;
use crate::store::operation::Outage;
use crate::store::server::{Node, Topology};

/// The pause after a failed attempt, to which up to a quarter is added.
const AGAIN: Duration = Duration::from_millis(50);

/// How often an existing connection is checked.
const LOOK: Duration = Duration::from_secs(1);

/// After how many checks the server's properties are read again.
const LOOK_CLOSELY: u32 = 10;

/// The number of consecutive late calls after which the connection is replaced.
const LATE: u32 = 2;

/// The same in a cluster, where one server alone may be unavailable.
const LATE_IN_CLUSTER: u32 = 50;

/// The number of consecutive checks without an answer after which connections are replaced.
const UNANSWERED: u32 = 2;

/// How long a connection must have lasted for the next one to be made without a pause.
const LASTING: Duration = Duration::from_secs(1);

/// The state shared by the calls and the task.
pub(super) struct Link {
    pub(super) settings: ArcSwap<Settings>,
    pub(super) names: Arc<Names>,
    pub(super) recent: Recent,
    live: ArcSwapOption<Live>,
    attempt: watch::Sender<Attempt>,
    /// The connection is unusable, or the settings have changed.
    wanted: Notify,
    /// How many connections have been made, and how often the masters of a cluster have changed.
    contacts: AtomicU64,
    pub(super) evicts: AtomicBool,
    pub(super) replicas: Replicas,
}

/// The state of the connection attempt that calls wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// In progress.
    UnderWay,
    /// The last attempt has failed; another one will follow.
    Failed,
}

impl Link {
    pub(super) fn new(settings: Settings, names: Names) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            names: Arc::new(names),
            recent: Recent::default(),
            live: ArcSwapOption::empty(),
            attempt: watch::Sender::new(Attempt::UnderWay),
            wanted: Notify::new(),
            contacts: AtomicU64::new(0),
            evicts: AtomicBool::new(false),
            replicas: Replicas::default(),
        }
    }

    /// The connection in use.
    ///
    /// # Errors
    /// There is none, and the last attempt has failed.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Outage> {
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        let mut attempt = self.attempt.subscribe();
        loop {
            let state = *attempt.borrow_and_update();
            if let Some(live) = self.live.load_full() {
                return Ok(live);
            }
            if state == Attempt::Failed || attempt.changed().await.is_err() {
                return Err(Outage::Connect);
            }
        }
    }

    /// Whether it is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.live.load().is_some()
    }

    pub(super) fn contacts(&self) -> u64 {
        self.contacts.load(Ordering::Acquire)
    }

    /// Sets new settings and reconnects at once.
    pub(super) fn set(&self, settings: Settings) {
        if *self.settings.load_full() == settings {
            return;
        }
        self.settings.store(Arc::new(settings));
        self.wanted.notify_one();
    }

    /// Reports the result of a call: an answer or an error.
    pub(super) fn heard(&self, live: &Arc<Live>, error: Option<&RedisError>) {
        let Some(error) = error else {
            if live.late.load(Ordering::Relaxed) != 0 {
                live.late.store(0, Ordering::Relaxed);
            }
            return;
        };
        match (judge(error).then, &self.settings.load().spec.topology) {
            (Then::Keep, _) => {}
            // A cluster client reconnects to its servers itself; keep the other connections.
            (Then::Gone, Topology::Cluster) => self.is_late(live),
            (Then::Gone, _) => self.drop(live),
            // The master has changed or will change: do not read from the old one meanwhile.
            (Then::Replace, Topology::Sentinel { .. }) => self.drop(live),
            (Then::Replace, _) => {
                live.is_flawed.store(true, Ordering::Relaxed);
                self.wanted.notify_one();
            }
        }
    }

    /// Reports a call that was not answered in time.
    pub(super) fn is_late(&self, live: &Arc<Live>) {
        let most = match self.settings.load().spec.topology {
            Topology::Cluster => LATE_IN_CLUSTER,
            Topology::Single | Topology::Sentinel { .. } => LATE,
        };
        if live.late.fetch_add(1, Ordering::Relaxed) + 1 >= most {
            self.drop(live);
        }
    }

    /// Removes a connection, unless it has already been replaced.
    fn drop(&self, live: &Arc<Live>) {
        // Set before removal, so that a call without a connection waits.
        let is_current = |current: &Option<Arc<Live>>| {
            current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live))
        };
        if !is_current(&self.live.load_full()) {
            return;
        }
        self.attempt.send_replace(Attempt::UnderWay);
        self.live.rcu(|current| if is_current(current) { None } else { current.clone() });
        self.wanted.notify_one();
    }

    fn publish(&self, live: Live) {
        self.evicts.store(live.facts.may_evict(), Ordering::Relaxed);
        self.live.store(Some(Arc::new(live)));
        self.contacts.fetch_add(1, Ordering::AcqRel);
        self.attempt.send_replace(Attempt::UnderWay);
    }
}

/// Runs forever.
pub(super) async fn keep(link: Arc<Link>) {
    let mut telling = Telling::default();
    loop {
        let settings = link.settings.load_full();
        let attempt = connect(&link, &settings);
        let steps = if settings.spec.topology == Topology::Single { 1 } else { 2 };
        let connected = match tokio::time::timeout(steps * settings.patience, attempt).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        match connected {
            Ok(live) => {
                telling.connected(&settings, &live);
                link.publish(live);
                let begun = Instant::now();
                look_after(&link, &settings, &mut telling).await;
                // Pause, so as not to reconnect in a tight loop if each connection fails.
                if begun.elapsed() < LASTING {
                    let can_be_read = link.live.load().is_some();
                    tokio::time::sleep(if can_be_read { LOOK / 2 } else { AGAIN }).await;
                }
            }
            Err(error) => {
                telling.failed(&settings, &error);
                // The old connection may still work although new credentials do not.
                let wait = if link.live.load().is_none() {
                    link.attempt.send_replace(Attempt::Failed);
                    AGAIN
                } else {
                    LOOK
                };
                let wait = wait + wait.mul_f32(jitter()) / 4;
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = link.wanted.notified() => {}
                }
            }
        }
    }
}

/// A random number from 0 to 1.
fn jitter() -> f32 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    f32::from(byte[0]) / 255.0
}

/// Connects, and repeats recent ends, which a server that took over may have missed.
async fn connect(link: &Link, settings: &Arc<Settings>) -> Result<Live, RedisError> {
    let live = dial(settings, &link.names).await?;
    repeat(link, &live.general, is_cluster(settings)).await?;
    Ok(live)
}

fn is_cluster(settings: &Settings) -> bool {
    settings.spec.topology == Topology::Cluster
}

async fn repeat(link: &Link, connection: &Connection, cluster: bool) -> Result<(), RedisError> {
    match link.recent.repeat(connection, &link.names, !cluster).await {
        Ok(0) => Ok(()),
        Ok(count) => {
            log::info!(count; "the ends of sessions of the last minute were repeated");
            Ok(())
        }
        // A read-only server has not taken over.
        Err(error) if judge(&error).outage == Outage::ReadOnly => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until both connections have answered; for ever, if one is dead. A firewall may have
/// forgotten one, which answers on the other would hide. After the loss of a node, the client of a
/// cluster sometimes waits for itself: <https://github.com/redis-rs/redis-rs/issues/2418>.
async fn both_answer(link: &Link, live: &Arc<Live>) {
    let probe = redis::cmd("EXISTS").arg(link.names.probe()).take();
    let ask = async |connection: &Connection| match connection {
        Connection::Node(_) => connection.send(&probe).await.map(drop),
        // The key may be on a node that is being replaced, but any node may answer this.
        Connection::Cluster(_) => connection.send(&slots()).await.map(drop),
    };
    let (general, ends) = tokio::join!(ask(&live.general), ask(&live.ends));
    for error in [general.err(), ends.err()].into_iter().flatten() {
        link.heard(live, Some(&error));
    }
}

/// Checks the connection until another one is needed.
async fn look_after(link: &Link, settings: &Arc<Settings>, telling: &mut Telling) {
    let mut masters = None;
    let mut looks: u32 = 0;
    let mut unanswered = 0;
    loop {
        let is_wanted = tokio::select! {
            () = link.wanted.notified() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let Some(live) = link.live.load_full() else { return };
        if is_wanted {
            let are_others = !Arc::ptr_eq(&link.settings.load(), settings);
            if are_others || live.is_flawed.load(Ordering::Relaxed) {
                return;
            }
            // The notification was about the previous connection.
            continue;
        }
        let look = async {
            match &settings.spec.topology {
                Topology::Single => {}
                Topology::Sentinel { master } => {
                    let agreed = sentinel::agreed(settings, master).await;
                    if agreed.is_some() && agreed != live.node {
                        link.drop(&live);
                    }
                }
                Topology::Cluster => {
                    let found = cluster_masters(&live.general).await;
                    if found.is_some() && masters.is_some() && found != masters {
                        link.contacts.fetch_add(1, Ordering::AcqRel);
                        // If this fails, it is repeated after the next change or in a minute.
                        let _ = repeat(link, &live.general, true).await;
                    }
                    masters = found.or(masters.take());
                }
            }
            looks += 1;
            if looks.is_multiple_of(LOOK_CLOSELY) {
                let facts = facts::look(&live.general).await;
                link.evicts.store(facts.may_evict(), Ordering::Relaxed);
                telling.warn(&facts);
            }
        };
        let (answered, _) = tokio::join!(
            tokio::time::timeout(settings.patience, both_answer(link, &live)),
            tokio::time::timeout(settings.patience, look)
        );
        unanswered = if answered.is_ok() { 0 } else { unanswered + 1 };
        if unanswered >= UNANSWERED {
            // Other nodes of a cluster may still answer until there is another connection.
            if !is_cluster(settings) {
                link.drop(&live);
            }
            return;
        }
    }
}

fn slots() -> Cmd {
    redis::cmd("CLUSTER").arg("SLOTS").take()
}

/// The masters of a cluster and their slots.
async fn cluster_masters(connection: &Connection) -> Option<Vec<(u16, u16, Node)>> {
    let slots = connection.send(&slots()).await.ok()?;
    let redis::Value::Array(slots) = slots else { return None };
    let mut masters = Vec::with_capacity(slots.len());
    for range in slots {
        let redis::Value::Array(range) = range else { return None };
        let mut range = range.into_iter();
        let mut number = || redis::from_redis_value::<u16>(range.next()?).ok();
        let (first, last) = (number()?, number()?);
        let redis::Value::Array(master) = range.next()? else { return None };
        let mut master = master.into_iter();
        let host = redis::from_redis_value(master.next()?).ok()?;
        let port = redis::from_redis_value(master.next()?).ok()?;
        masters.push((first, last, Node { host, port }));
    }
    masters.sort_unstable_by_key(|(first, ..)| *first);
    Some(masters)
}
