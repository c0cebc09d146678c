//! `cloakroom health`: checks whether the running sidecar is ready, for Docker's HEALTHCHECK.

use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::ConfigArgs;
use crate::config::Listen;
use crate::config::file::{Overrides, load};
use crate::fault::Fault;

/// Asks the running sidecar whether it is ready.
#[derive(clap::Args, Debug)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Docker only knows 0 and 1, so every failure is 1.
pub(crate) fn run(args: &HealthArgs) -> ExitCode {
    match admin_listener(&args.config.config).and_then(|admin| ask(&admin, TIMEOUT)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("cloakroom: {reason}");
            ExitCode::FAILURE
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);

fn admin_listener(file: &Path) -> Result<Listen, NotReady> {
    // The sidecar may get these from its command line instead of the file; they are not needed
    // here.
    let overrides = Overrides {
        listen: vec!["127.0.0.1:8080".into()],
        backend: Some("http://127.0.0.1:5000".into()),
    };
    let loaded = load(file, &overrides).map_err(|faults| {
        let others = faults.len().saturating_sub(1);
        match faults.into_iter().next() {
            Some(first) => NotReady::Configuration { first, others },
            None => NotReady::NoConfiguration(file.to_owned()),
        }
    })?;
    loaded.config.admin.ok_or_else(|| NotReady::NobodyToAsk(file.to_owned()))
}

/// Checks that `/readyz` answers 200; each step takes at most `timeout`.
fn ask(admin: &Listen, timeout: Duration) -> Result<(), NotReady> {
    let (place, answer) = match admin {
        Listen::Tcp(address) => {
            let address = reachable(*address);
            (address.to_string(), connect_tcp(address, timeout).and_then(readyz))
        }
        Listen::Unix(path) => {
            (format!("unix:{}", path.display()), connect_unix(path, timeout).and_then(readyz))
        }
    };
    match answer {
        Ok(Answer::Ready) => Ok(()),
        Ok(Answer::Other { status, why }) => Err(NotReady::Answer { place, status, why }),
        Err(error) => Err(NotReady::NoAnswer { place, error }),
    }
}

/// Why the sidecar is not ready, or this is not known.
#[derive(Debug)]
enum NotReady {
    NoConfiguration(PathBuf),
    Configuration {
        first: Fault,
        others: usize,
    },
    /// No admin listener is configured.
    NobodyToAsk(PathBuf),
    /// The sidecar answered that it is not ready.
    Answer {
        place: String,
        status: [u8; 3],
        why: String,
    },
    NoAnswer {
        place: String,
        error: std::io::Error,
    },
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConfiguration(file) => write!(f, "{}: cannot be read", file.display()),
            Self::Configuration { first, others: 0 } => first.fmt(f),
            Self::Configuration { first, others } => {
                write!(f, "{first} (and {others} more: see `cloakroom check`)")
            }
            Self::NobodyToAsk(file) => write!(
                f,
                "{}: the admin listener is not configured: set [admin] listen = \"127.0.0.1:9090\"",
                file.display()
            ),
            Self::Answer { place, status, why } => {
                let status = status.escape_ascii();
                let colon = if why.is_empty() { "" } else { ": " };
                write!(f, "not ready: {place} answers {status}{colon}{why}")
            }
            Self::NoAnswer { place, error } => write!(f, "not ready: {place}: {error}"),
        }
    }
}

/// The answer of `/readyz`.
enum Answer {
    Ready,
    Other {
        status: [u8; 3],
        /// The first line of its body.
        why: String,
    },
}

/// The address to connect to; a listener on a wildcard address is reached by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// A connection with a time limit for each step.
pub(super) fn connect_tcp(address: SocketAddr, timeout: Duration) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&reachable(address), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

/// The same for a unix socket.
pub(super) fn connect_unix(path: &Path, timeout: Duration) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

fn readyz(mut stream: impl Read + Write) -> std::io::Result<Answer> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    // The part of the answer with the status.
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start)?;
    match start {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', b'0', b'0'] => Ok(Answer::Ready),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', status @ ..] => {
            let mut rest = Vec::new();
            // The status is enough; a read error does not matter.
            let _ = stream.take(4096).read_to_end(&mut rest);
            Ok(Answer::Other { status, why: first_line_of_body(&rest) })
        }
        _ => Err(std::io::Error::other("the answer is not HTTP")),
    }
}

fn first_line_of_body(answer: &[u8]) -> String {
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").map(|end| &answer[end + 4..]);
    let line = body.unwrap_or_default().split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.trim_ascii().escape_ascii().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread;

    const LONG: Duration = Duration::from_secs(30);

    /// Reads one request and answers it.
    fn answer(mut stream: impl Read + Write, response: &[u8]) -> String {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        stream.write_all(response).unwrap();
        String::from_utf8(request).unwrap()
    }

    /// Asks a server that gives this answer; also returns the request.
    fn ask_one_that_answers(response: &'static [u8]) -> (Result<(), NotReady>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || answer(listener.accept().unwrap().0, response));
        (ask(&Listen::Tcp(address), LONG), server.join().unwrap())
    }

    #[test]
    fn ready_is_200_on_readyz() {
        let (answer, request) = ask_one_that_answers(b"HTTP/1.1 200 OK\r\n\r\nready\n");
        assert!(answer.is_ok(), "{answer:?}");
        assert!(request.starts_with("GET /readyz HTTP/1.1\r\nHost: "), "{request}");
    }

    #[test]
    fn everything_else_is_not_ready() {
        let table: [(&'static [u8], &str); 8] = [
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
            (b"HTTP/1.1 503 No\r\nA: b\r\n\r\ndraining\nsoon\n", "answers 503: draining"),
            (b"HTTP/1.1 503 No\r\n\r\n\x1b[0m", "answers 503: \\x1b[0m"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers 404"),
            (b"HTTP/1.1 2\x1b[0m\r\n\r\n", "answers 2\\x1b["),
            (b"HTTP/1.1 20", "failed to fill whole buffer"),
            (b"SSH-2.0-OpenSSH_9.9\r\n", "the answer is not HTTP"),
            (b"", "failed to fill whole buffer"),
        ];
        for (response, expected) in table {
            let reason = ask_one_that_answers(response).0.unwrap_err().to_string();
            assert!(reason.starts_with("not ready: 127.0.0.1:"), "{reason}");
            assert!(reason.contains(expected), "{reason}");
            assert_eq!(reason.lines().count(), 1);
        }
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ask(&Listen::Tcp(address), LONG).unwrap_err().to_string().contains("refused"));
        let nowhere = Listen::Unix("/nowhere/admin.sock".into());
        let reason = ask(&nowhere, LONG).unwrap_err().to_string();
        assert!(reason.starts_with("not ready: unix:/nowhere/admin.sock: "), "{reason}");
    }

    #[test]
    fn one_that_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(ask(&Listen::Tcp(address), Duration::from_millis(10)).is_err());
    }

    #[test]
    fn a_unix_socket_is_asked_as_well() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            answer(listener.accept().unwrap().0, b"HTTP/1.1 200 OK\r\n\r\n");
        });
        ask(&Listen::Unix(path), LONG).unwrap();
        server.join().unwrap();
    }

    #[test]
    fn one_that_listens_everywhere_is_asked_on_loopback() {
        let table = [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("192.0.2.1:9090", "192.0.2.1:9090"),
            ("[2001:db8::1]:9090", "[2001:db8::1]:9090"),
        ];
        for (listening, asked) in table {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), asked);
        }
    }
}
