//! A very large number of live sessions under load: memory stays constant in the sidecar and, per
//! session, in Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backend::Echo;
use crate::load::Load;
use crate::patrons::assert_right;
use crate::pick;
use crate::stores;
use crate::support::engine::{Engine, Server};
use crate::vitals::{Vitals, megabytes};

/// About 500 bytes for the session with this number.
fn dict(number: u64) -> String {
    format!(r#"{{"user":"user-{number}","basket":"{}"}}"#, "x".repeat(460))
}

#[test]
fn redis_many() {
    let count = pick(300_u64, 1_000_000);
    let (rate, time) = pick((50.0, Duration::from_secs(2)), (2000.0, Duration::from_secs(600)));
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    let sidecar = stores::start(stores::builder(&backend, &stores::single(&server.url())));
    let empty: u64 = server.info("used_memory").parse().unwrap();
    let tickets = Arc::new(Mutex::new(vec![String::new(); count as usize]));
    let keeps = Arc::clone(&tickets);
    let begun = Instant::now();
    let figures = Load::on(sidecar.address()).connections(pick(4, 50)).count(count).run(
        |number| {
            let save = dict(number);
            format!("GET /{number} HTTP/1.1\r\nHost: a\r\nAnswer-X-Session-Save: {save}\r\n\r\n")
                .into_bytes()
        },
        move |number, reply| {
            let ticket = reply.cookie("session").ok_or_else(|| reply.text())?;
            ticket.clone_into(&mut keeps.lock()[number as usize]);
            Ok(())
        },
    );
    assert_right(&figures);
    let made = begun.elapsed();
    let full: u64 = server.info("used_memory").parse().unwrap();
    let keys = server.ask(&["DBSIZE"]).number();
    // A third of them writes, each time to another session.
    let (address, knows) = (sidecar.address(), count);
    let load = |time: Duration| {
        let asks = Arc::clone(&tickets);
        let which = move |number: u64| number.wrapping_mul(7919) % knows;
        Load::on(address).connections(pick(8, 50)).rate(rate).during(time).run(
            move |number| {
                let (whose, save) = (which(number), dict(which(number)));
                let ticket = asks.lock()[whose as usize].clone();
                let save = match number % 3 {
                    0 => format!("Answer-X-Session-Save: {save}\r\n"),
                    _ => String::new(),
                };
                format!(
                    "GET /{number} HTTP/1.1\r\nHost: a\r\nCookie: session={ticket}\r\n{save}\r\n"
                )
                .into_bytes()
            },
            move |number, reply| {
                let expected = Echo::body(&format!("/{number}"), &dict(which(number)));
                match reply.status == 200 && reply.text() == expected {
                    true => Ok(()),
                    false => Err(format!("{} {}", reply.status, reply.text())),
                }
            },
        )
    };
    let cost = || {
        let number = |name| server.info(name).parse::<u64>().unwrap();
        let bytes = number("total_net_input_bytes") + number("total_net_output_bytes");
        (Vitals::of(server.id()).cpu, bytes)
    };
    let process = sidecar.id();
    load(pick(Duration::from_millis(500), Duration::from_secs(10)));
    let (before, cost_before) = (Vitals::of(process), cost());
    let figures = load(time);
    let (after, cost_after) = (Vitals::of(process), cost());
    let each = |all: f64| all / figures.sent as f64;
    println!(
        "redis_many: {count} sessions of {} bytes, made in {:.0} s: {} bytes each in Redis, with an index \
         of users, in {keys} keys; {figures}; RSS {} before and {} after; each \
         request, of which a third saves, takes {:.0} µs of CPU here, {:.0} µs of Redis' and {:.0} bytes \
         on its network",
        dict(count).len(),
        made.as_secs_f64(),
        (full - empty) / count,
        megabytes(before.rss),
        megabytes(after.rss),
        each((after.cpu - before.cpu).as_secs_f64() * 1e6),
        each((cost_after.0 - cost_before.0).as_secs_f64() * 1e6),
        each((cost_after.1 - cost_before.1) as f64),
    );
    assert_right(&figures);
    let more = after.rss.saturating_sub(before.rss);
    assert!(more < pick(64 << 20, 2 << 20), "{more} bytes more");
    assert!(figures.latency(0.99) < pick(Duration::from_secs(30), Duration::from_millis(50)));
}
