//! Classifies errors of the server and the connection. Pure.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::operation::Outage;

/// The consequences of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The kind of outage. It says nothing about any session.
    pub(super) outage: Outage,
    /// What to do with the connection.
    pub(super) then: Then,
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Keep it.
    Keep,
    /// It was closed: reconnect, and repeat calls that can be repeated.
    Gone,
    /// The server cannot be used at the moment: reconnect.
    Replace,
}

/// Classifies an error. An unknown one is an outage, never an answer.
pub(super) fn judge(error: &RedisError) -> Verdict {
    let verdict = |outage, then| Verdict { outage, then };
    if error.is_timeout() {
        return verdict(Outage::Timeout, Then::Keep);
    }
    match error.kind() {
        ErrorKind::Io => verdict(Outage::Connect, Then::Gone),
        ErrorKind::Server(kind) => of_server(kind),
        ErrorKind::Extension => of_code(error.code().unwrap_or_default()),
        // WRONGPASS and similar, during the handshake.
        ErrorKind::AuthenticationFailed => verdict(Outage::Connect, Then::Replace),
        ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::EmptySentinelList
        // For example, a certificate that cannot be verified.
        | ErrorKind::Client
        | ErrorKind::InvalidClientConfig => verdict(Outage::Connect, Then::Gone),
        // After an invalid answer, later answers on the connection cannot be trusted.
        _ => verdict(Outage::Protocol, Then::Replace),
    }
}

fn of_server(kind: ServerErrorKind) -> Verdict {
    let verdict = |outage, then| Verdict { outage, then };
    match kind {
        ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown => {
            verdict(Outage::Connect, Then::Replace)
        }
        ServerErrorKind::ReadOnly => verdict(Outage::ReadOnly, Then::Replace),
        // The client retries these itself while there is time.
        ServerErrorKind::ClusterDown
        | ServerErrorKind::TryAgain
        | ServerErrorKind::Moved
        | ServerErrorKind::Ask => verdict(Outage::Connect, Then::Keep),
        _ => verdict(Outage::Protocol, Then::Keep),
    }
}

/// Codes without their own kind in the client.
fn of_code(code: &str) -> Verdict {
    let verdict = |outage, then| Verdict { outage, then };
    match code {
        "OOM" => verdict(Outage::Full, Then::Keep),
        // The disk is full or not writable, or too few replicas are connected.
        "MISCONF" | "NOREPLICAS" => verdict(Outage::ReadOnly, Then::Keep),
        "NOAUTH" | "WRONGPASS" => verdict(Outage::Connect, Then::Replace),
        // Another script blocks the server.
        "BUSY" | "UNKILLABLE" => verdict(Outage::Timeout, Then::Keep),
        _ => verdict(Outage::Protocol, Then::Keep),
    }
}

/// Whether the server does not have a script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use std::io;

    /// The client's error for an error line of the server.
    fn said(line: &str) -> RedisError {
        let bytes = format!("-{line}\r\n");
        redis::parse_redis_value(bytes.as_bytes()).unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn each_error_of_a_server_is_an_outage_of_its_kind() {
        use Outage::{Connect, Full, Protocol, ReadOnly, Timeout};
        for (line, outage, then) in [
            ("LOADING Redis is loading the dataset in memory", Connect, Then::Replace),
            ("MASTERDOWN Link with MASTER is down", Connect, Then::Replace),
            ("CLUSTERDOWN The cluster is down", Connect, Then::Keep),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Connect, Then::Keep),
            ("MOVED 3999 127.0.0.1:6381", Connect, Then::Keep),
            ("ASK 3999 127.0.0.1:6381", Connect, Then::Keep),
            ("READONLY You can't write against a read only replica.", ReadOnly, Then::Replace),
            ("OOM command not allowed when used memory > 'maxmemory'.", Full, Then::Keep),
            ("OOM command not allowed. script: 5f, on @user_script:1.", Full, Then::Keep),
            ("MISCONF Redis is configured to save RDB snapshots", ReadOnly, Then::Keep),
            ("NOREPLICAS Not enough good replicas to write.", ReadOnly, Then::Keep),
            ("NOAUTH Authentication required.", Connect, Then::Replace),
            ("WRONGPASS invalid username-password pair", Connect, Then::Replace),
            ("BUSY Redis is busy running a script.", Timeout, Then::Keep),
            ("NOPERM User app has no permissions to run 'get'", Protocol, Then::Keep),
            ("CROSSSLOT Keys in request don't hash to the same slot", Protocol, Then::Keep),
            ("WRONGTYPE Operation against a key of another kind", Protocol, Then::Keep),
            ("ERR unknown command", Protocol, Then::Keep),
            ("NOSCRIPT No matching script.", Protocol, Then::Keep),
            ("EXECABORT Transaction discarded", Protocol, Then::Keep),
            ("WHATEVER comes next", Protocol, Then::Keep),
        ] {
            assert_eq!(judge(&said(line)), Verdict { outage, then }, "{line}");
        }
    }

    #[test]
    fn errors_of_the_connection_are_too() {
        let io = |kind: io::ErrorKind| judge(&io::Error::from(kind).into());
        let gone = Verdict { outage: Outage::Connect, then: Then::Gone };
        for kind in [
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::Other,
        ] {
            assert_eq!(io(kind), gone, "{kind:?}");
        }
        let late = Verdict { outage: Outage::Timeout, then: Then::Keep };
        assert_eq!(io(io::ErrorKind::TimedOut), late);
        for kind in [
            ErrorKind::ClusterConnectionNotFound,
            ErrorKind::MasterNameNotFoundBySentinel,
            ErrorKind::InvalidClientConfig,
            ErrorKind::Client,
        ] {
            assert_eq!(judge(&(kind, "for a test").into()), gone, "{kind:?}");
        }
        for (kind, outage) in [
            (ErrorKind::AuthenticationFailed, Outage::Connect),
            (ErrorKind::Parse, Outage::Protocol),
            (ErrorKind::UnexpectedReturnType, Outage::Protocol),
            (ErrorKind::RESP3NotSupported, Outage::Protocol),
        ] {
            let expected = Verdict { outage, then: Then::Replace };
            assert_eq!(judge(&(kind, "for a test").into()), expected, "{kind:?}");
        }
    }
}
