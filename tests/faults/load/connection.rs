//! A client's connection: HTTP/1.1 with Content-Length, reopened if the server has closed it
//! between two requests.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
pub struct Reply {
    pub status: u16,
    /// From the status line to the last field.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The values of every field with this name.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.lines().skip(1).filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The first of them.
    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.fields(name).next()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value that it sets for this cookie.
    pub fn cookie<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.fields("Set-Cookie").find_map(|field| {
            let (pair, _) = field.split_once(';').unwrap_or((field, ""));
            pair.strip_prefix(name)?.strip_prefix('=')
        })
    }

    fn of(head: &[u8]) -> Result<Self> {
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| unreadable(&head))?;
        Ok(Self { status, head, body: Vec::new() })
    }

    /// The length of the body.
    fn length(&self) -> Result<usize> {
        if matches!(self.status, 204 | 304) {
            return Ok(0);
        }
        let length = self.field("Content-Length").and_then(|length| length.parse().ok());
        length.ok_or_else(|| unreadable(&self.head))
    }

    /// Whether the server announces that it closes the connection.
    fn is_last(&self) -> bool {
        self.field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

fn unreadable(head: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("no answer that this client reads: {head:?}"))
}

/// Opened when it is needed.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    opened: u64,
    /// Requests on this stream so far.
    sent: u64,
}

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::with_capacity(8192), opened: 0, sent: 0 }
    }

    /// How often it had to be opened again.
    pub fn reopened(&self) -> u64 {
        self.opened.saturating_sub(1)
    }

    /// Discards bytes that may still arrive.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Sends the request, reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => stream,
            None => self.open().await?,
        };
        self.sent += 1;
        // A request may be refused before it has been read completely; then there is an answer
        // despite the error.
        let written = stream.write_all(request).await;
        let reply = match (read(&mut stream, &mut self.buffer).await, written) {
            (Ok(reply), _) => reply,
            (Err(_), Err(error)) | (Err(error), Ok(())) => {
                let sent = self.sent;
                return Err(Error::new(error.kind(), format!("{error}, request {sent} on it")));
            }
        };
        if !reply.is_last() {
            self.stream = Some(stream);
        }
        Ok(reply)
    }

    async fn open(&mut self) -> Result<TcpStream> {
        self.opened += 1;
        self.sent = 0;
        self.buffer.clear();
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Whether the server has kept the idle connection open. Unexpected bytes are read later, as the
/// next answer.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Err(error) => error.kind() == ErrorKind::WouldBlock,
        Ok(0) => false,
        Ok(_) => panic!("a byte before there was a request: {byte:?}"),
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Reply> {
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            more(stream, buffer).await?;
        };
        let mut reply = Reply::of(&buffer[..end])?;
        buffer.drain(..end + 4);
        if reply.status < 200 {
            continue;
        }
        let length = reply.length()?;
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        reply.body = buffer.drain(..length).collect();
        return match buffer.is_empty() {
            true => Ok(reply),
            false => Err(unreadable(&format!("{} bytes behind {}", buffer.len(), reply.head))),
        };
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
