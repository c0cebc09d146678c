//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded`: what is believed and what is passed on.
//!
//! Pure. The proxy strips every spelling of them before it sets them.

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
    /// Reads CIDRs, single addresses, and the word `unix` for all who come by a unix socket.
    ///
    /// # Errors
    /// The index of an entry that is no CIDR, and what is wrong with it.
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

    /// Whether what this peer says about its client is believed; None is a unix socket.
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

/// An entry that is no network, and no word either. Says what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNetwork(pub String);

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry) = self;
        write!(f, "an address, a network such as \"10.0.0.0/8\", or \"unix\", not {entry:?}")
    }
}

impl std::error::Error for NoNetwork {}

/// An address or a network. One of IPv4 addresses written as IPv6 becomes what it is, since peers
/// are compared in that form.
fn parse(entry: &str) -> Option<IpNet> {
    let net = entry.parse().ok().or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (net.addr().to_canonical(), net) {
        (IpAddr::V4(address), IpNet::V6(net)) if net.prefix_len() >= 96 => {
            IpNet::new(address.into(), net.prefix_len() - 96).ok()
        }
        _ => Some(net),
    }
}

/// What the backend is told about the client; a field that is None is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// `X-Forwarded-For`: the addresses that the request has come from, the client's first.
    pub for_: Option<HeaderValue>,
    /// `X-Forwarded-Proto`
    pub proto: HeaderValue,
    /// `X-Forwarded-Host`
    pub host: Option<HeaderValue>,
    /// `Forwarded` (RFC 7239), where a trusted proxy uses it.
    pub forwarded: Option<HeaderValue>,
    /// How the client reached the first proxy that is trusted, or us.
    pub scheme: Scheme,
    /// The client: the nearest address that is no trusted proxy's. None is a unix socket.
    pub client: Option<IpAddr>,
}

impl Forwarding {
    /// The fields to set, once those received are gone.
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

/// What to tell the backend about a request that came from `peer` (None: by a unix socket).
///
/// `host` is the one that the client asked for: `Host`, or `:authority`.
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
    // A proxy uses one or the other: beside X-Forwarded, which it has set, a Forwarded is the
    // client's.
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

/// Who a request comes from, given the addresses that proxies have noted, the last first: each is
/// the word of the one behind it, and so believed only where that one is trusted. What hides an
/// address ends what is known.
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

/// Whether servers may read `name` as one of these fields: CGI, WSGI and others fold
/// `X_Forwarded_For` and `x.forwarded.for` into it.
#[must_use]
pub fn is_alias(name: &[u8]) -> bool {
    // Most names are none of these, and their first letter says so.
    matches!(name.first(), Some(b'x' | b'X' | b'f' | b'F'))
        && [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED]
            .iter()
            .any(|field| folds_to(name, field.as_str()))
}

/// What else frameworks take for the word of a proxy in front: who the client is, how it came, what
/// it asked for.
const BY_PROXIES: [&str; 8] = [
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
    "x-forwarded",
];

/// Whether servers may read `name` as something that only a proxy in front can say.
#[must_use]
pub fn is_hearsay(name: &[u8]) -> bool {
    // Most names are neither, and their first letter says so.
    matches!(name.first(), Some(b'x' | b'X' | b't' | b'T'))
        && (starts_with_folded(name, "x-forwarded-")
            || BY_PROXIES.iter().any(|field| folds_to(name, field)))
}

/// Whether CGI makes of `name` the variable that clients of HTTP take their own proxy from
/// (httpoxy): nobody sends it in good faith.
#[must_use]
pub fn is_httpoxy(name: &[u8]) -> bool {
    folds_to(name, "proxy")
}

/// The value of a field that must not be repeated: of two, neither is to be believed.
fn only_value<'a>(fields: &'a impl Fields, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = fields.all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.trim_ascii()),
        _ => None,
    }
}

/// By hand: each request has one, and `to_string` takes ten times as long.
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

/// Whether a text can be host and port (RFC 3986 section 3.2.2); a list of several cannot.
fn is_host(text: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    !text.is_empty() && text.iter().all(fits)
}

#[cfg(test)]
mod tests;
