//! The binary is replaced while sessions in its file are saved, renewed and ended: nothing is lost,
//! and no request waits.

use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::visitors::{Home, Visitors};

#[test]
fn store_upgrade() {
    let (home, backend) = (Home::new(), Echo::start());
    let socket = home.folder().join("upgrade.sock");
    let start = |upgrade: bool| {
        let builder = home.builder(&backend).top(&format!("upgrade_socket = {socket:?}"));
        if upgrade { builder.argument("--upgrade").start() } else { builder.start() }
    };
    let mut sidecar = start(false);
    let address = sidecar.address();
    let visitors = Visitors::new(pick(60, 400));
    let (rate, upgrades, interval) = pick((200.0, 3, 300), (500.0, 20, 2000));
    let load = visitors.load(Load::on(address).connections(32).rate(rate));
    let begun = Instant::now();
    for number in 1..=upgrades {
        let due = begun + Duration::from_millis(interval) * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let next = start(true);
        assert_eq!(next.address(), address);
        let mut old = std::mem::replace(&mut sidecar, next);
        assert_eq!(old.wait().code(), Some(0));
    }
    let figures = load.stop();
    // Checked first: an unanswered write may or may not have been applied.
    figures.assert_none_failed();
    let looked = visitors.look(&sidecar);
    println!(
        "store_upgrade: {figures}, {upgrades} upgrades, {} sessions as they were answered, {} that \
         had ended were not there",
        looked.kept, looked.ended
    );
    assert_eq!(looked.unknown, 0);
    assert_eq!(home.sessions(), looked.kept);
    assert!(looked.kept > 0 && looked.ended > 0, "{looked:?}");
    let longest = pick(Duration::from_secs(5), Duration::from_millis(500));
    assert!(figures.latency(1.0) < longest, "{figures}");
}
