//! Parses the addresses of listeners and backends.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a text is not an address. The message says what was expected; it does not repeat the text,
/// which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It is not an address to listen on.
    NotToListenOn,
    /// It is not the URL of an app.
    NoUrl,
    /// The URL has a user or a password.
    Credentials,
    /// The URL has a path.
    Path,
    /// `[::1`
    OpenBracket,
    /// The brackets contain something other than an IPv6 address.
    NoIpv6,
    /// An IPv6 address needs brackets.
    Unbracketed,
    /// It has no host name or address.
    NoHost,
    /// The port is invalid.
    NoPort,
    /// The socket's path is relative, and would depend on the working directory.
    NotAbsolute,
    /// The socket's path is too long.
    LongPath {
        /// Its length.
        bytes: usize,
    },
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotToListenOn => {
                "an IP address or localhost, with a port, such as \"0.0.0.0:8080\" or \
                 \"[::]:8080\", or \"unix:/run/cloakroom.sock\""
            }
            Self::NoUrl => "\"http://host:port\", \"https://host:port\" or \"unix:/run/app.sock\"",
            Self::Credentials => "a URL without user or password",
            Self::Path => "no path after host and port: requests keep their own path",
            Self::OpenBracket => "a closing bracket after the IPv6 address",
            Self::NoIpv6 => "an IPv6 address in the brackets",
            Self::Unbracketed => "an IPv6 address in brackets, as in \"[::1]:5000\"",
            Self::NoHost => "a host name or an IP address after \"://\"",
            Self::NoPort => "a port from 1 to 65535",
            Self::NotAbsolute => "an absolute path after \"unix:\"",
            Self::LongPath { bytes } => {
                return write!(
                    f,
                    "a socket's path of at most {MAX_SOCKET_PATH_BYTES} bytes, not {bytes}"
                );
            }
        })
    }
}

impl std::error::Error for AddressError {}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `"host:port"`, with a literal IP address.
    Tcp(SocketAddr),
    /// `"unix:/run/cloakroom.sock"`
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can connect to it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// The error says what was expected.
impl FromStr for Listen {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        // Names are not resolved, because they may have several addresses or none at the moment.
        if let Some(port) = text.strip_prefix("localhost:").and_then(port) {
            return Ok(Self::Tcp((Ipv4Addr::LOCALHOST, port).into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| AddressError::NotToListenOn)
    }
}

/// As written in the configuration.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The address of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `"http://host:port"` or `"https://host:port"`. The host is resolved regularly.
    Tcp {
        /// Host name or IP address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// Whether to use TLS and verify the host name.
        tls: bool,
    },
    /// `"unix:/run/app.sock"`
    Unix(PathBuf),
}

/// The error says what was expected, without the text, which may contain a password.
impl FromStr for Backend {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        let (tls, authority) = match text.split_once("://") {
            Some(("http", authority)) => (false, authority),
            Some(("https", authority)) => (true, authority),
            _ => return Err(AddressError::NoUrl),
        };
        if authority.contains('@') {
            return Err(AddressError::Credentials);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(AddressError::Path);
        }
        let default_port = if tls { 443 } else { 80 };
        let (host, port) = host_and_port(authority, default_port)?;
        Ok(Self::Tcp { host, port, tls })
    }
}

impl Backend {
    /// The value of `Host` in the sidecar's own requests.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { .. } => {
                let url = self.to_string();
                url.split_once("://").map_or(url.as_str(), |(_, authority)| authority).to_owned()
            }
            Self::Unix(_) => "localhost".into(),
        }
    }

    /// Whether it uses TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// As written in the configuration, with the port.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `host`, `host:port` or `[address]:port`.
pub(super) fn host_and_port(
    authority: &str,
    default_port: u16,
) -> Result<(String, u16), AddressError> {
    let (host, port_text) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or(AddressError::OpenBracket)?;
        let host: Ipv6Addr = host.parse().map_err(|_| AddressError::NoIpv6)?;
        (host.to_string(), behind)
    } else {
        let colon = authority.find(':').unwrap_or(authority.len());
        let (host, behind) = authority.split_at(colon);
        if behind.matches(':').count() > 1 {
            return Err(AddressError::Unbracketed);
        }
        if !is_host(host) {
            return Err(AddressError::NoHost);
        }
        (host.to_owned(), behind)
    };
    if port_text.is_empty() {
        return Ok((host, default_port));
    }
    match port_text.strip_prefix(':').and_then(port) {
        Some(port) if port != 0 => Ok((host, port)),
        _ => Err(AddressError::NoPort),
    }
}

/// Only digits: the standard library's parser also accepts a sign.
fn port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A DNS name or an IPv4 address. Names of containers may have underscores.
fn is_host(host: &str) -> bool {
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric {
        return matches!(host.parse(), Ok(IpAddr::V4(_)));
    }
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

/// The size of a path in `sockaddr_un`, without the final NUL.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Must be absolute, so that it does not depend on the working directory.
fn socket_path(path: &str) -> Result<PathBuf, AddressError> {
    if !Path::new(path).is_absolute() || path.ends_with('/') || path.contains('\0') {
        return Err(AddressError::NotAbsolute);
    }
    if path.len() > MAX_SOCKET_PATH_BYTES {
        return Err(AddressError::LongPath { bytes: path.len() });
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_written_in_three_ways() {
        let table = [
            ("0.0.0.0:8080", "0.0.0.0:8080", false),
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("localhost:80", "127.0.0.1:80", true),
            ("[::]:8080", "[::]:8080", false),
            ("[::1]:8080", "[::1]:8080", true),
            ("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true),
            ("unix:/run/a.sock", "unix:/run/a.sock", true),
        ];
        for (text, shown, local) in table {
            let listen: Result<Listen, _> = text.parse();
            let listen = listen.map(|listen| (listen.to_string(), listen.is_local()));
            assert_eq!(listen, Ok((shown.to_owned(), local)), "{text}");
        }
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        let too_long = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH_BYTES));
        let table = [
            "",
            "8080",
            ":8080",
            "*:8080",
            "0.0.0.0",
            "0.0.0.0:65536",
            "localhost",
            "localhost:+80",
            "localhost:",
            "example.com:80",
            "::1:80",
            "http://0.0.0.0:80",
            " 0.0.0.0:80",
            "unix:",
            "unix:relative.sock",
            "unix:/run/",
            &too_long,
        ];
        for text in table {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn backends_have_default_ports_and_ipv6_in_brackets() {
        let table = [
            ("http://app:5000", "http://app:5000"),
            ("http://app", "http://app:80"),
            ("https://app.example.com", "https://app.example.com:443"),
            ("http://my_app-1.local.:81", "http://my_app-1.local.:81"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("https://[::1]", "https://[::1]:443"),
            ("http://[0:0::1]:5000", "http://[::1]:5000"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
        ];
        for (text, shown) in table {
            let backend = text.parse::<Backend>().map(|backend| backend.to_string());
            assert_eq!(backend, Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_backend_is_refused_with_what_was_expected() {
        let table = [
            ("app:5000", "\"http://host:port\""),
            ("ftp://app", "\"http://host:port\""),
            ("HTTP://app", "\"http://host:port\""),
            ("http://", "a host name"),
            ("http://:80", "a host name"),
            ("http://a b", "a host name"),
            ("http://a..b", "a host name"),
            ("http://1.2.3", "a host name"),
            ("http://app:", "a port from 1"),
            ("http://app:0", "a port from 1"),
            ("http://app:65536", "a port from 1"),
            ("http://app:+80", "a port from 1"),
            ("http://app/", "no path"),
            ("http://app:80/x", "no path"),
            ("http://app?x", "no path"),
            ("http://::1:80", "an IPv6 address in brackets"),
            ("http://[::1", "a closing bracket"),
            ("http://[app]:80", "an IPv6 address in the brackets"),
            ("http://[::1]80", "a port from 1"),
            ("http://user:hunter2@app", "a URL without user"),
            ("unix:app.sock", "an absolute path"),
        ];
        for (text, expected) in table {
            match text.parse::<Backend>() {
                Ok(backend) => assert_eq!(backend.to_string(), "refused", "{text}"),
                Err(error) => {
                    let message = error.to_string();
                    assert!(message.starts_with(expected), "{text}: {message}");
                    assert!(!message.contains("hunter2"), "{message}");
                }
            }
        }
    }
}
