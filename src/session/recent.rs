//! Which sessions were written or deleted a moment ago, so that a slow answer to an older request
//! does not refresh over it. Bounded in time and in memory.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::lifetime::SessionId;
use crate::time::Timestamp;

/// How long a write is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(60);

/// How long a refresh may be on its way before nobody waits for it any more.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How many old writes a call forgets at most: more than the one that it may add.
const FORGOTTEN_AT_ONCE: usize = 8;

/// How many writes are remembered at most: about 10 MB.
pub const CAPACITY: usize = 65_536;

/// The last moment of writing of each session that was written lately.
#[derive(Debug)]
pub struct RecentWrites {
    last: HashMap<SessionId, Timestamp>,
    /// In the order of writing: when, and whose.
    order: VecDeque<(Timestamp, SessionId)>,
    capacity: usize,
    /// Whose token is on its way to the client because of a refresh: how many answers carry one, and
    /// when the last of them was decided on.
    refreshing: HashMap<SessionId, (usize, Timestamp)>,
}

impl Default for RecentWrites {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl RecentWrites {
    /// Remembers at most `capacity` writes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { last: HashMap::new(), order: VecDeque::new(), capacity, refreshing: HashMap::new() }
    }

    /// Remembers that a session's token was issued or deleted now. Returns how many older writes
    /// had to be forgotten before their time.
    pub fn note(&mut self, session: SessionId, now: Timestamp) -> usize {
        self.forget_old(now);
        // Of two writes at the same time the later one may come first.
        let last = self.last.entry(session.clone()).or_insert(now);
        *last = now.max(*last);
        self.order.push_back((now, session));
        let mut early = 0;
        while self.order.len() > self.capacity {
            early += usize::from(self.oldest_is_old(now) == Some(false));
            self.pop();
        }
        early
    }

    /// Whether the session was written since a token of it was issued.
    pub fn is_newer(&mut self, session: &SessionId, issued: Timestamp, now: Timestamp) -> bool {
        self.forget_old(now);
        let last = self.last.get(session);
        last.is_some_and(|&written| written > issued && !is_old(written, now))
    }

    /// Remembers that an answer which refreshes the session is on its way from now on.
    pub fn refresh_begins(&mut self, session: SessionId, now: Timestamp) {
        let (count, last) = self.refreshing.entry(session).or_insert((0, now));
        *count += 1;
        *last = now.max(*last);
    }

    /// Such an answer has left, or never will.
    pub fn refresh_has_left(&mut self, session: &SessionId) {
        if let Some((count, _)) = self.refreshing.get_mut(session) {
            *count -= 1;
            if *count == 0 {
                self.refreshing.remove(session);
            }
        }
    }

    /// Whether one is on its way that a write of the session has to wait for. One that is older than
    /// [`PATIENCE`] has a body that goes on and on; its head has left.
    #[must_use]
    pub fn is_being_refreshed(&self, session: &SessionId, now: Timestamp) -> bool {
        let refresh = self.refreshing.get(session);
        refresh.is_some_and(|&(_, begun)| now.since(begun) < PATIENCE)
    }

    /// A few at a time: after a busy minute one write would hold the lock for all of them.
    fn forget_old(&mut self, now: Timestamp) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if self.oldest_is_old(now) != Some(true) {
                return;
            }
            self.pop();
        }
    }

    fn oldest_is_old(&self, now: Timestamp) -> Option<bool> {
        self.order.front().map(|&(written, _)| is_old(written, now))
    }

    fn pop(&mut self) {
        if let Some((written, session)) = self.order.pop_front()
            && self.last.get(&session) == Some(&written)
        {
            self.last.remove(&session);
        }
    }
}

fn is_old(written: Timestamp, now: Timestamp) -> bool {
    written.plus(REMEMBERED) < now
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn id(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16])
    }

    #[test]
    fn a_write_is_newer_than_what_was_issued_before_it() {
        let mut recent = RecentWrites::default();
        recent.note(id(1), NOW);
        let before = Timestamp::from_secs(999);
        assert!(recent.is_newer(&id(1), before, NOW));
        assert!(!recent.is_newer(&id(1), NOW, NOW));
        assert!(!recent.is_newer(&id(2), before, NOW));
    }

    #[test]
    fn a_write_is_remembered_for_a_minute_from_the_last_one() {
        let mut recent = RecentWrites::default();
        let before = Timestamp::from_secs(999);
        recent.note(id(1), NOW);
        recent.note(id(1), NOW.plus(Duration::from_secs(30)));
        assert!(recent.is_newer(&id(1), before, NOW.plus(Duration::from_secs(90))));
        assert!(!recent.is_newer(&id(1), before, NOW.plus(Duration::from_secs(91))));
        assert!(recent.last.is_empty() && recent.order.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten_first() {
        let mut recent = RecentWrites::with_capacity(2);
        let before = Timestamp::from_secs(999);
        assert_eq!(recent.note(id(1), NOW) + recent.note(id(2), NOW), 0);
        assert_eq!(recent.note(id(3), NOW), 1);
        let newer = [1, 2, 3].map(|byte| recent.is_newer(&id(byte), before, NOW));
        assert_eq!(newer, [false, true, true]);
    }

    #[test]
    fn a_refresh_is_on_its_way_until_each_of_its_answers_has_left() {
        let mut recent = RecentWrites::default();
        recent.refresh_begins(id(1), NOW);
        recent.refresh_begins(id(1), NOW);
        assert!(recent.is_being_refreshed(&id(1), NOW));
        assert!(!recent.is_being_refreshed(&id(2), NOW));
        recent.refresh_has_left(&id(1));
        assert!(recent.is_being_refreshed(&id(1), NOW));
        recent.refresh_has_left(&id(1));
        recent.refresh_has_left(&id(1));
        assert!(!recent.is_being_refreshed(&id(1), NOW));
        assert!(recent.refreshing.is_empty());
    }

    #[test]
    fn nobody_waits_for_an_answer_that_goes_on_and_on() {
        let mut recent = RecentWrites::default();
        recent.refresh_begins(id(1), NOW);
        assert!(recent.is_being_refreshed(&id(1), NOW.plus(PATIENCE / 2)));
        assert!(!recent.is_being_refreshed(&id(1), NOW.plus(PATIENCE)));
        recent.refresh_begins(id(1), NOW.plus(PATIENCE));
        assert!(recent.is_being_refreshed(&id(1), NOW.plus(PATIENCE)));
    }

    #[test]
    fn old_writes_are_forgotten_a_few_at_a_time_and_count_no_more() {
        let mut recent = RecentWrites::with_capacity(100);
        let before = Timestamp::from_secs(999);
        for byte in 0..100 {
            recent.note(id(byte), NOW);
        }
        let later = NOW.plus(Duration::from_secs(61));
        assert!(!recent.is_newer(&id(99), before, later));
        assert_eq!(recent.order.len(), 100 - FORGOTTEN_AT_ONCE);
        // None of those that go is remembered any more: nothing is forgotten before its time.
        let early: usize = (100..=255).map(|byte| recent.note(id(byte), later)).sum();
        assert_eq!(early, 56);
        assert!(recent.is_newer(&id(255), before, later));
    }
}
