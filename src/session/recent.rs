//! Remembers which sessions were written or deleted recently, so that a slow answer to an older
//! request does not overwrite them with a refresh. Limited in time and in memory.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::lifetime::SessionId;
use crate::time::Timestamp;

/// How long a write is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(60);

/// How long a write waits for the answer that carries a refresh.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How many old writes one call removes at most; more than one, so that the list shrinks.
const FORGOTTEN_AT_ONCE: usize = 8;

/// How many writes are remembered: about 10 MB.
pub const CAPACITY: usize = 65_536;

/// The time of the last write of each session that was written recently.
#[derive(Debug)]
pub struct RecentWrites {
    last: HashMap<SessionId, Timestamp>,
    /// The writes in order: time and session.
    order: VecDeque<(Timestamp, SessionId)>,
    capacity: usize,
    /// Sessions with refreshed tokens that are being sent: how many answers carry one, and when the
    /// latest was issued.
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

    /// Remembers that a session's token was issued or deleted at `now`. Returns how many older
    /// writes had to be forgotten too early.
    pub fn note(&mut self, session: SessionId, now: Timestamp) -> usize {
        self.forget_old(now);
        // Concurrent writes may arrive in the wrong order.
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

    /// Whether the session was written after this token of it was issued.
    pub fn is_newer(&mut self, session: &SessionId, issued: Timestamp, now: Timestamp) -> bool {
        self.forget_old(now);
        let last = self.last.get(session);
        last.is_some_and(|&written| written > issued && !is_old(written, now))
    }

    /// Remembers that an answer with a refreshed token of the session is being sent.
    pub fn refresh_begins(&mut self, session: SessionId, now: Timestamp) {
        let (count, last) = self.refreshing.entry(session).or_insert((0, now));
        *count += 1;
        *last = now.max(*last);
    }

    /// That answer was sent or given up.
    pub fn refresh_has_left(&mut self, session: &SessionId) {
        if let Some((count, _)) = self.refreshing.get_mut(session) {
            *count -= 1;
            if *count == 0 {
                self.refreshing.remove(session);
            }
        }
    }

    /// Whether a write of the session must wait for an answer with a refresh. After [`PATIENCE`]
    /// the head of that answer has been sent, and only its body goes on.
    #[must_use]
    pub fn is_being_refreshed(&self, session: &SessionId, now: Timestamp) -> bool {
        let refresh = self.refreshing.get(session);
        refresh.is_some_and(|&(_, begun)| now.since(begun) < PATIENCE)
    }

    /// Removes only a few: after a busy minute one write would otherwise hold the lock for all.
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
        // The removed ones have expired: no write is forgotten too early.
        let early: usize = (100..=255).map(|byte| recent.note(id(byte), later)).sum();
        assert_eq!(early, 56);
        assert!(recent.is_newer(&id(255), before, later));
    }
}
