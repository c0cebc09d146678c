//! Tells the operator, in the log, what becomes of the connection to the server.

use redis::RedisError;

use super::connection::Settings;
use super::dial::Live;
use super::facts::Facts;
use crate::store::server::Node;

/// Logs changes for the operator, each once.
#[derive(Default)]
pub(super) struct Telling {
    is_away: bool,
    /// The last connected server and its version.
    server: Option<(Option<Node>, Option<String>)>,
    warned: Option<Facts>,
}

impl Telling {
    pub(super) fn connected(&mut self, settings: &Settings, live: &Live) {
        let facts = &live.facts;
        let found = Some((live.node.clone(), facts.version.clone()));
        // A new connection to the same server is not logged.
        if !std::mem::take(&mut self.is_away) && self.server == found {
            return self.warn(facts);
        }
        self.server = found;
        let server = facts.version.as_deref().unwrap_or("unknown");
        let node = live.node.as_ref().map(ToString::to_string).unwrap_or_default();
        log::info!(
            topology = settings.spec.topology.name(), node = node.as_str(), server,
            replicas = facts.replicas;
            "the session store is connected"
        );
        self.warn(facts);
    }

    pub(super) fn warn(&mut self, facts: &Facts) {
        let of = |facts: &Facts| (facts.may_evict(), facts.appends, facts.role.clone());
        if self.warned.as_ref().map(of) == Some(of(facts)) {
            return;
        }
        if facts.may_evict() {
            log::warn!(
                policy = facts.evicts.as_deref().unwrap_or_default();
                "the session store removes sessions when its memory is full, which logs users out: set maxmemory-policy to noeviction"
            );
        }
        if facts.appends == Some(false) {
            log::warn!(
                "the session store appends no writes to a file: what it holds, or the latest of it, is lost when it restarts"
            );
        }
        if facts.role.as_deref() == Some("replica") {
            log::warn!("the session store is a replica: it takes no writes");
        }
        self.warned = Some(facts.clone());
    }

    pub(super) fn failed(&mut self, settings: &Settings, error: &RedisError) {
        if !std::mem::replace(&mut self.is_away, true) {
            log::error!(
                topology = settings.spec.topology.name(), error = error.to_string().as_str();
                "the session store cannot be reached: it is tried again and again"
            );
        }
    }
}
