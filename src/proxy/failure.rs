//! What a client is told when there is no answer of the backend's to pass on: one table from
//! failure to status, and the answers that the sidecar makes itself. None of them ever sets or
//! deletes the cookie.

use bytes::Bytes;
use http::Method;
use pingora_core::protocols::http::ServerSession;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;

use crate::metrics::BackendError;

/// An answer of the sidecar's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    text: &'static str,
    /// Where a 303 leads.
    location: Option<String>,
}

impl Reply {
    pub(super) const BAD_REQUEST: Self = Self::new(400, "The request is malformed.");
    pub(super) const UNAUTHORIZED: Self = Self::new(401, "This needs a session; please log in.");
    pub(super) const METHOD_NOT_ALLOWED: Self = Self::new(405, "This method is not allowed.");

    const fn new(status: u16, text: &'static str) -> Self {
        Self { status, text, location: None }
    }

    /// For a head that is no request.
    pub(super) fn refusing(status: u16) -> Self {
        let text = match status {
            408 => "The request did not arrive in time.",
            413 => "The request is too large.",
            414 => "The address is too long.",
            431 => "The request has too much in its header.",
            400 => return Self::BAD_REQUEST,
            _ => "The request failed.",
        };
        Self::new(status, text)
    }

    pub(super) fn body(&self) -> String {
        format!("{} {}\n", self.status, self.text)
    }

    /// The whole answer, for a connection that ends with it.
    pub(super) fn to_http1(&self) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
        let body = self.body();
        let length = body.len();
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
            self.status
        )
        .into_bytes()
    }

    pub(super) fn see_other(location: String) -> Self {
        Self { location: Some(location), ..Self::new(303, "Please log in.") }
    }

    /// Sends it. The connection is closed behind it where a body was not read.
    pub(super) async fn send(&self, session: &mut ServerSession) -> Result<()> {
        let body = self.body();
        let mut header = ResponseHeader::build(self.status, Some(6))?;
        header.insert_header("Content-Type", "text/plain; charset=utf-8")?;
        header.insert_header("Content-Length", body.len())?;
        header.insert_header("Cache-Control", "no-store")?;
        match self.status {
            // RFC 9110 section 15.5.2 wants a challenge.
            401 => header.insert_header("WWW-Authenticate", "Cookie realm=\"session\"")?,
            405 => header.insert_header("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH")?,
            _ => {}
        }
        if let Some(location) = &self.location {
            header.insert_header("Location", location.as_str())?;
        }
        let head_only = session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(header)).await?;
        if head_only {
            session.finish_body().await
        } else {
            session.write_response_body(Bytes::from(body), true).await
        }
    }
}

/// The mark of a save that could not be carried out, on its way through pingora's errors.
pub(super) const BAD_SAVE: ErrorType = ErrorType::new("BadSave");

/// A failure, as the client, the metrics and the log see it.
#[derive(Debug)]
pub(super) struct Failure {
    /// None where there is nobody left to answer.
    pub(super) reply: Option<Reply>,
    /// Whether it was the backend's fault, and how.
    pub(super) backend: Option<BackendError>,
}

/// The one table from failure to status.
pub(super) fn of(error: &Error) -> Failure {
    use ErrorType as E;
    let (reply, backend) = match (error.esource(), error.etype()) {
        (_, kind) if *kind == BAD_SAVE => {
            (Some(Reply::new(502, "The session could not be saved.")), None)
        }
        (_, E::HTTPStatus(status)) => (Some(Reply::refusing(*status)), None),
        (
            ErrorSource::Upstream,
            E::ConnectTimedout | E::TLSHandshakeTimedout | E::ReadTimedout | E::WriteTimedout,
        ) => (
            Some(Reply::new(504, "The application did not answer in time.")),
            Some(BackendError::Timeout),
        ),
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

/// What a log may say of an error: its type and the operating system's word. pingora's own text
/// can quote heads, and with them cookies and dicts.
pub(super) fn cause(error: &Error) -> String {
    let kind = error.etype().as_str();
    match error.root_cause().downcast_ref::<std::io::Error>() {
        Some(io) => format!("{kind}: {io}"),
        None => kind.to_owned(),
    }
}
