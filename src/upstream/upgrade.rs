//! Connections to the backend for requests that ask for an upgrade (WebSocket).
//!
//! pingora 0.9.1 loses one in a hundred of them to a race. One loop reads the backend's answer and
//! forwards the request's body, in random order. If the 101 comes first, the end of the (empty)
//! body then ends the upgraded connection. So the answer is held back for one round of that loop,
//! in which the end of the body is handled first.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::{Error, ErrorType, OrErr as _, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;

/// Connects like pingora, and holds the first answer back for a moment.
#[derive(Debug)]
pub(super) struct Connector {
    /// The time limit to connect.
    pub(super) connect: Duration,
    /// The time limit until an answer begins; after it `timeouts.upgraded` applies.
    pub(super) answer: Duration,
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let connect = async {
            match address {
                SocketAddr::Inet(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Ok(Held::stream(stream, self.answer))
                }
                SocketAddr::Unix(address) => {
                    let path = address.as_pathname().ok_or(std::io::ErrorKind::InvalidInput)?;
                    Ok(Held::stream(UnixStream::connect(path).await?, self.answer))
                }
            }
        };
        let connected = tokio::time::timeout(self.connect, connect).await;
        let connected =
            connected.or_err(ErrorType::ConnectTimedout, "connecting for an upgrade")?;
        connected.map_err(|error: std::io::Error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                Error::because(ErrorType::ConnectRefused, "connecting for an upgrade", error)
            }
            _ => Error::because(ErrorType::ConnectError, "connecting for an upgrade", error),
        })
    }
}

/// A connection whose first read after a write must be polled twice.
#[derive(Debug)]
struct Held<S> {
    stream: S,
    hold: bool,
    /// The deadline for the start of an answer; None after it has begun.
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Held<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug + 'static,
{
    fn stream(stream: S, answer: Duration) -> Stream {
        let late = Some(Box::pin(tokio::time::sleep(answer)));
        VirtualSocketStream::new(Box::new(Self { stream, hold: false, late })).into()
    }
}

impl<S> VirtualSocket for Held<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug,
{
    /// TCP_NODELAY is already set, and keep-alive is not requested.
    fn set_socket_option(&self, _: VirtualSockOpt) -> std::io::Result<()> {
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if std::mem::take(&mut self.hold) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.late = None;
        } else if let Some(late) = &mut self.late
            && late.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.hold = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
