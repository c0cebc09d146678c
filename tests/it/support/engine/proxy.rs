//! A relay between clients and a server, which counts round trips and causes failures.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::port::Port;

/// What it does to the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Delays answers by this time.
    Delay(Duration),
    /// Accepts connections and data, and forwards nothing. A connection that has lost data never
    /// recovers.
    Swallow,
    /// Accepts no connections, and closes open ones.
    Cut,
}

/// Relays until it is dropped.
pub struct Proxy {
    port: Port,
    shared: Arc<Mutex<Shared>>,
    /// The accepting thread, while there is one.
    accepts: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    server: u16,
    trouble: Trouble,
    open: Vec<TcpStream>,
    connections: usize,
    /// The number of a connection that forwards nothing any more, from 0.
    dead: Option<usize>,
    /// The commands sent to the server before each answer, by name.
    trips: Vec<Vec<String>>,
    /// How many bytes were swallowed.
    swallowed: usize,
}

impl Proxy {
    /// Before a server on this machine.
    pub fn before(server: u16) -> Self {
        let port = Port::free();
        let shared = Shared {
            server,
            trouble: Trouble::None,
            open: Vec::new(),
            connections: 0,
            dead: None,
            trips: Vec::new(),
            swallowed: 0,
        };
        let shared = Arc::new(Mutex::new(shared));
        let proxy = Self { port, shared, accepts: Mutex::new(None) };
        proxy.listen();
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Changes the behaviour.
    pub fn make(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
        if trouble == Trouble::Cut {
            self.close();
        } else if self.accepts.lock().unwrap().is_none() {
            self.listen();
        }
    }

    /// Relays new connections to another server. Open ones stay with the old one.
    pub fn lead_to(&self, server: u16) {
        self.lock().server = server;
    }

    /// Forwards nothing more on one connection, counted from 0, and does not close it, like a
    /// firewall that has forgotten it.
    pub fn forget(&self, connection: usize) {
        self.lock().dead = Some(connection);
    }

    /// Closes open connections and continues.
    pub fn hang_up(&self) {
        for stream in self.lock().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// The round trips since the last call: for each, the names of its commands.
    pub fn trips(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.lock().trips)
    }

    /// How many bytes of clients it has swallowed so far.
    pub fn swallowed(&self) -> usize {
        self.lock().swallowed
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn listen(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port())).expect("a port of our own");
        let shared = Arc::clone(&self.shared);
        let accepts = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut inner = shared.lock().unwrap();
                if inner.trouble == Trouble::Cut {
                    return;
                }
                let number = inner.connections;
                inner.connections += 1;
                inner.open.extend(client.try_clone());
                drop(inner);
                let shared = Arc::clone(&shared);
                thread::spawn(move || relay(client, number, &shared));
            }
        });
        *self.accepts.lock().unwrap() = Some(accepts);
    }

    /// Closes open connections and stops listening.
    fn close(&self) {
        self.hang_up();
        if let Some(accepts) = self.accepts.lock().unwrap().take() {
            // A connection wakes the accepting thread.
            let _ = TcpStream::connect(("127.0.0.1", self.port()));
            let _ = accepts.join();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.make(Trouble::Cut);
    }
}

fn relay(client: TcpStream, number: usize, shared: &Arc<Mutex<Shared>>) {
    let (server, trouble) = {
        let shared = shared.lock().unwrap();
        (shared.server, shared.trouble)
    };
    let _ = client.set_nodelay(true);
    if trouble == Trouble::Swallow {
        return swallow(client, shared);
    }
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    let _ = upstream.set_nodelay(true);
    let (Ok(to_client), Ok(from_server)) = (client.try_clone(), upstream.try_clone()) else {
        return;
    };
    let trip = Arc::new(Mutex::new(Trip::default()));
    let (its, of_trip) = (Arc::clone(shared), Arc::clone(&trip));
    thread::spawn(move || answers(from_server, to_client, &its, &of_trip));
    requests((client, number), upstream, shared, &trip);
}

/// Reads without answering, until the other end gives up.
fn swallow(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        shared.lock().unwrap().swallowed += length;
    }
}

fn requests(
    (mut client, number): (TcpStream, usize),
    mut upstream: TcpStream,
    shared: &Mutex<Shared>,
    trip: &Mutex<Trip>,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let is_swallowed = {
            let mut shared = shared.lock().unwrap();
            let is_swallowed = shared.trouble == Trouble::Swallow || shared.dead == Some(number);
            shared.swallowed += if is_swallowed { length } else { 0 };
            is_swallowed
        };
        if is_swallowed {
            swallow(client, shared);
            break;
        }
        trip.lock().unwrap().asked(&buffer[..length]);
        if upstream.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = upstream.shutdown(Shutdown::Both);
}

fn answers(mut upstream: TcpStream, client: TcpStream, shared: &Mutex<Shared>, trip: &Mutex<Trip>) {
    let Ok(to_client) = client.try_clone() else { return };
    let (due, takes) = mpsc::channel();
    thread::spawn(move || deliver(to_client, &takes));
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = upstream.read(&mut buffer) {
        let trouble = {
            let mut shared = shared.lock().unwrap();
            shared.trips.extend(trip.lock().unwrap().answered());
            shared.trouble
        };
        let delay = match trouble {
            Trouble::Delay(delay) => delay,
            Trouble::Swallow => continue,
            Trouble::None | Trouble::Cut => Duration::ZERO,
        };
        if due.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
            break;
        }
    }
}

/// Forwards each answer when it is due, independently of earlier ones.
fn deliver(mut client: TcpStream, takes: &mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, bytes)) = takes.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// The commands sent since the last answer.
#[derive(Default)]
struct Trip {
    bytes: Vec<u8>,
    commands: Vec<String>,
}

impl Trip {
    fn asked(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while let Some((command, length)) = command(&self.bytes) {
            self.commands.push(command);
            self.bytes.drain(..length);
        }
    }

    fn answered(&mut self) -> Option<Vec<String>> {
        let commands = std::mem::take(&mut self.commands);
        (!commands.is_empty()).then_some(commands)
    }
}

/// The name of the first command in upper case, and its end, if it is complete.
fn command(bytes: &[u8]) -> Option<(String, usize)> {
    let line = |from: usize| -> Option<(i64, usize)> {
        let length = bytes.get(from..)?.windows(2).position(|pair| pair == b"\r\n")?;
        let text = std::str::from_utf8(&bytes[from + 1..from + length]).ok()?;
        Some((text.parse().ok()?, from + length + 2))
    };
    let (words, mut at) = line(0)?;
    let mut name = String::new();
    for word in 0..words {
        let (length, start) = line(at)?;
        at = start + usize::try_from(length).ok()? + 2;
        let text = bytes.get(start..at)?;
        if word == 0 {
            name = String::from_utf8_lossy(&text[..text.len() - 2]).to_ascii_uppercase();
        }
    }
    Some((name, at))
}
