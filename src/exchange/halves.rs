//! Reading and writing one stream from two futures of the same task. `tokio::io::split` would
//! allocate for each request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One of two halves of a stream. The lock is never contended.
pub(super) struct Half<'a, 's, S: ?Sized>(pub(super) &'a Mutex<&'s mut S>);

impl<S: AsyncRead + Unpin + ?Sized> AsyncRead for Half<'_, '_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.lock()).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin + ?Sized> AsyncWrite for Half<'_, '_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self.0.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.lock()).poll_shutdown(context)
    }
}
