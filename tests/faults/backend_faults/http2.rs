//! The same client over HTTP/2, where a stream may end with HEADERS, with DATA, with an empty DATA
//! frame or with trailers.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Version};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Outcome, PATIENCE, body_of};
use super::fault::Fault;
use super::{ending, mark, marks};

/// A connection, as long as it can be used.
pub(super) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Bytes>>,
}

impl Client {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { address, sender: None }
    }

    /// Sends the request with this number and reads its answer.
    pub(super) async fn send(&mut self, fault: Fault, number: u64) -> Outcome {
        let talk = async {
            let sender = match self.sender.take() {
                Some(sender) => sender,
                None => connect(self.address).await,
            };
            let mut sender = sender.ready().await?;
            let outcome = exchange(&mut sender, fault, number).await;
            self.sender = Some(sender);
            outcome
        };
        match timeout(PATIENCE, talk).await {
            Ok(outcome) => outcome.unwrap_or(Outcome::Broken),
            // The sidecar passes no 1xx to HTTP/2.
            Err(_) if fault == Fault::EndlessInterims => Outcome::Interims,
            Err(_) => Outcome::Nothing,
        }
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("the sidecar listens");
    let (sender, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn exchange(
    sender: &mut SendRequest<Bytes>,
    fault: Fault,
    number: u64,
) -> Result<Outcome, h2::Error> {
    let method = fault.method(number);
    let head = Request::builder()
        .version(Version::HTTP_2)
        .method(method)
        .uri(format!("http://app.test/{fault:?}/{number}"))
        .body(())
        .expect("a request");
    let body = body_of(fault, number);
    let (response, upload) = sender.send_request(head, body.is_empty())?;
    if !body.is_empty() {
        // An answer may come early, and end the stream under the rest of the body.
        let _ = send(upload, body, ending(number, Ending::ALL)).await;
    }
    let response = response.await?;
    let status = response.status().as_u16();
    let foreign = |text: &[u8]| marks(text).into_iter().any(|mark| mark != number);
    let mut seen: Vec<u8> =
        response.headers().values().flat_map(|value| value.as_bytes().to_vec()).collect();
    let read = read(response.into_body(), &mut seen).await;
    let is_other =
        (fault, status) == (Fault::None, 200) && !seen.ends_with(mark(number).as_bytes());
    if foreign(&seen) || (read.is_ok() && is_other) {
        return Ok(Outcome::Foreign(String::from_utf8_lossy(&seen).into_owned()));
    }
    read?;
    Ok(match (fault, method, status) {
        (Fault::None, "POST", 502) => Outcome::Stale,
        (_, _, status) => Outcome::Status(status),
    })
}

async fn read(mut body: RecvStream, seen: &mut Vec<u8>) -> Result<(), h2::Error> {
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        seen.extend_from_slice(&data);
    }
    Ok(())
}

/// How the stream of a request with a body ends; without one it ends with its HEADERS.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Data,
    EmptyData,
    EmptyDataApart,
    Trailers,
}

impl Ending {
    const ALL: [Self; 4] = [Self::Data, Self::EmptyData, Self::EmptyDataApart, Self::Trailers];
}

async fn send(
    mut upload: SendStream<Bytes>,
    body: String,
    ending: Ending,
) -> Result<(), h2::Error> {
    let mut rest = Bytes::from(body);
    while !rest.is_empty() {
        upload.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|context| upload.poll_capacity(context)).await;
        let Some(room) = room.transpose()? else { return Ok(()) };
        let piece = rest.split_to(room.min(rest.len()));
        upload.send_data(piece, rest.is_empty() && matches!(ending, Ending::Data))?;
    }
    match ending {
        Ending::Data => Ok(()),
        Ending::EmptyData => upload.send_data(Bytes::new(), true),
        Ending::EmptyDataApart => {
            // It should arrive after the rest has been forwarded.
            tokio::time::sleep(Duration::from_millis(1)).await;
            upload.send_data(Bytes::new(), true)
        }
        Ending::Trailers => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("1"));
            upload.send_trailers(trailers)
        }
    }
}
