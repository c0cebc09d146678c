//! Answers in progress whose session is checked again and again: a WebSocket or an event stream
//! must not outlive its session.
//!
//! They are sorted by their next check, so that only those due are visited. An answer that ends
//! earlier just removes its entry.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::session::lifetime::SessionId;

tokio::task_local! {
    /// Tells the request of this task that its session has ended.
    static END: Arc<End>;
}

/// The end of a request's session.
#[derive(Default)]
pub(crate) struct End {
    has_come: AtomicBool,
    told: Notify,
}

impl End {
    /// The value for the request of this task.
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

/// Serves a request, and drops it if its session ends first: an HTTP/1 connection is closed, an
/// HTTP/2 stream is reset.
///
/// The caller pins the future: it is large, and each move would copy it.
pub(crate) async fn unless_over<T>(serve: Pin<&mut impl Future<Output = Option<T>>>) -> Option<T> {
    let end = Arc::new(End::default());
    tokio::select! {
        biased;
        served = END.scope(Arc::clone(&end), serve) => served,
        () = end.told.notified() => None,
    }
}

/// The session to check.
#[derive(Clone)]
pub(crate) struct Watched {
    /// The request's token.
    pub(crate) token: Arc<[u8]>,
    /// Its session id, if the dict is in the store.
    pub(crate) stored: Option<SessionId>,
    pub(crate) end: Arc<End>,
}

impl Watched {
    pub(crate) fn is_over(&self) {
        self.end.tell();
    }
}

/// All answers in progress.
#[derive(Default)]
pub(crate) struct OpenAnswers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Sorted by the time of the next check, with a unique number.
    due: BTreeMap<(Instant, u64), Watched>,
    moments: HashMap<u64, Instant>,
    next: u64,
}

impl OpenAnswers {
    /// Adds an answer. Dropping the result removes it.
    pub(crate) fn add(self: &Arc<Self>, watched: Watched, look: Instant) -> Entry {
        let mut inner = self.0.lock();
        let number = inner.next;
        inner.next += 1;
        inner.due.insert((look, number), watched);
        inner.moments.insert(number, look);
        Entry { all: Arc::clone(self), number }
    }

    /// The answers that are due, each rescheduled after `every`, and the time of the next check.
    /// Those whose session has ended are due no more.
    pub(crate) fn due(&self, now: Instant, every: Duration) -> (Vec<Watched>, Option<Instant>) {
        let mut inner = self.0.lock();
        let later = inner.due.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut inner.due, later);
        let mut all = Vec::with_capacity(due.len());
        for ((_, number), watched) in due {
            // On a busy machine its task may not have stopped yet. It must not be counted twice.
            if watched.end.has_come() {
                inner.moments.remove(&number);
                continue;
            }
            all.push(watched.clone());
            inner.due.insert((now + every, number), watched);
            inner.moments.insert(number, now + every);
        }
        let first = inner.due.first_key_value().map(|((moment, _), _)| *moment);
        (all, first)
    }
}

/// Removes an answer when dropped.
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
    use std::pin::pin;

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
    fn an_answer_that_was_told_is_not_due_again_while_its_task_is_slow() {
        let all = Arc::new(OpenAnswers::default());
        let begun = Instant::now();
        let slow = all.add(watched(), begun);
        let (due, _) = all.due(begun, EVERY);
        due.iter().for_each(Watched::is_over);
        let (due, next) = all.due(begun + EVERY, EVERY);
        assert_eq!((due.len(), next), (0, None));
        drop(slow);
        assert!(all.0.lock().moments.is_empty());
    }

    #[test]
    fn what_is_over_is_dropped_and_nothing_else() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let told = pin!(async {
                if let Some(end) = End::of_this_task() {
                    end.tell();
                }
                std::future::pending::<Option<()>>().await
            });
            assert_eq!(unless_over(told).await, None);
            assert_eq!(unless_over(pin!(async { Some(7) })).await, Some(7));
            assert!(End::of_this_task().is_none());
        });
    }
}
