//! Problems while a file is in use.

use super::super::call::outage;
use super::*;

#[test]
fn a_file_that_is_moved_away_is_an_outage_until_it_is_back() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    let aside = store.path.with_extension("aside");
    std::fs::rename(&store.path, &aside).unwrap();
    let refused = wait(store.store.apply(save(1, 1, row(2, "b")), NOW));
    assert_eq!(refused, Err(Outage::Connect));
    assert_eq!(wait(store.store.load(id(1), NOW)), Err(Outage::Connect));
    // Not created again: an empty file would log out all users.
    assert!(!store.path.exists());
    std::fs::rename(&aside, &store.path).unwrap();
    assert_eq!(store.apply(save(1, 1, row(2, "b"))), DONE);
    assert_eq!(store.load(1), Loaded::Found(row(2, "b")));
}

#[test]
fn another_file_in_its_place_is_an_outage() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    std::fs::rename(&store.path, store.path.with_extension("aside")).unwrap();
    std::fs::write(&store.path, "").unwrap();
    let refused = wait(store.store.apply(delete(1), NOW));
    assert_eq!(refused, Err(Outage::Connect));
    assert_eq!(std::fs::read(&store.path).unwrap(), b"");
}

#[test]
fn with_no_room_left_sessions_are_read_and_ended_and_there_is_room_again() {
    let store = fixture();
    let large = |rev, byte: u8| Row { data: vec![byte; 100_000], ..row(rev, "") };
    store.apply(create(1, large(1, 1)));
    store.apply(create(2, row(1, "small")));
    // Leave the whole disk free.
    store.store.shared.reserve.store(u64::MAX, Ordering::Relaxed);
    let refused = |change| wait(store.store.apply(change, NOW)) == Err(Outage::Full);
    assert!(refused(create(3, large(1, 3))));
    assert!(refused(save(2, 1, large(2, 2))));
    assert_eq!(store.load(2), Loaded::Found(row(1, "small")));
    assert_eq!(store.apply(Change::Touch { id: id(2), exp: later(500), seen: NOW }), DONE);
    // An end frees space within the file.
    assert_eq!(store.apply(delete(1)), ended(1));
    assert_eq!(store.apply(create(3, Row { data: vec![3; 50_000], ..row(1, "") })), DONE);
    assert!(refused(create(4, large(1, 4))));
    store.store.shared.reserve.store(0, Ordering::Relaxed);
    assert_eq!(store.apply(create(4, large(1, 4))), DONE);
}

#[test]
fn of_a_batch_that_does_not_fit_what_fits_is_carried_out() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    store.store.shared.reserve.store(u64::MAX, Ordering::Relaxed);
    let large = Row { data: vec![1; 100_000], ..row(1, "") };
    // Another process holds the lock until both are waiting.
    let other = rusqlite::Connection::open(&store.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (created, deleted) = wait(async {
        let both = async {
            tokio::join!(
                store.store.apply(create(2, large), NOW),
                store.store.apply(delete(1), NOW)
            )
        };
        let free = async { other.execute_batch("COMMIT").unwrap() };
        tokio::join!(both, free).0
    });
    assert_eq!((created, deleted), (Err(Outage::Full), Ok(ended(1))));
}

#[test]
fn each_kind_of_trouble_has_its_name() {
    for (code, expected) in [
        (rusqlite::ffi::SQLITE_FULL, Outage::Full),
        (rusqlite::ffi::SQLITE_IOERR_SHMSIZE, Outage::Full),
        (rusqlite::ffi::SQLITE_READONLY, Outage::ReadOnly),
        (rusqlite::ffi::SQLITE_READONLY_DBMOVED, Outage::ReadOnly),
        (rusqlite::ffi::SQLITE_BUSY, Outage::Timeout),
        (rusqlite::ffi::SQLITE_CANTOPEN, Outage::Connect),
        (rusqlite::ffi::SQLITE_CORRUPT, Outage::Protocol),
        (rusqlite::ffi::SQLITE_IOERR_READ, Outage::Protocol),
    ] {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert_eq!(outage(&error), expected, "{code}");
    }
}

#[test]
fn a_row_of_another_type_is_an_outage_and_no_end_of_a_session() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    let other = rusqlite::Connection::open(&store.path).unwrap();
    other.execute_batch("UPDATE session SET sub = x'00'").unwrap();
    assert_eq!(wait(store.store.load(id(1), NOW)), Err(Outage::Protocol));
    other.execute_batch("DROP TABLE session").unwrap();
    assert_eq!(wait(store.store.load(id(1), NOW)), Err(Outage::Protocol));
    assert_eq!(wait(store.store.apply(save(1, 1, row(2, "b")), NOW)), Err(Outage::Protocol));
}
