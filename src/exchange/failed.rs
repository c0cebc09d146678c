//! What goes wrong on this carrier, as a failure of the visit and in words for the log.

use std::io;

use super::timed::Trouble;
use crate::proxy::{cause, failure_of};
use crate::visit::{AnswerFault, Failure};

/// Why there is no answer of the app's to pass on, and in which words it is logged.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) cause: String,
    /// The connection had been closed before anything of the answer came.
    pub(super) is_stale: bool,
}

impl Failed {
    pub(super) fn new(failure: impl Into<Failure>, cause: &'static str) -> Self {
        Self { failure: failure.into(), cause: cause.to_owned(), is_stale: false }
    }

    pub(super) fn of(failure: Failure, error: &io::Error) -> Self {
        Self { failure, cause: error.to_string(), is_stale: false }
    }

    pub(super) fn answer(fault: impl Into<AnswerFault>) -> Self {
        let fault = fault.into();
        Self { cause: format!("{fault:?}"), ..Self::new(Failure::Answer(fault), "") }
    }

    /// Of a client that does not take what it is sent.
    pub(super) fn client(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Late => Self::new(Failure::ClientLate, "it took too long to take it"),
            Trouble::Gone(error) => Self::of(Failure::ClientGone, &error),
        }
    }

    pub(super) fn connecting(error: &pingora_core::Error) -> Self {
        Self { failure: failure_of(error), cause: cause(error), is_stale: false }
    }
}
