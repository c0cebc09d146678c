//! Checks answers in progress again, and ends those whose session has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Visit;
use crate::clock;
use crate::session::{self, VerifiedToken};
use crate::state::{End, Entry, Shared, Watched};
use crate::store::operation::Loaded;

/// The longest pause between checks.
const IDLE: Duration = Duration::from_secs(1);

/// Registers an answer for checks until the result is dropped; None if it has no session or checks
/// are off.
pub(crate) fn watch(shared: &Shared, visit: &Visit) -> Option<(Entry, Arc<End>)> {
    let every = visit.state.config.recheck?;
    let token = visit.opened()?.token()?;
    let end = End::of_this_task()?;
    let stored = token.is_ticket().then(|| token.id().clone());
    let watched = Watched { token: VerifiedToken::text(token), stored, end: Arc::clone(&end) };
    Some((shared.open_answers.add(watched, Instant::now() + every), end))
}

/// Runs the checks forever.
pub(crate) async fn keep_looking(shared: Arc<Shared>) {
    loop {
        let now = Instant::now();
        // If a reload turned the checks off, earlier answers are no longer checked either.
        let every = shared.state.load().config.recheck;
        let mut pause = every.unwrap_or(IDLE).min(IDLE);
        if let Some(every) = every {
            let (due, next) = shared.open_answers.due(now, every);
            for watched in &due {
                if is_over(&shared, watched).await {
                    shared.metrics.streams_ended.inc();
                    watched.is_over();
                }
            }
            if let Some(next) = next {
                pause = pause.min(next.saturating_duration_since(Instant::now()));
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Whether a session has ended. An unavailable store does not end it.
async fn is_over(shared: &Shared, watched: &Watched) -> bool {
    let (state, now) = (shared.state.load_full(), clock::now());
    let policy = &state.config.session;
    if session::recheck_token(&watched.token, &state.keys, policy, now).is_err() {
        return true;
    }
    let (Some(store), Some(id)) = (&shared.store, &watched.stored) else { return false };
    match shared.counted(store.load(id.clone(), now).await) {
        Ok(Loaded::Found(row) | Loaded::Replaced(row)) => row.exp <= now,
        Ok(Loaded::Gone) => true,
        Err(_) => false,
    }
}
