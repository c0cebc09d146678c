//! The binary is replaced while clients send requests: none is refused or reset.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::support::Builder;
use crate::users::Users;

#[test]
fn upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("upgrade.sock");
    let backend = Echo::start();
    let start = |upgrade: bool| {
        let builder = Builder::new(&backend.url())
            .top(&format!("upgrade_socket = {socket:?}"))
            .forget_access();
        if upgrade { builder.argument("--upgrade").start() } else { builder.start() }
    };
    let mut sidecar = start(false);
    let address = sidecar.address();
    let users = Arc::new(Users::new(100));
    let (rate, upgrades, interval) = pick((200.0, 3, 300), (500.0, 20, 2000));
    let load = users.load(Load::on(address).connections(50).rate(rate));
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 1..=upgrades {
        let due = begun + Duration::from_millis(interval) * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        let next = start(true);
        assert_eq!(next.address(), address);
        let mut old = std::mem::replace(&mut sidecar, next);
        assert_eq!(old.wait().code(), Some(0));
        slowest = slowest.max(asked.elapsed());
    }
    let figures = load.stop();
    let (lost, mixed_up) = (users.lost(), users.mixed_up());
    println!(
        "upgrade: {figures}, {upgrades} upgrades, the longest {} ms from the start of the new \
         process to the end of the old one, {lost} logged out, {mixed_up} mixed up",
        slowest.as_millis()
    );
    figures.assert_none_failed();
    assert_eq!((lost, mixed_up), (0, 0));
}
