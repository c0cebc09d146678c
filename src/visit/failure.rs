//! Why a client does not get the app's answer, and what it gets instead: one table for all
//! carriers.

use super::fields::RequestHead;
use super::reply::Reply;
use super::response::AnswerFault;
use super::{Visit, access, request_id};
use crate::metrics::BackendError;
use crate::state::Shared;

/// Why no answer of the app is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The app's answer is refused.
    Answer(AnswerFault),
    /// The app could not be reached, or did not answer.
    Backend(BackendError),
    /// The request is refused with this status.
    Refused(u16),
    /// The request's body is malformed.
    Malformed,
    /// The client was too slow to send its body or to read the answer.
    ClientLate,
    /// The client closed the connection.
    ClientGone,
    /// An internal error.
    Internal,
}

impl From<BackendError> for Failure {
    fn from(kind: BackendError) -> Self {
        Self::Backend(kind)
    }
}

impl Failure {
    /// The answer for the client; None if the client is gone.
    pub(crate) fn reply(self) -> Option<Reply> {
        let (status, text) = match self {
            Self::Answer(AnswerFault::BadSave) => (502, "The session could not be saved."),
            Self::Answer(AnswerFault::StoreAway) => return Some(Reply::STORE_AWAY),
            Self::Answer(AnswerFault::Conflict) => {
                (409, "The session was changed by another request; please try again.")
            }
            Self::Backend(BackendError::Timeout) => {
                (504, "The application did not answer in time.")
            }
            Self::Backend(BackendError::Connect) => (502, "The application cannot be reached."),
            Self::Backend(BackendError::Reset) => {
                (502, "The application closed the connection unexpectedly.")
            }
            Self::Backend(BackendError::Protocol)
            | Self::Answer(AnswerFault::LengthTwice | AnswerFault::UnaskedSwitch) => {
                (502, "The application's answer is not HTTP.")
            }
            Self::Refused(status) => return Some(Reply::refusing(status)),
            Self::Malformed => return Some(Reply::BAD_REQUEST),
            Self::ClientLate => (408, "The request did not arrive in time."),
            Self::ClientGone => return None,
            Self::Internal | Self::Answer(AnswerFault::HeadFull) => {
                (500, "The session proxy failed.")
            }
        };
        Some(Reply::new(status, text))
    }

    /// The failure of the app, if it was one.
    pub(crate) fn backend(self) -> Option<BackendError> {
        match self {
            Self::Backend(kind) => Some(kind),
            Self::Answer(AnswerFault::LengthTwice | AnswerFault::UnaskedSwitch) => {
                Some(BackendError::Protocol)
            }
            _ => None,
        }
    }

    /// Whether it has already been logged.
    fn is_told(self) -> bool {
        use AnswerFault::{BadSave, Conflict, StoreAway};
        matches!(self, Self::Answer(BadSave | StoreAway | Conflict))
    }

    /// Counts and logs it. `cause` is the carrier's description, `attempts` the number of tries to
    /// reach the app.
    pub(crate) fn report(
        self,
        shared: &Shared,
        request: &impl RequestHead,
        (cause, attempts): (&str, usize),
        visit: &mut Visit,
    ) {
        visit.id.get_or_insert_with(request_id::fresh);
        let path = access::path(request);
        match self.backend() {
            Some(kind) => {
                shared.metrics.backend_failed(kind);
                log::error!(
                    kind = kind.label(), cause, attempts,
                    backend = visit.state.apps.get(visit.backend).name.as_str(),
                    path = path.as_str(), request_id = visit.id();
                    "the backend failed"
                );
            }
            // Already logged.
            None if self.is_told() => {}
            None if self == Self::ClientGone => {
                log::debug!(cause, path = path.as_str(); "the client closed the connection");
            }
            None => {
                log::warn!(
                    cause, path = path.as_str(), request_id = visit.id();
                    "the request failed"
                );
            }
        }
    }
}
