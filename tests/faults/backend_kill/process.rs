//! A backend in its own process, which can be killed with requests in progress.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpSocket;

use crate::runtime;
use crate::support::WAIT;
use crate::support::message::Wire;

/// Makes the test act as the backend on this port.
const PORT: &str = "CLOAKROOM_FAULTS_BACKEND";

/// A port that stays reserved while nothing listens on it.
pub(super) struct Port {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Port {
    pub(super) fn reserve() -> Self {
        let _runtime = runtime().enter();
        let socket = TcpSocket::new_v4().unwrap();
        // The backend's listener sets the same option; then both can bind the port.
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// How often each POST arrived, over all processes.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<HashMap<String, u64>>);

impl Arrivals {
    /// Their number, and how many arrived more than once.
    pub(super) fn count(&self) -> (usize, usize) {
        let arrivals = self.0.lock();
        (arrivals.len(), arrivals.values().filter(|&&times| times > 1).count())
    }
}

pub(super) struct Process {
    child: Child,
    reader: thread::JoinHandle<()>,
}

impl Process {
    /// Waits until it listens.
    pub(super) fn start(port: &Port, arrivals: &Arc<Arrivals>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["backend_kill::backend_kill", "--exact", "--nocapture"])
            .env(PORT, port.address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test as a process of its own");
        let stdout = BufReader::new(child.stdout.take().expect("standard output"));
        let (says_up, up) = mpsc::channel();
        let arrivals = Arc::clone(arrivals);
        let reader = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(target) = line.strip_prefix("POST ") {
                    *arrivals.0.lock().entry(target.to_owned()).or_default() += 1;
                } else if line == "up" {
                    let _ = says_up.send(());
                }
            }
        });
        up.recv_timeout(WAIT).expect("a backend that listens");
        Self { child, reader }
    }

    /// Sends SIGKILL; its output until then is read.
    pub(super) fn kill(self) {
        let Self { mut child, reader } = self;
        child.kill().expect("a child");
        child.wait().expect("a child");
        reader.join().expect("its output");
    }
}

pub(super) fn is_wanted() -> bool {
    std::env::var_os(PORT).is_some()
}

/// The body of the answer to a request for this target.
pub(super) fn body(target: &str) -> String {
    format!("this is {target}\n")
}

/// Serves until it is killed or the test has ended.
pub(super) fn serve() {
    let address = std::env::var(PORT).expect("an address");
    let listener = TcpListener::bind(&address).expect("the address is free");
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    say("up");
    for stream in listener.incoming().flatten() {
        thread::spawn(move || drop(converse(stream)));
    }
}

fn converse(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.request()? {
        let target = request.target();
        if request.first_line.starts_with("POST ") {
            say(&format!("POST {target}"));
        }
        // So that some are in progress at any time.
        if target.ends_with('1') || target.ends_with('2') {
            thread::sleep(Duration::from_millis(20));
        }
        let body = body(target);
        let length = body.len();
        wire.stream.write_all(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
        )?;
    }
    Ok(())
}

/// Writes a line atomically.
fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(format!("{line}\n").as_bytes());
    let _ = stdout.flush();
}
