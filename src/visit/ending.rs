//! Ends an answer early because its session has ended, with metrics and an access line.

use std::net::IpAddr;
use std::sync::Arc;

use super::access::Ended;
use super::fields::RequestHead;
use super::open::Open;
use super::{Visit, rechecking};
use crate::state::Shared;

impl Visit {
    /// Makes the answer end with its session. `peer` is the connected address.
    pub(super) fn watch(
        &mut self,
        shared: &Arc<Shared>,
        request: &impl RequestHead,
        status: u16,
        peer: Option<IpAddr>,
    ) {
        let Some((entry, end)) = rechecking::watch(shared, self) else { return };
        self.open = Some(Open {
            _entry: entry,
            end,
            shared: Arc::clone(shared),
            method: request.method().clone(),
            target: request.target().into(),
            version: request.version(),
            status,
            bytes: 0,
            peer,
        });
    }

    /// Counts the bytes of the answer's body.
    pub(crate) fn passed_on(&mut self, bytes: usize) {
        if let Some(open) = &mut self.open {
            open.bytes += bytes as u64;
        }
    }

    /// The answer is complete, and its carrier has logged it.
    pub(crate) fn has_ended(&mut self) {
        self.open = None;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Some(open) = self.open.take().filter(|open| open.end.has_come()) else { return };
        let (status, bytes, peer) = (Some(open.status), open.bytes, open.peer);
        let ended = Ended { status, bytes, peer, trace_id: None };
        let request = (open.method.as_str(), &*open.target, open.version);
        ended.report(&open.shared, request, self);
        log::info!(
            request_id = self.id();
            "the session ended: closing its open answer"
        );
    }
}
