//! Floods of HTTP/2 frames, and silent connections: memory is limited, other clients are served,
//! and nothing is left behind.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::rough::{Rough, Wire};
use crate::support::{Builder, Sidecar};
use crate::vitals::{Vitals, megabytes};
use crate::{others, pick, runtime};

mod frames;

use frames::{Flood, Silence};

/// pingora reads a part of a large answer in advance, which stays in memory if the client does not
/// read it.
const HELD: u64 = 800 << 10;

macro_rules! floods {
    ($($name:ident: $flood:ident,)*) => {
        $(#[test]
        fn $name() {
            withstands(Flood::$flood);
        })*
    };
}

floods! {
    rapid_reset: RapidReset,
    made_you_reset: MadeYouReset,
    continuation: Continuation,
    empty_continuation: EmptyContinuation,
    empty_data: EmptyData,
    settings: Settings,
    ping: Ping,
    no_window: NoWindow,
    large_heads: LargeHeads,
    bomb: Bomb,
}

fn withstands(flood: Flood) {
    let time = pick(Duration::from_millis(300), Duration::from_secs(12));
    let connections = match flood {
        Flood::NoWindow => 2,
        _ => pick(2, 16),
    };
    let backend = Rough::patient();
    let sidecar = Builder::new(&backend.url()).forget_access().start();
    let address = sidecar.address();
    let at_rest = others::at_rest(address);
    let end = Instant::now() + time;
    let attackers: Vec<_> =
        (0..connections).map(|_| runtime().spawn(again_and_again(address, flood, end))).collect();
    let meanwhile = others::load(address).during(time).run(others::request, others::check);
    let (mut ended, mut sent) = (0, 0);
    for attacker in attackers {
        let (lives, bytes) = runtime().block_on(attacker).expect("no panic");
        ended += lives;
        sent += bytes;
    }
    let peak = Vitals::of(sidecar.id()).peak_rss;
    println!(
        "h2_floods: {flood:?} on {connections} connections for {time:?}: {} sent, {ended} \
         connections ended, peak RSS {}; others at rest: {at_rest}; meanwhile: {meanwhile}",
        megabytes(sent),
        megabytes(peak),
    );
    meanwhile.assert_none_failed();
    let held = if flood == Flood::NoWindow { connections * 100 * HELD } else { 0 };
    assert!(peak <= held + pick(128 << 20, 64 << 20), "{}", megabytes(peak));
    is_as_before(&sidecar);
}

#[test]
fn silence() {
    let each = pick(2, 10);
    let backend = Rough::patient();
    let sidecar = Builder::new(&backend.url())
        .forget_access()
        .with(pick(
            "[timeouts]\nhead = \"1s\"\nkeep_alive = \"1s\"\nbody = \"1s\"\nbackend_read = \"1s\"",
            "",
        ))
        .start();
    let address = sidecar.address();
    let patience = pick(Duration::from_secs(30), Duration::from_secs(150));
    let silent: Vec<_> = Silence::ALL
        .into_iter()
        .flat_map(|silence| std::iter::repeat_n(silence, each))
        .map(|silence| (silence, runtime().spawn(life(address, silence, patience))))
        .collect();
    let mut slowest = Vec::<(Silence, Duration)>::new();
    for (silence, attacker) in silent {
        let life = runtime().block_on(attacker).expect("no panic").expect("a connection");
        match slowest.last_mut().filter(|(other, _)| *other == silence) {
            Some((_, slowest)) => *slowest = life.max(*slowest),
            None => slowest.push((silence, life)),
        }
    }
    let peak = Vitals::of(sidecar.id()).peak_rss;
    println!("h2_floods: silences end after at most {slowest:.1?}, peak RSS {}", megabytes(peak));
    for (silence, life) in slowest {
        assert!(life < patience, "{silence:?} is still open after {life:?}");
    }
    is_as_before(&sidecar);
}

fn is_as_before(sidecar: &Sidecar) {
    sidecar.counts("cloakroom_requests_in_flight", 0.0);
    sidecar.counts("cloakroom_connections_active", 0.0);
    assert_eq!(sidecar.get("/", None).status(), 200);
    assert!(!sidecar.log().contains("panicked"), "a panic");
}

/// The number of connections that the sidecar closed, and the bytes that it received.
async fn again_and_again(address: SocketAddr, flood: Flood, end: Instant) -> (u64, u64) {
    let (mut ended, mut sent) = (0, 0);
    while Instant::now() < end {
        let stream = TcpStream::connect(address).await.expect("it listens");
        if timeout_at(end, send(stream, flood, &mut sent)).await.is_ok() {
            ended += 1;
        }
    }
    (ended, sent)
}

/// Sends until the sidecar closes the connection.
async fn send(stream: TcpStream, flood: Flood, sent: &mut u64) {
    let (mut reader, mut writer) = stream.into_split();
    let listen = async {
        let mut bytes = vec![0; 16 * 1024];
        while flood.listens() && matches!(reader.read(&mut bytes).await, Ok(1..)) {}
        if !flood.listens() {
            std::future::pending::<()>().await;
        }
    };
    let speak = async {
        for round in 0.. {
            let bytes = flood.round(round);
            if bytes.is_empty() {
                std::future::pending::<()>().await;
            }
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
            *sent += bytes.len() as u64;
        }
    };
    tokio::select! {
        () = listen => {}
        () = speak => {}
    }
}

async fn life(address: SocketAddr, silence: Silence, patience: Duration) -> Result<Duration> {
    let mut wire = Wire::connect(address).await?;
    let begun = Instant::now();
    wire.send(silence.bytes()).await?;
    let _ = timeout(patience, wire.drain()).await;
    Ok(begun.elapsed())
}
