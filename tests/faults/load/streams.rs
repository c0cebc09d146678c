//! An HTTP/2 connection shared by several clients, each with one stream at a time. If the server
//! accepts no more streams, another connection is opened.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::Reply;

/// One connection, for each of its clients.
#[derive(Clone)]
pub struct Streams {
    address: SocketAddr,
    sender: Arc<Mutex<Option<SendRequest<Bytes>>>>,
}

impl Streams {
    pub fn to(address: SocketAddr) -> Self {
        Self { address, sender: Arc::default() }
    }

    /// Sends a request that is written as HTTP/1.1.
    pub async fn exchange(&self, request: &[u8]) -> Result<Reply> {
        let mut sender = self.ready().await?;
        let (request, body) = translated(request)?;
        let (answer, mut stream) = sender.send_request(request, body.is_empty()).map_err(error)?;
        if !body.is_empty() {
            stream.send_data(body, true).map_err(error)?;
        }
        let answer = answer.await.map_err(error)?;
        let mut head = format!("HTTP/2 {}", answer.status());
        for (name, value) in answer.headers() {
            let value = String::from_utf8_lossy(value.as_bytes());
            head.push_str(&format!("\r\n{name}: {value}"));
        }
        let mut reply = Reply { status: answer.status().as_u16(), head, body: Vec::new() };
        let mut body = answer.into_body();
        while let Some(bytes) = body.data().await {
            let bytes = bytes.map_err(error)?;
            body.flow_control().release_capacity(bytes.len()).map_err(error)?;
            reply.body.extend_from_slice(&bytes);
        }
        Ok(reply)
    }

    /// A connection that accepts a request.
    async fn ready(&self) -> Result<SendRequest<Bytes>> {
        let mut shared = self.sender.lock().await;
        if let Some(sender) = shared.clone()
            && let Ok(sender) = sender.ready().await
        {
            return Ok(sender);
        }
        let sender = open(self.address).await?.ready().await.map_err(error)?;
        *shared = Some(sender.clone());
        Ok(sender)
    }
}

async fn open(address: SocketAddr) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = h2::client::handshake(stream).await.map_err(error)?;
    tokio::spawn(connection);
    Ok(sender)
}

fn translated(request: &[u8]) -> Result<(http::Request<()>, Bytes)> {
    let odd = || Error::new(ErrorKind::InvalidInput, "no request that can be translated");
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(odd)?;
    let head = std::str::from_utf8(&request[..end]).map_err(|_| odd())?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = first.next().zip(first.next()).ok_or_else(odd)?;
    let mut parts = http::Request::builder().method(method);
    let mut authority = "";
    for line in lines {
        match line.split_once(": ").ok_or_else(odd)? {
            ("Host", value) => authority = value,
            ("Connection", _) => {}
            (name, value) => parts = parts.header(name, value),
        }
    }
    let body = Bytes::copy_from_slice(&request[end + 4..]);
    let request = parts.uri(format!("http://{authority}{target}")).body(()).map_err(|_| odd())?;
    Ok((request, body))
}

fn error(error: h2::Error) -> Error {
    let kind = match error.get_io() {
        Some(io) => io.kind(),
        None if error.is_reset() => ErrorKind::ConnectionReset,
        // Requests that the server has not started may be repeated elsewhere (RFC 9113 section
        // 6.8).
        None if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => {
            ErrorKind::ConnectionRefused
        }
        None if error.is_go_away() => ErrorKind::UnexpectedEof,
        None => ErrorKind::InvalidData,
    };
    Error::new(kind, error.to_string())
}
