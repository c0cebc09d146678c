//! A call: waits for a connection, asks, and retries once if the connection was closed; all within
//! the time limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Cmd, RedisError, Value};
use tokio::time::Instant;

use super::dial::Live;
use super::fault::{self, Then};
use super::keeper::Link;
use super::scripts::{Call, Script, Setting};
use crate::store::operation::Outage;
use crate::store::server::Topology;
use crate::time::Timestamp;

/// Makes the calls.
pub(super) struct Caller {
    pub(super) link: Arc<Link>,
    /// In milliseconds.
    timeout: AtomicU64,
}

/// When a call must be answered.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }
}

impl Caller {
    pub(super) fn new(link: Arc<Link>, timeout: Duration) -> Self {
        let caller = Self { link, timeout: AtomicU64::new(0) };
        caller.set_timeout(timeout);
        caller
    }

    pub(super) fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(millis, Ordering::Relaxed);
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.load(Ordering::Relaxed))
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout())
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.link.settings.load().spec.topology == Topology::Cluster
    }

    /// Whether another server takes over if one fails.
    pub(super) fn has_failover(&self) -> bool {
        self.link.settings.load().spec.topology != Topology::Single
    }

    pub(super) fn setting(&self, now: Timestamp) -> Setting<'_> {
        Setting { names: &self.link.names, now, anywhere: !self.is_cluster() }
    }

    pub(super) async fn run(
        &self,
        script: &'static Script,
        now: Timestamp,
        call: &Call,
        deadline: Deadline,
    ) -> Result<Value, Outage> {
        let setting = self.setting(now);
        self.ask(deadline, |live| async move { live.general.run(script, setting, call).await })
            .await
    }

    pub(super) async fn send(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Outage> {
        self.ask(deadline, |live| async move { live.general.send(command).await }).await
    }

    /// Runs a call, and retries it once if the connection was closed. So `ask` must be repeatable.
    /// A time-out is not retried, because no time is left.
    pub(super) async fn ask<T, F: Future<Output = Result<T, RedisError>> + Send>(
        &self,
        Deadline(end): Deadline,
        ask: impl Fn(Arc<Live>) -> F,
    ) -> Result<T, Outage> {
        let mut is_again = false;
        loop {
            let live = tokio::time::timeout_at(end, self.link.live()).await;
            let live = live.unwrap_or(Err(Outage::Timeout))?;
            match tokio::time::timeout_at(end, ask(Arc::clone(&live))).await {
                Ok(Ok(answer)) => {
                    self.link.heard(&live, None);
                    return Ok(answer);
                }
                Ok(Err(error)) => {
                    self.link.heard(&live, Some(&error));
                    let verdict = fault::judge(&error);
                    if verdict.then != Then::Gone || is_again {
                        return Err(verdict.outage);
                    }
                    is_again = true;
                }
                Err(_) => {
                    self.link.is_late(&live);
                    return Err(Outage::Timeout);
                }
            }
        }
    }
}

/// Converts an answer to the expected type.
///
/// # Errors
/// It has another type.
pub(super) fn parse<T: redis::FromRedisValue>(answer: Value) -> Result<T, Outage> {
    redis::from_redis_value(answer).map_err(|_| Outage::Protocol)
}
