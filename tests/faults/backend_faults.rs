//! A backend that breaks every rule of HTTP spoils only the answer concerned: it answers every
//! second request correctly, over the same connections.
//!
//! Each request has a mark, which the backend writes into everything it sends. A mark in the answer
//! to another request proves that answers were mixed up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::rough::Rough;
use crate::support::Builder;
use crate::vitals::{Vitals, megabytes};
use crate::{pick, runtime};

mod client;
mod fault;
mod http2;

use client::{Client, Outcome};
use fault::Fault;

/// What the backend has observed.
#[derive(Default)]
struct Noticed {
    /// POSTs by mark, and how often each arrived.
    posts: Mutex<BTreeMap<u64, u64>>,
    /// Requests that no client has sent in this form.
    mangled: Mutex<Vec<String>>,
}

/// The outcomes of the requests of each kind.
type Outcomes = BTreeMap<Fault, BTreeMap<Outcome, u64>>;

#[test]
fn backend_faults() {
    let (each, clients) = pick((16, 48), (1000, 96));
    let noticed = Arc::new(Noticed::default());
    let notices = Arc::clone(&noticed);
    let backend = Rough::start(move |wire| fault::serve(wire, Arc::clone(&notices)));
    let sidecar = Builder::new(&backend.url())
        .forget_access()
        .with(pick("[timeouts]\nbackend_read = \"3s\"", "[timeouts]\nbackend_read = \"2s\""))
        .start();

    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = Client::of(sidecar.address());
            let mut http2 = http2::Client::of(sidecar.address());
            let next = Arc::clone(&next);
            runtime().spawn(async move {
                let mut outcomes = Outcomes::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(fault) = Fault::of(number, each) else { return outcomes };
                    let outcome = match is_over_http2(number) {
                        true => http2.send(fault, number).await,
                        false => client.send(fault, number).await,
                    };
                    *outcomes.entry(fault).or_default().entry(outcome).or_default() += 1;
                }
            })
        })
        .collect();
    let mut outcomes = Outcomes::new();
    for client in clients {
        for (fault, counts) in runtime().block_on(client).expect("a client that does not panic") {
            let sums = outcomes.entry(fault).or_default();
            counts
                .into_iter()
                .for_each(|(outcome, count)| *sums.entry(outcome).or_default() += count);
        }
    }
    let took = begun.elapsed();
    let peak = Vitals::of(sidecar.id()).peak_rss;

    let sum = |is: fn(&Outcome) -> bool| -> u64 {
        let counts = outcomes.values().flatten();
        counts.filter(|(outcome, _)| is(outcome)).map(|(_, count)| count).sum()
    };
    let sent = sum(|_| true);
    let foreign = sum(|outcome| matches!(outcome, Outcome::Foreign(_)));
    let stale = sum(|outcome| *outcome == Outcome::Stale);
    let posts = noticed.posts.lock();
    let twice = posts.values().filter(|&&times| times > 1).count();
    let mangled = noticed.mangled.lock();
    for (fault, counts) in &outcomes {
        println!("backend_faults: {fault:?}: {counts:?}");
    }
    println!(
        "backend_faults: {sent} requests in {:.1} s, {} kinds of faults, {foreign} with a part of \
         another's answer, {stale} on a connection that closed, {} POSTs, {twice} of them twice, \
         {} mangled, peak RSS {}",
        took.as_secs_f64(),
        outcomes.len() - 1,
        posts.len(),
        mangled.len(),
        megabytes(peak),
    );
    assert_eq!(outcomes.len(), Fault::ALL.len() + 1, "every kind was there");
    assert_eq!(foreign, 0, "{outcomes:?}");
    assert_eq!(twice, 0);
    assert!(stale * 100 <= sent, "{stale} of {sent}");
    assert!(mangled.is_empty(), "{mangled:?}");
    for (fault, counts) in &outcomes {
        for outcome in counts.keys() {
            assert!(fault.allows(outcome), "{fault:?}: {outcome:?}");
        }
    }
    sidecar.counts("cloakroom_requests_in_flight", 0.0);
    sidecar.counts("cloakroom_connections_active", 0.0);
    assert!(!sidecar.log().contains("panicked"), "a panic");
    assert!(took < Duration::from_secs(300));
}

/// Whether a request is sent over HTTP/2: every second round of those that the ways to end a body
/// take.
fn is_over_http2(number: u64) -> bool {
    number / 16 % 2 == 1
}

/// The way to end the body of a request, of those that its version of HTTP has. 16 requests of a kind
/// combine each of them with each fault: the number of faults is odd, and every second request of a
/// kind is a POST.
fn ending<T: Copy>(number: u64, ways: [T; 4]) -> T {
    ways[(number / 4 % 4) as usize]
}

/// The mark in everything that is sent for a request.
fn mark(number: u64) -> String {
    format!("mark-{number}-")
}

/// The numbers of all marks in these bytes.
fn marks(bytes: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(bytes);
    let parts = text.split("mark-").skip(1);
    parts.filter_map(|part| part.split_once('-')?.0.parse().ok()).collect()
}
