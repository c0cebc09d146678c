//! The request on its way to the app: its head, its body as it arrives, and then a look at whether
//! the client is still there.

use std::future::pending;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::body::{Body, Framing};
use super::failed::Failed;
use super::timed::{Trouble, within};
use crate::config::Timeouts;
use crate::metrics::BackendError;
use crate::visit::Failure;

/// How much is read of a body at once, and of what comes behind a request.
const PIECE: usize = 32 * 1024;
const NEXT: usize = 64;

/// How much of a body is kept for another attempt, as with pingora.
const MOST_KEPT: usize = 64 * 1024;

/// A request on its way.
pub(super) struct Upload {
    body: Body,
    framing: Framing,
    /// What was read of the client and is not on its way: the body's, or the next request's.
    early: BytesMut,
    /// What is on its way, and how much of it has left.
    out: Vec<u8>,
    left: usize,
    /// The body so far, as it is sent, for another attempt; None where there can be none.
    kept: Option<Vec<u8>>,
    /// How long the body is so far, and may be.
    length: u64,
    limit: Option<usize>,
    /// Whether a client that is gone gets no answer.
    is_watched: bool,
}

/// How far an upload has come, for those who wait for the answer meanwhile.
#[derive(Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    steps: AtomicU32,
}

const UNDER_WAY: u8 = 0;
const DONE: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    /// All of the request has left.
    pub(super) fn is_done(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == DONE
    }

    /// Nothing more will leave.
    pub(super) fn is_over(&self) -> bool {
        self.stage.load(Ordering::Relaxed) != UNDER_WAY
    }

    /// Changes whenever something leaves.
    pub(super) fn steps(&self) -> u32 {
        self.steps.load(Ordering::Relaxed)
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn ends(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
    }
}

impl Upload {
    /// A body of which `early` has come with its head. `can_repeat`: the request may be sent twice.
    pub(super) fn new(body: Body, early: &[u8], limit: Option<usize>, can_repeat: bool) -> Self {
        Self {
            body,
            framing: Framing::Plain,
            early: BytesMut::from(early),
            out: Vec::new(),
            left: 0,
            kept: can_repeat.then(Vec::new),
            length: 0,
            limit,
            is_watched: false,
        }
    }

    /// Whether the body has been read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.body.is_done()
    }

    /// Whether it can begin anew.
    pub(super) fn can_repeat(&self) -> bool {
        self.kept.is_some()
    }

    /// A client that goes away from here on gets no answer.
    pub(super) fn watch(&mut self) {
        self.is_watched = true;
    }

    /// What came of the next request, once this one has been read.
    pub(super) fn into_next(self) -> BytesMut {
        self.early
    }

    /// Begins: with a head, and what has come of the body.
    pub(super) fn begin(&mut self, head: Vec<u8>, framing: Framing) -> Result<(), Failed> {
        self.framing = framing;
        self.out = head;
        self.left = 0;
        if let Some(kept) = &self.kept {
            self.out.extend_from_slice(kept);
        }
        self.take()
    }

    /// Puts what has been read on its way.
    fn take(&mut self) -> Result<(), Failed> {
        let before = self.out.len();
        let length = self
            .body
            .pass_on(&mut self.early, self.framing, &mut self.out)
            .map_err(|_| Failed::new(Failure::Malformed, "malformed chunks"))?;
        self.length += length;
        if self.limit.is_some_and(|most| self.length > most as u64) {
            return Err(Failed::new(Failure::Refused(413), "the body is too large"));
        }
        let new = &self.out[before..];
        if let Some(kept) = &mut self.kept {
            if kept.len() + new.len() > MOST_KEPT {
                self.kept = None;
            } else {
                kept.extend_from_slice(new);
            }
        }
        Ok(())
    }

    /// Sends everything, and watches the client from then on. Returns why that has to end; where an
    /// answer is to be waited for, it does not return. Nothing is lost where it is dropped.
    pub(super) async fn run(
        &mut self,
        client: &mut (impl AsyncRead + Unpin),
        app: &mut (impl AsyncWrite + Unpin),
        timeouts: &Timeouts,
        progress: &Progress,
    ) -> Failed {
        loop {
            match self.send(app, timeouts, progress).await {
                Ok(()) => {}
                Err(Trouble::Late) => {
                    return Failed::new(BackendError::Timeout, "the request was not taken");
                }
                Err(Trouble::Gone(_)) => {
                    // It may have answered before it went.
                    progress.ends(GIVEN_UP);
                    return pending().await;
                }
            }
            if self.body.is_done() {
                break;
            }
            self.early.reserve(PIECE);
            match within(timeouts.body, client.read_buf(&mut self.early)).await {
                Ok(1..) => {}
                Ok(0) => return Failed::new(Failure::ClientGone, "the body broke off"),
                Err(Trouble::Gone(error)) => return Failed::of(Failure::ClientGone, &error),
                Err(Trouble::Late) => {
                    return Failed::new(Failure::ClientLate, "the body did not arrive in time");
                }
            }
            if let Err(failed) = self.take() {
                return failed;
            }
        }
        progress.ends(DONE);
        if !self.is_watched || !self.early.is_empty() {
            return pending().await;
        }
        let mut next = [0; NEXT];
        match client.read(&mut next).await {
            Ok(count @ 1..) => {
                self.early.extend_from_slice(&next[..count]);
                pending().await
            }
            Ok(0) => Failed::new(Failure::ClientGone, "it closed the connection"),
            Err(error) => Failed::of(Failure::ClientGone, &error),
        }
    }

    async fn send(
        &mut self,
        app: &mut (impl AsyncWrite + Unpin),
        timeouts: &Timeouts,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        while let Some(rest @ [_, ..]) = self.out.get(self.left..) {
            match within(timeouts.backend_write, app.write(rest)).await? {
                0 => return Err(Trouble::Gone(std::io::ErrorKind::WriteZero.into())),
                count => self.left += count,
            }
            progress.step();
        }
        self.out.clear();
        self.left = 0;
        within(timeouts.backend_write, app.flush()).await
    }
}
