//! Refreshed answers on their way out. A write of the same session waits until they have left, so
//! that the cookie that comes last is the one that was decided on last.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::session::lifetime::SessionId;
use crate::session::recent::PATIENCE;
use crate::state::Shared;

/// How long a head of HTTP/2 may take from the stream into the socket, which is another task's work.
const QUEUED: Duration = Duration::from_millis(10);

/// A refreshed answer whose head may not have left yet. It has when this is dropped.
pub(crate) struct Refreshing {
    shared: Arc<Shared>,
    sessions: Vec<SessionId>,
}

impl Refreshing {
    /// For sessions that have been marked as being refreshed.
    pub(crate) fn new(shared: &Arc<Shared>, sessions: Vec<SessionId>) -> Self {
        Self { shared: Arc::clone(shared), sessions }
    }

    /// Says that the whole answer has been written.
    pub(crate) fn written(self, is_http2: bool) {
        if is_http2 {
            tokio::spawn(async move {
                tokio::time::sleep(QUEUED).await;
                drop(self);
            });
        }
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        let mut recent = self.shared.recent.lock();
        for session in &self.sessions {
            recent.refresh_has_left(session);
        }
        drop(recent);
        self.shared.refresh_left.notify_waiters();
    }
}

/// Waits until no answer that refreshes one of these sessions is on its way, or for as long as such
/// an answer can be expected to take: one that goes on and on was begun before.
pub(crate) async fn have_left(shared: &Shared, sessions: &[SessionId]) {
    let leave = async {
        loop {
            let left = shared.refresh_left.notified();
            tokio::pin!(left);
            // From here on it is told of; whoever left before is not counted any more.
            left.as_mut().enable();
            if !is_one_on_its_way(shared, sessions) {
                return;
            }
            left.await;
        }
    };
    // Whether it came to that or not, the write is carried out.
    let _ = tokio::time::timeout(PATIENCE, leave).await;
}

fn is_one_on_its_way(shared: &Shared, sessions: &[SessionId]) -> bool {
    let (recent, now) = (shared.recent.lock(), clock::now());
    sessions.iter().any(|session| recent.is_being_refreshed(session, now))
}
