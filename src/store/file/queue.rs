//! The bounded queues of the threads; they refuse jobs when full.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// A queue between callers and threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

struct State<T> {
    jobs: VecDeque<T>,
    is_closed: bool,
    /// The number of threads that wait for a job.
    waiting: usize,
    /// One of them was woken and has not looked yet: it will find the jobs added meanwhile.
    is_waking: bool,
}

impl<T> Queue<T> {
    /// A queue of at most `limit` jobs.
    pub(super) fn new(limit: usize) -> Self {
        let state = State { jobs: VecDeque::new(), is_closed: false, waiting: 0, is_waking: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), limit }
    }

    /// Adds a job and wakes a thread for it. False if the queue is full or closed.
    pub(super) fn push(&self, job: T) -> bool {
        let (state, is_in) = self.add(job);
        self.unlock(state);
        is_in
    }

    /// Adds a job, which waiting threads do not notice before [`Queue::wake`]. False if the queue
    /// is full or closed.
    pub(super) fn push_quietly(&self, job: T) -> bool {
        let (state, is_in) = self.add(job);
        if !is_in {
            // It may be full of jobs whose callers left before they woke a thread.
            self.unlock(state);
        }
        is_in
    }

    fn add(&self, job: T) -> (MutexGuard<'_, State<T>>, bool) {
        let mut state = self.state.lock();
        let has_room = !state.is_closed && state.jobs.len() < self.limit;
        if has_room {
            state.jobs.push_back(job);
        }
        (state, has_room)
    }

    /// Wakes a thread if jobs are waiting.
    pub(super) fn wake(&self) {
        self.unlock(self.state.lock());
    }

    /// Waits for a job. None if the queue is closed and empty.
    pub(super) fn take(&self) -> Option<T> {
        let mut one = Vec::with_capacity(1);
        self.take_alike(&mut one, 1, |_| false);
        one.pop()
    }

    /// Waits for a job and takes it; if it can share, with those directly after it that can too,
    /// up to `most`. False if the queue is closed and empty.
    pub(super) fn take_alike(
        &self,
        into: &mut Vec<T>,
        most: usize,
        can_share: impl Fn(&T) -> bool,
    ) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.is_closed {
            self.wait(&mut state, None);
        }
        let alike = state.jobs.iter().take(most).take_while(|job| can_share(job)).count();
        let count = alike.max(1).min(state.jobs.len());
        into.extend(state.jobs.drain(..count));
        self.unlock(state);
        count > 0
    }

    /// Waits for jobs until a time and takes all there are, up to `most`. False if the queue is
    /// closed and these are the last.
    pub(super) fn take_many(&self, into: &mut Vec<T>, most: usize, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.is_closed {
            if self.wait(&mut state, Some(until)) {
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

    /// Waits until another thread wakes this one. True if the time came first.
    fn wait(&self, state: &mut MutexGuard<'_, State<T>>, until: Option<Instant>) -> bool {
        state.waiting += 1;
        let timed_out = match until {
            Some(until) => self.filled.wait_until(state, until).timed_out(),
            None => {
                self.filled.wait(state);
                false
            }
        };
        state.waiting -= 1;
        state.is_waking = false;
        timed_out
    }

    /// Unlocks, and wakes a thread if there are jobs. Only one at a time, because a wake costs as
    /// much as a read; a woken thread wakes the next one if it leaves jobs behind.
    fn unlock(&self, mut state: MutexGuard<'_, State<T>>) {
        let wakes = !state.jobs.is_empty() && state.waiting > 0 && !state.is_waking;
        state.is_waking |= wakes;
        drop(state);
        if wakes {
            self.filled.notify_one();
        }
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

    #[test]
    fn those_that_can_share_are_taken_together_up_to_the_next_that_cannot() {
        let queue = Queue::new(9);
        for job in [2, 4, 1, 3, 6, 8, 10] {
            assert!(queue.push(job));
        }
        let take = || {
            let mut taken = Vec::new();
            assert!(queue.take_alike(&mut taken, 2, |job| job % 2 == 0));
            taken
        };
        assert_eq!(
            [take(), take(), take(), take(), take()],
            [vec![2, 4], vec![1], vec![3], vec![6, 8], vec![10]]
        );
        queue.close();
        assert!(!queue.take_alike(&mut Vec::new(), 2, |_| true));
    }

    #[test]
    fn a_queue_full_of_jobs_that_nobody_was_woken_for_is_emptied() {
        let queue = Queue::new(2);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| [queue.take(), queue.take(), queue.take()]);
            while queue.state.lock().waiting == 0 {
                std::thread::yield_now();
            }
            assert_eq!([1, 2, 3].map(|job| queue.push_quietly(job)), [true, true, false]);
            let until = Instant::now() + Duration::from_secs(10);
            while !queue.is_empty() && Instant::now() < until {
                std::thread::yield_now();
            }
            let was_emptied = queue.is_empty();
            queue.close();
            assert!(was_emptied);
            assert_eq!(taker.join().ok(), Some([Some(1), Some(2), None]));
        });
    }

    #[test]
    fn every_job_is_done_by_threads_that_wait_in_between() {
        const JOBS: u32 = 20_000;
        let queue = Queue::new(4);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut taken = Vec::new();
                    while queue.take_alike(&mut taken, 3, |job| job % 5 != 0) {
                        done.lock().append(&mut taken);
                    }
                });
            }
            std::thread::scope(|scope| {
                for first in [0, 1] {
                    let queue = &queue;
                    scope.spawn(move || {
                        for job in (first..JOBS).step_by(2) {
                            while !queue.push(job) {
                                std::thread::yield_now();
                            }
                        }
                    });
                }
            });
            queue.close();
        });
        let mut done = done.into_inner();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..JOBS));
    }
}
