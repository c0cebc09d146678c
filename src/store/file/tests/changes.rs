//! What each change does.

use super::*;

#[test]
fn what_is_created_can_be_read_and_outlives_the_store() {
    let Fixture { store, path, _folder } = fixture();
    let kept = row_of("ada");
    assert_eq!(wait(store.apply(create(1, kept.clone()), NOW)), Ok(DONE));
    assert_eq!(wait(store.load(id(1), NOW)), Ok(Loaded::Found(kept.clone())));
    drop(store);
    let again = FileStore::open(&path, options(PATIENCE)).unwrap();
    assert_eq!(wait(again.load(id(1), NOW)), Ok(Loaded::Found(kept)));
    assert_eq!(wait(again.load(id(2), NOW)), Ok(Loaded::Gone));
}

#[test]
fn a_create_leaves_alone_what_is_there() {
    let store = fixture();
    store.apply(create(1, row(1, "first")));
    assert_eq!(store.apply(create(1, row(1, "second"))), Applied::Conflict(row(1, "first")));
    // The same number, and another id.
    let mut bytes = [1; 16];
    bytes[0] = 9;
    let alike = SessionId::from_bytes(bytes);
    let change = Change::Create { id: alike.clone(), row: row(1, "third") };
    assert_eq!(store.apply(change), Applied::Gone);
    assert_eq!(wait(store.store.load(alike, NOW)), Ok(Loaded::Gone));
    assert_eq!(store.load(1), Loaded::Found(row(1, "first")));
}

#[test]
fn a_save_holds_where_nobody_else_has_written() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    assert_eq!(store.apply(save(1, 1, row(2, "b"))), DONE);
    assert_eq!(store.apply(save(1, 1, row(2, "c"))), Applied::Conflict(row(2, "b")));
    // No revision twice.
    assert_eq!(store.apply(save(1, 2, row(2, "c"))), Applied::Conflict(row(2, "b")));
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

#[test]
fn what_has_ended_is_never_revived() {
    let store = fixture();
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
    assert_eq!((store.load(1), store.load(2), store.rows()), (Loaded::Gone, Loaded::Gone, 0));
}

#[test]
fn what_has_expired_is_gone_before_it_is_removed() {
    let store = fixture();
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
    assert_eq!(wait(store.store.show(id(1), later(100))), Ok(None));
    assert_eq!(store.apply_at(delete(1), later(100)), ended(0));
    assert_eq!(store.rows(), 0);
}

#[test]
fn a_touch_only_ever_extends_and_is_no_revision() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    let touch = |exp, seen| Change::Touch { id: id(1), exp, seen };
    assert_eq!(store.apply(touch(later(200), later(5))), DONE);
    assert_eq!(store.apply(touch(later(150), later(1))), DONE);
    let expected = Row { exp: later(200), seen: later(5), ..row(1, "a") };
    assert_eq!(store.load(1), Loaded::Found(expected));
    assert_eq!(store.apply(save(1, 1, row(2, "b"))), DONE);
    // A save says how long the session lives: "remember me" can be taken back.
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

#[test]
fn a_renewed_session_can_be_read_under_its_old_id_for_a_while() {
    let store = fixture();
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

#[test]
fn an_old_id_lives_no_longer_than_it_would_have() {
    let store = fixture();
    store.apply(create(1, Row { exp: later(3), ..row(1, "old") }));
    store.apply(renew(1, 1, 2, row(1, "new")));
    assert_ne!(store.load_at(1, later(2)), Loaded::Gone);
    assert_eq!(store.load_at(1, later(3)), Loaded::Gone);
}

#[test]
fn a_renewal_that_comes_too_late_writes_nothing() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    store.apply(save(1, 1, row(2, "b")));
    assert_eq!(store.apply(renew(1, 1, 2, row(1, "c"))), Applied::Conflict(row(2, "b")));
    assert_eq!(store.load(2), Loaded::Gone);
    // Nor one to an id that somebody has.
    store.apply(create(3, row(1, "other")));
    assert_eq!(store.apply(renew(1, 2, 3, row(1, "c"))), Applied::Gone);
    assert_eq!(store.load(3), Loaded::Found(row(1, "other")));
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

#[test]
fn a_log_out_ends_a_session_under_all_its_ids() {
    // Renewed twice, and ended under the first, the second or the last id: even when the old one can
    // be read no more.
    for (end, after) in [(1, 0), (2, 0), (3, 0), (1, 30), (2, 30), (3, 30)] {
        let store = fixture();
        store.apply(create(1, row(1, "a")));
        store.apply(create(9, row(1, "other")));
        store.apply(renew(1, 1, 2, row(1, "b")));
        store.apply(renew(2, 1, 3, row(1, "c")));
        assert_eq!(store.apply_at(delete(end), later(after)), ended(1), "{end} {after}");
        for byte in 1..=3 {
            assert_eq!(store.load(byte), Loaded::Gone, "{end} {byte}");
        }
        assert_eq!(store.rows(), 1);
        assert_eq!(store.load(9), Loaded::Found(row(1, "other")));
    }
}

#[test]
fn the_sessions_of_a_user_end_at_once_all_or_but_one() {
    let store = fixture();
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
    assert_eq!(store.rows(), 0);
}

#[test]
fn a_users_sessions_end_under_the_ids_they_had_before_and_not_what_became_somebody_elses() {
    let store = fixture();
    // A visitor who logged in as ada a moment ago, and one who was ada and is bob now.
    store.apply(create(1, row(1, "visitor")));
    store.apply(renew(1, 1, 2, row_of("ada")));
    store.apply(create(3, row_of("ada")));
    store.apply(renew(3, 1, 4, row_of("bob")));
    let change = Change::EndSubject { subject: subject("ada"), except: None };
    assert_eq!(store.apply(change), ended(1));
    let there = |byte| store.load(byte) != Loaded::Gone;
    assert_eq!([1, 2, 3, 4].map(there), [false, false, false, true]);
}

#[test]
fn a_user_has_a_list_of_sessions_without_any_content() {
    let store = fixture();
    store.apply(create(2, Row { start: later(1), ..row_of("ada") }));
    store.apply(create(1, row_of("ada")));
    store.apply(create(3, row_of("bob")));
    store.apply(renew(2, 1, 4, Row { start: later(1), ..row_of("ada") }));
    let list = wait(store.store.list(subject("ada"), NOW)).unwrap();
    let ids: Vec<_> = list.iter().map(|listed| listed.id.clone()).collect();
    assert_eq!(ids, [id(1), id(4)]);
    let shown = wait(store.store.show(id(1), NOW)).unwrap().unwrap();
    assert_eq!(shown, list[0]);
    assert_eq!((shown.start, shown.seen, shown.exp, shown.bytes), (NOW, NOW, later(100), 3));
    assert_eq!(wait(store.store.list(subject("eve"), NOW)), Ok(vec![]));
    assert_eq!(wait(store.store.show(id(9), NOW)), Ok(None));
}

#[test]
fn an_id_that_nobody_made_is_nobodys() {
    let store = fixture();
    // 22 characters, but with a bit that no 16 bytes have.
    let odd = SessionId::parse("AQEBAQEBAQEBAQEBAQEBAR").unwrap();
    store.apply(create(1, row(1, "a")));
    assert_eq!(wait(store.store.load(odd.clone(), NOW)), Ok(Loaded::Gone));
    assert_eq!(store.apply(Change::Delete { id: odd.clone() }), ended(0));
    assert_eq!(store.apply(Change::Create { id: odd, row: row(1, "b") }), Applied::Gone);
    assert_ne!(store.load(1), Loaded::Gone);
}

#[test]
fn revocations_are_a_log_in_order_that_forgets_what_is_over() {
    let Fixture { store, path, _folder } = fixture();
    let revocation = |what, until| Revocation { what, before: NOW, until };
    let all = [
        revocation(Revoked::Session(id(1)), later(1)),
        revocation(Revoked::Subject(subject("ada")), later(50)),
        revocation(Revoked::Others { subject: subject("ada"), except: id(2) }, later(50)),
        revocation(Revoked::All, later(1)),
    ];
    for revocation in &all {
        wait(store.revoke(revocation.clone(), NOW)).unwrap();
    }
    let entries = wait(store.revocations(0, 10)).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(entries.iter().map(|entry| &entry.revocation).eq(&all));
    assert_eq!(wait(store.revocations(1, 1)).unwrap(), entries[1..2]);
    assert_eq!(wait(store.revocations(4, 10)), Ok(vec![]));
    drop(store);
    // Another store, later: what is over is removed, and no number is used again.
    let later_on = Options { clock: || later(1), ..options(PATIENCE) };
    let store = FileStore::open(&path, later_on).unwrap();
    let left = until(|| wait(store.revocations(0, 10)).unwrap(), |left| left.len() == 2);
    assert_eq!(left, entries[1..3]);
    wait(store.revoke(revocation(Revoked::All, later(90)), NOW)).unwrap();
    assert_eq!(wait(store.revocations(3, 10)).unwrap()[0].seq, 5);
}

/// 340 sessions that have expired at `later(1)`, and 10 that have not.
fn fill(store: &FileStore) {
    wait(async {
        for n in 0..350u64 {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&n.to_be_bytes());
            let exp = if n < 340 { later(1) } else { later(90) };
            let row = Row { exp, ..row(1, "x") };
            let change = Change::Create { id: SessionId::from_bytes(bytes), row };
            assert_eq!(store.apply(change, NOW).await, Ok(DONE));
        }
    });
}

#[test]
fn what_has_expired_is_removed_a_few_at_a_time() {
    let store = fixture();
    fill(&store.store);
    let place = Location::prepare(&store.path).unwrap();
    let connection = schema::open_to_write(&place).unwrap();
    let mut statements = change::Statements::prepare(&connection).unwrap();
    assert!(!statements.has_expired(NOW).unwrap());
    assert!(statements.has_expired(later(1)).unwrap());
    for (has_more, left) in [(true, 250), (true, 150), (true, 50), (false, 10), (false, 10)] {
        assert_eq!(statements.expire(later(1)).unwrap(), has_more);
        assert_eq!(store.rows(), left);
    }
    assert!(!statements.has_expired(later(1)).unwrap());
}

#[test]
fn many_sessions_end_at_once_and_are_removed_in_steps() {
    let store = fixture();
    let other = FileStore::open(&store.path, options(PATIENCE)).unwrap();
    fill(&store.store);
    store.apply(create(1, row_of("ada")));
    assert_eq!(store.apply(Change::EndAll), ended(351));
    // Gone for everybody, and what begins now is there.
    assert_eq!(wait(other.load(id(1), NOW)), Ok(Loaded::Gone));
    assert_eq!(wait(other.apply(save(1, 1, row(2, "b")), NOW)), Ok(Applied::Gone));
    assert_eq!(wait(other.list(subject("ada"), NOW)), Ok(vec![]));
    assert_eq!(wait(other.apply(create(2, row_of("ada")), NOW)), Ok(DONE));
    assert_eq!(store.load(2), Loaded::Found(row_of("ada")));
    fill(&store.store);
    assert_eq!(store.apply_at(Change::EndAll, later(1)), ended(351));
    assert_eq!(store.rows(), 0);
    let direct = rusqlite::Connection::open(&store.path).unwrap();
    let tables = || -> i64 {
        let count = "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*ended*'";
        direct.query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(until(tables, |tables| *tables == 0), 0);
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'session'";
    assert_eq!(direct.query_row(indexes, [], |row| row.get(0)), Ok(4));
}

#[test]
fn what_has_expired_goes_by_itself() {
    let Fixture { store, path, _folder } = fixture();
    fill(&store);
    drop(store);
    let later_on = Options { clock: || later(1), ..options(PATIENCE) };
    let _store = FileStore::open(&path, later_on).unwrap();
    let direct = rusqlite::Connection::open(&path).unwrap();
    let count = || -> i64 {
        direct.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(until(count, |count| *count == 10), 10);
}

/// Asks until the answer is as it should be; the last answer.
fn until<T>(ask: impl Fn() -> T, is_right: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let answer = ask();
        if is_right(&answer) || start.elapsed() > PATIENCE {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
