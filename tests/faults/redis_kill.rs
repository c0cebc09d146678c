//! The server is killed and restarted repeatedly: no user is logged out, and service resumes as
//! soon as it is back.

use std::thread;
use std::time::Duration;

use crate::backend::Echo;
use crate::patrons::{Patrons, Probe, assert_right};
use crate::pick;
use crate::stores;
use crate::support::engine::{Engine, Server};

#[test]
fn redis_kill() {
    let kills = pick(2_u64, 20);
    // Not "everysec": while a sync runs on a slow disk, Redis answers up to two seconds before it
    // writes, and a kill loses that data.
    let server = Server::of(Engine::Redis).append_only().start();
    let backend = Echo::start();
    let sidecar = stores::start(stores::builder(&backend, &stores::single(&server.url())));
    let patrons = Patrons::new(pick(47, 199));
    patrons.log_in(&sidecar);
    let probe = Probe::new(&sidecar);
    let load = patrons.load(sidecar.address());
    let mut back = Vec::new();
    for kill in 0..kills {
        thread::sleep(Duration::from_millis(300 + kill * 37 % 200));
        server.kill();
        probe.until_refused(false);
        thread::sleep(Duration::from_millis(kill * 211 % 1500));
        server.start();
        back.push(probe.until_served(false).max(probe.until_served(true)));
    }
    let figures = load.stop();
    let tally = patrons.tally();
    let (live, ended) = patrons.look(&sidecar);
    let slowest = back.iter().max().unwrap();
    println!(
        "redis_kill: {kills} kills under {figures}; {} right, {} answered 503; served again within \
         {:.0} ms of its return; in the end {live} sessions as they were answered, {ended} that had \
         ended were not there",
        tally.served,
        tally.refused,
        slowest.as_secs_f64() * 1000.0
    );
    assert_right(&figures);
    assert!(tally.served > 0 && tally.refused > 0 && live > 0, "{tally:?}");
    assert!(*slowest < pick(Duration::from_secs(60), Duration::from_millis(300)), "{back:?}");
    stores::assert_no_session_was_gone(&sidecar, ended as u64 + tally.looked_back);
}
