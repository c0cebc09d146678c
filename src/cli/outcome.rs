//! What comes of a subcommand: what it prints, or why it failed and the exit code of that.

use std::fmt;
use std::process::ExitCode;

use crate::fault::Fault;

/// Why a subcommand did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, keys included, has faults.
    Configuration(Vec<Fault>),
    /// The arguments do not make sense.
    Usage(String),
    /// Something went wrong on the way.
    Runtime(String),
}

impl Failure {
    /// The arguments do not make sense.
    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// Something went wrong on the way.
    pub(crate) fn runtime(error: impl fmt::Display) -> Self {
        Self::Runtime(error.to_string())
    }
}

/// Says why, and with which exit code the process ends.
pub(super) fn report(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Configuration(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            ExitCode::from(2)
        }
        Failure::Usage(message) => {
            eprintln!("cloakroom: {message}");
            ExitCode::from(2)
        }
        Failure::Runtime(message) => {
            eprintln!("cloakroom: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. A reader that has gone away, as `head` does, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write as _};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Runtime(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
