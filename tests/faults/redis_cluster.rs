//! A cluster changes while it is used: slots move, a master is killed, and some slots are lost.

use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::patrons::{Patrons, Probe, assert_right};
use crate::pick;
use crate::stores;
use crate::support::engine::{Cluster, Engine};

#[test]
fn redis_cluster() {
    let slots = pick(200, 2000);
    let cluster = Cluster::with(Engine::Redis, |builder| builder.set("appendonly yes"));
    let backend = Echo::start();
    let sidecar = stores::start(stores::builder(&backend, &stores::cluster(&cluster.urls())));
    let patrons = Patrons::new(pick(47, 199));
    patrons.log_in(&sidecar);
    // Some on each master.
    let probes: Vec<Probe<'_>> = (0..pick(8, 24)).map(|_| Probe::new(&sidecar)).collect();
    let load = patrons.load(sidecar.address());
    thread::sleep(Duration::from_millis(300));

    let begun = Instant::now();
    cluster.reshard(0, 1, slots);
    let resharded = begun.elapsed();
    let moved = patrons.tally();

    let begun = Instant::now();
    cluster.fail_over(2);
    let elected = begun.elapsed();
    let begun = Instant::now();
    for probe in &probes {
        probe.until_served(false);
        probe.until_served(true);
    }
    let back = begun.elapsed();
    let killed = patrons.tally();
    // Without this replica, some slots are lost, and the cluster serves no keys.
    cluster.servers[5].kill();
    probes.iter().for_each(|probe| probe.until_refused(false));
    cluster.servers[5].start();
    for probe in &probes {
        probe.until_served(true);
    }
    let figures = load.stop();
    let (live, ended) = patrons.look(&sidecar);
    println!(
        "redis_cluster: {figures}; {slots} slots moved in {:.1} s: {} right, {} answered 503; a master \
         killed: another one after {:.1} s, all served {:.0} ms later: {} right, {} answered 503; in \
         the end {live} sessions as they were answered, {ended} that had ended were not there",
        resharded.as_secs_f64(),
        moved.served,
        moved.refused,
        elected.as_secs_f64(),
        back.as_secs_f64() * 1000.0,
        killed.served,
        killed.refused,
    );
    assert_right(&figures);
    assert!(moved.served > 0 && killed.served > 0 && live > 0, "{moved:?} {killed:?}");
    assert!(back < pick(Duration::from_secs(60), Duration::from_secs(2)), "{back:?}");
}
