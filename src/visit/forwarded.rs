//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded`: what is trusted and what is sent to the
//! app.
//!
//! Pure. The caller removes every spelling of them before it sets them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use elements::Element;
use http::header::{FORWARDED, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::fields::Fields;

use crate::session::header::{folds_to, starts_with_folded};

mod elements;
mod scheme;

pub use scheme::Scheme;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// `trusted_proxies`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    nets: Vec<IpNet>,
    unix: bool,
}

impl TrustedProxies {
    /// Reads CIDRs, single addresses, and the word `unix` for all unix sockets.
    ///
    /// # Errors
    /// The index of each invalid entry, and what is wrong with it.
    pub fn new(entries: &[String]) -> Result<Self, Vec<(usize, NoNetwork)>> {
        let mut trusted = Self::default();
        let mut faults = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if entry == "unix" {
                trusted.unix = true;
            } else if let Some(net) = parse(entry) {
                trusted.nets.push(net);
            } else {
                faults.push((index, NoNetwork(entry.clone())));
            }
        }
        if faults.is_empty() { Ok(trusted) } else { Err(faults) }
    }

    /// Whether this peer's information about the client is trusted; None is a unix socket.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(address) => {
                let address = address.to_canonical();
                self.nets.iter().any(|net| net.contains(&address))
            }
            None => self.unix,
        }
    }
}

/// An entry that is neither a network nor a known word. The message says what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNetwork(pub String);

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry) = self;
        write!(f, "an address, a network such as \"10.0.0.0/8\", or \"unix\", not {entry:?}")
    }
}

impl std::error::Error for NoNetwork {}

/// Parses an address or a network. IPv4 addresses written as IPv6 are converted, because peers are
/// compared in that form.
fn parse(entry: &str) -> Option<IpNet> {
    let net = entry.parse().ok().or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (net.addr().to_canonical(), net) {
        (IpAddr::V4(address), IpNet::V6(net)) if net.prefix_len() >= 96 => {
            IpNet::new(address.into(), net.prefix_len() - 96).ok()
        }
        _ => Some(net),
    }
}

/// What the app is told about the client; None means that the field is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// `X-Forwarded-For`: the addresses that the request passed through, the client's first.
    pub for_: Option<HeaderValue>,
    /// `X-Forwarded-Proto`
    pub proto: HeaderValue,
    /// `X-Forwarded-Host`
    pub host: Option<HeaderValue>,
    /// `Forwarded` (RFC 7239), if a trusted proxy uses it.
    pub forwarded: Option<HeaderValue>,
    /// How the client reached the first trusted proxy, or the sidecar.
    pub scheme: Scheme,
    /// The client: the nearest address that is not a trusted proxy. None is a unix socket.
    pub client: Option<IpAddr>,
}

impl Forwarding {
    /// The fields to set after those received are removed.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        [
            ("X-Forwarded-For", self.for_.as_ref()),
            ("X-Forwarded-Proto", Some(&self.proto)),
            ("X-Forwarded-Host", self.host.as_ref()),
            ("Forwarded", self.forwarded.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// What to tell the app about a request from `peer` (None: a unix socket).
///
/// `host` is the host that the client asked for: `Host` or `:authority`.
#[must_use]
pub fn forward(
    trusted: &TrustedProxies,
    peer: Option<IpAddr>,
    scheme: Scheme,
    host: Option<HeaderValue>,
    received: Option<&impl Fields>,
) -> Forwarding {
    let believed = trusted.trusts(peer);
    let peer = peer.map(|address| address.to_canonical());
    let host = host.filter(|host| is_host(host.as_bytes()));
    let received_one = |name| {
        if believed { only_value(received?, &name) } else { None }
    };
    // A proxy uses only one of the two: if it has set X-Forwarded, then Forwarded comes from the
    // client.
    let uses_x = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST]
        .iter()
        .any(|name| received.is_some_and(|received| received.has(name)));
    let values = || received.into_iter().flat_map(|received| received.all(&FORWARDED));
    let uses_forwarded =
        believed && !uses_x && received.is_some_and(|received| received.has(&FORWARDED));
    let elements = if uses_forwarded { elements::read(values()) } else { None };
    let first = elements.as_ref().and_then(|elements| elements.first());

    let client = match &elements {
        _ if !believed => peer,
        Some(elements) => {
            let nodes = elements.iter().rev().map(|element| element.for_.as_deref());
            nearest_stranger(trusted, peer, nodes.map(|node| node.and_then(elements::address)))
        }
        None => {
            let values =
                received.into_iter().flat_map(|received| received.all(&X_FORWARDED_FOR).rev());
            let nodes = values.flat_map(|value| value.rsplit(|&byte| byte == b','));
            let nodes = nodes.map(<[u8]>::trim_ascii).filter(|node| !node.is_empty());
            let read = |node| str::from_utf8(node).ok().and_then(elements::address);
            nearest_stranger(trusted, peer, nodes.map(read))
        }
    };

    let mut addresses = Vec::with_capacity(40);
    let mut add = |address: &[u8]| {
        if !address.is_empty() {
            if !addresses.is_empty() {
                addresses.extend_from_slice(b", ");
            }
            addresses.extend_from_slice(address);
        }
    };
    match &elements {
        Some(elements) => {
            elements.iter().filter_map(Element::client).for_each(|client| add(client.as_bytes()));
        }
        None if believed => {
            let values = received.into_iter().flat_map(|received| received.all(&X_FORWARDED_FOR));
            values.for_each(|value| add(value.trim_ascii()));
        }
        None => {}
    }
    if let Some(peer) = peer {
        match peer {
            IpAddr::V4(peer) => add(decimal(peer, &mut [0; 15])),
            IpAddr::V6(peer) => add(peer.to_string().as_bytes()),
        }
    }
    let for_ = match addresses.is_empty() {
        true => None,
        false => HeaderValue::from_bytes(&addresses).ok(),
    };
    let forwarded = elements.is_some().then(|| {
        let own = elements::own(peer, scheme, host.as_ref().map(HeaderValue::as_bytes));
        let mut all: Vec<&[u8]> = values().collect();
        all.push(&own);
        HeaderValue::from_bytes(&all.join(&b", "[..])).ok()
    });
    let scheme = received_one(X_FORWARDED_PROTO)
        .and_then(Scheme::from_name)
        .or(first.and_then(|first| first.proto))
        .unwrap_or(scheme);
    let host = received_one(X_FORWARDED_HOST)
        .or(first.and_then(|first| first.host.as_deref().map(str::as_bytes)))
        .filter(|host| is_host(host))
        .and_then(|host| HeaderValue::from_bytes(host).ok())
        .or(host);
    Forwarding {
        for_,
        proto: HeaderValue::from_static(scheme.name()),
        host,
        forwarded: forwarded.flatten(),
        scheme,
        client,
    }
}

/// The client's address, given the addresses that proxies have added, the last one first. Each was
/// added by the one before it in this order, so the search stops at the first that is not trusted.
/// An obfuscated address ends it too.
fn nearest_stranger(
    trusted: &TrustedProxies,
    peer: Option<IpAddr>,
    noted: impl Iterator<Item = Option<IpAddr>>,
) -> Option<IpAddr> {
    let mut known = peer;
    for address in noted {
        let Some(address) = address else { break };
        known = Some(address);
        if !trusted.trusts(known) {
            break;
        }
    }
    known
}

/// Whether servers may treat `name` as one of these fields: CGI, WSGI and others map
/// `X_Forwarded_For` and `x.forwarded.for` to it.
#[must_use]
pub fn is_alias(name: &[u8]) -> bool {
    // Most names differ in the first letter.
    matches!(name.first(), Some(b'x' | b'X' | b'f' | b'F'))
        && [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED]
            .iter()
            .any(|field| folds_to(name, field.as_str()))
}

/// Other fields by which frameworks believe a proxy: the client's address, its scheme, the
/// requested URL.
const BY_PROXIES: [&str; 13] = [
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "client-ip",
    "true-client-ip",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
    "x-forwarded",
];

/// Whether servers may treat `name` as a field that only a proxy may set.
#[must_use]
pub fn is_hearsay(name: &[u8]) -> bool {
    // Most names differ in the first letter.
    matches!(name.first(), Some(b'x' | b'X' | b't' | b'T' | b'c' | b'C' | b'f' | b'F'))
        && (starts_with_folded(name, "x-forwarded-")
            || BY_PROXIES.iter().any(|field| folds_to(name, field)))
}

/// Whether CGI maps `name` to the environment variable in which HTTP clients look for their proxy
/// (httpoxy). No honest client sends it.
#[must_use]
pub fn is_httpoxy(name: &[u8]) -> bool {
    folds_to(name, "proxy")
}

/// The value of a field that must not be repeated; None if it is.
fn only_value<'a>(fields: &'a impl Fields, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = fields.all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.trim_ascii()),
        _ => None,
    }
}

/// Written by hand: each request needs it, and `to_string` takes ten times as long.
fn decimal(address: Ipv4Addr, text: &mut [u8; 15]) -> &[u8] {
    let mut length = 0;
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet > 99 {
            push(b'0' + octet / 100);
        }
        if octet > 9 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    &text[..length]
}

/// Whether a text can be a host and port (RFC 3986 section 3.2.2), not a list.
fn is_host(text: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    !text.is_empty() && text.iter().all(fits)
}

#[cfg(test)]
mod tests;
