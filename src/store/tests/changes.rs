//! The effect of each change, in each implementation.

use super::super::samples::{
    DONE, create, delete, ended, id, later, numbered, renew, row, row_of, save, subject,
};
use super::homes::{HomeKind, in_each_home};
use super::*;
use crate::store::operation::{MOST_LISTED, REPLACED, Revoked};

struct Fixture {
    store: Store,
    /// What must live as long as the store.
    _home: Box<dyn std::any::Any>,
}

impl Fixture {
    /// An empty store.
    fn new(kind: &HomeKind) -> Self {
        let (home, [store]) = kind.stores();
        Self { store, _home: home }
    }

    fn apply(&self, change: Change) -> Applied {
        self.apply_at(change, NOW)
    }

    fn apply_at(&self, change: Change, now: Timestamp) -> Applied {
        let applied = wait(self.store.apply(change, now)).result.unwrap();
        match applied {
            // There is no replica.
            Applied::Done { ended, .. } => Applied::done(ended),
            other => other,
        }
    }

    fn load(&self, byte: u8) -> Loaded {
        self.load_at(byte, NOW)
    }

    fn load_at(&self, byte: u8, now: Timestamp) -> Loaded {
        wait(self.store.load(id(byte), now)).result.unwrap()
    }
}

in_each_home! {
    what_is_created_can_be_read
    a_create_leaves_alone_what_is_there
    a_save_holds_where_nobody_else_has_written
    what_has_ended_is_never_revived
    what_has_expired_is_gone_before_it_is_removed
    a_touch_only_ever_extends_and_is_no_revision
    a_renewed_session_can_be_read_under_its_old_id_for_a_while
    an_old_id_lives_no_longer_than_it_would_have
    a_renewal_that_comes_too_late_writes_nothing
    a_log_out_ends_a_session_under_all_its_ids
    the_sessions_of_a_user_end_at_once_all_or_but_one
    a_users_sessions_end_under_the_ids_they_had_before_and_not_what_became_somebody_elses
    a_user_has_a_list_of_sessions_without_any_content
    of_a_user_with_very_many_sessions_some_are_listed
    an_id_that_nobody_made_is_nobodys
    revocations_are_a_log_in_order
    no_update_is_lost_and_no_revision_given_out_twice
    whoever_logs_in_after_a_log_out_everywhere_does_so_in_a_later_millisecond
}

fn what_is_created_can_be_read(kind: &HomeKind) {
    let store = Fixture::new(kind);
    let kept = row_of("ada");
    assert_eq!(store.apply(create(1, kept.clone())), DONE);
    assert_eq!(store.load(1), Loaded::Found(kept));
    assert_eq!(store.load(2), Loaded::Gone);
}

fn a_create_leaves_alone_what_is_there(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "first")));
    assert_eq!(store.apply(create(1, row(1, "second"))), Applied::Conflict(row(1, "first")));
    assert_eq!(store.load(1), Loaded::Found(row(1, "first")));
}

fn a_save_holds_where_nobody_else_has_written(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "a")));
    assert_eq!(store.apply(save(1, 1, row(2, "b"))), DONE);
    assert_eq!(store.apply(save(1, 1, row(2, "c"))), Applied::Conflict(row(2, "b")));
    // No revision is used twice.
    assert_eq!(store.apply(save(1, 2, row(2, "c"))), Applied::Conflict(row(2, "b")));
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

fn what_has_ended_is_never_revived(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "a")));
    assert_eq!(store.apply(delete(1)), ended(1));
    for change in [
        save(1, 1, row(2, "b")),
        renew(1, 1, 2, row(1, "b")),
        Change::Touch { id: id(1), exp: later(500), seen: NOW },
    ] {
        assert_eq!(store.apply(change), Applied::Gone);
    }
    assert_eq!(store.apply(delete(1)), ended(0));
    assert_eq!((store.load(1), store.load(2)), (Loaded::Gone, Loaded::Gone));
}

fn what_has_expired_is_gone_before_it_is_removed(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "a")));
    assert_ne!(store.load_at(1, later(99)), Loaded::Gone);
    assert_eq!(store.load_at(1, later(100)), Loaded::Gone);
    for change in [
        save(1, 1, row(2, "b")),
        renew(1, 1, 2, row(1, "b")),
        Change::Touch { id: id(1), exp: later(500), seen: NOW },
    ] {
        assert_eq!(store.apply_at(change, later(100)), Applied::Gone);
    }
    assert_eq!(wait(store.store.show(id(1), later(100))).result, Ok(None));
    assert_eq!(store.apply_at(delete(1), later(100)), ended(0));
}

fn a_touch_only_ever_extends_and_is_no_revision(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "a")));
    let touch = |exp, seen| Change::Touch { id: id(1), exp, seen };
    assert_eq!(store.apply(touch(later(200), later(5))), DONE);
    assert_eq!(store.apply(touch(later(150), later(1))), DONE);
    let expected = Row { exp: later(200), seen: later(5), ..row(1, "a") };
    assert_eq!(store.load(1), Loaded::Found(expected));
    assert_eq!(store.apply(save(1, 1, row(2, "b"))), DONE);
    // A save sets the lifetime of the session: "remember me" can be turned off.
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

fn a_renewed_session_can_be_read_under_its_old_id_for_a_while(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "old")));
    assert_eq!(store.apply(renew(1, 1, 2, row(1, "new"))), DONE);
    assert_eq!(store.load(2), Loaded::Found(row(1, "new")));
    let Loaded::Replaced(old) = store.load(1) else { panic!("cannot be read") };
    assert_eq!(old.data, b"old");
    for change in [
        save(1, 1, row(2, "x")),
        renew(1, 1, 3, row(1, "x")),
        Change::Touch { id: id(1), exp: later(500), seen: NOW },
        create(1, row(1, "x")),
    ] {
        assert_eq!(store.apply(change), Applied::Gone);
    }
    let over = NOW.plus(REPLACED);
    assert_eq!(store.load_at(1, over), Loaded::Gone);
    assert_eq!(store.load_at(2, over), Loaded::Found(row(1, "new")));
}

fn an_old_id_lives_no_longer_than_it_would_have(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, Row { exp: later(3), ..row(1, "old") }));
    store.apply(renew(1, 1, 2, row(1, "new")));
    assert_ne!(store.load_at(1, later(2)), Loaded::Gone);
    assert_eq!(store.load_at(1, later(3)), Loaded::Gone);
}

fn a_renewal_that_comes_too_late_writes_nothing(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(1, row(1, "a")));
    store.apply(save(1, 1, row(2, "b")));
    assert_eq!(store.apply(renew(1, 1, 2, row(1, "c"))), Applied::Conflict(row(2, "b")));
    assert_eq!(store.load(2), Loaded::Gone);
    // Nor to an id that is in use.
    store.apply(create(3, row(1, "other")));
    assert_eq!(store.apply(renew(1, 2, 3, row(1, "c"))), Applied::Gone);
    assert_eq!(store.load(3), Loaded::Found(row(1, "other")));
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

fn a_log_out_ends_a_session_under_all_its_ids(kind: &HomeKind) {
    // Renewed twice, and ended under the first, second or last id, even after the old one can no
    // longer be read.
    for (end, after) in [(1, 0), (2, 0), (3, 0), (1, 30), (2, 30), (3, 30)] {
        let store = Fixture::new(kind);
        store.apply(create(1, row(1, "a")));
        store.apply(create(9, row(1, "other")));
        store.apply(renew(1, 1, 2, row(1, "b")));
        store.apply(renew(2, 1, 3, row(1, "c")));
        assert_eq!(store.apply_at(delete(end), later(after)), ended(1), "{end} {after}");
        for byte in 1..=3 {
            assert_eq!(store.load(byte), Loaded::Gone, "{end} {byte}");
        }
        assert_eq!(store.load(9), Loaded::Found(row(1, "other")));
    }
}

fn the_sessions_of_a_user_end_at_once_all_or_but_one(kind: &HomeKind) {
    let store = Fixture::new(kind);
    for byte in 1..=3 {
        store.apply(create(byte, row_of("ada")));
    }
    store.apply(create(4, row_of("bob")));
    store.apply(create(5, row(1, "nobody")));
    let end = |except| Change::EndSubject { subject: subject("ada"), except };
    assert_eq!(store.apply(end(Some(id(2)))), ended(2));
    let there = |byte| store.load(byte) != Loaded::Gone;
    assert_eq!([1, 2, 3, 4, 5].map(there), [false, true, false, true, true]);
    assert_eq!(store.apply(end(None)), ended(1));
    assert_eq!(store.apply(end(None)), ended(0));
    assert_eq!([1, 2, 3, 4, 5].map(there), [false, false, false, true, true]);
    assert_eq!(store.apply(Change::EndAll), ended(2));
}

fn a_users_sessions_end_under_the_ids_they_had_before_and_not_what_became_somebody_elses(
    kind: &HomeKind,
) {
    let store = Fixture::new(kind);
    // A visitor who has just logged in as ada, and one who was ada and is bob now.
    store.apply(create(1, row(1, "visitor")));
    store.apply(renew(1, 1, 2, row_of("ada")));
    store.apply(create(3, row_of("ada")));
    store.apply(renew(3, 1, 4, row_of("bob")));
    let change = Change::EndSubject { subject: subject("ada"), except: None };
    assert_eq!(store.apply(change), ended(1));
    let there = |byte| store.load(byte) != Loaded::Gone;
    assert_eq!([1, 2, 3, 4].map(there), [false, false, false, true]);
}

fn a_user_has_a_list_of_sessions_without_any_content(kind: &HomeKind) {
    let store = Fixture::new(kind);
    store.apply(create(2, Row { start: later(1), ..row_of("ada") }));
    store.apply(create(1, row_of("ada")));
    store.apply(create(3, row_of("bob")));
    store.apply(renew(2, 1, 4, Row { start: later(1), ..row_of("ada") }));
    let list = wait(store.store.list(subject("ada"), NOW)).result.unwrap();
    assert!(!list.has_more);
    let ids: Vec<_> = list.sessions.iter().map(|listed| listed.id.clone()).collect();
    assert_eq!(ids, [id(1), id(4)]);
    let shown = wait(store.store.show(id(1), NOW)).result.unwrap().unwrap();
    assert_eq!(shown, list.sessions[0]);
    assert_eq!((shown.start, shown.seen, shown.exp, shown.bytes), (NOW, NOW, later(100), 3));
    assert_eq!(wait(store.store.list(subject("eve"), NOW)).result.unwrap().sessions, []);
    assert_eq!(wait(store.store.show(id(9), NOW)).result, Ok(None));
}

fn of_a_user_with_very_many_sessions_some_are_listed(kind: &HomeKind) {
    let store = Fixture::new(kind);
    let most = u16::try_from(MOST_LISTED).unwrap();
    for number in 0..=most {
        store.apply(Change::Create { id: numbered(number.into()), row: row_of("ada") });
        if number + 2 > most {
            let list = wait(store.store.list(subject("ada"), NOW)).result.unwrap();
            assert_eq!((list.sessions.len(), list.has_more), (MOST_LISTED, number == most));
        }
    }
    // Expired sessions are not listed, even if they have not been removed yet.
    let list = wait(store.store.list(subject("ada"), later(100))).result.unwrap();
    assert_eq!(list.sessions, []);
    // They end in several steps, and the one that is to stay does.
    let other = SessionId::from_bytes([8; 16]);
    store.apply(Change::Create { id: other.clone(), row: row_of("ada") });
    let end = |except| Change::EndSubject { subject: subject("ada"), except };
    assert_eq!(store.apply(end(Some(other.clone()))), ended(u64::from(most) + 1));
    assert!(matches!(wait(store.store.load(other, NOW)).result, Ok(Loaded::Found(_))));
    assert_eq!(store.apply(end(None)), ended(1));
}

fn an_id_that_nobody_made_is_nobodys(kind: &HomeKind) {
    let store = Fixture::new(kind);
    // 22 characters, but with a bit that no 16 bytes produce.
    let odd = SessionId::parse("AQEBAQEBAQEBAQEBAQEBAR").unwrap();
    store.apply(create(1, row(1, "a")));
    assert_eq!(wait(store.store.load(odd.clone(), NOW)).result, Ok(Loaded::Gone));
    assert_eq!(store.apply(Change::Delete { id: odd.clone() }), ended(0));
    assert_eq!(store.apply(Change::Create { id: odd, row: row(1, "b") }), Applied::Gone);
    assert_ne!(store.load(1), Loaded::Gone);
}

fn revocations_are_a_log_in_order(kind: &HomeKind) {
    let Fixture { store, _home } = &Fixture::new(kind);
    let revocation = |what, until| Revocation { what, before: NOW, until };
    let all = [
        revocation(Revoked::Session(id(1)), later(40)),
        revocation(Revoked::Subject(subject("ada")), later(50)),
        revocation(Revoked::Others { subject: subject("ada"), except: id(2) }, later(50)),
        revocation(Revoked::All, later(60)),
    ];
    for revocation in &all {
        wait(store.revoke(revocation.clone(), NOW)).result.unwrap();
    }
    let behind = |seq, most| wait(store.revocations(seq, most)).result.unwrap();
    let entries = behind(0, 10);
    assert!(entries.is_sorted_by(|one, next| one.seq < next.seq), "{entries:?}");
    assert!(entries.iter().map(|entry| &entry.revocation).eq(&all));
    assert_eq!(behind(entries[0].seq, 1), entries[1..2]);
    assert_eq!(behind(entries[3].seq, 10), []);
}

fn no_update_is_lost_and_no_revision_given_out_twice(kind: &HomeKind) {
    const TIMES: u64 = 50;
    let Fixture { store, _home } = &Fixture::new(kind);
    let started = wait(store.apply(create(1, row(1, "0 -")), NOW)).result;
    assert_eq!(started, Ok(DONE));
    let count_up = |name| async move {
        let mut given = Vec::new();
        let Ok(Loaded::Found(mut current)) = store.load(id(1), NOW).await.result else {
            panic!("gone")
        };
        while (given.len() as u64) < TIMES {
            let text = str::from_utf8(&current.data).unwrap();
            let count: u64 = text.split(' ').next().unwrap().parse().unwrap();
            // No two writes are equal, like sealed data.
            let next = row(current.rev + 1, &format!("{} {name}", count + 1));
            match store.apply(save(1, current.rev, next.clone()), NOW).await.result {
                Ok(DONE) => {
                    given.push(next.rev);
                    current = next;
                }
                Ok(Applied::Conflict(row)) => current = row,
                other => panic!("{other:?}"),
            }
        }
        given
    };
    let given = wait(async { tokio::join!(count_up("a"), count_up("b"), count_up("c")) });
    let mut given = [given.0, given.1, given.2].concat();
    given.sort_unstable();
    assert_eq!(given, (2..2 + 3 * TIMES).collect::<Vec<_>>());
    let Ok(Loaded::Found(last)) = wait(store.load(id(1), NOW)).result else { panic!("gone") };
    assert!(last.data.starts_with(b"150 "), "{last:?}");
}

/// Times have milliseconds, and what was issued in the same one ends as well.
fn whoever_logs_in_after_a_log_out_everywhere_does_so_in_a_later_millisecond(kind: &HomeKind) {
    let store = Fixture::new(kind);
    for what in [Revoked::Subject(subject("ada")), Revoked::All] {
        let revocation = Revocation { what, before: NOW, until: later(100) };
        let begun = Instant::now();
        assert!(wait(store.store.revoke(revocation, NOW)).result.is_ok());
        assert!(begun.elapsed() >= Duration::from_millis(1));
    }
}
