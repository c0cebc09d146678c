//! The first line of an HTTP/1 request: method, target and version.

use pingora_core::protocols::http::authority::validate_request_authority;
use pingora_http::RequestHeader;

/// The longest target that the crate `http` accepts as a URI.
pub(super) const LONGEST_TARGET: usize = u16::MAX as usize - 1;

/// A valid first line.
pub(super) struct FirstLine<'a> {
    method: &'a [u8],
    pub(super) target: &'a [u8],
    /// Whether the target is a path that is certainly readable.
    pub(super) is_plain: bool,
    pub(super) is_http11: bool,
}

impl<'a> FirstLine<'a> {
    /// Method, target and version, separated by one space each (RFC 9112 section 3).
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.split(|&byte| byte == b' ');
        let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
        let is_http11 = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return None,
        };
        let is_plain = target.starts_with(b"/") && target.iter().all(|&byte| is_plain(byte));
        let is_proper =
            parts.next().is_none() && is_token(method) && (is_plain || is_target(method, target));
        let is_connect = method.eq_ignore_ascii_case(b"CONNECT");
        is_proper.then_some(Self { method, target, is_plain: is_plain && !is_connect, is_http11 })
    }

    /// Whether pingora can parse it, with the same host as in the field `Host`.
    pub(super) fn is_readable(&self, host: Option<&[u8]>) -> bool {
        let build = || {
            str::from_utf8(self.target).ok()?;
            let mut request = RequestHeader::build(self.method, self.target, None).ok()?;
            if let Some(host) = host {
                request.insert_header("Host", host).ok()?;
            }
            validate_request_authority(&request).ok()
        };
        build().is_some()
    }
}

/// Whether the byte is allowed anywhere in a target: characters of a path and a query (RFC 3986
/// sections 3.3 and 3.4).
fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < plain.len() {
            plain[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let others = b"/-._~%?=&;:@!$'()*+,";
        let mut at = 0;
        while at < others.len() {
            plain[others[at] as usize] = true;
            at += 1;
        }
        plain
    };
    PLAIN[usize::from(byte)]
}

/// Whether it is a form of RFC 9112 section 3.2. CONNECT is refused by its method anyway.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    // pingora would drop a fragment, so that the app sees another target than the client sent.
    let is_clean = !target.iter().any(|byte| byte.is_ascii_control() || *byte == b'#');
    let begins =
        |scheme: &[u8]| target.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme));
    let is_known = target.starts_with(b"/")
        || (target == b"*" && method == b"OPTIONS")
        || begins(b"http://")
        || begins(b"https://")
        || (!target.is_empty() && method.eq_ignore_ascii_case(b"CONNECT"));
    is_clean && is_known
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().copied().all(crate::session::cookie::is_token_byte)
}

/// Method and target of a refused head, for metrics and logs. Both are `-` if the first line is not
/// one of a request: it may be the rest of a body, which must not be logged.
pub(in crate::server) fn method_and_target(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = bytes.trim_ascii_start();
    let line = bytes.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    match FirstLine::parse(line) {
        Some(line) => (line.method, line.target),
        None => (b"-", b"-"),
    }
}
