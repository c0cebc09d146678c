#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use std::path::Path;

use tempfile::TempDir;

use super::file::Options;
use super::operation::Row;
use super::samples::{self, NOW, id};
use super::*;

mod changes;
#[cfg(feature = "redis")]
mod engines;
mod homes;
#[cfg(feature = "redis")]
mod servers;
mod simulation;

fn store(folder: &Path, timeout: Duration) -> Store {
    let options = Options { timeout, clock: || Timestamp::from_secs(0) };
    let file = FileStore::open(&folder.join("sessions.db"), options).unwrap();
    Store::new(Home::File(file), timeout)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn create(byte: u8) -> Change {
    samples::create(byte, samples::row(1, "x"))
}

#[test]
fn an_answer_says_what_it_was_for_and_how_long_it_took() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path(), Duration::from_secs(5));
    let created = wait(store.apply(create(1), NOW));
    assert_eq!((created.result, created.op), (Ok(Applied::done(0)), Op::Save));
    assert!(created.took > Duration::ZERO);
    assert!(matches!(wait(store.load(id(1), NOW)).result, Ok(Loaded::Found(_))));
    assert_eq!(wait(store.show(id(1), NOW)).op, Op::List);
    assert_eq!(wait(store.apply(samples::delete(1), NOW)).op, Op::Delete);
    assert_eq!(wait(store.apply(Change::EndAll, NOW)).op, Op::Revoke);
    assert!(store.is_up());
}

/// A store after five writes that found it locked, and the connection that holds the lock.
fn locked(folder: &Path) -> (Store, rusqlite::Connection) {
    let store = store(folder, Duration::from_millis(10));
    let other = rusqlite::Connection::open(folder.join("sessions.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..5 {
        assert_eq!(wait(store.apply(create(1), NOW)).result, Err(Outage::Timeout));
    }
    (store, other)
}

#[test]
fn a_store_that_does_not_answer_is_left_alone_for_a_while_and_can_still_be_read() {
    let folder = TempDir::new().unwrap();
    let (store, other) = locked(folder.path());
    assert!(!store.is_up());
    let spared = wait(store.apply(create(1), NOW));
    assert_eq!((spared.result, spared.took), (Err(Outage::OpenCircuit), Duration::ZERO));
    store.set_timeout(Duration::from_secs(5));
    assert_eq!(wait(store.load(id(1), NOW)).result, Ok(Loaded::Gone));
    other.execute_batch("COMMIT").unwrap();
    // A probe finds out that it is available again.
    let start = Instant::now();
    loop {
        match wait(store.apply(create(1), NOW)).result {
            Err(Outage::OpenCircuit) if start.elapsed() < Duration::from_secs(5) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => break assert_eq!(result, Ok(Applied::done(0))),
        }
    }
    assert!(store.is_up());
}

#[test]
fn a_file_that_can_be_written_again_is_up_before_anybody_writes() {
    let folder = TempDir::new().unwrap();
    let (store, other) = locked(folder.path());
    store.set_timeout(Duration::from_secs(5));
    assert_eq!(wait(store.load(id(1), NOW)).result, Ok(Loaded::Gone));
    // A successful read does not prove that writes work.
    assert!(!store.is_up());
    other.execute_batch("COMMIT").unwrap();
    let begun = Instant::now();
    while !store.is_up() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(wait(store.apply(create(1), NOW)).result, Ok(Applied::done(0)));
}

#[test]
fn every_label_is_another_one() {
    let mut ops = Op::ALL.map(Op::label).to_vec();
    let mut kinds = Outage::ALL.map(Outage::label).to_vec();
    for labels in [&mut ops, &mut kinds] {
        let count = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), count);
    }
}
