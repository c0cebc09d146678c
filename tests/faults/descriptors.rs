//! More clients than descriptors: the sidecar neither exits nor spins, and recovers at once when
//! they are gone.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::support::Builder;
use crate::vitals::Vitals;
use crate::{others, pick};

const DESCRIPTORS: usize = 256;

#[test]
fn descriptors() {
    let clients = pick(400, 1000);
    let time = pick(Duration::from_secs(2), Duration::from_secs(9));
    let backend = Echo::start();
    let mut sidecar = Builder::new(&backend.url()).forget_access().descriptors(DESCRIPTORS).start();
    let address = sidecar.address();
    others::at_rest(address);

    let before = Vitals::of(sidecar.id());
    let begun = Instant::now();
    let held: Vec<_> = (0..clients)
        .map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("a backlog"))
        .collect();
    let mut most = 0;
    while begun.elapsed() < time {
        most = most.max(Vitals::of(sidecar.id()).descriptors);
        thread::sleep(Duration::from_millis(50));
    }
    let cpu = Vitals::of(sidecar.id()).cpu - before.cpu;
    let share = cpu.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    drop(held);

    let gone = Instant::now();
    let patience = Duration::from_secs(15);
    // Several in a row: the first one may get the last free descriptor.
    let (mut row, mut failed) = (0, 0);
    while row < 20 {
        if answers(address, patience) {
            row += 1;
        } else {
            (row, failed) = (0, failed + 1);
            thread::sleep(Duration::from_millis(10));
        }
        assert!(gone.elapsed() < 2 * patience, "not served after {:?}", gone.elapsed());
    }
    let back = gone.elapsed();
    let afterwards = others::at_rest(address);
    println!(
        "descriptors: {clients} clients, {most} of {DESCRIPTORS} descriptors, {share:.1} % of a \
         processor, back {:.2} s after they are gone with {failed} requests failed; afterwards: \
         {afterwards}",
        back.as_secs_f64()
    );
    assert!(most <= DESCRIPTORS);
    assert!(share < pick(80.0, 20.0), "{share} % of a processor");
    assert!(back < pick(Duration::from_secs(12), Duration::from_secs(1)), "{back:?}");
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait().code(), Some(0));
}

/// Whether a request on a new connection is answered with 200.
fn answers(address: SocketAddr, patience: Duration) -> bool {
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(&others::request(0))?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        std::io::Result::Ok(start == *b"HTTP/1.1 200")
    };
    exchange().unwrap_or(false)
}
