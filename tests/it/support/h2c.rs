//! HTTP/2, with prior knowledge or over TLS.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::WAIT;
use super::client::Request;
use super::message::Message;

/// Sends a request on a new connection.
pub fn exchange(address: SocketAddr, request: &Request) -> Message {
    let connection = Connection::open(address);
    let stream = connection.send(request);
    connection.receive(stream)
}

/// A connection with any number of requests in progress. It only makes progress during `send` and
/// `receive`.
pub struct Connection {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// A request in progress.
pub struct Stream(ResponseFuture);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::over(async move { TcpStream::connect(address).await.expect("it listens") })
    }

    /// Uses the connection that `connect` makes.
    pub fn over<S>(connect: impl Future<Output = S>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let sender = runtime.block_on(within_limit(async {
            let (sender, connection) = h2::client::handshake(connect.await).await?;
            tokio::spawn(connection);
            sender.ready().await
        }));
        Self { runtime, sender }
    }

    /// Sends a request. Field names are sent in lower case, each field separately; `Host` becomes
    /// `:authority`.
    pub fn send(&self, request: &Request) -> Stream {
        let mut sender = self.sender.clone();
        self.runtime.block_on(within_limit(async {
            let ends = request.body.is_none() && request.trailers.is_empty();
            let (response, mut upload) = sender.send_request(head(request), ends)?;
            if !ends {
                let body = Bytes::from(request.body.clone().unwrap_or_default());
                upload.send_data(body, request.trailers.is_empty())?;
                if !request.trailers.is_empty() {
                    upload.send_trailers(trailers(request))?;
                }
            }
            // Let the connection write its data.
            tokio::task::yield_now().await;
            Ok(Stream(response))
        }))
    }

    /// Sends a request with half of its body, and the rest after `meanwhile`.
    pub fn send_in_halves(&self, request: &Request, meanwhile: impl FnOnce()) -> Stream {
        let body = Bytes::from(request.body.clone().unwrap_or_default());
        let (first, rest) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
        let mut sender = self.sender.clone();
        let (response, mut upload) = self.runtime.block_on(within_limit(async {
            let (response, mut upload) = sender.send_request(head(request), false)?;
            upload.send_data(first, false)?;
            tokio::task::yield_now().await;
            Ok((response, upload))
        }));
        meanwhile();
        self.runtime.block_on(within_limit(async { upload.send_data(rest, true) }));
        Stream(response)
    }

    /// Waits for the end of the answer. Returns whether it was cut off.
    pub fn is_cut_off(&self, stream: Stream) -> bool {
        self.runtime.block_on(within_limit(async { Ok(read(stream.0).await.is_err()) }))
    }

    /// Waits for the answer.
    pub fn receive(&self, stream: Stream) -> Message {
        self.runtime.block_on(within_limit(read(stream.0)))
    }
}

async fn within_limit<T>(talk: impl Future<Output = Result<T, h2::Error>>) -> T {
    let result = tokio::time::timeout(WAIT, talk).await;
    result.expect("an answer within the time limit").expect("an answer by HTTP/2")
}

async fn read(response: ResponseFuture) -> Result<Message, h2::Error> {
    let mut interim = Vec::new();
    let mut response = pin!(response);
    let response = poll_fn(|context| {
        while let Poll::Ready(Some(Ok(head))) = response.poll_informational(context) {
            interim.push(message(head.status().as_u16(), head.headers()));
        }
        response.as_mut().poll(context)
    })
    .await?;
    let mut answer = message(response.status().as_u16(), response.headers());
    answer.interim = interim;
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.body.extend_from_slice(&data);
    }
    if let Some(trailers) = body.trailers().await? {
        answer.trailers = fields(&trailers);
    }
    Ok(answer)
}

fn head(request: &Request) -> http::Request<()> {
    let host = request.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = host.map_or("app.test".into(), |(_, host)| String::from_utf8_lossy(host));
    let mut head = http::Request::builder()
        .version(Version::HTTP_2)
        .method(request.method.as_str())
        .uri(format!("http://{host}{}", request.target))
        .body(())
        .expect("a request that HTTP/2 can carry");
    for (name, value) in &request.fields {
        if !name.eq_ignore_ascii_case("host") {
            let value = HeaderValue::from_bytes(value).expect("a field value");
            head.headers_mut().append(lower(name), value);
        }
    }
    head
}

fn trailers(request: &Request) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &request.trailers {
        map.append(lower(name), HeaderValue::from_str(value).expect("a field value"));
    }
    map
}

fn lower(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).expect("a field name")
}

fn message(status: u16, headers: &HeaderMap) -> Message {
    Message {
        first_line: format!("HTTP/2 {status}"),
        fields: fields(headers),
        ..Message::default()
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let fields = headers.iter();
    fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}
