//! Clients that send exactly what the test says.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::message::{Message, Wire};
use super::{WAIT, h2c};

/// The protocols of every listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
    H2c,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::H2c];
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
    /// Makes the body chunked.
    pub trailers: Vec<(String, String)>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            fields: Vec::new(),
            body: None,
            trailers: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds a field.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds the session cookie.
    pub fn session(self, token: &str) -> Self {
        self.with("Cookie", format!("session={token}"))
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    /// The bytes for HTTP/1.1 or HTTP/1.0, with a `Host` if there is none.
    pub fn bytes(&self, protocol: Protocol) -> Vec<u8> {
        let version = if protocol == Protocol::Http10 { "1.0" } else { "1.1" };
        let mut bytes = format!("{} {} HTTP/{version}\r\n", self.method, self.target).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            field("Host", b"app.test");
        }
        for (name, value) in &self.fields {
            field(name, value);
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.trailers.is_empty() {
            if self.body.is_some() {
                field("Content-Length", body.len().to_string().as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(body);
        } else {
            field("Transfer-Encoding", b"chunked");
            bytes.extend_from_slice(format!("\r\n{:x}\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n0\r\n");
            for (name, value) in &self.trailers {
                bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }
}

/// An HTTP/1 connection.
pub struct Client {
    wire: Wire<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect_timeout(&address, WAIT).expect("the sidecar listens"))
    }

    /// Uses an existing connection.
    pub fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { wire: Wire::new(stream) }
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.stream.write_all(bytes.as_ref()).expect("the sidecar takes the request");
    }

    /// The answer to a request with this method.
    pub fn receive(&mut self, method: &str) -> Message {
        self.wire.response(method).expect("an answer within the time limit")
    }

    /// Sends a request and reads its answer.
    pub fn exchange(&mut self, request: &Request) -> Message {
        self.send(request.bytes(Protocol::Http11));
        self.receive(&request.method)
    }

    /// The next bytes; empty at the end of the connection.
    pub fn some(&mut self) -> Vec<u8> {
        self.wire.some().expect("something within the time limit")
    }

    /// Waits for the next bytes. False at the end of the connection.
    pub fn has_more(&mut self) -> bool {
        self.wire.has_more().expect("something within the time limit")
    }

    /// The next bytes until this text.
    pub fn until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        while !all.ends_with(text.as_bytes()) {
            let byte = self.wire.exactly(1);
            let shown = String::from_utf8_lossy(&all);
            all.extend(byte.unwrap_or_else(|error| panic!("{error}, no {text:?} in {shown:?}")));
        }
        String::from_utf8(all).expect("UTF-8")
    }

    /// Closes the sending half.
    pub fn half_close(&mut self) {
        self.wire.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Exactly this number of the next bytes.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let some = self.some();
            assert!(!some.is_empty(), "the connection ended after {bytes:?}");
            bytes.extend(some);
        }
        bytes
    }

    /// Everything until the end of the connection, which may be a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        let (all, ended) = self.rest_or_silence(WAIT);
        let shown = String::from_utf8_lossy(&all);
        assert!(ended, "the connection has not ended within {WAIT:?}, after {shown:?}");
        all
    }

    /// Everything until the end of the connection or a silence of this length, and whether it was
    /// the end.
    pub fn rest_or_silence(&mut self, silence: Duration) -> (Vec<u8>, bool) {
        self.wire.stream.set_read_timeout(Some(silence)).unwrap();
        let mut all = Vec::new();
        let ended = loop {
            match self.wire.some() {
                Ok(bytes) if bytes.is_empty() => break true,
                Ok(bytes) => all.extend(bytes),
                Err(error) => break error.kind() == io::ErrorKind::ConnectionReset,
            }
        };
        self.wire.stream.set_read_timeout(Some(WAIT)).unwrap();
        (all, ended)
    }
}

/// Sends a request on a new connection.
pub fn exchange(address: SocketAddr, protocol: Protocol, request: &Request) -> Message {
    if protocol == Protocol::H2c {
        return h2c::exchange(address, request);
    }
    let mut client = Client::connect(address);
    client.send(request.bytes(protocol));
    client.receive(&request.method)
}
