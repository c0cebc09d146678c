//! What goes wrong while a file is in use.

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
    // Not made anew: an empty file would log everybody out.
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
fn a_full_disk_is_told_from_other_trouble_and_is_over_when_there_is_room() {
    let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
    let shared = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(4874), None);
    let readonly = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(1032), None);
    let damaged = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(11), None);
    assert_eq!(outage(&full), Outage::Full);
    assert_eq!(outage(&shared), Outage::Full);
    assert_eq!(outage(&readonly), Outage::ReadOnly);
    assert_eq!(outage(&damaged), Outage::Protocol);
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
