//! SIGTERM while many long requests are under way: each is answered, then the process ends.

use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::support::{Builder, eventually};

#[test]
fn shutdown() {
    let (requests, delay) = pick((40, 1000), (200, 5000));
    let backend = Echo::start();
    let mut sidecar = Builder::new(&backend.url()).forget_access().start();
    let load = Load::on(sidecar.address()).connections(requests).count(requests as u64);
    let load = load.start(
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
        "shutdown: {figures}, the last answer {:.1} s after SIGTERM, exit code {code:?} {} ms later",
        answered.as_secs_f64(),
        ended.as_millis()
    );
    figures.assert_none_failed();
    assert_eq!(figures.status(200), requests as u64);
    // Otherwise nothing was under way.
    assert!(answered > Duration::from_millis(delay / 2), "{answered:?}");
    assert_eq!(code, Some(0));
    assert!(ended < Duration::from_secs(1), "{ended:?}");
}
