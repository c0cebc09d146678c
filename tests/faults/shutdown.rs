//! SIGTERM during many long requests: each is answered, then the process ends.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::{Failure, Load};
use crate::pick;
use crate::support::{Builder, eventually};
use crate::users::Users;

#[test]
fn shutdown() {
    let (requests, delay) = pick((40, 1000), (200, 5000));
    all_finish("", requests, delay, |load| load.connections(requests));
}

#[test]
fn shutdown_over_http2() {
    let (requests, delay) = pick((40, 1000), (200, 5000));
    all_finish(" over HTTP/2", requests, delay, |load| load.connections(4).streams(requests / 4));
}

fn all_finish(how: &str, requests: usize, delay: u64, load: impl FnOnce(Load) -> Load) {
    let backend = Echo::start();
    let mut sidecar = Builder::new(&backend.url()).forget_access().start();
    let load = load(Load::on(sidecar.address()).count(requests as u64)).start(
        move |number| {
            format!(
                "GET /{number} HTTP/1.1\r\nHost: app.test\r\nAnswer-Delay: {delay}\r\n\
                 Answer-X-Session-Save: {{\"n\":{number}}}\r\n\r\n"
            )
            .into_bytes()
        },
        |number, reply| {
            let expected = Echo::body(&format!("/{number}"), "{}");
            match reply.status == 200
                && reply.text() == expected
                && reply.cookie("session").is_some()
            {
                true => Ok(()),
                false => Err(format!("{}\n{}", reply.head, reply.text())),
            }
        },
    );
    eventually("all requests", || (backend.under_way() == requests as u64).then_some(()));
    let told = Instant::now();
    sidecar.signal("TERM");
    let figures = load.finish();
    let answered = told.elapsed();
    let code = sidecar.wait().code();
    let ended = told.elapsed() - answered;

    println!(
        "shutdown: {figures}{how}, the last answer {:.1} s after SIGTERM, exit code {code:?} {} ms later",
        answered.as_secs_f64(),
        ended.as_millis()
    );
    figures.assert_none_failed();
    assert_eq!(figures.status(200), requests as u64);
    // Otherwise no requests were in progress.
    assert!(answered > Duration::from_millis(delay / 2), "{answered:?}");
    assert_eq!(code, Some(0));
    assert!(ended < Duration::from_secs(1), "{ended:?}");
}

/// Clients that keep sending on persistent connections: when the listener is closed they are
/// refused, and can try another sidecar. A reset would lose the request.
#[test]
fn traffic() {
    few_are_lost("kept connections", |load| load.connections(50));
}

#[test]
fn traffic_over_http2() {
    few_are_lost("HTTP/2", |load| load.connections(5).streams(10));
}

fn few_are_lost(of: &str, load: impl FnOnce(Load) -> Load) {
    let backend = Echo::start();
    let mut sidecar = Builder::new(&backend.url()).forget_access().start();
    let users = Arc::new(Users::new(100));
    let (rate, time) = pick((300.0, 500), (1000.0, 5000));
    let load = users.load(load(Load::on(sidecar.address()).rate(rate)));
    thread::sleep(Duration::from_millis(time));
    sidecar.signal("TERM");
    let told = Instant::now();
    let code = sidecar.wait().code();
    let took = told.elapsed();
    let figures = load.stop();

    let refused = figures.of(Failure::Refused);
    let lost = figures.failures() - refused;
    println!(
        "shutdown: {} requests of {of}, {refused} refused after SIGTERM, {lost} lost, \
         exit code {code:?} after {} ms",
        figures.sent,
        took.as_millis()
    );
    assert_eq!(code, Some(0));
    let examples: Vec<_> =
        figures.examples().iter().filter(|example| !example.contains("refused")).collect();
    assert_eq!(figures.of(Failure::Wrong), 0, "{examples:?}");
    // A connection may be closed at the very moment when its client uses it; one request each.
    assert!(lost <= 10, "{lost}: {examples:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}
