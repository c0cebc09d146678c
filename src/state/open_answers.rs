//! Answers that are under way, to be looked at again after a while: a WebSocket or an event stream must
//! not outlive its session.
//!
//! They are in the order of their next look, so that whoever looks finds nothing but what is due: an
//! answer that ends before that costs its entry and no more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::session::lifetime::SessionId;

tokio::task_local! {
    /// How the request of this task is told that its session is over.
    static END: Arc<End>;
}

/// The end of a session, for one request.
#[derive(Default)]
pub(crate) struct End {
    has_come: AtomicBool,
    told: Notify,
}

impl End {
    /// That of the request that this task is about.
    pub(crate) fn of_this_task() -> Option<Arc<Self>> {
        END.try_with(Arc::clone).ok()
    }

    pub(crate) fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Acquire)
    }

    fn tell(&self) {
        self.has_come.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

/// Serves a request, and drops it where its session is over before its answer is: the connection of
/// HTTP/1 is closed, the stream of HTTP/2 reset.
pub(crate) async fn unless_over<T>(serve: impl Future<Output = Option<T>>) -> Option<T> {
    let end = Arc::new(End::default());
    tokio::select! {
        biased;
        served = END.scope(Arc::clone(&end), serve) => served,
        () = end.told.notified() => None,
    }
}

/// What is looked at.
#[derive(Clone)]
pub(crate) struct Watched {
    /// The token that the request came with.
    pub(crate) token: Arc<[u8]>,
    /// Its session, where the dict is in a store.
    pub(crate) stored: Option<SessionId>,
    pub(crate) end: Arc<End>,
}

impl Watched {
    pub(crate) fn is_over(&self) {
        self.end.tell();
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct OpenAnswers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By the moment of the next look, and a number of its own.
    due: BTreeMap<(Instant, u64), Watched>,
    moments: HashMap<u64, Instant>,
    next: u64,
}

impl OpenAnswers {
    /// Adds one. It goes with what is returned.
    pub(crate) fn add(self: &Arc<Self>, watched: Watched, look: Instant) -> Entry {
        let mut inner = self.0.lock();
        let number = inner.next;
        inner.next += 1;
        inner.due.insert((look, number), watched);
        inner.moments.insert(number, look);
        Entry { all: Arc::clone(self), number }
    }

    /// Those that are due, each with its next look after `every`, and the moment of the first look
    /// that there is to come.
    pub(crate) fn due(&self, now: Instant, every: Duration) -> (Vec<Watched>, Option<Instant>) {
        let mut inner = self.0.lock();
        let later = inner.due.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut inner.due, later);
        let mut all = Vec::with_capacity(due.len());
        for ((_, number), watched) in due {
            all.push(watched.clone());
            inner.due.insert((now + every, number), watched);
            inner.moments.insert(number, now + every);
        }
        let first = inner.due.first_key_value().map(|((moment, _), _)| *moment);
        (all, first)
    }
}

/// The place of an answer among all.
pub(crate) struct Entry {
    all: Arc<OpenAnswers>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut inner = self.all.0.lock();
        if let Some(moment) = inner.moments.remove(&self.number) {
            inner.due.remove(&(moment, self.number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn watched() -> Watched {
        Watched { token: Arc::from(&b""[..]), stored: None, end: Arc::default() }
    }

    #[test]
    fn an_answer_is_due_again_and_again_until_it_ends() {
        let all = Arc::new(OpenAnswers::default());
        let begun = Instant::now();
        let first = all.add(watched(), begun + EVERY);
        let second = all.add(watched(), begun + EVERY * 2);
        let due = |after: u32| {
            let (due, next) = all.due(begun + EVERY * after, EVERY);
            (due.len(), next.map(|next| (next - begun).as_secs()))
        };
        assert_eq!(due(0), (0, Some(30)));
        assert_eq!(due(1), (1, Some(60)));
        assert_eq!(due(2), (2, Some(90)));
        drop(first);
        assert_eq!(due(3), (1, Some(120)));
        drop(second);
        assert_eq!(due(9), (0, None));
        assert!(all.0.lock().moments.is_empty());
    }

    #[test]
    fn what_is_over_is_dropped_and_nothing_else() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let told = unless_over(async {
                if let Some(end) = End::of_this_task() {
                    end.tell();
                }
                std::future::pending::<Option<()>>().await
            });
            assert_eq!(told.await, None);
            assert_eq!(unless_over(async { Some(7) }).await, Some(7));
            assert!(End::of_this_task().is_none());
        });
    }
}
