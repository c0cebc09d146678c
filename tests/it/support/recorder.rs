//! A backend that records everything by connection, and answers only strictly valid requests.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::builder::Builder;
use super::sidecar::Sidecar;
use super::strict::{self, Reading, Strict};
use super::{WAIT, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REFUSAL: &[u8] = b"HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A connection from the sidecar.
struct Tape {
    peer: SocketAddr,
    bytes: Vec<u8>,
    ended: bool,
}

pub struct Recorder {
    address: SocketAddr,
    tapes: Arc<Mutex<Vec<Tape>>>,
}

/// Everything received on a connection.
#[derive(Debug, Default)]
pub struct Arrived {
    pub requests: Vec<Strict>,
    /// Bytes that are not a request, and why.
    pub rest: Option<(String, String)>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tapes = Arc::<Mutex<Vec<Tape>>>::default();
        let accept = {
            let tapes = Arc::clone(&tapes);
            move || {
                for stream in listener.incoming().flatten() {
                    let peer = stream.peer_addr().expect("a TCP connection");
                    let number = {
                        let mut tapes = tapes.lock();
                        tapes.push(Tape { peer, bytes: Vec::new(), ended: false });
                        tapes.len() - 1
                    };
                    let tapes = Arc::clone(&tapes);
                    thread::spawn(move || {
                        record(stream, |bytes| tapes.lock()[number].bytes.extend(bytes));
                        tapes.lock()[number].ended = true;
                    });
                }
            }
        };
        thread::spawn(accept);
        Self { address, tapes }
    }

    /// A configuration for a sidecar in front of it.
    pub fn behind(&self) -> Builder {
        Builder::new(&format!("http://{}", self.address))
    }

    /// Stops the sidecar, so that nothing more can arrive, and returns what was received.
    pub fn stop(self, sidecar: Sidecar) -> Vec<Arrived> {
        drop(sidecar);
        // Connections are accepted in order: this is the last one.
        let last = TcpStream::connect_timeout(&self.address, WAIT);
        let last = last.and_then(|last| last.local_addr()).expect("the recorder listens");
        eventually("the end of every connection", || {
            let tapes = self.tapes.lock();
            let all = tapes.iter().any(|tape| tape.peer == last);
            (all && tapes.iter().all(|tape| tape.ended)).then_some(())
        });
        self.tapes.lock().iter().map(|tape| arrived(&tape.bytes)).collect()
    }
}

fn record(mut stream: TcpStream, mut keep: impl FnMut(&[u8])) {
    let mut open = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let mut is_listening = true;
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
        keep(&buffer[..count]);
        open.extend_from_slice(&buffer[..count]);
        while is_listening && !open.is_empty() {
            let (answer, length) = match strict::read(&open) {
                Reading::Whole(_, length) => (ANSWER, length),
                Reading::Part => break,
                Reading::Fault(_) => (REFUSAL, 0),
            };
            is_listening = answer == ANSWER;
            open.drain(..length);
            // The sender may be gone; keep reading what else it has sent.
            let _ = stream.write_all(answer);
        }
    }
}

fn arrived(mut bytes: &[u8]) -> Arrived {
    let mut arrived = Arrived::default();
    while !bytes.is_empty() {
        match strict::read(bytes) {
            Reading::Whole(request, length) => {
                arrived.requests.push(request);
                bytes = &bytes[length..];
            }
            Reading::Part => {
                arrived.rest = Some(("unfinished".into(), text(bytes)));
                break;
            }
            Reading::Fault(fault) => {
                arrived.rest = Some((fault, text(bytes)));
                break;
            }
        }
    }
    arrived
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
