//! What pingora carries from phase to phase: a visit, and what concerns pingora alone.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use http::{Method, Version};
use pingora_proxy::Session;

use crate::state::{End, Entry, Shared};
use crate::visit::access::Ended;
use crate::visit::{Visit, rechecking};

/// One request's state.
pub(crate) struct Context {
    pub(super) visit: Visit,
    /// How often a connection to the backend was tried.
    pub(super) attempts: usize,
    /// How much of the request's body has come by.
    pub(super) body_bytes: usize,
    /// The answer, from its head to its end, where it ends with its session.
    pub(super) open: Option<Open>,
}

/// What is to be said of an answer that ends with its session: pingora's own end of it never comes.
pub(super) struct Open {
    _entry: Entry,
    end: Arc<End>,
    shared: Arc<Shared>,
    method: Method,
    target: Box<[u8]>,
    version: Version,
    status: u16,
    bytes: u64,
    peer: Option<IpAddr>,
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { visit: Visit::new(shared), attempts: 0, body_bytes: 0, open: None }
    }

    /// Has the answer end with its session.
    pub(super) fn watch(&mut self, shared: &Arc<Shared>, session: &Session, status: u16) {
        let Some((entry, end)) = rechecking::watch(shared, &self.visit) else { return };
        let head = session.req_header();
        let peer = session.client_addr().and_then(|address| address.as_inet());
        self.open = Some(Open {
            _entry: entry,
            end,
            shared: Arc::clone(shared),
            method: head.method.clone(),
            target: head.raw_path().into(),
            version: head.version,
            status,
            bytes: 0,
            peer: peer.map(|address| address.ip().to_canonical()),
        });
    }

    /// Counts what of the answer's body has come by.
    pub(super) fn passed_on(&mut self, bytes: usize) {
        if let Some(open) = &mut self.open {
            open.bytes += bytes as u64;
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let Some(open) = self.open.take().filter(|open| open.end.has_come()) else { return };
        let (status, bytes, peer) = (Some(open.status), open.bytes, open.peer);
        let ended = Ended { status, bytes, peer, trace_id: None };
        let request = (open.method.as_str(), &*open.target, open.version);
        ended.report(&open.shared, request, &self.visit);
        log::info!(
            request_id = self.visit.id();
            "the session is over: its answer was still open and is ended"
        );
    }
}

impl Deref for Context {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl DerefMut for Context {
    fn deref_mut(&mut self) -> &mut Visit {
        &mut self.visit
    }
}
