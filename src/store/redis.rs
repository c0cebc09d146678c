//! Sessions in Redis or Valkey, shared by many sidecars.
//!
//! ```text
//! a call ──> Link::live ──> scripts ──> the server
//!                │ none, or of no use
//!            keeper: connects, repeats the ends of the last minute, looks after the connection
//! ```
//!
//! A read or a change takes one round trip. Any unclear answer is an outage.

mod call;
mod change;
mod connection;
mod dial;
mod facts;
mod fault;
pub mod inspect;
mod keeper;
mod log;
mod names;
mod recent;
mod replicas;
mod scripts;
mod sentinel;
mod sweep;
mod telling;
mod value;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Value;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::operation::{
    Applied, Change, Entry, Listed, Listing, Loaded, MOST_LISTED, Outage, Revocation,
};
use super::record::SubjectHash;
use super::server::{Secrets, ServerSpec};
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;
use call::{Caller, Deadline, parse};
use connection::Settings;
use keeper::Link;
use names::Names;
use recent::End;
use scripts::{Call, SCRIPTS};

/// The time limit to end every session; no request waits for it.
const LONG: Duration = Duration::from_secs(120);

/// A store in one or several servers.
pub struct RedisStore {
    caller: Caller,
    keeper: Mutex<Option<AbortHandle>>,
}

impl RedisStore {
    /// A store that is not yet connected: see [`RedisStore::start`].
    #[must_use]
    pub fn new(spec: ServerSpec, secrets: Secrets, prefix: String, timeout: Duration) -> Self {
        let settings = Settings { spec, secrets, patience: patience(timeout) };
        let link = Arc::new(Link::new(settings, Names::new(prefix)));
        Self { caller: Caller::new(link, timeout), keeper: Mutex::default() }
    }

    /// Connects and stays connected, on this runtime, which must live as long as the store.
    pub fn start(&self, runtime: &Handle) {
        let task = runtime.spawn(keeper::keep(Arc::clone(&self.caller.link)));
        if let Some(before) = self.keeper.lock().replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// Changes the time limit of later calls.
    pub fn set_timeout(&self, timeout: Duration) {
        self.caller.set_timeout(timeout);
    }

    /// Changes the credentials and certificates, and connects again.
    pub fn set_credentials(&self, spec: ServerSpec, secrets: Secrets) {
        let patience = patience(self.caller.timeout());
        self.caller.link.set(Settings { spec, secrets, patience });
    }

    /// Whether it is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.caller.link.is_connected()
    }

    /// How often a connection was made, or the masters of a cluster have changed.
    #[must_use]
    pub fn contacts(&self) -> u64 {
        self.caller.link.contacts()
    }

    /// How many ends of sessions should have been acknowledged by a replica but were not.
    #[must_use]
    pub fn unreplicated(&self) -> u64 {
        self.caller.link.replicas.missing()
    }

    /// Whether the server may evict sessions to free memory.
    #[must_use]
    pub fn evicts(&self) -> bool {
        self.caller.link.evicts.load(Ordering::Relaxed)
    }

    /// Reads a session.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn load(&self, id: SessionId, now: Timestamp) -> Result<Loaded, Outage> {
        let mut get = redis::cmd("GET");
        get.arg(self.caller.link.names.session(&id));
        let Value::BulkString(found) = self.caller.send(&get, self.caller.deadline()).await? else {
            return Ok(Loaded::Gone);
        };
        let found = value::read(&found).map_err(|_| Outage::Protocol)?;
        Ok(match found.until {
            None if found.row.exp > now => Loaded::Found(found.row),
            Some(until) if until > now => Loaded::Replaced(found.row),
            _ => Loaded::Gone,
        })
    }

    /// Applies a change. After a time-out it may or may not have been applied.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn apply(&self, change: Change, now: Timestamp) -> Result<Applied, Outage> {
        let deadline = match change {
            Change::EndAll => Deadline::after(LONG),
            _ => self.caller.deadline(),
        };
        change::apply(&self.caller, change, now, deadline).await
    }

    /// The public data of a session; None if there is none.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn show(&self, id: SessionId, now: Timestamp) -> Result<Option<Listed>, Outage> {
        let mut get = redis::cmd("GET");
        get.arg(self.caller.link.names.session(&id));
        let Value::BulkString(found) = self.caller.send(&get, self.caller.deadline()).await? else {
            return Ok(None);
        };
        let listed = value::list(id, &found, found.len()).map_err(|_| Outage::Protocol)?;
        Ok(listed.filter(|listed| listed.exp > now))
    }

    /// The sessions of a user.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn list(&self, subject: SubjectHash, now: Timestamp) -> Result<Listing, Outage> {
        let subject = names::subject(&subject);
        let call = Call::of(self.caller.link.names.index(&subject)).text(&subject);
        let call = call.number(MOST_LISTED as u64);
        let answer = self.caller.run(&SCRIPTS.list, now, &call, self.caller.deadline()).await?;
        let (has_more, found): (bool, Vec<(String, Vec<u8>, usize)>) = parse(answer)?;
        let mut sessions = Vec::with_capacity(found.len());
        for (id, head, length) in found {
            let id = SessionId::parse(&id).ok_or(Outage::Protocol)?;
            let listed = value::list(id, &head, length).map_err(|_| Outage::Protocol)?;
            sessions.extend(listed.filter(|listed| listed.exp > now));
        }
        sessions.sort_by(|one, other| {
            let key = |it: &Listed| (it.start, it.id.as_str().to_owned());
            key(one).cmp(&key(other))
        });
        Ok(Listing { sessions, has_more })
    }

    /// Adds a revocation to the log that other sidecars follow.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn revoke(&self, revocation: Revocation) -> Result<bool, Outage> {
        let add = log::add(&self.caller.link.names, &revocation);
        let (answer, replicated) =
            change::acknowledged(&self.caller, |_| add.clone(), self.caller.deadline()).await?;
        if !matches!(answer, Value::BulkString(_) | Value::SimpleString(_)) {
            return Err(Outage::Protocol);
        }
        self.caller.link.recent.note([End::Revocation(revocation)]);
        Ok(replicated)
    }

    /// The revocations after number `after`, in order, at most `most`.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn revocations(&self, after: u64, most: usize) -> Result<Vec<Entry>, Outage> {
        let range = log::range(&self.caller.link.names, after, most);
        let answer = self.caller.send(&range, self.caller.deadline()).await?;
        log::read(answer).map_err(|_| Outage::Protocol)
    }
}

/// The time limit to connect: several round trips, each as long as a call.
fn patience(timeout: Duration) -> Duration {
    (4 * timeout).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
