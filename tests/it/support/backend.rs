//! The app behind the sidecar: records what it receives, and answers as the test says.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use tokio_rustls::rustls::{ServerConnection, StreamOwned};

use super::client::Request;
use super::message::{Message, Stream, Wire};
use super::tls::Certificate;
use super::{WAIT, eventually};

/// A gate that is closed until a test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let mut open = self.0.0.lock();
        self.0.1.wait_while_for(&mut open, |open| !*open, 2 * WAIT);
        assert!(*open, "nobody opened the gate within {:?}", 2 * WAIT);
    }
}

/// What the backend does with a request, step by step.
#[derive(Clone, Default)]
pub struct Answer(Vec<Step>);

#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    Hold(Gate),
    Pause(Duration),
    Hang,
    Close,
    Reset,
    Echo,
}

impl Answer {
    /// A whole response.
    pub fn new(status: u16, fields: &[(&str, &str)], body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status} Status\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !matches!(status, 100..200 | 204 | 304) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        Self::raw(format!("{head}\r\n{body}"))
    }

    /// 200 with these fields.
    pub fn ok(fields: &[(&str, &str)]) -> Self {
        Self::new(200, fields, "ok")
    }

    /// Answers with the dict of a request, and the fields that it asks for: see [`say`].
    pub fn said_by(request: &Message) -> Self {
        let names = request.all_names();
        let said: Vec<(String, String)> = names
            .iter()
            .filter_map(|name| {
                let said = name.to_ascii_lowercase().strip_prefix("say-")?.to_owned();
                Some((said, request.value(name)?))
            })
            .collect();
        let fields: Vec<(&str, &str)> =
            said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self::new(200, &fields, &request.value("X-Session").unwrap_or_default())
    }

    /// These bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().then(bytes)
    }

    /// Then sends these bytes.
    pub fn then(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Then does what `other` does.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Waits until the gate is open.
    pub fn hold(self, gate: &Gate) -> Self {
        self.step(Step::Hold(gate.clone()))
    }

    /// Waits.
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// Sends nothing more until the sidecar gives up.
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Closes the connection.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Closes the connection with RST.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Echoes everything, as after an upgrade.
    pub fn echo(self) -> Self {
        self.step(Step::Echo)
    }

    fn step(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

type Script = Box<dyn Fn(&Message) -> Answer + Send>;

struct Shared {
    received: Mutex<Vec<Message>>,
    script: Mutex<Script>,
}

/// A server that is only a socket.
pub struct Backend {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    url: String,
}

impl Backend {
    /// Gives every request the same answer.
    pub fn new(answer: Answer) -> Self {
        Self::by(move |_| answer.clone())
    }

    /// Answers 200 without control headers.
    pub fn plain() -> Self {
        Self::new(Answer::ok(&[]))
    }

    /// Answers with the received dict, and with the fields that the request asks for: see [`say`].
    pub fn saying() -> Self {
        Self::by(Answer::said_by)
    }

    /// Answers depending on the request.
    pub fn by(script: impl Fn(&Message) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Self::shared(Box::new(script));
        let accept = {
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.serve(stream, reset));
                }
            }
        };
        thread::spawn(accept);
        Self { shared, address: Some(address), url: format!("http://{address}") }
    }

    /// On a unix socket.
    pub fn unix(path: &Path, answer: Answer) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Self::shared(Box::new(move |_| answer.clone()));
        let accept = {
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.serve(stream, drop));
                }
            }
        };
        thread::spawn(accept);
        Self { shared, address: None, url: format!("unix:{}", path.display()) }
    }

    /// Over TLS, with this certificate.
    pub fn tls(certificate: &Certificate, answer: Answer) -> Self {
        let config = certificate.server();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Self::shared(Box::new(move |_| answer.clone()));
        let accept = {
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    let (shared, config) = (Arc::clone(&shared), Arc::clone(&config));
                    let session = ServerConnection::new(config).unwrap();
                    thread::spawn(move || shared.serve(StreamOwned::new(session, stream), drop));
                }
            }
        };
        thread::spawn(accept);
        Self { shared, address: Some(address), url: format!("https://{address}") }
    }

    fn shared(script: Script) -> Arc<Shared> {
        Arc::new(Shared { received: Mutex::default(), script: Mutex::new(script) })
    }

    /// Changes the answer to later requests.
    pub fn will(&self, answer: Answer) {
        *self.shared.script.lock() = Box::new(move |_| answer.clone());
    }

    /// The URL for a configuration.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its address, unless it listens on a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Message> {
        self.shared.received.lock().clone()
    }

    /// The last request.
    pub fn last(&self) -> Message {
        self.received().pop().expect("the backend has received no request")
    }

    /// Waits until this number of requests has arrived.
    pub fn wait_for(&self, count: usize) {
        eventually(&format!("{count} requests at the backend"), || {
            (self.received().len() >= count).then_some(())
        });
    }
}

impl Shared {
    fn serve<S: Stream>(&self, stream: S, reset: fn(S)) {
        let mut wire = Wire::new(stream);
        while let Ok(Some(request)) = wire.request() {
            let answer = (self.script.lock())(&request);
            self.received.lock().push(request);
            for step in answer.0 {
                match step {
                    Step::Send(bytes) => {
                        if wire.stream.write_all(&bytes).is_err() {
                            return;
                        }
                    }
                    Step::Hold(gate) => gate.pass(),
                    Step::Pause(time) => thread::sleep(time),
                    Step::Hang => {
                        let _ = wire.rest();
                        return;
                    }
                    Step::Close => return,
                    Step::Reset => return reset(wire.stream),
                    Step::Echo => {
                        let _ = echo(&mut wire);
                        return;
                    }
                }
            }
        }
    }
}

fn echo<S: Stream>(wire: &mut Wire<S>) -> io::Result<()> {
    loop {
        let bytes = wire.some()?;
        if bytes.is_empty() {
            return Ok(());
        }
        wire.stream.write_all(&bytes)?;
    }
}

/// Only tokio can send RST without unsafe code.
fn reset(stream: TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    stream.set_zero_linger().unwrap();
}

/// A request that makes [`Backend::saying`] answer with a control header: `say("Save", "{}")`.
pub fn say(name: &str, value: &str) -> Request {
    Request::get("/").with(&format!("Say-X-Session-{name}"), value)
}
