//! Buffers log lines for standard error, so that no request waits for a slow reader. Lines are
//! collected for a moment and written by a separate thread. If they are not read, memory is
//! limited; lines that do not fit are dropped and counted.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long lines are collected, so that not every line wakes the thread.
const GATHER: Duration = Duration::from_millis(5);

/// The maximum number of waiting bytes: some ten thousand access lines.
const MOST: usize = 4 << 20;

/// How much of the buffer is kept after writing.
const KEPT: usize = 64 << 10;

/// How long the process waits for a reader at its end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The number of dropped lines since the start.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The number of lines dropped since the start because they were not read in time.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The buffer of lines.
pub(super) struct Writer {
    waiting: Mutex<Waiting>,
    /// Notified when the buffer changes.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    /// Lines have been taken but not yet written.
    writing: bool,
    /// A caller waits until everything is written.
    hurry: bool,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread could not be started.
    pub(super) fn start(out: impl Write + Send + 'static) -> std::io::Result<Arc<Self>> {
        let writer = Arc::new(Self { waiting: Mutex::default(), changed: Condvar::new() });
        let writes = Arc::clone(&writer);
        std::thread::Builder::new().name("log".into()).spawn(move || writes.run(out))?;
        Ok(writer)
    }

    /// Adds a line with its line break, without waiting.
    pub(super) fn push(&self, line: &str) {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() + line.len() > MOST {
            waiting.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line.as_bytes());
        drop(waiting);
        if is_first {
            self.changed.notify_all();
        }
    }

    /// Waits until everything is written, but only for a limited time.
    pub(super) fn flush(&self) {
        let late = Instant::now() + PATIENCE;
        let mut waiting = self.waiting.lock();
        waiting.hurry = true;
        self.changed.notify_all();
        while waiting.writing || !waiting.lines.is_empty() {
            if self.changed.wait_until(&mut waiting, late).timed_out() {
                break;
            }
        }
        waiting.hurry = false;
    }

    fn run(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.lines.is_empty() {
                self.changed.wait(&mut waiting);
            }
            let ready = Instant::now() + GATHER;
            while !waiting.hurry && !self.changed.wait_until(&mut waiting, ready).timed_out() {}
            std::mem::swap(&mut lines, &mut waiting.lines);
            let dropped = std::mem::take(&mut waiting.dropped);
            waiting.writing = true;
            drop(waiting);
            // An error cannot be reported.
            let _ = out.write_all(&lines);
            lines.clear();
            lines.shrink_to(KEPT);
            self.waiting.lock().writing = false;
            self.changed.notify_all();
            if dropped > 0 {
                log::warn!(lines = dropped; "log lines were dropped: the log was not read fast enough");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::sync::mpsc::{self, Receiver, SyncSender};

    use super::*;

    /// A reader that reads only when the test tells it to.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn writer() -> (Arc<Writer>, Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::sync_channel(0);
        (Writer::start(Pipe(sender)).unwrap(), receiver)
    }

    #[test]
    fn lines_arrive_in_order() {
        let (writer, reader) = writer();
        let all: String = (0..1000).map(|number| format!("line {number}\n")).collect();
        all.split_inclusive('\n').for_each(|line| writer.push(line));
        let mut read = Vec::new();
        while read.len() < all.len() {
            read.extend(reader.recv().unwrap());
        }
        assert_eq!(read, all.as_bytes());
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_costs_lines() {
        let (writer, reader) = writer();
        let line = "x".repeat(1023) + "\n";
        let before = dropped();
        // Nobody reads: this would hang if it waited.
        let pushed = 3 * MOST / line.len();
        (0..pushed).for_each(|_| writer.push(&line));
        let lost = usize::try_from(dropped() - before).unwrap();
        assert!(lost > 0);
        let mut read = 0;
        while read < (pushed - lost) * line.len() {
            read += reader.recv().unwrap().len();
        }
        assert_eq!(read, (pushed - lost) * line.len());
    }

    #[test]
    fn a_flush_waits_for_the_reader() {
        let (writer, reader) = writer();
        writer.push("last words\n");
        let reads = std::thread::spawn(move || reader.recv());
        writer.flush();
        assert_eq!(reads.join().unwrap().unwrap(), b"last words\n");
    }
}
