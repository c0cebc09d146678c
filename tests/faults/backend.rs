//! An app that can handle the load. Its answer repeats the request's target and session, and
//! contains what the request asks for:
//!
//! `Answer-Status: 404`, `Answer-Delay: 5000` (milliseconds), `Answer-Bytes: 1000000` (a body of
//! this length instead). Any other `Answer-X: y` is returned as the field `X: y`, so that
//! `Answer-X-Session-Save: {…}` is a save.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::runtime;

/// Counted since the start.
#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Listens until all experiments have ended.
pub struct Echo {
    address: SocketAddr,
    counts: Arc<Counts>,
}

impl Echo {
    pub fn start() -> Self {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&shared);
                // A sidecar that disconnects is not an error here.
                tokio::spawn(async move { drop(serve(stream, &counts).await) });
            }
        });
        Self { address, counts }
    }

    /// The URL for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> u64 {
        self.counts.begun.load(Ordering::Relaxed)
    }

    /// How many requests are waiting for their answer.
    pub fn under_way(&self) -> u64 {
        let ended = self.counts.ended.load(Ordering::Relaxed);
        self.requests().saturating_sub(ended)
    }

    /// The body of the answer to a request for this target with this session.
    pub fn body(target: &str, session: &str) -> String {
        format!("{target}\n{session}\n")
    }
}

async fn serve(mut stream: TcpStream, counts: &Counts) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(8192);
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        counts.begun.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::to(&String::from_utf8_lossy(&buffer[..end]))?;
        skip(&mut stream, &mut buffer, end + 4 + answer.skip).await?;
        if let Some(delay) = answer.delay {
            tokio::time::sleep(delay).await;
        }
        let written = stream.write_all(&answer.bytes).await;
        counts.ended.fetch_add(1, Ordering::Relaxed);
        written?;
    }
}

/// Reads the rest of the request and discards it.
async fn skip(stream: &mut TcpStream, buffer: &mut Vec<u8>, mut length: usize) -> Result<()> {
    while buffer.len() < length {
        length -= buffer.len();
        buffer.clear();
        if stream.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    buffer.drain(..length);
    Ok(())
}

#[derive(Default)]
struct Answer {
    /// The length of the request's body.
    skip: usize,
    delay: Option<Duration>,
    bytes: Vec<u8>,
}

impl Answer {
    fn to(head: &str) -> Result<Self> {
        let odd = || Error::new(ErrorKind::InvalidData, head.to_owned());
        let number = |value: &str| value.parse::<usize>().map_err(|_| odd());
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let target = first.nth(1).ok_or_else(odd)?;
        let mut answer = Self::default();
        let (mut status, mut fields, mut length) = (200, String::new(), None);
        let mut sessions = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(odd)?;
            let (name, value) = (name.to_ascii_lowercase(), value.trim());
            match name.as_str() {
                "content-length" => answer.skip = number(value)?,
                "transfer-encoding" => return Err(odd()),
                "x-session" => sessions.push(value),
                "answer-status" => status = number(value)?,
                "answer-delay" => answer.delay = Some(Duration::from_millis(number(value)? as u64)),
                "answer-bytes" => length = Some(number(value)?),
                _ => {
                    if let Some(name) = name.strip_prefix("answer-") {
                        fields.push_str(&format!("{name}: {value}\r\n"));
                    }
                }
            }
        }
        // A second field of the session would be visible.
        let body = match length {
            Some(length) => vec![b'x'; length],
            None => Echo::body(target, &sessions.join("\n")).into_bytes(),
        };
        answer.bytes = match status {
            204 | 304 => format!("HTTP/1.1 {status} Status\r\n{fields}\r\n").into_bytes(),
            _ => {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} Status\r\n{fields}Content-Length: {length}\r\n\r\n");
                [head.as_bytes(), &body].concat()
            }
        };
        Ok(answer)
    }
}
