//! Heads of a megabyte are refused, need little memory, and leave nothing behind.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::Load;
use crate::rough::Wire;
use crate::support::{Builder, Sidecar};
use crate::vitals::{Vitals, megabytes};
use crate::{others, pick, runtime};

const MEGABYTE: usize = 1 << 20;

/// How many are sent at the same time.
const AT_ONCE: u64 = 32;

#[test]
fn large_heads() {
    let heads = pick(64, 1000);
    let backend = Echo::start();
    let sidecar = Builder::new(&backend.url()).forget_access().start();
    let mut at_rest: Vec<f64> = (0..pick(3, 5)).map(|_| throughput(&sidecar)).collect();
    at_rest.sort_unstable_by(f64::total_cmp);
    let at_rest = at_rest[at_rest.len() / 2];

    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let attackers: Vec<_> = (0..AT_ONCE)
        .map(|_| runtime().spawn(attack(sidecar.address(), Arc::clone(&next), heads)))
        .collect();
    let mut refused = 0;
    for attacker in attackers {
        refused += runtime().block_on(attacker).expect("a refusal of each head");
    }
    let took = begun.elapsed();
    let peak = Vitals::of(sidecar.id()).peak_rss;

    let over = Instant::now();
    let mut again = throughput(&sidecar);
    // Other tests may use the processors for a moment.
    for _ in 0..10 {
        if again >= at_rest * 0.9 {
            break;
        }
        again = again.max(throughput(&sidecar));
    }
    println!(
        "large_heads: {refused} of {heads} refused in {:.1} s, peak RSS {}, {at_rest:.0} requests \
         a second before, {again:.0} afterwards ({:.0} %) after {:.1} s",
        took.as_secs_f64(),
        megabytes(peak),
        again / at_rest * 100.0,
        over.elapsed().as_secs_f64(),
    );
    assert_eq!(refused, heads);
    // No head reached the backend. An answer may be read before it is counted.
    sidecar.counts(OK, backend.requests() as f64);
    assert!(peak <= pick(128 << 20, 64 << 20), "{}", megabytes(peak));
    // In the short form, another test may use both processors all the time.
    assert!(again >= at_rest * pick(0.01, 0.9), "{again} of {at_rest}");
}

const OK: &str = r#"cloakroom_requests_total{method="GET",status="200"}"#;

/// Requests per second at full speed.
fn throughput(sidecar: &Sidecar) -> f64 {
    let time = pick(Duration::from_millis(200), Duration::from_secs(2));
    let load = Load::on(sidecar.address()).during(time).run(others::request, others::check);
    load.assert_none_failed();
    load.sent as f64 / load.took.as_secs_f64()
}

/// How many were refused correctly.
async fn attack(address: SocketAddr, next: Arc<AtomicU64>, heads: u64) -> u64 {
    let mut refused = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= heads {
            return refused;
        }
        let (head, expected) = head(number);
        let status = send(address, &head).await.expect("an answer");
        assert_eq!(status, expected, "head {number}");
        refused += 1;
    }
}

/// One large line, many lines, very many lines, or a large target.
fn head(number: u64) -> (String, u16) {
    let lines = |lines: usize| {
        let field = format!("X-Field: {}\r\n", "x".repeat(MEGABYTE / lines));
        (format!("GET / HTTP/1.1\r\nHost: app.test\r\n{}\r\n", field.repeat(lines)), 431)
    };
    match number % 4 {
        0 => lines(1),
        1 => lines(80),
        2 => lines(10_000),
        _ => (format!("GET /{} HTTP/1.1\r\nHost: app.test\r\n\r\n", "x".repeat(MEGABYTE)), 414),
    }
}

async fn send(address: SocketAddr, head: &str) -> Result<u16> {
    let mut wire = Wire::connect(address).await?;
    // The sidecar may not read all of it.
    let _ = wire.send(head).await;
    let answer = wire.head().await?.unwrap_or_default();
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default())
}
