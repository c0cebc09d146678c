//! The first line of a request of HTTP/1: method, target and version.

use pingora_core::protocols::http::authority::validate_request_authority;
use pingora_http::RequestHeader;

/// The longest target that can be a URI of the crate `http`.
pub(super) const LONGEST_TARGET: usize = u16::MAX as usize - 1;

/// One that is in proper form.
pub(super) struct FirstLine<'a> {
    method: &'a [u8],
    pub(super) target: &'a [u8],
    /// Whether the target is a path with nothing in it that may not be read.
    pub(super) is_plain: bool,
    pub(super) is_http11: bool,
}

impl<'a> FirstLine<'a> {
    /// Method, target and version with one space between them (RFC 9112 section 3).
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

    /// Whether pingora can read it, and reads the same host from it as from the field `Host`.
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

/// Whether a target can have it wherever it likes: the characters of a path and a query (RFC 3986
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

/// One of the forms of RFC 9112 section 3.2. Of CONNECT any will do: it is refused by its name.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    // A fragment would be dropped, and the backend see a target that nobody has sent.
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

/// Method and target of a head that was refused, for metrics and logs. Both are `-` where the first
/// line is none of a request: what it is then may be the rest of a body, and no log's business.
pub(in crate::server) fn method_and_target(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = bytes.trim_ascii_start();
    let line = bytes.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    match FirstLine::parse(line) {
        Some(line) => (line.method, line.target),
        None => (b"-", b"-"),
    }
}
