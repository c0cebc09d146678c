//! Looks at answers that are still open: where their session is over, they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Visit;
use crate::clock;
use crate::session::token::Rejection;
use crate::session::{self, VerifiedToken};
use crate::state::{End, Entry, Shared, Watched};
use crate::store::operation::Loaded;

/// How often it is looked whether there is something to look at, where nothing is.
const IDLE: Duration = Duration::from_secs(1);

/// Has an answer looked at again, for as long as what is returned lives; None where there is no
/// session to be over.
pub(crate) fn watch(shared: &Shared, visit: &Visit) -> Option<(Entry, Arc<End>)> {
    let every = visit.state.config.recheck?;
    let token = visit.opened()?.token()?;
    let end = End::of_this_task()?;
    let stored = token.is_ticket().then(|| token.id().clone());
    let watched = Watched { token: VerifiedToken::text(token), stored, end: Arc::clone(&end) };
    Some((shared.open_answers.add(watched, Instant::now() + every), end))
}

/// Looks for ever.
pub(crate) async fn keep_looking(shared: Arc<Shared>) {
    loop {
        let now = Instant::now();
        // Where it is off now, those that began before are looked at no more.
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

/// Whether a session has expired, was revoked or has gone. That the store cannot be asked is no end.
async fn is_over(shared: &Shared, watched: &Watched) -> bool {
    let (state, now) = (shared.state.load_full(), clock::now());
    match session::open_token(&watched.token, &state.keys, &state.config.session, now) {
        Ok(_) => {}
        // The store knows until when it is good by now: a refresh elsewhere has made another ticket.
        Err(Rejection::Expired) if watched.stored.is_some() => {}
        Err(_) => return true,
    }
    let (Some(store), Some(id)) = (&shared.store, &watched.stored) else { return false };
    match shared.counted(store.load(id.clone(), now).await) {
        Ok(Loaded::Found(row) | Loaded::Replaced(row)) => row.exp <= now,
        Ok(Loaded::Gone) => true,
        Err(_) => false,
    }
}
