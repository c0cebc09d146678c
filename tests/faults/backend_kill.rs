//! The backend is killed every second: clients get an answer or a correct 502 or 504, no POST is
//! sent twice, and the first request after its return is served.
//!
//! The backend is this test itself in another process.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::load::{Load, Reply};
use crate::pick;
use crate::support::Builder;

mod process;

use process::{Arrivals, Port, Process};

/// How long it is away: long enough to matter, or not at all.
const AWAY: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(500),
];

/// The time and status of each answer.
type Answers = Mutex<Vec<(Instant, u16)>>;

#[test]
fn backend_kill() {
    if process::is_wanted() {
        return process::serve();
    }
    let kills = pick(4_u64, 60);
    let port = Port::reserve();
    let arrivals = Arc::new(Arrivals::default());
    let mut process = Process::start(&port, &arrivals);
    let sidecar = Builder::new(&port.url()).forget_access().start();

    let answers = Arc::new(Answers::default());
    let seen = Arc::clone(&answers);
    let load = Load::on(sidecar.address()).connections(32).rate(500.0).start(
        request,
        move |number, reply| {
            seen.lock().push((Instant::now(), reply.status));
            check(number, reply)
        },
    );
    let begun = Instant::now();
    let (mut returns, mut ends) = (Vec::new(), Vec::new());
    for kill in 1..=kills {
        let due = Duration::from_secs(kill).saturating_sub(begun.elapsed());
        thread::sleep(due);
        ends.push(Instant::now());
        process.kill();
        thread::sleep(AWAY[kill as usize % AWAY.len()]);
        process = Process::start(&port, &arrivals);
        returns.push(Instant::now());
    }
    thread::sleep(Duration::from_secs(1));
    let figures = load.stop();

    let answers = answers.lock();
    let back = returns.iter().map(|&back| {
        let served = answers.iter().filter(|&&(at, status)| at >= back && status == 200);
        served.map(|&(at, _)| at - back).min().expect("an answer after the last return")
    });
    let back = back.max().unwrap_or_default();
    let (posts, twice) = arrivals.count();
    let status = |status| figures.status(status);
    println!(
        "backend_kill: {} kills; {figures}; {} were 200, {} 502, {} 504; {posts} POSTs arrived, \
         {twice} of them twice; served again {:.0} ms after a return at most",
        ends.len(),
        status(200),
        status(502),
        status(504),
        back.as_secs_f64() * 1000.0,
    );
    figures.assert_none_failed();
    assert!(status(200) > 0 && status(502) > 0, "{:?}", figures.statuses());
    assert_eq!(status(200) + status(502) + status(504), figures.sent);
    assert!(posts > 0, "no POST arrived");
    assert_eq!(twice, 0, "POSTs arrived twice");
    assert!(back <= Duration::from_secs(1), "{back:?}");
}

/// Every second one is a POST.
fn request(number: u64) -> Vec<u8> {
    if number.is_multiple_of(2) {
        return format!("GET /{number} HTTP/1.1\r\nHost: app.test\r\n\r\n").into_bytes();
    }
    let body = "x".repeat((number % 1000) as usize);
    let length = body.len();
    format!("POST /{number} HTTP/1.1\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn check(number: u64, reply: &Reply) -> Result<(), String> {
    let text = reply.text();
    match reply.status {
        200 if text == process::body(&format!("/{number}")) => Ok(()),
        502 | 504 if text.starts_with(&format!("{} ", reply.status)) => Ok(()),
        status => Err(format!("{status} {text:?}")),
    }
}
