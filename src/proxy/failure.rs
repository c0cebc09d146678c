//! Converts pingora's errors to failures of a visit and back.

use pingora_core::{Error, ErrorSource, ErrorType};

use crate::metrics::BackendError;
use crate::visit::{AnswerFault, Failure};

/// pingora error types for answers that are refused.
const BAD_SAVE: ErrorType = ErrorType::new("BadSave");
const STORE_AWAY: ErrorType = ErrorType::new("StoreAway");
const CONFLICT: ErrorType = ErrorType::new("Conflict");

/// Converts an error of pingora.
pub(crate) fn of(error: &Error) -> Failure {
    use ErrorType as E;
    let backend = match (error.esource(), error.etype()) {
        (_, kind) if *kind == BAD_SAVE => return Failure::Answer(AnswerFault::BadSave),
        (_, kind) if *kind == STORE_AWAY => return Failure::Answer(AnswerFault::StoreAway),
        (_, kind) if *kind == CONFLICT => return Failure::Answer(AnswerFault::Conflict),
        (_, E::HTTPStatus(status)) => return Failure::Refused(*status),
        (ErrorSource::Upstream, E::ReadError) if is_timeout(error) => BackendError::Timeout,
        (
            ErrorSource::Upstream,
            E::ConnectTimedout | E::TLSHandshakeTimedout | E::ReadTimedout | E::WriteTimedout,
        ) => BackendError::Timeout,
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
        ) => BackendError::Connect,
        (ErrorSource::Upstream, E::ReadError | E::WriteError | E::ConnectionClosed) => {
            BackendError::Reset
        }
        (ErrorSource::Upstream, _) => BackendError::Protocol,
        (ErrorSource::Downstream, E::ReadError | E::WriteError | E::ConnectionClosed) => {
            return Failure::ClientGone;
        }
        (ErrorSource::Downstream, E::ReadTimedout | E::WriteTimedout) => {
            return Failure::ClientLate;
        }
        (ErrorSource::Downstream, _) => return Failure::Malformed,
        (ErrorSource::Internal | ErrorSource::Unset, _) => return Failure::Internal,
    };
    Failure::Backend(backend)
}

/// The error that makes pingora refuse an answer.
pub(super) fn not_passed_on(fault: AnswerFault) -> Box<Error> {
    let broken = |why| Error::explain(ErrorType::InvalidHTTPHeader, why).into_up();
    let internal = |kind| Error::create(kind, ErrorSource::Internal, None, None);
    match fault {
        AnswerFault::LengthTwice => broken("the answer declares its length twice"),
        AnswerFault::UnaskedSwitch => broken("the answer switches protocols without being asked"),
        AnswerFault::BadSave => internal(BAD_SAVE),
        AnswerFault::StoreAway => internal(STORE_AWAY),
        AnswerFault::Conflict => internal(CONFLICT),
        AnswerFault::HeadFull => internal(ErrorType::InternalError),
    }
}

/// Whether a read failed by the time-out of `upstream/upgrade.rs`.
fn is_timeout(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// The part of an error that is safe to log: its type and the operating system's message. pingora's
/// own text can quote heads, and with them cookies and dicts.
pub(crate) fn cause(error: &Error) -> String {
    let kind = error.etype().as_str();
    match error.root_cause().downcast_ref::<std::io::Error>() {
        Some(io) => format!("{kind}: {io}"),
        None => kind.to_owned(),
    }
}
