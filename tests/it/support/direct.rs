//! A backend whose bytes the test sends itself.

use std::net::TcpListener;

use super::builder::Builder;
use super::client::Client;
use super::eventually;

pub struct Direct(TcpListener);

impl Direct {
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// A configuration for a sidecar in front of it.
    pub fn behind(&self) -> Builder {
        Builder::new(&format!("http://{}", self.0.local_addr().unwrap()))
    }

    /// The sidecar's next connection.
    pub fn accept(&self) -> Client {
        let (stream, _) = eventually("a connection of the sidecar", || self.0.accept().ok());
        stream.set_nonblocking(false).unwrap();
        Client::on(stream)
    }
}
