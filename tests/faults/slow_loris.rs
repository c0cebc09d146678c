//! Clients that take their time with everything cost the sidecar little, and the others nothing.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::rough::{Rough, Wire};
use crate::support::Builder;
use crate::vitals::{Vitals, megabytes};
use crate::{others, pick, runtime};

/// How many of each kind.
struct Crowd {
    /// Send a head byte by byte.
    heads: usize,
    /// Say nothing at all.
    silent: usize,
    /// Send a chunked body byte by byte.
    bodies: usize,
    /// Ask for a large answer and never read it.
    deaf: usize,
}

const SHORT: Crowd = Crowd { heads: 70, silent: 10, bodies: 10, deaf: 10 };
const FULL: Crowd = Crowd { heads: 1400, silent: 200, bodies: 200, deaf: 200 };

#[test]
fn slow_loris() {
    let crowd = pick(SHORT, FULL);
    let time = pick(Duration::from_secs(2), Duration::from_secs(60));
    let backend = Rough::patient();
    // In the full form all limits are as they are by default.
    let sidecar = Builder::new(&backend.url())
        .forget_access()
        .with(pick("[timeouts]\nhead = \"1s\"", ""))
        .start();
    let address = sidecar.address();
    let at_rest = others::at_rest(address);

    let end = Instant::now() + time;
    let heads: Vec<_> = (0..crowd.heads)
        .map(|_| runtime().spawn(again_and_again(end, move || drip_head(address))))
        .chain(
            (0..crowd.silent)
                .map(|_| runtime().spawn(again_and_again(end, move || say_nothing(address)))),
        )
        .collect();
    let held: Vec<JoinHandle<()>> =
        (0..crowd.bodies)
            .map(|_| runtime().spawn(async move { drop(drip_body(address).await) }))
            .chain((0..crowd.deaf).map(|_| {
                runtime().spawn(async move { drop(listen_to_nothing(address, end).await) })
            }))
            .collect();
    let meanwhile = others::load(address).during(time).run(others::request, others::check);
    let (mut closed, mut slowest) = (0, Duration::ZERO);
    for attacker in heads {
        let lives = runtime().block_on(attacker).expect("an attacker that does not panic");
        closed += lives.len();
        slowest = lives.into_iter().fold(slowest, Duration::max);
    }
    held.iter().for_each(JoinHandle::abort);

    let vitals = Vitals::of(sidecar.id());
    let clients = crowd.heads + crowd.silent + crowd.bodies + crowd.deaf;
    println!(
        "slow_loris: {clients} slow clients for {time:?}, {closed} heads ended after {:.1} s at \
         most, peak RSS {}; others at rest: {at_rest}; meanwhile: {meanwhile}",
        slowest.as_secs_f64(),
        megabytes(vitals.peak_rss),
    );
    assert!(closed >= crowd.heads + crowd.silent);
    assert!(slowest <= pick(Duration::from_secs(6), Duration::from_secs(15)), "{slowest:?}");
    assert!(vitals.peak_rss <= pick(128 << 20, 64 << 20), "{}", megabytes(vitals.peak_rss));
    meanwhile.assert_none_failed();
    let bound = match pick(false, true) {
        true => at_rest.latency(0.99) * 2,
        false => at_rest.latency(0.99) * 10 + Duration::from_millis(500),
    };
    let p99 = meanwhile.latency(0.99);
    assert!(p99 <= bound, "{p99:?} where {bound:?} was to be reached");
}

/// A byte at each tick.
fn pace() -> Duration {
    pick(Duration::from_millis(50), Duration::from_secs(1))
}

/// How long each connection lived, one after the other until it is time to end.
async fn again_and_again<F>(end: Instant, live: impl Fn() -> F) -> Vec<Duration>
where
    F: Future<Output = Result<Duration>>,
{
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
    let mut ticks = interval(pace());
    loop {
        ticks.tick().await;
        // Whatever it says, it is listened to until it hangs up.
        let hung_up = wire.send("x").await.is_err();
        if hung_up || timeout(pace(), wire.drain()).await.is_ok() {
            return Ok(begun.elapsed());
        }
    }
}

async fn say_nothing(address: SocketAddr) -> Result<Duration> {
    let mut wire = Wire::connect(address).await?;
    let begun = Instant::now();
    wire.drain().await;
    Ok(begun.elapsed())
}

async fn drip_body(address: SocketAddr) -> Result<()> {
    let mut wire = Wire::connect(address).await?;
    wire.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let mut ticks = interval(pace());
    loop {
        ticks.tick().await;
        wire.send("1\r\nx\r\n").await?;
    }
}

async fn listen_to_nothing(address: SocketAddr, end: Instant) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut wire = Wire::new(socket.connect(address).await?);
    wire.send("GET /bytes/67108864 HTTP/1.1\r\nHost: app.test\r\n\r\n").await?;
    tokio::time::sleep_until(end).await;
    Ok(())
}
