//! Requests that never reach a backend: those that two readers could read in two ways, and the
//! methods that would show the session to whoever asks.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{Method, Version};

use super::fields::{Fields, RequestHead};
use super::reply::Reply;
use crate::config::Limits;
use crate::session::cookie::is_token_byte;

/// The answer to a request that is refused; None for one that may go on.
///
/// The form of a head of HTTP/1 has been looked at as it arrived, with its limits and the framing of
/// its body; of HTTP/2 the crate `h2` and pingora have refused what is no request.
pub(crate) fn reply(request: &impl RequestHead, limits: &Limits) -> Option<Reply> {
    // TRACE would send the session header back to the client; CONNECT is no request to an app.
    // Some servers take methods in any case, and IIS has a TRACE of its own.
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

/// Whether there are more fields than `limits.header_fields` allows, or longer ones than
/// `limits.head_bytes` does. All cookies are one field, with a limit of their own.
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

/// Takes out an `Upgrade` that is to be ignored (RFC 9110 section 7.8): pingora would take it for one
/// without the word of `Connection`, and make a tunnel of what the client thinks is a request.
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

/// What `Connection` names (RFC 9110 section 7.6.1).
fn options(head: &impl Fields) -> impl Iterator<Item = &[u8]> {
    let options = head.all(&CONNECTION).flat_map(|value| value.split(|&byte| byte == b','));
    options.map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// Whether `Connection` names nothing but fields that may be dropped: pingora would refuse all
/// others, but only once the backend is there.
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

/// The most that pingora takes.
const MOST_NOMINATIONS: usize = 9;

/// Whether a request of HTTP/2 is one of HTTP, with a path that can stand in a request line (RFC
/// 9113 section 8.3.1).
fn is_of_http(request: &impl RequestHead) -> bool {
    let is_http =
        |scheme: &str| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
    request.scheme().is_none_or(is_http) && has_plain_path(request)
}

/// Whether a path of HTTP/2 can stand in a request line (RFC 9113 section 8.3.1).
fn has_plain_path(request: &impl RequestHead) -> bool {
    let path = request.target();
    path.starts_with(b"/") || (path == b"*" && *request.method() == Method::OPTIONS)
}

/// Whether the host is one, with a port or without (RFC 9112 section 3.2); a field of nothing says
/// that there is none. It reaches the backend as it is.
fn has_plain_host(request: &impl RequestHead) -> bool {
    let authority = request.authority().map(str::as_bytes);
    request.all(&HOST).chain(authority).all(|host| host.is_empty() || is_plain_host(host))
}

fn is_plain_host(host: &[u8]) -> bool {
    if is_ordinary_host(host) {
        return true;
    }
    // A name may have a comma in it; two fields that somebody has joined do.
    !host.contains(&b',')
        && Authority::try_from(host).is_ok_and(|parsed| {
            let port = parsed.port().map_or(0, |port| 1 + port.as_str().len());
            !parsed.host().is_empty() && parsed.host().len() + port == host.len()
        })
}

/// Whether it is one at first sight, as nearly all are: parsing takes an allocation.
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
    // Digits that do not fit are more than any limit.
    let length = str::from_utf8(head.first(&CONTENT_LENGTH)?).ok()?;
    Some(length.parse().unwrap_or(usize::MAX))
}

/// Whether nothing more may be read from the connection behind this request.
///
/// pingora takes a line feed within a chunk extension for a part of it; who takes it for the end
/// of the line, as proxies in front may, finds the body's end elsewhere and a request in it.
pub(crate) fn is_last_of_connection(request: &impl Fields) -> bool {
    request.has(&TRANSFER_ENCODING)
}

/// Whether the length of a body of HTTP/2 is said once and plainly, if at all (RFC 9112 section 6.3).
/// Stricter than it has to be: not every backend treats `5, 5` or `+5` as pingora does.
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
