//! No user gets another user's answer: users share connections to the sidecar and to the backend,
//! while the sidecar reloads repeatedly.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::reload::{FILE, SUCCESS};
use crate::support::{Builder, Volume, Way};
use crate::users::Users;
use crate::vitals::Vitals;

#[test]
fn isolation() {
    let requests = pick(2000, 1_000_000);
    let load = |load: Load| load.connections(64).count(requests);
    none_is_mixed_up("", requests, load);
}

/// Like a browser with many requests on one connection, or a proxy with those of many users.
#[test]
fn isolation_over_http2() {
    let requests = pick(1000, 200_000);
    let load = |load: Load| load.connections(4).streams(50).count(requests);
    none_is_mixed_up(" over HTTP/2", requests, load);
}

fn none_is_mixed_up(how: &str, requests: u64, load: impl FnOnce(Load) -> Load) {
    let backend = Echo::start();
    // New time-outs replace the connections to the backend.
    let text = |seconds: u64| {
        let timeouts = format!("[timeouts]\nbackend_read = \"{seconds}s\"");
        Builder::new(&backend.url()).with(&timeouts).text()
    };
    let mut volume = Volume::of(Way::Rename, FILE, &text(60));
    let builder = Builder::new(&backend.url()).file(volume.path(FILE)).forget_access();
    let sidecar = builder.start();
    let users = Arc::new(Users::new(pick(100, 1000)));

    let load = users.load(load(Load::on(sidecar.address())));
    let mut reloads = 0;
    while load.begun() < requests {
        let due = Instant::now() + Duration::from_millis(pick(50, 250));
        volume.put(&[(FILE, &text(60 + reloads % 2))]);
        reloads += 1;
        sidecar.signal("HUP");
        crate::reload::wait_for(&sidecar, SUCCESS, reloads);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let figures = load.finish();
    let vitals = Vitals::of(sidecar.id());

    println!(
        "isolation: {figures}, {} users{how}, {reloads} reloads, {} logged out, {} mixed up, {} µs of \
         CPU a request",
        users.count(),
        users.lost(),
        users.mixed_up(),
        vitals.cpu.as_micros() / u128::from(figures.sent)
    );
    figures.assert_none_failed();
    assert_eq!(figures.sent, requests);
    assert_eq!((users.mixed_up(), users.lost()), (0, 0));
    assert!(backend.requests() >= requests);
}
