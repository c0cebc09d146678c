//! Joins many `Cookie` fields into one, as RFC 9113 section 8.2.3 does for HTTP/2.

use bytes::{BufMut as _, BytesMut};

use super::is_cookie;

/// A scanned head with its `Cookie` fields joined, and the bytes after it.
pub(in crate::server) fn with_one_cookie_field(bytes: &[u8]) -> BytesMut {
    // Never longer than before: a separator is shorter than a name.
    let mut joined = BytesMut::with_capacity(bytes.len());
    let mut cookies = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, behind) = rest.split_at(end + 1);
        let text = line.trim_ascii();
        if text.is_empty() && !joined.is_empty() {
            break;
        }
        rest = behind;
        if is_cookie(text) && !joined.is_empty() {
            let value = text.get("cookie:".len()..).unwrap_or_default().trim_ascii();
            if !value.is_empty() {
                cookies.push(value);
            }
        } else if !text.is_empty() {
            joined.put_slice(line);
        }
    }
    if !cookies.is_empty() {
        joined.put_slice(b"Cookie: ");
        joined.put_slice(&cookies.join(&b"; "[..]));
        joined.put_slice(b"\r\n");
    }
    joined.put_slice(rest);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_joined_and_all_else_stays() {
        let head = "\r\nPOST / HTTP/1.1\r\nA: b\r\nCookie: a=1\r\ncookie:b=2; c=3 \r\nCookie:\r\n\
                    B: c\r\nCOOKIE: d\r\n\r\nbody\r\nCookie: no\r\n";
        assert_eq!(
            with_one_cookie_field(head.as_bytes()),
            "POST / HTTP/1.1\r\nA: b\r\nB: c\r\nCookie: a=1; b=2; c=3; d\r\n\r\nbody\r\n\
             Cookie: no\r\n"
        );
        let without = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
        assert_eq!(with_one_cookie_field(without.as_bytes()), without);
    }
}
