//! A large body in each direction: it arrives unchanged, and the sidecar buffers little of it.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::pick;
use crate::support::{Builder, WAIT};
use crate::vitals::{Vitals, megabytes};

/// How much is written or read at once.
const STEP: usize = 64 * 1024;

/// The bytes from this position; neither their period nor their length matches a buffer.
fn bytes(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(|at| (at % 251) as u8).collect()
}

fn send(stream: &mut impl Write, total: usize) {
    let mut sent = 0;
    while sent < total {
        let length = STEP.min(total - sent);
        stream.write_all(&bytes(sent, length)).expect("somebody who reads");
        sent += length;
    }
}

fn receive(stream: &mut impl Read, total: usize) {
    let mut received = 0;
    let mut buffer = vec![0; STEP];
    while received < total {
        let length = STEP.min(total - received);
        stream.read_exact(&mut buffer[..length]).expect("all of the body");
        assert!(buffer[..length] == bytes(received, length), "after {received} bytes");
        received += length;
    }
}

fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// Receives a body of this length, and then sends one.
fn serve(listener: &TcpListener, total: usize) {
    let (stream, _) = listener.accept().expect("the sidecar");
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let mut stream = BufReader::new(stream);
    let request = head(&mut stream);
    assert!(request.contains(&format!("content-length: {total}\r\n")), "{request}");
    receive(&mut stream, total);
    let mut stream = stream.into_inner();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {total}\r\nX-Session-Save: {{}}\r\n\r\n")
        .unwrap();
    send(&mut stream, total);
    // Wait until the sidecar closes the connection, because then the client has everything.
    let _ = stream.read(&mut [0]);
}

#[test]
fn volume() {
    let total = pick(10_000_000, 100_000_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sidecar = Builder::new(&url).top("shutdown_timeout = \"100ms\"").start();
    let backend = thread::spawn(move || serve(&listener, total));
    let before = Vitals::of(sidecar.id());
    let begun = Instant::now();

    let mut stream = TcpStream::connect(sidecar.address()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    write!(stream, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: {total}\r\n\r\n").unwrap();
    send(&mut stream, total);
    let mut stream = BufReader::new(stream);
    let answer = head(&mut stream);
    assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    receive(&mut stream, total);
    let took = begun.elapsed();
    let after = Vitals::of(sidecar.id());
    drop((stream, sidecar));
    backend.join().expect("a backend that is content");

    let grown = after.peak_rss.saturating_sub(before.rss);
    println!(
        "volume: {} up and down in {:.1} s, intact, RSS {} before and {} at most, {} more",
        megabytes(total as u64),
        took.as_secs_f64(),
        megabytes(before.rss),
        megabytes(after.peak_rss),
        megabytes(grown)
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(grown < 16_000_000, "{grown} bytes");
}
