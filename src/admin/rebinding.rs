//! Protects against DNS rebinding: an attacker's page changes its domain to point to this machine,
//! and then reads what the operator's browser can reach here. The page cannot change the host name
//! that the browser sends.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::HeaderName;
use http::header::{ACCEPT_LANGUAGE, HOST, ORIGIN};
use http::uri::Authority;
use pingora_http::RequestHeader;

/// Headers that browsers add to each request and a page cannot remove. Other clients do not send
/// them: Prometheus, probes and curl may use any name.
const OF_BROWSERS: [HeaderName; 3] =
    [ACCEPT_LANGUAGE, ORIGIN, HeaderName::from_static("sec-fetch-site")];

/// The answer to a browser that uses a suspicious name.
pub(super) const REFUSAL: &str = "Anybody could have made this name point here. Open this page by an IP \
     address or as localhost; a proxy in front should set Host to one of these.\n";

/// Whether a browser uses a name that the owner of a domain could have pointed here.
pub(super) fn is_suspected(request: &RequestHeader) -> bool {
    if !OF_BROWSERS.iter().any(|name| request.headers.contains_key(name)) {
        return false;
    }
    // HTTP/2 sends it in the target.
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri.authority().map(Authority::as_str).or(host);
    !host.is_some_and(is_nobodys)
}

/// Whether nobody can register the host: an address, localhost, or a name without a dot.
fn is_nobodys(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    // Only a port may follow, and nothing may precede it.
    let around = authority.as_str().strip_prefix(authority.host());
    let is_port = |text: &str| text.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok());
    if !around.is_some_and(|around| around.is_empty() || is_port(around)) {
        return false;
    }
    let host = authority.host().to_ascii_lowercase();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(address) = address {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    name.parse::<Ipv4Addr>().is_ok() || name.ends_with(".localhost") || !name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_could_own_is_suspected() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "10.1.2.3:9090",
            "[::1]:9090",
            "[fe80::1]",
            "localhost",
            "LocalHost:9090",
            "localhost.:9090",
            "cloakroom.localhost",
            "cloakroom:9090",
        ] {
            assert!(is_nobodys(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9090",
            "evil.example.",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.256",
            "::1",
            "[::1].evil.example",
            "[::1].evil.example:9090",
            "evil@localhost",
            "",
            "a b",
        ] {
            assert!(!is_nobodys(host), "{host}");
        }
    }
}
