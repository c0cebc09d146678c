//! Reads and extends `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use super::scheme::Scheme;
use crate::session::cookie::is_token_byte;
use crate::visit::list;

/// One proxy's information about the request that it received.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) for_: Option<String>,
    pub(super) proto: Option<Scheme>,
    pub(super) host: Option<String>,
}

/// Reads the values of the fields; the proxy nearest to the client comes first. None if they do not
/// follow the RFC; then none of them is trusted.
pub(super) fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Element>> {
    values.flat_map(|value| list::members(value, b',')).map(element).collect()
}

fn element(text: &[u8]) -> Option<Element> {
    let mut element = Element::default();
    for pair in list::members(text, b';') {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..equals], unquoted(&pair[equals + 1..])?);
        if name.eq_ignore_ascii_case(b"for") {
            element.for_.replace(value).is_none().then_some(())?;
        } else if name.eq_ignore_ascii_case(b"host") {
            element.host.replace(value).is_none().then_some(())?;
        } else if name.eq_ignore_ascii_case(b"proto") {
            let proto = Scheme::from_name(value.as_bytes())?;
            element.proto.replace(proto).is_none().then_some(())?;
        }
    }
    Some(element)
}

/// The value of a token or of a quoted string.
fn unquoted(value: &[u8]) -> Option<String> {
    let text = match value {
        [b'"', inner @ .., b'"'] => {
            let mut text = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter().copied();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'\\' => text.push(bytes.next()?),
                    b'"' => return None,
                    byte => text.push(byte),
                }
            }
            text
        }
        // Addresses should be quoted, but not all proxies do so.
        token if token.iter().all(|&byte| is_token_byte(byte) || b":[]".contains(&byte)) => {
            token.to_vec()
        }
        _ => return None,
    };
    let is_plain = !text.is_empty() && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    String::from_utf8(text).ok().filter(|_| is_plain)
}

impl Element {
    /// The client in the form of `X-Forwarded-For`: an address without port and brackets; an
    /// obfuscated one unchanged.
    pub(super) fn client(&self) -> Option<String> {
        let node = self.for_.as_deref()?;
        match address(node) {
            Some(address) => Some(address.to_string()),
            // "unknown", or an obfuscated name.
            None => Some(node.to_owned()).filter(|node| !node.contains(',')),
        }
    }
}

/// The address of a node, which may have a port and, for IPv6, brackets.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let with_port = || node.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

/// Our own element for a request from `peer`; None is a unix socket.
pub(super) fn own(peer: Option<IpAddr>, scheme: Scheme, host: Option<&[u8]>) -> Vec<u8> {
    let node = match peer {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        None => "unknown".into(),
    };
    let mut text = format!("for={node};proto={}", scheme.name()).into_bytes();
    if let Some(host) = host {
        // A host never contains quotes.
        text.extend_from_slice(b";host=\"");
        text.extend_from_slice(host);
        text.push(b'"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Element> {
        read(std::iter::once(text.as_bytes())).and_then(|all| all.into_iter().next())
    }

    #[test]
    fn elements_are_read_as_the_rfc_writes_them() {
        for (text, client, proto, host) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", Some("192.0.2.60"), Some("http"), None),
            ("For=\"[2001:db8:cafe::17]:4711\"", Some("2001:db8:cafe::17"), None, None),
            ("for=\"[2001:db8::1]\"; Proto=HTTPS", Some("2001:db8::1"), Some("https"), None),
            ("for=\"192.0.2.43:47011\"", Some("192.0.2.43"), None, None),
            ("for=\"_gazonk\"", Some("_gazonk"), None, None),
            ("for=unknown;host=\"a.test:80\"", Some("unknown"), None, Some("a.test:80")),
            ("secret=\"a;b,c\\\"d\";host=a.test", None, None, Some("a.test")),
        ] {
            let element = one(text).unwrap_or_default();
            assert_eq!(element.client().as_deref(), client, "{text}");
            assert_eq!(element.proto.map(Scheme::name), proto, "{text}");
            assert_eq!(element.host.as_deref(), host, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_not_read_at_all() {
        for text in ["for", "for=", "for=a;for=b", "proto=ftp", "for=\"a\\", "host=\"a\"b\""] {
            assert_eq!(one(text), None, "{text}");
        }
    }

    #[test]
    fn what_we_add_can_be_read() {
        for peer in ["192.0.2.1", "2001:db8::1"] {
            let own = own(peer.parse().ok(), Scheme::Https, Some(b"a.test:8443"));
            let element = read(std::iter::once(&own[..])).and_then(|mut all| all.pop());
            let element = element.unwrap_or_default();
            assert_eq!(element.client().as_deref(), Some(peer));
            assert_eq!(element.host.as_deref(), Some("a.test:8443"));
        }
    }
}
