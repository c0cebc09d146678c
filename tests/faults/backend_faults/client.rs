//! A client that keeps its connection as long as possible, and checks every byte.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::fault::{Fault, LARGE};
use super::{ending, mark, marks};
use crate::rough::{Wire, field};

/// Longer than the sidecar waits for the backend.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The client stops after this number of 1xx answers.
const MOST_INTERIMS: usize = 2000;

/// The result for a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// A whole answer.
    Status(u16),
    /// A correct POST was sent on a connection that the backend was closing: 502, since it may have
    /// arrived and is not repeated.
    Stale,
    /// The connection ended before the end of the answer.
    Broken,
    /// Only 1xx answers.
    Interims,
    /// Bytes that belong to another request, or to none.
    Foreign(String),
    /// Nothing at all.
    Nothing,
}

pub(super) struct Client {
    address: SocketAddr,
    wire: Option<Wire>,
}

impl Client {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { address, wire: None }
    }

    /// Sends the request with this number and reads its answer.
    pub(super) async fn send(&mut self, fault: Fault, number: u64) -> Outcome {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.address).await.expect("the sidecar listens"),
        };
        match timeout(PATIENCE, exchange(&mut wire, fault, number)).await {
            Ok((outcome, keep)) => {
                self.wire = keep.then_some(wire);
                outcome
            }
            // On a busy machine it takes longer until the limit is reached.
            Err(_) => match complete(&wire.buffer, fault.method(number)) {
                Progress::Interims(_) => Outcome::Interims,
                _ => Outcome::Nothing,
            },
        }
    }
}

/// The outcome, and whether the connection can be used again.
async fn exchange(wire: &mut Wire, fault: Fault, number: u64) -> (Outcome, bool) {
    // If the server closes during the request, it may still have answered.
    let _ = send(wire, fault, number).await;
    let method = fault.method(number);
    let end = loop {
        match complete(&wire.buffer, method) {
            Progress::Complete(end) => break Some(end),
            Progress::Interims(count) if count > MOST_INTERIMS => {
                return (Outcome::Interims, false);
            }
            _ if wire.fill().await.is_ok() => {}
            Progress::UntilTheEnd => break Some(wire.buffer.len()),
            _ => break None,
        }
    };
    let is_foreign = marks(&wire.buffer).into_iter().any(|mark| mark != number);
    let is_more = end.is_some_and(|end| end < wire.buffer.len());
    let head = last_head(&wire.buffer);
    let is_other = end.is_some()
        && (fault, status(&head)) == (Fault::None, 200)
        && !wire.buffer.ends_with(mark(number).as_bytes());
    if is_foreign || is_more || is_other {
        return (Outcome::Foreign(String::from_utf8_lossy(&wire.buffer).into_owned()), false);
    }
    if end.is_none() {
        return (Outcome::Broken, false);
    }
    let keep = !field(&head, "Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    wire.buffer.clear();
    match (fault, method, status(&head)) {
        (Fault::None, "POST", 502) => (Outcome::Stale, keep),
        (_, _, status) => (Outcome::Status(status), keep),
    }
}

async fn send(wire: &mut Wire, fault: Fault, number: u64) -> Result<()> {
    let method = fault.method(number);
    let target = format!("/{fault:?}/{number}");
    let body = body_of(fault, number);
    if body.is_empty() {
        return wire.send(format!("{method} {target} HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
    }
    let ending = ending(number, Ending::ALL);
    let (first, rest) = body.split_at(100);
    let (field, first, rest) = match ending {
        Ending::Length => {
            (format!("Content-Length: {}", body.len()), first.to_owned(), rest.to_owned())
        }
        _ => ("Transfer-Encoding: chunked".to_owned(), chunk(first), chunk(rest)),
    };
    wire.send(format!("POST {target} HTTP/1.1\r\nHost: app.test\r\n{field}\r\n\r\n{first}"))
        .await?;
    if fault.is_early() {
        // The answer, or a part of it, comes first.
        let _ = timeout(Duration::from_millis(20), wire.fill()).await;
    }
    match ending {
        Ending::Length => wire.send(rest).await,
        Ending::LastChunk => wire.send(format!("{rest}0\r\n\r\n")).await,
        Ending::LastChunkApart => {
            wire.send(rest).await?;
            // It should arrive after the rest has been forwarded.
            sleep(Duration::from_millis(1)).await;
            wire.send("0\r\n\r\n").await
        }
        Ending::Trailers => wire.send(format!("{rest}0\r\nX-Sum: 1\r\n\r\n")).await,
    }
}

/// What is sent with a request: its mark again and again.
pub(super) fn body_of(fault: Fault, number: u64) -> String {
    let mark = mark(number);
    match fault.method(number) {
        "POST" if fault.is_early() => mark.repeat(LARGE / mark.len()),
        "POST" => mark.repeat(20),
        _ => String::new(),
    }
}

/// How the body of a request ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Length,
    LastChunk,
    LastChunkApart,
    Trailers,
}

impl Ending {
    const ALL: [Self; 4] = [Self::Length, Self::LastChunk, Self::LastChunkApart, Self::Trailers];
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

enum Progress {
    More,
    Interims(usize),
    Complete(usize),
    UntilTheEnd,
}

/// How much of the bytes is the answer to a request with this method.
fn complete(bytes: &[u8], method: &str) -> Progress {
    let mut begin = 0;
    let mut interims = 0;
    let (head, body) = loop {
        let Some(end) = find(&bytes[begin..], b"\r\n\r\n") else {
            return if interims > 0 { Progress::Interims(interims) } else { Progress::More };
        };
        let head = String::from_utf8_lossy(&bytes[begin..begin + end + 2]).into_owned();
        begin += end + 4;
        if status(&head) >= 200 {
            break (head, begin);
        }
        interims += 1;
    };
    if method == "HEAD" || matches!(status(&head), 204 | 304) {
        return Progress::Complete(body);
    }
    let length = match field(&head, "Content-Length").map(str::parse::<usize>) {
        _ if field(&head, "Transfer-Encoding").is_some() => chunks(&bytes[body..]),
        Some(length) => length.ok(),
        None => return Progress::UntilTheEnd,
    };
    match length {
        Some(length) if body + length <= bytes.len() => Progress::Complete(body + length),
        _ => Progress::More,
    }
}

/// The length of a complete chunked body.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = find(bytes.get(at..)?, b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        at += end + 2 + size + 2;
        if size == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The head of the final answer, after all 1xx.
fn last_head(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let heads = text.split_inclusive("\r\n\r\n");
    heads.into_iter().find(|head| status(head) >= 200).unwrap_or_default().to_owned()
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}
