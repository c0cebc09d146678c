//! Requests that never reach a backend: those that two readers could read in two ways, and the
//! methods that would show the session to whoever asks.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, Method, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v1::server::HttpSession;
use pingora_http::RequestHeader;

use crate::config::Limits;
use crate::visit::Reply;

/// The answer to a request that is refused; None for one that may go on.
///
/// The form of a head of HTTP/1 has been looked at as it arrived, and pingora answers some by
/// itself, such as two `Host` fields or an absolute target that names another host.
pub(super) fn reply(session: &ServerSession, limits: &Limits) -> Option<Reply> {
    let request = session.req_header();
    // TRACE would send the session header back to the client; CONNECT is no request to an app.
    // Some servers take methods in any case, and IIS has a TRACE of its own.
    let method = request.method.as_str();
    if ["TRACE", "CONNECT", "TRACK"].iter().any(|refused| method.eq_ignore_ascii_case(refused)) {
        return Some(Reply::METHOD_NOT_ALLOWED);
    }
    // Of a head of HTTP/1 these have been looked at as it arrived.
    if request.raw_path().len() > limits.request_line_bytes {
        return Some(Reply::refusing(414));
    }
    let is_too_long = request.version == Version::HTTP_2 && is_too_long(&request.headers, limits);
    if request.headers.len() > limits.header_fields || is_too_long {
        return Some(Reply::refusing(431));
    }
    if limits.body_bytes.is_some_and(|most| announced_body(&request.headers) > Some(most)) {
        return Some(Reply::refusing(413));
    }
    let head = session.as_http1().map(HttpSession::get_headers_raw_bytes).unwrap_or_default();
    let has_host = request.version != Version::HTTP_11 || request.headers.contains_key(HOST);
    let is_http1 = session.as_http1().is_some();
    let is_clear = has_host
        && has_one_framing(&request.headers, &head)
        && has_plain_host(request)
        && (is_http1 || has_plain_path(request));
    (!is_clear).then_some(Reply::BAD_REQUEST)
}

/// Whether the fields are longer than `limits.head_bytes` allows, cookies aside, which have a limit of
/// their own. Of HTTP/2 pingora has seen to it that both together are not exceeded.
fn is_too_long(headers: &HeaderMap, limits: &Limits) -> bool {
    let size = |cookies: bool| -> usize {
        let fields = headers.iter().filter(|(name, _)| (*name == COOKIE) == cookies);
        fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
    };
    size(false) > limits.head_bytes || size(true) > limits.cookie_bytes
}

/// Whether a path of HTTP/2 can stand in a request line (RFC 9113 section 8.3.1).
fn has_plain_path(request: &RequestHeader) -> bool {
    let path = request.raw_path();
    path.starts_with(b"/") || (path == b"*" && request.method == Method::OPTIONS)
}

/// Whether the host is one, with a port or without (RFC 9112 section 3.2); a field of nothing says
/// that there is none. It reaches the backend as it is.
fn has_plain_host(request: &RequestHeader) -> bool {
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let fields = request.headers.get_all(HOST).iter().map(http::HeaderValue::as_bytes);
    fields.chain(authority).all(|host| host.is_empty() || is_plain_host(host))
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

fn announced_body(headers: &HeaderMap) -> Option<usize> {
    // Digits that do not fit are more than any limit.
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    Some(length.parse().unwrap_or(usize::MAX))
}

/// Whether nothing more may be read from the connection behind this request.
///
/// pingora takes a line feed within a chunk extension for a part of it; who takes it for the end
/// of the line, as proxies in front may, finds the body's end elsewhere and a request in it.
pub(super) fn is_last_of_connection(request: &RequestHeader) -> bool {
    request.headers.contains_key(TRANSFER_ENCODING)
}

/// Whether the length of the body is said once and plainly (RFC 9112 section 6.3). Stricter than
/// it asks for: not every backend treats `chunked, chunked` or `+5` as pingora does.
fn has_one_framing(headers: &HeaderMap, head: &[u8]) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        // pingora has taken a Content-Length beside it out of the parsed head.
        return chunked && codings.next().is_none() && !names_content_length(head);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match lengths.next() {
        Some(length) => {
            let length = length.as_bytes().trim_ascii();
            !length.is_empty() && length.iter().all(u8::is_ascii_digit) && lengths.next().is_none()
        }
        None => true,
    }
}

fn names_content_length(head: &[u8]) -> bool {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    head.split(|&byte| byte == b'\n').any(|line| {
        line.iter()
            .position(|&byte| byte == b':')
            .is_some_and(|colon| line[..colon].eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_length_of_a_body_is_said_once() {
        for (fields, ok) in [
            ("", true),
            ("Content-Length: 5\r\n", true),
            ("Transfer-Encoding: chunked\r\n", true),
            ("Transfer-Encoding: Chunked\r\n", true),
            ("Content-Length: +5\r\n", false),
            ("Content-Length: 5, 5\r\n", false),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", false),
            ("Content-Length:\r\n", false),
            ("Transfer-Encoding: gzip, chunked\r\n", false),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", false),
            ("Transfer-Encoding: xchunked\r\n", false),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", false),
        ] {
            let mut headers = HeaderMap::new();
            for line in fields.lines() {
                let (name, value) = line.split_once(':').unwrap_or_default();
                let name = http::HeaderName::from_bytes(name.as_bytes());
                let value = http::HeaderValue::from_str(value.trim());
                if let (Ok(name), Ok(value)) = (name, value) {
                    headers.append(name, value);
                }
            }
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(has_one_framing(&headers, head.as_bytes()), ok, "{fields:?}");
        }
    }
}
