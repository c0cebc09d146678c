//! The real binary while it runs.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::backend::Backend;
use super::builder::Builder;
use super::client::{self, Client, Protocol, Request};
use super::log::Log;
use super::message::Message;
use super::metrics::Metrics;
use super::{WAIT, eventually};

/// A sidecar that runs until it is dropped.
pub struct Sidecar {
    _directory: TempDir,
    child: Child,
    log: Log,
    addresses: Vec<String>,
    admin: SocketAddr,
    begun: Instant,
}

impl Sidecar {
    /// Waits until this number of listeners is ready.
    pub(super) fn of(
        child: Child,
        log: Log,
        directory: TempDir,
        begun: Instant,
        listeners: usize,
    ) -> Self {
        let mut sidecar = Self {
            _directory: directory,
            child,
            log,
            addresses: Vec::new(),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            begun,
        };
        for number in 0..listeners {
            let line = sidecar.log.wait("listening", number);
            sidecar.addresses.push(text_of(&line, "address"));
        }
        let line = sidecar.log.wait("admin listening", 0);
        sidecar.admin = text_of(&line, "address").parse().expect("an address");
        sidecar
    }

    /// A configuration for a sidecar in front of this backend.
    pub fn before(backend: &Backend) -> Builder {
        Builder::new(backend.url())
    }

    /// A sidecar in front of this backend, with all defaults.
    pub fn start(backend: &Backend) -> Self {
        Self::before(backend).start()
    }

    /// The address for clients.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0].parse().expect("a TCP address")
    }

    /// Every listener, as logged.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// When the process was started.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// A new connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// The answer to a request on a new connection.
    pub fn send(&self, request: &Request) -> Message {
        self.send_over(Protocol::Http11, request)
    }

    /// The same over another protocol.
    pub fn send_over(&self, protocol: Protocol, request: &Request) -> Message {
        client::exchange(self.address(), protocol, request)
    }

    /// GET, with or without a session.
    pub fn get(&self, target: &str, token: Option<&str>) -> Message {
        let request = Request::get(target);
        self.send(&match token {
            Some(token) => request.session(token),
            None => request,
        })
    }

    /// The answer of the admin listener.
    pub fn admin(&self, path: &str) -> Message {
        client::exchange(self.admin, Protocol::Http11, &Request::get(path))
    }

    /// The same for any request.
    pub fn ask_admin(&self, request: &Request) -> Message {
        client::exchange(self.admin, Protocol::Http11, request)
    }

    /// All current metrics. A request is counted when it is finished, which may be after the client
    /// has received its answer: see [`Sidecar::counts`].
    pub fn metrics(&self) -> Metrics {
        Metrics::parse(self.admin("/metrics").text())
    }

    /// The value of a series.
    pub fn count(&self, series: &str) -> f64 {
        self.metrics().get(series).unwrap_or_else(|| panic!("no series {series}"))
    }

    /// Waits until a series has this value.
    pub fn counts(&self, series: &str, value: f64) {
        let begun = Instant::now();
        loop {
            let now = self.metrics().get(series);
            if now == Some(value) {
                return;
            }
            assert!(begun.elapsed() < WAIT, "{series} is {now:?}, not {value}");
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Everything on standard error so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Stops reading standard error while the result lives.
    pub fn stall_log(&self) -> impl Sized + '_ {
        self.log.stall()
    }

    /// Waits for the line number `number` with this message, counted from 0.
    pub fn wait_for_log(&self, message: &str, number: usize) -> Value {
        self.log.wait(message, number)
    }

    /// Waits for this number of access lines.
    pub fn access_lines(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} access lines"), || {
            let lines = self.log.lines();
            let access = lines.into_iter().filter(|line| line["target"] == "cloakroom::access");
            let access: Vec<_> = access.collect();
            (access.len() >= count).then_some(access)
        })
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.expect("kill").success(), "kill -{name}");
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for_end(&mut self.child)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the sidecar's log ---\n{}", self.log.text());
        }
    }
}

fn wait_for_end(child: &mut Child) -> ExitStatus {
    eventually("the end of the process", || child.try_wait().expect("a child"))
}

fn text_of(line: &Value, member: &str) -> String {
    line[member].as_str().unwrap_or_else(|| panic!("no {member}: {line}")).to_owned()
}
