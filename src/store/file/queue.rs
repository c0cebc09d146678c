//! The bounded queues of the threads; they refuse jobs when full.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// A queue between callers and threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

struct State<T> {
    jobs: VecDeque<T>,
    is_closed: bool,
}

impl<T> Queue<T> {
    /// A queue of at most `limit` jobs.
    pub(super) fn new(limit: usize) -> Self {
        let state = State { jobs: VecDeque::new(), is_closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), limit }
    }

    /// Adds a job. False if the queue is full or closed.
    pub(super) fn push(&self, job: T) -> bool {
        let mut state = self.state.lock();
        if state.is_closed || state.jobs.len() >= self.limit {
            return false;
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Waits for a job. None if the queue is closed and empty.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            self.filled.wait(&mut state);
        }
    }

    /// Waits for jobs until a time and takes all there are, up to `most`. False if the queue is
    /// closed and these are the last.
    pub(super) fn take_many(&self, into: &mut Vec<T>, most: usize, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.is_closed {
            if self.filled.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        let count = state.jobs.len().min(most);
        into.extend(state.jobs.drain(..count));
        !(state.is_closed && state.jobs.is_empty())
    }

    /// Whether no jobs are waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().jobs.is_empty()
    }

    /// Accepts no more jobs. Waiting ones are still done.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn jobs_come_in_order_and_no_more_than_fit() {
        let queue = Queue::new(3);
        assert_eq!([1, 2, 3, 4].map(|job| queue.push(job)), [true, true, true, false]);
        assert_eq!(queue.take(), Some(1));
        let mut taken = Vec::new();
        assert!(queue.take_many(&mut taken, 1, Instant::now()));
        assert_eq!(taken, [2]);
        assert!(!queue.is_empty());
    }

    #[test]
    fn what_waits_when_it_is_closed_is_still_done() {
        let queue = Queue::new(3);
        assert!(queue.push(1));
        queue.close();
        assert!(!queue.push(2));
        let mut taken = Vec::new();
        assert!(!queue.take_many(&mut taken, 9, Instant::now() + Duration::from_secs(9)));
        assert_eq!(taken, [1]);
        assert_eq!(queue.take(), None);
    }
}
