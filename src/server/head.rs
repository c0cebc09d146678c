//! The head of a request of HTTP/1, read before pingora sees it: within limits and a deadline,
//! and in the one form that nobody reads in two ways (RFC 9112). pingora waits for ever for a head
//! that drips, takes a megabyte of it, ends lines where others do not, and mends request lines.

use crate::config::Limits;

/// How far a head has been looked at.
#[derive(Debug)]
pub(super) struct Scan {
    limits: Limits,
    /// What has been looked at.
    at: usize,
    /// Where the current line starts.
    line: usize,
    /// Lines that are complete, not counting empty ones before the first.
    lines: usize,
    /// What the lines of `Cookie` among them take: they have a limit of their own.
    cookies: usize,
    previous: u8,
}

/// What is to be made of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// They may become a head.
    More,
    /// They have a head in them that may go on.
    Complete,
    /// They do not; this status is the answer.
    Refused(u16),
}

impl Scan {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, at: 0, line: 0, lines: 0, cookies: 0, previous: 0 }
    }

    /// Looks at all that has arrived, of which what was there before is known already.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Progress {
        loop {
            self.skip_plain(bytes);
            let Some(&byte) = bytes.get(self.at) else {
                return Progress::More;
            };
            if byte == 0 || (byte == b'\n') != (self.previous == b'\r') {
                return Progress::Refused(400);
            }
            if self.at - self.cookies >= self.limits.head_bytes && self.is_past(bytes) {
                return self.too_long();
            }
            self.previous = byte;
            self.at += 1;
            if byte == b'\n' {
                let line = &bytes[self.line..self.at - 2];
                if is_cookie(line) {
                    self.cookies += self.at - self.line;
                    if self.cookies > self.limits.cookie_bytes {
                        return self.too_long();
                    }
                }
                self.line = self.at;
                self.previous = 0;
                match self.end_of(line) {
                    Progress::More => {}
                    verdict => return verdict,
                }
            } else if self.lines == 0 && self.at - self.line > self.limits.request_line_bytes {
                return self.too_long();
            }
        }
    }

    /// Goes on to the next byte that has a say in where a line ends, as far as no limit is met.
    fn skip_plain(&mut self, bytes: &[u8]) {
        let mut end = self.cookies + self.limits.head_bytes;
        if self.lines == 0 {
            end = end.min(self.line + self.limits.request_line_bytes);
        }
        let Some(plain) = bytes.get(self.at..end.min(bytes.len())) else {
            return;
        };
        // Behind a CR comes a LF, or the byte is refused.
        if self.previous == b'\r' {
            return;
        }
        let count = memchr::memchr3(0, b'\r', b'\n', plain).unwrap_or(plain.len());
        if count > 0 {
            self.at += count;
            self.previous = plain[count - 1];
        }
    }

    /// Whether there is too much, where the line that is being read counts one way or the other.
    fn is_past(&self, bytes: &[u8]) -> bool {
        let line = &bytes[self.line..self.at];
        let before = self.line - self.cookies;
        let is_cookie = self.lines > 0 && is_cookie(line);
        !is_cookie
            || before >= self.limits.head_bytes
            || self.cookies + line.len() >= self.limits.cookie_bytes
    }

    fn too_long(&self) -> Progress {
        Progress::Refused(if self.lines == 0 { 414 } else { 431 })
    }

    fn end_of(&mut self, line: &[u8]) -> Progress {
        match (self.lines, line) {
            // Empty lines before a request are to be ignored (RFC 9112 section 2.2).
            (0, b"") => return Progress::More,
            (0, line) if !is_request_line(line) => return Progress::Refused(400),
            (0, _) => {}
            (_, b"") => return Progress::Complete,
            (count, _) if count > self.limits.header_fields => return Progress::Refused(431),
            (_, line) if !is_field_line(line) => return Progress::Refused(400),
            _ => {}
        }
        self.lines += 1;
        Progress::More
    }
}

/// Method, target and version with one space between them (RFC 9112 section 3).
fn is_request_line(line: &[u8]) -> bool {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    is_token(method) && is_target(method, target) && matches!(version, b"HTTP/1.0" | b"HTTP/1.1")
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

/// A name, a colon at once, and a value (RFC 9112 section 5); no line folded into the one before.
fn is_field_line(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| crate::session::cookie::is_token_byte(**byte)).count();
    name > 0 && line.get(name) == Some(&b':')
}

/// Whether a line is a `Cookie` field, as far as it has been read.
fn is_cookie(line: &[u8]) -> bool {
    const NAME: &[u8] = b"cookie:";
    line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().copied().all(crate::session::cookie::is_token_byte)
}

/// Method and target of a head that was refused, for metrics and logs. Both are `-` where the first
/// line is none of a request: what it is then may be the rest of a body, and no log's business.
pub(super) fn method_and_target(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = bytes.trim_ascii_start();
    let line = bytes.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let mut parts = line.split(|&byte| byte == b' ');
    match (parts.next(), parts.next()) {
        (Some(method), Some(target)) if is_request_line(line) => (method, target),
        _ => (b"-", b"-"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        head_bytes: 200,
        cookie_bytes: 300,
        request_line_bytes: 60,
        header_fields: 3,
        connections: 1,
        body_bytes: None,
    };

    fn verdict(head: &[u8]) -> Progress {
        Scan::new(LIMITS).advance(head)
    }

    #[test]
    fn a_plain_head_is_complete_at_its_empty_line() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost:\r\nA:b:c\r\nB: \u{e4}\r\n\r\n",
            "POST /%20?a=\"<> HTTP/1.1\r\nHost: a\r\n\r\nbody\0\n",
            "GET HTTP://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(verdict(head.as_bytes()), Progress::Complete, "{head:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "GET /\t HTTP/1.1\r\n",
            "GET /a b HTTP/1.1\r\n",
            "GET * HTTP/1.1\r\n",
            "GET a:80 HTTP/1.1\r\n",
            "GET a HTTP/1.1\r\n",
            "GET ?a HTTP/1.1\r\n",
            "GET ../a HTTP/1.1\r\n",
            "GET ftp://a/ HTTP/1.1\r\n",
            "GET /a#b HTTP/1.1\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            " GET / HTTP/1.1\r\n",
            "GET / http/1.1\r\n",
            "GET / HTTP/1.2\r\n",
            "GET / HTTP/11\r\n",
            "GET /\r\n",
            "GE(T / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n",
            "GET / HTTP/1.1\r\nHost\r\n",
            "GET / HTTP/1.1\r\n: a\r\n",
            "GET / HTTP/1.1\r\nX\u{e4}: a\r\n",
        ] {
            assert_eq!(verdict(head.as_bytes()), Progress::Refused(400), "{head:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_has_arrived() {
        let line = |bytes| format!("GET /{} HTTP/1.1", "x".repeat(bytes));
        let long = line(60);
        assert_eq!(verdict(long.as_bytes()), Progress::Refused(414));
        assert_eq!(verdict(&long.as_bytes()[..60]), Progress::More);
        let field = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(200));
        assert_eq!(verdict(field.as_bytes()), Progress::Refused(431));
        let fields = |count| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert_eq!(verdict(fields(3).as_bytes()), Progress::Complete);
        assert_eq!(verdict(fields(4).as_bytes()), Progress::Refused(431));
        assert_eq!(verdict("\r\n".repeat(101).as_bytes()), Progress::Refused(414));
    }

    #[test]
    fn cookies_have_a_limit_of_their_own() {
        let head = |cookie: usize, other: usize| {
            let (cookie, other) = ("c".repeat(cookie), "o".repeat(other));
            format!("GET / HTTP/1.1\r\nA: {other}\r\ncOOKIE: {cookie}\r\nB: {other}\r\n\r\n")
        };
        assert_eq!(verdict(head(290, 10).as_bytes()), Progress::Complete);
        assert_eq!(verdict(head(299, 10).as_bytes()), Progress::Refused(431));
        assert_eq!(verdict(head(290, 90).as_bytes()), Progress::Refused(431));
        assert_eq!(verdict(head(10, 70).as_bytes()), Progress::Complete);
        // Not before it is too much.
        let long = head(400, 10);
        assert_eq!(verdict(&long.as_bytes()[..300]), Progress::More);
        assert_eq!(verdict(&long.as_bytes()[..400]), Progress::Refused(431));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_head_arrives(
            head in "(GET|P\u{0}) /a? HTTP/1.[01]\r?\n(A: [b:\r]{0,3}\r\n){0,4}\r\n.{0,5}",
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = head.as_bytes();
            let mut scan = Scan::new(LIMITS);
            let mut pieces = scan.advance(&bytes[..cut.index(bytes.len())]);
            if pieces == Progress::More {
                pieces = scan.advance(bytes);
            }
            prop_assert_eq!(pieces, verdict(bytes));
        }
    }
}
