//! The server does not answer, or answers late: no call takes longer than `store.timeout`, and
//! service resumes soon after.

use std::thread;
use std::time::Duration;

use crate::backend::Echo;
use crate::load::Load;
use crate::patrons::{Patrons, Probe, assert_right};
use crate::pick;
use crate::stores;
use crate::support::engine::{Engine, Proxy, Server, Trouble, until};

/// `store.timeout`; in the short form long enough for a busy machine.
fn limit() -> (&'static str, Duration) {
    pick(("1s", Duration::from_secs(1)), ("250ms", Duration::from_millis(250)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// The process is stopped; the system still accepts data.
    Stopped,
    /// Data is lost, also on new connections.
    Swallowed,
    /// Each answer is 200 ms late.
    Late,
}

fn experiment(silence: Silence) {
    let server = Server::of(Engine::Redis).start();
    let proxy = Proxy::before(server.port());
    let backend = Echo::start();
    let (timeout, limit) = limit();
    let store = stores::single(&server.url_at(proxy.port()));
    let sidecar = stores::start(stores::within(timeout, &backend, &store));
    let patrons = Patrons::new(pick(47, 199));
    patrons.log_in(&sidecar);
    let probe = Probe::new(&sidecar);
    // Enough connections that requests do not wait for each other.
    let (connections, rate) = pick((50, 50.0), (150, 500.0));
    let load = Load::on(sidecar.address()).connections(connections).rate(rate);
    let load = patrons.load_at(load.patience(Duration::from_secs(60)));
    thread::sleep(pick(Duration::from_millis(300), Duration::from_secs(1)));
    let quiet = patrons.tally();
    match silence {
        Silence::Stopped => server.signal("STOP"),
        Silence::Swallowed => proxy.make(Trouble::Swallow),
        Silence::Late => proxy.make(Trouble::Delay(Duration::from_millis(200))),
    }
    thread::sleep(pick(Duration::from_secs(2), Duration::from_secs(3)));
    if silence != Silence::Late {
        until("an open circuit", || stores::errors(&sidecar, "open_circuit") > 0);
    }
    let spared = stores::errors(&sidecar, "open_circuit");
    let tally = patrons.tally();
    match silence {
        Silence::Stopped => server.signal("CONT"),
        Silence::Swallowed | Silence::Late => proxy.make(Trouble::None),
    }
    let recovered = probe.until_served(false).max(probe.until_served(true));
    thread::sleep(Duration::from_millis(300));
    let figures = load.stop();
    let (live, ended) = patrons.look(&sidecar);
    println!(
        "redis_silence: {silence:?}: {figures}; {} right and {} answered 503 meanwhile, {spared} of \
         which were not tried; within {:.0} ms, and {:.0} ms before; with a write {:.0} ms; served \
         again {:.0} ms later; {live} sessions as they were answered, {ended} ended",
        tally.served,
        tally.refused,
        tally.slowest[0].as_secs_f64() * 1000.0,
        quiet.slowest[0].as_secs_f64() * 1000.0,
        tally.slowest[1].as_secs_f64() * 1000.0,
        recovered.as_secs_f64() * 1000.0,
    );
    assert_right(&figures);
    if silence == Silence::Late {
        assert!(tally.served > 0, "{tally:?}");
    } else {
        assert!(tally.refused > 0, "{tally:?}");
    }
    // A request that writes makes two calls, one after the other.
    let spare = pick(Duration::from_secs(30), Duration::from_millis(50));
    assert!(tally.slowest[0] < limit + spare, "{tally:?}");
    assert!(tally.slowest[1] < 2 * limit + spare, "{tally:?}");
    assert!(
        recovered < pick(Duration::from_secs(60), Duration::from_millis(1500)),
        "{recovered:?}"
    );
}

#[test]
fn stopped() {
    experiment(Silence::Stopped);
}

#[test]
fn swallowed() {
    experiment(Silence::Swallowed);
}

#[test]
fn late() {
    experiment(Silence::Late);
}
