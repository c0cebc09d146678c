//! What an error of the server's or of the connection means. Pure.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::operation::Outage;

/// What follows from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What is counted. Whatever it is, it says nothing of a session.
    pub(super) outage: Outage,
    /// What becomes of the connection.
    pub(super) then: Then,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It goes on.
    Keep,
    /// It is gone: a new one is made, and whatever can be asked twice is asked there.
    Gone,
    /// It leads to a server that is of no use now: another one is made.
    Replace,
}

/// Judges an error. Anything unknown is an outage, and never an answer.
pub(super) fn judge(error: &RedisError) -> Verdict {
    let verdict = |outage, then| Verdict { outage, then };
    if error.is_timeout() {
        return verdict(Outage::Timeout, Then::Keep);
    }
    match error.kind() {
        ErrorKind::Io => verdict(Outage::Connect, Then::Gone),
        ErrorKind::Server(kind) => of_server(kind),
        ErrorKind::Extension => of_code(error.code().unwrap_or_default()),
        // WRONGPASS and the like, at the handshake.
        ErrorKind::AuthenticationFailed => verdict(Outage::Connect, Then::Replace),
        ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::EmptySentinelList
        // A certificate that does not verify, among others.
        | ErrorKind::Client
        | ErrorKind::InvalidClientConfig => verdict(Outage::Connect, Then::Gone),
        // What comes behind an answer that is none cannot be told apart from it.
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
        // The client follows these itself, as often as there is time for it.
        ServerErrorKind::ClusterDown
        | ServerErrorKind::TryAgain
        | ServerErrorKind::Moved
        | ServerErrorKind::Ask => verdict(Outage::Connect, Then::Keep),
        _ => verdict(Outage::Protocol, Then::Keep),
    }
}

/// Codes that the client has no word for.
fn of_code(code: &str) -> Verdict {
    let verdict = |outage, then| Verdict { outage, then };
    match code {
        "OOM" => verdict(Outage::Full, Then::Keep),
        // The disk has no room or cannot be written; too few replicas.
        "MISCONF" | "NOREPLICAS" => verdict(Outage::ReadOnly, Then::Keep),
        "NOAUTH" | "WRONGPASS" => verdict(Outage::Connect, Then::Replace),
        // Somebody's script keeps the server from answering.
        "BUSY" | "UNKILLABLE" => verdict(Outage::Timeout, Then::Keep),
        _ => verdict(Outage::Protocol, Then::Keep),
    }
}

/// Whether the server does not know a script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use std::io;

    /// The error that a line of the server's becomes.
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
