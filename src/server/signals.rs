//! The signals that are sent to the process, and the thread that awaits them.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::cannot_start::CannotStart;

/// The process, once it is ready for signals.
#[derive(Debug)]
pub struct Process {
    /// Signals, reloads, health checks and the admin listener are on this thread: no request waits
    /// for them, and their timers do not wake the workers.
    pub(super) rest: Runtime,
    pub(super) signals: Signals,
}

impl Process {
    /// From here on no signal ends the process before what it has begun is finished.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn new() -> Result<Self, CannotStart> {
        let rest = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(CannotStart::Runtime)?;
        let signals = {
            let _runtime = rest.enter();
            Signals::new().map_err(CannotStart::Signals)?
        };
        Ok(Self { rest, signals })
    }
}

/// The signals that end the process.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
    /// Where nobody takes it for a reload.
    pub(super) hangup: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            // Which ends nginx gracefully, and would end us with a core dump.
            quit: signal(SignalKind::quit())?,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
            () = hung_up(self.hangup.as_mut()) => "SIGHUP",
        }
    }
}

/// Waits for a SIGHUP.
async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}
