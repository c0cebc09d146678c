//! What went wrong where there is no answer of the backend's to pass on: one table from failure to
//! status.

use pingora_core::{Error, ErrorSource, ErrorType};

use crate::metrics::BackendError;
use crate::visit::Reply;

/// The mark of a save that could not be carried out, on its way through pingora's errors.
pub(super) const BAD_SAVE: ErrorType = ErrorType::new("BadSave");

/// The same for what the store did not carry out.
pub(super) const STORE_AWAY: ErrorType = ErrorType::new("StoreAway");

/// The same for a session that others have written or ended meanwhile.
pub(super) const CONFLICT: ErrorType = ErrorType::new("Conflict");

/// A failure, as the client, the metrics and the log see it.
#[derive(Debug)]
pub(super) struct Failure {
    /// None where there is nobody left to answer.
    pub(super) reply: Option<Reply>,
    /// Whether it was the backend's fault, and how.
    pub(super) backend: Option<BackendError>,
}

const TOO_LATE: Reply = Reply::new(504, "The application did not answer in time.");

/// The one table from failure to status.
pub(super) fn of(error: &Error) -> Failure {
    use ErrorType as E;
    let (reply, backend) = match (error.esource(), error.etype()) {
        (_, kind) if *kind == BAD_SAVE => {
            (Some(Reply::new(502, "The session could not be saved.")), None)
        }
        (_, kind) if *kind == STORE_AWAY => (Some(Reply::STORE_AWAY), None),
        (_, kind) if *kind == CONFLICT => (
            Some(Reply::new(409, "The session was changed by another request; please try again.")),
            None,
        ),
        (_, E::HTTPStatus(status)) => (Some(Reply::refusing(*status)), None),
        (ErrorSource::Upstream, E::ReadError) if is_timeout(error) => {
            (Some(TOO_LATE), Some(BackendError::Timeout))
        }
        (
            ErrorSource::Upstream,
            E::ConnectTimedout | E::TLSHandshakeTimedout | E::ReadTimedout | E::WriteTimedout,
        ) => (Some(TOO_LATE), Some(BackendError::Timeout)),
        (
            ErrorSource::Upstream,
            E::ConnectRefused
            | E::ConnectNoRoute
            | E::ConnectError
            | E::BindError
            | E::SocketError
            | E::ConnectProxyFailure
            | E::TLSWantX509Lookup
            | E::TLSHandshakeFailure
            | E::InvalidCert
            | E::HandshakeError,
        ) => (
            Some(Reply::new(502, "The application cannot be reached.")),
            Some(BackendError::Connect),
        ),
        (ErrorSource::Upstream, E::ReadError | E::WriteError | E::ConnectionClosed) => (
            Some(Reply::new(502, "The application broke off the connection.")),
            Some(BackendError::Reset),
        ),
        (ErrorSource::Upstream, _) => (
            Some(Reply::new(502, "The application's answer is not HTTP.")),
            Some(BackendError::Protocol),
        ),
        (ErrorSource::Downstream, E::ReadError | E::WriteError | E::ConnectionClosed) => {
            (None, None)
        }
        (ErrorSource::Downstream, E::ReadTimedout | E::WriteTimedout) => {
            (Some(Reply::new(408, "The request did not arrive in time.")), None)
        }
        (ErrorSource::Downstream, _) => (Some(Reply::BAD_REQUEST), None),
        (ErrorSource::Internal | ErrorSource::Unset, _) => {
            (Some(Reply::new(500, "The session proxy failed.")), None)
        }
    };
    Failure { reply, backend }
}

/// Whether it was logged where it was found out.
pub(super) fn is_told(error: &Error) -> bool {
    [BAD_SAVE, STORE_AWAY, CONFLICT].contains(error.etype())
}

/// Whether a read failed because [`super::upgrade`] would not wait any longer.
fn is_timeout(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// What a log may say of an error: its type and the operating system's word. pingora's own text
/// can quote heads, and with them cookies and dicts.
pub(crate) fn cause(error: &Error) -> String {
    let kind = error.etype().as_str();
    match error.root_cause().downcast_ref::<std::io::Error>() {
        Some(io) => format!("{kind}: {io}"),
        None => kind.to_owned(),
    }
}
