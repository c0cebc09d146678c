//! The sidecar is killed repeatedly while sessions in its file are saved, renewed and ended:
//! answered writes are kept, and the file is valid.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::clock;
use cloakroom::store::file::{FileStore, Options};

use crate::backend::Echo;
use crate::load::{Failure, Load};
use crate::pick;
use crate::visitors::{Home, Looked, Visitors};

/// How long it takes to open the file after a kill, measured with a copy.
fn opens_within(home: &Home) -> Duration {
    let copy = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("sessions.db{suffix}");
        fs::copy(home.folder().join(&name), copy.path().join(&name)).unwrap();
    }
    let begun = Instant::now();
    let options = Options { timeout: Duration::from_secs(5), clock: clock::now };
    let opened = FileStore::open(&copy.path().join("sessions.db"), options).unwrap();
    let took = begun.elapsed();
    drop(opened);
    took
}

#[test]
fn store_kill() {
    let kills = pick(5_u64, 100);
    let (home, backend) = (Home::new(), Echo::start());
    let visitors = Visitors::new(400);
    let mut all = Looked::default();
    let (mut sent, mut opened) = (0, Vec::new());
    for kill in 0..kills {
        let mut sidecar = home.builder(&backend).start();
        let load = visitors.load(Load::on(sidecar.address()));
        thread::sleep(Duration::from_millis(250 + kill * 37 % 200));
        sidecar.signal("KILL");
        visitors.rest();
        let figures = load.stop();
        assert_eq!(figures.of(Failure::Wrong), 0, "{figures}\n{}", figures.examples().join("\n"));
        sidecar.wait();
        sent += figures.sent;
        opened.push(opens_within(&home));

        let sidecar = home.builder(&backend).start();
        let looked = visitors.look(&sidecar);
        assert!(looked.kept > 0, "{looked:?}");
        all.ended += looked.ended;
        all.unknown += looked.unknown;
        let there = home.sessions();
        assert!(
            (looked.kept..=looked.kept + all.unknown).contains(&there),
            "{there} sessions are in the file: {looked:?}, {all:?}"
        );
        all.kept = looked.kept;
    }
    opened.sort_unstable();
    let (median, slowest) = (opened[opened.len() / 2], opened[opened.len() - 1]);
    println!(
        "store_kill: {kills} kills under {sent} requests; in the end {} sessions as they were \
         answered, {} that had ended were not there, {} with a request under way; the file opened \
         within {:.1} ms, {:.1} ms at most",
        all.kept,
        all.ended,
        all.unknown,
        median.as_secs_f64() * 1000.0,
        slowest.as_secs_f64() * 1000.0
    );
    assert!(all.ended > 0, "{all:?}");
    // On a busy machine it takes longer.
    assert!(median < pick(Duration::from_secs(2), Duration::from_millis(50)), "{median:?}");
}
