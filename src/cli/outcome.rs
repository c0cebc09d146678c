//! The result of a subcommand: its output, or an error with its exit code.

use std::fmt;
use std::process::ExitCode;

use crate::fault::Fault;

/// Why a subcommand failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration or its keys have faults.
    Configuration(Vec<Fault>),
    /// The arguments are invalid.
    Usage(String),
    /// An error at run time.
    Runtime(String),
}

impl Failure {
    /// The arguments are invalid.
    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// An error at run time.
    pub(crate) fn runtime(error: impl fmt::Display) -> Self {
        Self::Runtime(error.to_string())
    }
}

/// Prints the error and returns its exit code.
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

/// Writes to standard output. A closed pipe, as with `head`, is not an error.
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
