//! The effects of changes on the file; their answers are tested in `store/tests/changes.rs`, for
//! each implementation.

use super::super::super::operation::MOST_ENDED;
use super::*;

#[test]
fn what_is_written_outlives_the_store() {
    let Fixture { store, path, _folder } = fixture();
    let kept = row_of("ada");
    assert_eq!(wait(store.apply(create(1, kept.clone()), NOW)), Ok(DONE));
    drop(store);
    let again = FileStore::open(&path, options(PATIENCE)).unwrap();
    assert_eq!(wait(again.load(id(1), NOW)), Ok(Loaded::Found(kept)));
}

#[test]
fn ids_of_one_number_are_told_apart() {
    let store = fixture();
    store.apply(create(1, row(1, "first")));
    let mut bytes = [1; 16];
    bytes[0] = 9;
    let alike = SessionId::from_bytes(bytes);
    let change = Change::Create { id: alike.clone(), row: row(1, "third") };
    assert_eq!(store.apply(change), Applied::Gone);
    assert_eq!(wait(store.store.load(alike, NOW)), Ok(Loaded::Gone));
    assert_eq!(store.load(1), Loaded::Found(row(1, "first")));
}

#[test]
fn nothing_is_left_of_what_has_ended() {
    let store = fixture();
    store.apply(create(1, row_of("ada")));
    store.apply(renew(1, 1, 2, row_of("ada")));
    store.apply(renew(2, 1, 3, row_of("ada")));
    assert_eq!(store.rows(), 3);
    store.apply(delete(3));
    assert_eq!(store.rows(), 0);
    store.apply(create(4, row(1, "a")));
    assert_eq!(store.apply_at(delete(4), later(100)), ended(0));
    assert_eq!(store.rows(), 0);
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
    // Another store, later: expired rows are removed, and no number is reused.
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
            let exp = if n < 340 { later(1) } else { later(90) };
            let row = Row { exp, ..row(1, "x") };
            let change = Change::Create { id: numbered(n), row };
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
    // They are gone in every store, and new sessions can begin.
    assert_eq!(wait(other.load(id(1), NOW)), Ok(Loaded::Gone));
    assert_eq!(wait(other.apply(save(1, 1, row(2, "b")), NOW)), Ok(Applied::Gone));
    assert_eq!(wait(other.list(subject("ada"), NOW)).unwrap().sessions, []);
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
fn the_sessions_of_a_user_end_in_steps_between_which_others_can_write() {
    let store = fixture();
    let most = u16::try_from(MOST_ENDED).unwrap();
    for number in 0..=most {
        store.apply(Change::Create { id: numbered(number.into()), row: row_of("ada") });
    }
    let end = || Change::EndSubject { subject: subject("ada"), except: None };
    let step = |ended, has_more| Applied::Done { ended, replicated: true, has_more };
    assert_eq!(store.apply(end()), step(u64::from(most), true));
    assert_eq!(store.apply(create(1, row(1, "bob"))), DONE);
    assert_eq!(store.apply(end()), step(1, false));
    assert_eq!(store.rows(), 1);
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

/// Writes sessions of 3 kB, one after the other.
fn fill_log(store: &FileStore, count: u64) {
    wait(async {
        for n in 1..=count {
            let id = SessionId::from_bytes(
                [n.to_be_bytes(), (n << 32).to_be_bytes()].concat().try_into().unwrap(),
            );
            let row = Row { data: vec![1; 3000], exp: later(90), ..row(1, "") };
            assert_eq!(store.apply(Change::Create { id, row }, NOW).await, Ok(DONE));
        }
    });
}

#[test]
fn the_log_is_written_back_before_the_writer_has_to() {
    let store = fixture();
    fill_log(&store.store, 200);
    let direct = rusqlite::Connection::open(&store.path).unwrap();
    let written_back = || -> i64 {
        direct.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(2)).unwrap()
    };
    assert!(until(written_back, |pages| *pages > 0) > 0);
}

#[test]
fn expiry_waits_while_the_log_is_too_long_and_saves_do_not() {
    let Fixture { store, path, _folder } = fixture();
    fill(&store);
    let reader = rusqlite::Connection::open(&path).unwrap();
    let count = |reader: &rusqlite::Connection| -> i64 {
        reader.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap()
    };
    // What is written after this cannot be written back, such as while a backup runs.
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 350);
    fill_log(&store, 200);
    drop(store);
    let later_on = Options { clock: || later(1), ..options(PATIENCE) };
    let store = FileStore::open(&path, later_on).unwrap();
    assert_eq!(wait(store.apply(create(1, row_of("ada")), NOW)), Ok(DONE));
    let direct = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(count(&direct), 551);
    reader.execute_batch("COMMIT").unwrap();
    // Of the sessions of `fill`, 10 have not expired.
    assert_eq!(until(|| count(&direct), |count| *count == 211), 211);
}

/// Repeats the call until the answer is right; returns the last answer.
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
