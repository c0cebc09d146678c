//! Very slow clients cost the sidecar little, and other clients nothing.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::rough::{Rough, Wire};
use crate::support::Builder;
use crate::vitals::{Vitals, megabytes};
use crate::{others, pick, runtime};

/// The number of clients of each kind.
struct Crowd {
    /// Send a head byte by byte.
    heads: usize,
    /// Send nothing.
    silent: usize,
    /// Send a chunked body byte by byte.
    bodies: usize,
    /// Request a large answer and never read it.
    deaf: usize,
}

const SHORT: Crowd = Crowd { heads: 70, silent: 10, bodies: 10, deaf: 2 };
const FULL: Crowd = Crowd { heads: 1900, silent: 60, bodies: 30, deaf: 10 };

#[test]
fn slow_loris() {
    let crowd = pick(SHORT, FULL);
    // The full form uses the default limits.
    let limit = pick(Duration::from_secs(1), Duration::from_secs(10));
    let time = pick(Duration::from_millis(1500), Duration::from_secs(60));
    let backend = Rough::patient();
    let sidecar = Builder::new(&backend.url())
        .forget_access()
        .with(pick("[timeouts]\nhead = \"1s\"", ""))
        .start();
    let address = sidecar.address();
    let at_rest = others::at_rest(address);

    // Start one after another, so that they do not all reconnect at the same time.
    let begun = Instant::now();
    let end = begun + limit + time;
    let starts = |count: usize| {
        (0..count).map(move |number| begun + limit.mul_f64(number as f64 / count as f64))
    };
    let heads = starts(crowd.heads)
        .map(|start| runtime().spawn(again_and_again(start, end, move || drip_head(address))));
    let silent = starts(crowd.silent)
        .map(|start| runtime().spawn(again_and_again(start, end, move || say_nothing(address))));
    let bodies = starts(crowd.bodies)
        .map(|start| runtime().spawn(async move { drop(drip_body(start, address).await) }));
    let deaf = starts(crowd.deaf)
        .map(|start| runtime().spawn(async move { drop(ask_and_turn_away(start, address).await) }));
    let ended: Vec<_> = heads.chain(silent).collect();
    let held: Vec<JoinHandle<()>> = bodies.chain(deaf).collect();
    runtime().block_on(async { sleep_until(begun + limit).await });
    let meanwhile = others::load(address).during(time).run(others::request, others::check);
    let (mut closed, mut slowest) = (0, Duration::ZERO);
    for attacker in ended {
        let lives = runtime().block_on(attacker).expect("an attacker that does not panic");
        closed += lives.len();
        slowest = lives.into_iter().fold(slowest, Duration::max);
    }
    held.iter().for_each(JoinHandle::abort);

    let peak = Vitals::of(sidecar.id()).peak_rss;
    let clients = crowd.heads + crowd.silent + crowd.bodies + crowd.deaf;
    println!(
        "slow_loris: {clients} slow clients for {time:?}, {closed} heads ended after {:.1} s at \
         most, peak RSS {}; others at rest: {at_rest}; meanwhile: {meanwhile}",
        slowest.as_secs_f64(),
        megabytes(peak),
    );
    assert!(closed >= crowd.heads + crowd.silent);
    assert!(slowest <= pick(Duration::from_secs(6), Duration::from_secs(15)), "{slowest:?}");
    assert!(peak <= pick(128 << 20, 64 << 20), "{}", megabytes(peak));
    meanwhile.assert_none_failed();
    let at_rest = at_rest.latency(0.99);
    // A few milliseconds are allowed, since all of this shares the processors.
    let bound = pick(at_rest * 10 + Duration::from_secs(1), at_rest * 2 + Duration::from_millis(5));
    let p99 = meanwhile.latency(0.99);
    assert!(p99 <= bound, "{p99:?} where {bound:?} was to be reached");
}

/// The pause between two bytes.
fn pace() -> Duration {
    pick(Duration::from_millis(50), Duration::from_secs(1))
}

/// The lifetimes of connections made one after another until the end.
async fn again_and_again<F>(start: Instant, end: Instant, live: impl Fn() -> F) -> Vec<Duration>
where
    F: Future<Output = Result<Duration>>,
{
    sleep_until(start).await;
    let mut lives = Vec::new();
    while Instant::now() < end {
        lives.push(live().await.expect("a connection"));
    }
    lives
}

async fn drip_head(address: SocketAddr) -> Result<Duration> {
    let mut wire = Wire::connect(address).await?;
    let begun = Instant::now();
    wire.send("GET / HTTP/1.1\r\nHost: app.test\r\nX-Drip: ").await?;
    // Reads everything until the sidecar closes the connection.
    while timeout(pace(), wire.drain()).await.is_err() {
        if wire.send("x").await.is_err() {
            break;
        }
    }
    Ok(begun.elapsed())
}

async fn say_nothing(address: SocketAddr) -> Result<Duration> {
    let mut wire = Wire::connect(address).await?;
    let begun = Instant::now();
    wire.drain().await;
    Ok(begun.elapsed())
}

async fn drip_body(start: Instant, address: SocketAddr) -> Result<()> {
    sleep_until(start).await;
    let mut wire = Wire::connect(address).await?;
    wire.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    loop {
        sleep(pace()).await;
        wire.send("1\r\nx\r\n").await?;
    }
}

async fn ask_and_turn_away(start: Instant, address: SocketAddr) -> Result<()> {
    sleep_until(start).await;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut wire = Wire::new(socket.connect(address).await?);
    wire.send("GET /bytes/67108864 HTTP/1.1\r\nHost: app.test\r\n\r\n").await?;
    std::future::pending().await
}
