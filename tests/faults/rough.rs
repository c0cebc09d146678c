//! An app whose connections are served by a function of the test, correctly or not.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::backend::Echo;
use crate::runtime;

/// Listens until all experiments have ended.
pub struct Rough(SocketAddr);

impl Rough {
    pub fn start<S, F>(serve: S) -> Self
    where
        S: Fn(Wire) -> F + Send + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Errors on a connection are expected.
                let served = serve(Wire::new(stream));
                tokio::spawn(async move { drop(served.await) });
            }
        });
        Self(address)
    }

    /// A correct one: accepts any body, answers like [`Echo`], and `/bytes/N` with N bytes.
    pub fn patient() -> Self {
        Self::start(patient)
    }

    /// The URL for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

async fn patient(mut wire: Wire) -> Result<()> {
    while let Some(head) = wire.head().await? {
        wire.body(&head).await?;
        let target = target(&head);
        let Some(length) = target.strip_prefix("/bytes/") else {
            let body = Echo::body(target, "{}");
            let length = body.len();
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")).await?;
            continue;
        };
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await?;
        let mut left = length.parse::<usize>().map_err(Error::other)?;
        while left > 0 {
            let piece = left.min(64 * 1024);
            wire.send(vec![b'x'; piece]).await?;
            left -= piece;
        }
    }
    Ok(())
}

/// The target in a request head.
pub fn target(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

/// The value of a field in a head.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// A connection from a client, or from the sidecar to the backend.
pub struct Wire {
    pub stream: TcpStream,
    /// Bytes that were read but not yet used.
    pub buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// The head without its empty line; None at the end of the connection.
    pub async fn head(&mut self) -> Result<Option<String>> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            let begun = !self.buffer.is_empty();
            match self.fill().await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && !begun => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end + 2]).into_owned();
        self.buffer.drain(..end + 4);
        Ok(Some(head))
    }

    /// The body after this head, without its framing.
    pub async fn body(&mut self, head: &str) -> Result<Vec<u8>> {
        if field(head, "Transfer-Encoding").is_some() {
            return self.chunks().await;
        }
        match field(head, "Content-Length") {
            Some(length) => self.exactly(length.parse().map_err(Error::other)?).await,
            None => Ok(Vec::new()),
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match self.buffer.iter().position(|&byte| byte == b'\n') {
                    Some(end) => break self.buffer.drain(..=end).collect::<Vec<_>>(),
                    None => self.fill().await?,
                }
            };
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).map_err(Error::other)?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads at least one more byte.
    pub async fn fill(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Discards everything until the end of the connection or a reset.
    pub async fn drain(&mut self) {
        while self.fill().await.is_ok() {
            self.buffer.clear();
        }
    }
}
