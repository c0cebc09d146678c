//! Detects requests that a page of another site makes a browser send (CSRF), by the headers that
//! browsers add.

use std::fmt;
use std::str::FromStr;

use http::{HeaderName, Method};

use super::fields::RequestHead;
use super::forwarded::Scheme;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origin of a page, as browsers write it: `https://pay.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    /// None if no port is given and the scheme has no default port.
    port: Option<u16>,
}

/// The text is not an origin. The message says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoOrigin;

impl fmt::Display for NoOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin as browsers send it, such as \"https://pay.example\": scheme, host and \
             port, without a path",
        )
    }
}

impl std::error::Error for NoOrigin {}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        parse(text).ok_or(NoOrigin)
    }
}

fn parse(text: &str) -> Option<Origin> {
    let (scheme, authority) = text.split_once("://")?;
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        || !scheme.bytes().all(in_scheme)
    {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let (host, port) = split_port(authority, own_port(&scheme))?;
    Some(Origin { scheme, host, port })
}

/// The default port of a scheme.
fn own_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Host, in lower case, and port.
fn split_port(authority: &str, own_port: Option<u16>) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon in `[::1]` does not start a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let in_host = |byte: u8| byte.is_ascii_graphic() && !b"/\\@?#,\"<>".contains(&byte);
    let is_literal = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || !host.bytes().all(in_host) || (host.contains(':') && !is_literal) {
        return None;
    }
    let port = match port {
        None => own_port,
        Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => return None,
        Some(digits) => Some(digits.parse().ok()?),
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Whether a browser says that a page of another origin, not in `trusted`, made this request, if
/// the request can change data. Clients other than browsers send neither field, and pass.
pub(crate) fn is_cross_site(
    request: &impl RequestHead,
    scheme: Scheme,
    trusted: &[Origin],
) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let host = request.all(&http::header::HOST).next();
    let host = host.or_else(|| request.authority().map(str::as_bytes));
    judge(request.all(&SEC_FETCH_SITE), request.all(&http::header::ORIGIN), host, scheme, trusted)
}

/// The same from the values of `Sec-Fetch-Site`, `Origin` and `Host`.
fn judge<'a>(
    sites: impl Iterator<Item = &'a [u8]>,
    mut origins: impl Iterator<Item = &'a [u8]>,
    host: Option<&[u8]>,
    scheme: Scheme,
    trusted: &[Origin],
) -> bool {
    let mut sites = sites.map(<[u8]>::trim_ascii).peekable();
    let origin = origins.next();
    let says_origin = origin.is_some();
    // A browser sends one origin; several of them, or `null`, are not trusted.
    let origin = match (origin, origins.next()) {
        (Some(origin), None) => str::from_utf8(origin.trim_ascii()).ok().and_then(parse),
        _ => None,
    };
    if origin.as_ref().is_some_and(|origin| trusted.contains(origin)) {
        return false;
    }
    if sites.peek().is_some() {
        return !sites.all(|site| matches!(site, b"same-origin" | b"none"));
    }
    if !says_origin {
        return false;
    }
    let host = host.and_then(|host| str::from_utf8(host).ok());
    let host = host.and_then(|host| split_port(host, own_port(scheme.name())));
    match (origin, host) {
        (Some(origin), Some((host, port))) => origin.host != host || origin.port != port,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    /// Whether a request with these values over https to `shop.example` is refused.
    fn refused(sites: &[&str], origins: &[&str], host: &str, scheme: Scheme) -> bool {
        let trusted = ["https://pay.example".parse().unwrap(), "app://Phone".parse().unwrap()];
        let sites = sites.iter().map(|site| site.as_bytes());
        let origins = origins.iter().map(|origin| origin.as_bytes());
        let host = (!host.is_empty()).then_some(host.as_bytes());
        judge(sites, origins, host, scheme, &trusted)
    }

    #[test]
    fn what_browsers_say_of_a_request_decides() {
        for (sites, origins, expected) in [
            // Not a browser.
            (&[][..], &[][..], false),
            // Fetch Metadata.
            (&["same-origin"], &[], false),
            (&["none"], &[], false),
            (&["same-site"], &[], true),
            (&["cross-site"], &[], true),
            (&["cross-site"], &["null"], true),
            (&["Same-Origin"], &[], true),
            (&[""], &[], true),
            (&["same-origin", "cross-site"], &[], true),
            (&["same-origin"], &["https://evil.example"], false),
            (&["cross-site"], &["https://shop.example"], true),
            (&["cross-site"], &["https://pay.example"], false),
            (&["cross-site"], &["https://PAY.example:443"], false),
            (&["cross-site"], &["http://pay.example"], true),
            (&["cross-site"], &["https://pay.example:8443"], true),
            (&["cross-site"], &["https://pay.example", "https://pay.example"], true),
            // Only Origin.
            (&[], &["https://shop.example"], false),
            (&[], &["https://SHOP.example:443"], false),
            (&[], &["https://shop.example:8443"], true),
            (&[], &["http://shop.example"], true),
            (&[], &["https://evil.example"], true),
            (&[], &["https://shop.example.evil.example"], true),
            (&[], &["https://pay.example"], false),
            (&[], &["app://phone"], false),
            (&[], &["app://other"], true),
            (&[], &["null"], true),
            (&[], &[""], true),
            (&[], &["https://shop.example", "https://shop.example"], true),
            (&[], &["https://shop.example/"], true),
            (&[], &["https://shop.example@evil.example"], true),
            (&[], &["shop.example"], true),
        ] {
            let found = refused(sites, origins, "shop.example", Scheme::Https);
            assert_eq!(found, expected, "{sites:?} {origins:?}");
        }
    }

    #[test]
    fn a_port_that_is_not_written_is_that_of_the_scheme() {
        for (host, scheme, origin, expected) in [
            ("shop.example:443", Scheme::Https, "https://shop.example", false),
            ("shop.example:80", Scheme::Http, "http://shop.example", false),
            ("shop.example:8080", Scheme::Http, "http://shop.example:8080", false),
            ("shop.example:8080", Scheme::Http, "http://shop.example", true),
            ("shop.example", Scheme::Http, "https://shop.example", true),
            ("[::1]:8080", Scheme::Http, "http://[::1]:8080", false),
            ("[::1]", Scheme::Http, "http://[::1]", false),
            ("[::1]", Scheme::Http, "http://[::2]", true),
            ("", Scheme::Http, "http://shop.example", true),
        ] {
            assert_eq!(refused(&[], &[origin], host, scheme), expected, "{host} {origin}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for text in ["https://pay.example", "http://a:8080", "http://[::1]:80", "app://x"] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        for text in [
            "",
            "null",
            "*",
            "pay.example",
            "https://",
            "https://a/",
            "https://a:",
            "https://a:x",
            "https://a:65536",
            "https://u@a",
            "https://*.a,b",
            "://a",
            "1http://a",
            "https://::1",
            "https://a?b",
            "https://a b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
