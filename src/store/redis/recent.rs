//! Remembers the ends of the last minute, to repeat them after a failover to a server that may have
//! missed them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::RedisResult;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::names::Names;
use super::scripts::{Call, SCRIPTS, Setting};
use super::{log, sweep};
use crate::session::lifetime::SessionId;
use crate::store::operation::Revocation;
use crate::time::Timestamp;

/// How long an end is remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// How many are remembered; the oldest are dropped first.
const MOST: usize = 100_000;

/// How many are repeated at once.
const AT_ONCE: usize = 500;

/// A confirmed end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A session under this id.
    Session(SessionId),
    /// An old id of a session that has been renewed.
    Renewed(SessionId),
    /// All sessions that began before.
    All(Timestamp),
    /// An entry in the log of revocations.
    Revocation(Revocation),
}

#[derive(Default)]
pub(super) struct Recent {
    ends: Mutex<VecDeque<(Instant, End)>>,
}

impl Recent {
    pub(super) fn note(&self, ends: impl IntoIterator<Item = End>) {
        let now = Instant::now();
        let mut kept = self.ends.lock();
        kept.extend(ends.into_iter().map(|end| (now, end)));
        forget(&mut kept, now);
    }

    fn get(&self) -> Vec<End> {
        let mut kept = self.ends.lock();
        forget(&mut kept, Instant::now());
        kept.iter().map(|(_, end)| end.clone()).collect()
    }

    /// Repeats all ends and returns their number.
    ///
    /// # Errors
    /// The error of the server.
    pub(super) async fn repeat(
        &self,
        connection: &Connection,
        names: &Arc<Names>,
        anywhere: bool,
    ) -> RedisResult<usize> {
        let ends = self.get();
        for some in ends.chunks(AT_ONCE) {
            let mut tasks = JoinSet::new();
            for end in some {
                let (end, connection) = (end.clone(), connection.clone());
                let names = Arc::clone(names);
                tasks.spawn(async move { again(&connection, &names, anywhere, &end).await });
            }
            while let Some(done) = tasks.join_next().await {
                done.unwrap_or(Ok(()))?;
            }
        }
        Ok(ends.len())
    }
}

fn forget(ends: &mut VecDeque<(Instant, End)>, now: Instant) {
    let is_old = |at: Instant| now.duration_since(at) > MEMORY;
    while ends.len() > MOST || ends.front().is_some_and(|(at, _)| is_old(*at)) {
        ends.pop_front();
    }
}

async fn again(
    connection: &Connection,
    names: &Arc<Names>,
    anywhere: bool,
    end: &End,
) -> RedisResult<()> {
    let (id, how) = match end {
        End::Session(id) => (id, "alone"),
        End::Renewed(id) => (id, "current"),
        End::All(before) => {
            return sweep::end_all(connection, names, (*before, *before)).await.map(|_| ());
        }
        End::Revocation(revocation) => {
            return connection.send(&log::add(names, revocation)).await.map(|_| ());
        }
    };
    // The time only affects the count of live sessions.
    let setting = Setting { names, now: Timestamp::from_secs(0), anywhere };
    let call = Call::of(names.session(id)).id(id).text(how);
    connection.run(&SCRIPTS.end, setting, &call).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_remembered_for_a_minute_and_not_without_bound() {
        let recent = Recent::default();
        let end = |byte: u8| End::Session(SessionId::from_bytes([byte; 16]));
        recent.note([end(1), end(2)]);
        assert_eq!(recent.get(), [end(1), end(2)]);
        let now = Instant::now();
        let mut ends = VecDeque::from([(now, end(1)), (now + MEMORY, end(2))]);
        forget(&mut ends, now + MEMORY);
        assert_eq!(ends.len(), 2);
        forget(&mut ends, now + MEMORY + Duration::from_millis(1));
        assert_eq!(ends, [(now + MEMORY, end(2))]);
        recent.note((0..=MOST).map(|_| end(3)));
        assert_eq!(recent.get().len(), MOST);
    }
}
