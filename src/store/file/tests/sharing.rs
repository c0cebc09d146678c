//! Several stores on one file, as in several processes.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;

use super::*;

/// Polls a call once.
async fn is_pending<F: Future>(call: &mut Pin<Box<F>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await
}

/// Increments a number in session 1 `times` times, and notes the revisions.
async fn count_up(store: &FileStore, times: usize, given: &Mutex<Vec<u64>>) {
    let mut current = match store.load(id(1), NOW).await {
        Ok(Loaded::Found(row)) => row,
        other => panic!("{other:?}"),
    };
    for _ in 0..times {
        loop {
            let count: u64 = str::from_utf8(&current.data).unwrap().parse().unwrap();
            let next = row(current.rev + 1, &(count + 1).to_string());
            match store.apply(save(1, current.rev, next.clone()), NOW).await {
                Ok(DONE) => {
                    given.lock().unwrap().push(next.rev);
                    current = next;
                    break;
                }
                Ok(Applied::Conflict(row)) => current = row,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn no_revision_is_given_out_twice_and_no_update_is_lost() {
    const TIMES: usize = 100;
    let first = fixture();
    first.apply(create(1, row(1, "0")));
    let second = FileStore::open(&first.path, options(PATIENCE)).unwrap();
    let given = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for store in [&first.store, &second] {
            let given = &given;
            scope.spawn(move || {
                wait(async {
                    let counting = || count_up(store, TIMES, given);
                    tokio::join!(counting(), counting());
                });
            });
        }
    });
    let mut given = given.into_inner().unwrap();
    given.sort_unstable();
    let expected: Vec<u64> = (2..2 + 4 * TIMES as u64).collect();
    assert_eq!(given, expected);
    assert_eq!(first.load(1), Loaded::Found(row(expected[4 * TIMES - 1], "400")));
}

#[test]
fn of_all_that_save_at_once_one_holds_and_the_others_see_it() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    let results = wait(async {
        let mut calls = Vec::new();
        // All wait in the queue before the first is answered.
        for n in 0..50 {
            let data = n.to_string();
            calls.push(Box::pin(store.store.apply(save(1, 1, row(2, &data)), NOW)));
        }
        let mut results = Vec::new();
        for call in calls {
            results.push(call.await.unwrap());
        }
        results
    });
    let done = results.iter().filter(|result| **result == DONE).count();
    assert_eq!(done, 1);
    let Loaded::Found(kept) = store.load(1) else { panic!("gone") };
    for result in results {
        assert!(result == DONE || result == Applied::Conflict(kept.clone()), "{result:?}");
    }
}

#[test]
fn what_one_has_ended_is_gone_for_the_other_at_once() {
    let first = fixture();
    let second = FileStore::open(&first.path, options(PATIENCE)).unwrap();
    for round in 1..=20 {
        first.apply(create(round, row(1, "a")));
        assert_eq!(wait(second.load(id(round), NOW)), Ok(Loaded::Found(row(1, "a"))));
        assert_eq!(wait(second.apply(delete(round), NOW)), Ok(ended(1)));
        assert_eq!(first.load(round), Loaded::Gone);
        assert_eq!(first.apply(save(round, 1, row(2, "b"))), Applied::Gone);
    }
}

#[test]
fn a_lock_that_another_process_holds_too_long_is_an_outage_and_then_over() {
    let short = Duration::from_millis(40);
    let store = fixture_with(options(short));
    store.apply(create(1, row(1, "a")));
    let other = rusqlite::Connection::open(&store.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let refused = wait(store.store.apply(save(1, 1, row(2, "b")), NOW));
    assert_eq!(refused, Err(Outage::Timeout));
    assert!(start.elapsed() >= short, "{:?}", start.elapsed());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    // Reads still work, and the refused write is not applied later.
    assert_eq!(store.load(1), Loaded::Found(row(1, "a")));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.load(1), Loaded::Found(row(1, "a")));
    store.store.set_timeout(PATIENCE);
    assert_eq!(store.apply(save(1, 1, row(2, "c"))), DONE);
}

#[test]
fn a_lock_that_is_given_back_in_time_is_waited_for() {
    let store = fixture();
    let other = rusqlite::Connection::open(&store.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let applied = wait(async {
        let mut waiting = Box::pin(store.store.apply(create(1, row(1, "a")), NOW));
        assert!(is_pending(&mut waiting).await);
        other.execute_batch("COMMIT").unwrap();
        waiting.await
    });
    assert_eq!(applied, Ok(DONE));
}

#[test]
fn what_waits_when_the_store_is_dropped_is_still_written() {
    let Fixture { store, path, _folder } = fixture();
    wait(async {
        for byte in 1..=100 {
            let mut waiting = Box::pin(store.apply(create(byte, row(1, "a")), NOW));
            is_pending(&mut waiting).await;
        }
    });
    drop(store);
    let store = FileStore::open(&path, options(PATIENCE)).unwrap();
    for byte in 1..=100 {
        assert_ne!(wait(store.load(id(byte), NOW)), Ok(Loaded::Gone), "{byte}");
    }
}

#[test]
fn loads_at_the_same_time_see_each_write_that_was_answered_before() {
    let store = fixture();
    store.apply(create(1, row(1, "1")));
    store.apply(create(2, row(1, "other")));
    let second = FileStore::open(&store.path, options(PATIENCE)).unwrap();
    wait(async {
        for rev in 1..200_u64 {
            let saved = row(rev + 1, &rev.to_string());
            assert_eq!(second.apply(save(1, rev, saved.clone()), NOW).await, Ok(DONE));
            let load = |byte| store.store.load(id(byte), NOW);
            let (saved, other) = (Ok(Loaded::Found(saved)), Ok(Loaded::Found(row(1, "other"))));
            let loaded = tokio::join!(load(1), load(2), load(3), load(1));
            assert_eq!(loaded, (saved.clone(), other, Ok(Loaded::Gone), saved));
        }
    });
}

#[test]
fn a_load_that_nobody_waits_for_keeps_no_other_waiting() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    wait(async {
        for _ in 0..100 {
            let mut given_up = Box::pin(store.store.load(id(1), NOW));
            // Asked for, and dropped before anybody was woken for it.
            assert!(is_pending(&mut given_up).await);
            drop(given_up);
            assert_eq!(store.store.load(id(1), NOW).await, Ok(Loaded::Found(row(1, "a"))));
        }
    });
}
