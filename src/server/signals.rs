//! The signals sent to the process, and the thread that waits for them.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::cannot_start::CannotStart;

/// A process that handles signals.
#[derive(Debug)]
pub struct Process {
    /// Runs signals, reloads, health checks and the admin listener, so that they neither delay
    /// requests nor wake the workers.
    pub(super) rest: Runtime,
    pub(super) signals: Signals,
}

impl Process {
    /// Installs the handlers, so that no signal interrupts work in progress.
    ///
    /// # Errors
    /// The operating system refused.
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
    /// Until the reload task takes it.
    pub(super) hangup: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            // Ends nginx gracefully; by default it would dump core.
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
