//! Answers with a refreshed cookie that are being sent. A later write of the same session waits for
//! them, so that its cookie reaches the client last.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::session::lifetime::SessionId;
use crate::session::recent::PATIENCE;
use crate::state::Shared;

/// How long another task may take to write a head of HTTP/2 to the socket.
const QUEUED: Duration = Duration::from_millis(10);

/// An answer with a refreshed cookie. Its head counts as sent when this is dropped.
pub(crate) struct Refreshing {
    shared: Arc<Shared>,
    sessions: Vec<SessionId>,
}

impl Refreshing {
    /// For sessions already marked as being refreshed.
    pub(crate) fn new(shared: &Arc<Shared>, sessions: Vec<SessionId>) -> Self {
        Self { shared: Arc::clone(shared), sessions }
    }

    /// The whole answer was written.
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

/// Waits until no answer that refreshes one of these sessions is being sent, but at most
/// [`PATIENCE`]: after that, only the body of such an answer is left.
pub(crate) async fn have_left(shared: &Shared, sessions: &[SessionId]) {
    let leave = async {
        loop {
            let left = shared.refresh_left.notified();
            tokio::pin!(left);
            // Register before the check, so that no notification is missed.
            left.as_mut().enable();
            if !is_one_on_its_way(shared, sessions) {
                return;
            }
            left.await;
        }
    };
    // After the time-out the write continues as well.
    let _ = tokio::time::timeout(PATIENCE, leave).await;
}

fn is_one_on_its_way(shared: &Shared, sessions: &[SessionId]) -> bool {
    let (recent, now) = (shared.recent.lock(), clock::now());
    sessions.iter().any(|session| recent.is_being_refreshed(session, now))
}
