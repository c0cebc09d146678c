//! Reads and writes with an end to their patience.

use std::io;
use std::time::Duration;

use pingora_timeout::fast_timeout::fast_timeout;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt};

/// Why nothing was read or written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The other side took too long.
    Late,
    /// It has gone.
    Gone(io::Error),
}

/// Waits for so long.
pub(super) async fn within<T>(
    patience: Duration,
    what: impl Future<Output = io::Result<T>>,
) -> Result<T, Trouble> {
    match fast_timeout(patience, what).await {
        Ok(done) => done.map_err(Trouble::Gone),
        Err(_) => Err(Trouble::Late),
    }
}

/// Writes all of it and has it leave. Each piece that is taken is a sign of life.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    patience: Duration,
) -> Result<(), Trouble> {
    while !bytes.is_empty() {
        match within(patience, to.write(bytes)).await? {
            0 => return Err(Trouble::Gone(io::ErrorKind::WriteZero.into())),
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    within(patience, to.flush()).await
}

/// How long, and how much, is read from a client that is told no more, so that it gets to see the
/// answer: a connection that is closed over unread bytes is reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;
const STEP: usize = 4096;

/// Says that nothing more is to come, and listens for a while.
pub(crate) async fn end(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let end = async {
        stream.shutdown().await.ok()?;
        let mut rest = Vec::with_capacity(STEP);
        let mut heard = 0;
        while heard < LINGER_BYTES {
            rest.clear();
            match stream.read_buf(&mut rest).await {
                Ok(count @ 1..) => heard += count,
                _ => break,
            }
        }
        Some(())
    };
    // Whether the client hears it is up to the client.
    let _ = fast_timeout(LINGER, end).await;
}
