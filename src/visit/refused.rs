//! Requests that never reach the app: those that two readers could understand differently, and the
//! methods that would reveal the session.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{Method, Version};

use super::fields::{Fields, RequestHead};
use super::hop::options;
use super::reply::Reply;
use crate::config::Limits;
use crate::session::cookie::is_token_byte;

/// The answer to a request that is refused; None if it may go on.
///
/// `server::head` has already checked the form of an HTTP/1 head, its limits and the framing of its
/// body. For HTTP/2, `h2` and pingora have refused invalid requests.
pub(crate) fn reply(request: &impl RequestHead, limits: &Limits) -> Option<Reply> {
    // TRACE would echo the session header to the client; CONNECT is not a request to an app. Some
    // servers ignore the case of methods, and IIS has its own name for TRACE.
    let method = request.method().as_str();
    if ["TRACE", "CONNECT", "TRACK"].iter().any(|refused| method.eq_ignore_ascii_case(refused)) {
        return Some(Reply::METHOD_NOT_ALLOWED);
    }
    let is_http1 = request.version() != Version::HTTP_2;
    if !is_http1 {
        if request.target().len() > limits.request_line_bytes {
            return Some(Reply::refusing(414));
        }
        if is_too_long(request, limits) {
            return Some(Reply::refusing(431));
        }
    }
    if limits.body_bytes.is_some_and(|most| announced_body(request) > Some(most)) {
        return Some(Reply::refusing(413));
    }
    let has_host = request.version() != Version::HTTP_11 || request.has(&HOST);
    let is_clear = has_host
        && has_plain_host(request)
        && nominates_only_fields(request)
        && (is_http1 || (is_of_http(request) && has_plain_length(request)));
    (!is_clear).then_some(Reply::BAD_REQUEST)
}

/// Whether the head exceeds `limits.header_fields`, `limits.head_bytes` or `limits.cookie_bytes`.
/// All cookies count as one field.
fn is_too_long(head: &impl Fields, limits: &Limits) -> bool {
    let (mut fields, mut bytes, mut crumbs, mut cookies) = (0, 0, 0, 0);
    for (name, value) in head.each() {
        let size = name.len() + value.len() + 4;
        if name == COOKIE.as_str().as_bytes() {
            crumbs = 1;
            cookies += size;
        } else {
            fields += 1;
            bytes += size;
        }
    }
    fields + crumbs > limits.header_fields
        || bytes > limits.head_bytes
        || cookies > limits.cookie_bytes
}

/// Removes an `Upgrade` that must be ignored (RFC 9110 section 7.8). pingora would accept it
/// without `Connection` and make a tunnel, while the client sends a normal request.
pub(crate) fn ignore_upgrade(request: &mut impl RequestHead) {
    if !request.has(&UPGRADE) {
        return;
    }
    let is_meant = request.version() == Version::HTTP_11
        && options(request).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if !is_meant {
        request.remove(UPGRADE.as_str().as_bytes());
    }
}

/// Whether `Connection` names only fields that may be dropped. pingora would refuse others, but
/// only after connecting to the app.
fn nominates_only_fields(head: &impl Fields) -> bool {
    let mut options = options(head);
    let is_harmless = |option: &[u8]| {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        option.iter().all(|&byte| is_token_byte(byte))
            && !["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
                .into_iter()
                .any(is)
    };
    options.by_ref().take(MOST_NOMINATIONS).all(is_harmless) && options.next().is_none()
}

/// pingora's limit.
const MOST_NOMINATIONS: usize = 9;

/// Whether an HTTP/2 request has an http scheme and a path that fits in a request line (RFC 9113
/// section 8.3.1).
fn is_of_http(request: &impl RequestHead) -> bool {
    let is_http =
        |scheme: &str| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
    request.scheme().is_none_or(is_http) && has_plain_path(request)
}

/// Whether an HTTP/2 path fits in a request line (RFC 9113 section 8.3.1).
fn has_plain_path(request: &impl RequestHead) -> bool {
    let path = request.target();
    path.starts_with(b"/") || (path == b"*" && *request.method() == Method::OPTIONS)
}

/// Whether the host is valid, with or without a port (RFC 9112 section 3.2). It may be empty, which
/// means no host. It is sent to the app unchanged.
fn has_plain_host(request: &impl RequestHead) -> bool {
    let authority = request.authority().map(str::as_bytes);
    request.all(&HOST).chain(authority).all(|host| host.is_empty() || is_plain_host(host))
}

fn is_plain_host(host: &[u8]) -> bool {
    if is_ordinary_host(host) {
        return true;
    }
    // A name may contain a comma, but so do two fields joined into one.
    !host.contains(&b',')
        && Authority::try_from(host).is_ok_and(|parsed| {
            let port = parsed.port().map_or(0, |port| 1 + port.as_str().len());
            !parsed.host().is_empty() && parsed.host().len() + port == host.len()
        })
}

/// Accepts nearly all hosts without parsing, which would allocate.
fn is_ordinary_host(host: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let name = host.iter().take_while(|byte| is_name(byte)).count();
    match &host[name..] {
        [] => name > 0,
        [b':', port @ ..] => {
            name > 0 && (1..=4).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn announced_body(head: &impl Fields) -> Option<usize> {
    // A number of digits that does not fit is above any limit.
    let length = str::from_utf8(head.first(&CONTENT_LENGTH)?).ok()?;
    Some(length.parse().unwrap_or(usize::MAX))
}

/// Whether the connection must be closed after this request.
///
/// pingora accepts a line feed within a chunk extension. For a proxy in front that takes it as the
/// end of the line, the body ends elsewhere, and the rest is another request.
pub(crate) fn is_last_of_connection(request: &impl Fields) -> bool {
    request.has(&TRANSFER_ENCODING)
}

/// Whether an HTTP/2 request has at most one, plain `Content-Length` (RFC 9112 section 6.3).
/// Stricter than necessary, because not every app reads `5, 5` or `+5` as pingora does.
fn has_plain_length(head: &impl Fields) -> bool {
    let mut lengths = head.all(&CONTENT_LENGTH);
    lengths.next().is_none_or(|length| {
        let length = length.trim_ascii();
        !length.is_empty() && length.iter().all(u8::is_ascii_digit) && lengths.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_host_is_one_host() {
        for host in ["a", "app.test", "app.test:80", "127.0.0.1:1", "[::1]", "[::1]:8080", "a_b-c"]
        {
            assert!(is_plain_host(host.as_bytes()), "{host:?}");
        }
        for host in [
            "a, b", "a,b", "a b", "a\tb", "u@a", "a/b", "a?b", "a#b", "a\\b", "http://a",
            "a:80:81", "a:", "a:x", "a:-1", "a:65536", "[::1", "::1]", "::1", "a<", "\"a\"",
            "a\u{e4}", "a\0", ":80",
        ] {
            assert!(!is_plain_host(host.as_bytes()), "{host:?}");
        }
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_length_of_a_body_is_said_once() {
        for (fields, ok) in [
            (&[][..], true),
            (&[("content-length", "5")], true),
            (&[("content-length", "+5")], false),
            (&[("content-length", "5, 5")], false),
            (&[("content-length", "5"), ("content-length", "5")], false),
            (&[("content-length", "")], false),
        ] {
            assert_eq!(has_plain_length(&headers(fields)), ok, "{fields:?}");
        }
    }

    #[test]
    fn connection_names_what_may_be_dropped() {
        for (values, ok) in [
            (&[][..], true),
            (&["keep-alive"], true),
            (&["close, X-Session,,"], true),
            (&["a,b,c", "d,e,f,g,h,i"], true),
            (&["a,b,c,d,e", "f,g,h,i,j"], false),
            (&["HOST"], false),
            (&["close, x-forwarded-Host"], false),
            (&[":path"], false),
            (&["\"close\""], false),
            (&["a b"], false),
        ] {
            let fields: Vec<_> = values.iter().map(|value| ("connection", *value)).collect();
            assert_eq!(nominates_only_fields(&headers(&fields)), ok, "{values:?}");
        }
    }

    #[test]
    fn cookies_are_one_field() {
        const LIMITS: Limits = Limits {
            head_bytes: 100,
            cookie_bytes: 200,
            request_line_bytes: 60,
            header_fields: 3,
            connections: 1,
            body_bytes: None,
        };
        let of = |crumbs: usize, others: usize| {
            let crumbs = std::iter::repeat_n(("cookie", "a=b"), crumbs);
            let fields: Vec<_> = crumbs.chain(std::iter::repeat_n(("a", "b"), others)).collect();
            is_too_long(&headers(&fields), &LIMITS)
        };
        for (crumbs, others, too_long) in
            [(0, 3, false), (0, 4, true), (15, 2, false), (15, 3, true), (16, 0, true)]
        {
            assert_eq!(of(crumbs, others), too_long, "{crumbs} and {others}");
        }
    }
}
