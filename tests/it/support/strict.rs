//! Reads HTTP/1 requests like the strictest backend: anything ambiguous is a fault.

use std::fmt;

/// A whole request.
#[derive(Clone)]
pub struct Strict {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, Vec<u8>)>,
    /// Without the framing of chunks.
    pub body: Vec<u8>,
}

/// What some bytes start with.
#[derive(Clone, Debug)]
pub enum Reading {
    /// A request, and its length.
    Whole(Strict, usize),
    /// The start of a request.
    Part,
    /// Not a request.
    Fault(String),
}

impl Strict {
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let fields = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_slice()).collect()
    }
}

/// In readable form.
impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.fields {
            write!(f, " | {name}: {}", shown(value))?;
        }
        write!(f, " | {}", shown(&self.body).escape_debug())
    }
}

/// Reads one request.
pub fn read(bytes: &[u8]) -> Reading {
    match request(bytes) {
        Ok(Some((request, length))) => Reading::Whole(request, length),
        Ok(None) => Reading::Part,
        Err(fault) => Reading::Fault(fault),
    }
}

type Result<T> = std::result::Result<T, String>;

/// A line and the bytes after it; None if its end has not arrived.
fn line(bytes: &[u8]) -> Result<Option<(&[u8], &[u8])>> {
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)) else {
        return Ok(None);
    };
    match &bytes[end..] {
        [b'\r', b'\n', rest @ ..] => Ok(Some((&bytes[..end], rest))),
        [b'\r'] => Ok(None),
        _ => Err(format!("a bare CR, LF or NUL in {:?}", shown(&bytes[..=end]))),
    }
}

fn request(bytes: &[u8]) -> Result<Option<(Strict, usize)>> {
    let Some((first, mut rest)) = line(bytes)? else { return Ok(None) };
    let parts: Vec<&[u8]> = first.split(|&byte| byte == b' ').collect();
    let [method, target, version @ (b"HTTP/1.1" | b"HTTP/1.0")] = parts[..] else {
        return Err(format!("no request line: {:?}", shown(first)));
    };
    let is_old = version == b"HTTP/1.0";
    let is_target = !target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f);
    if !is_token(method) || !is_target {
        return Err(format!("no request line: {:?}", shown(first)));
    }
    let mut fields = Vec::new();
    loop {
        let Some((field, behind)) = line(rest)? else { return Ok(None) };
        rest = behind;
        if field.is_empty() {
            break;
        }
        fields.push(self::field(field)?);
    }
    let mut request =
        Strict { method: shown(method), target: shown(target), fields, body: Vec::new() };
    let hosts = request.values("Host");
    match hosts[..] {
        [host] if is_host(host) => {}
        [] if is_old => {}
        _ => {
            return Err(format!(
                "the Hosts {:?}",
                hosts.iter().map(|host| shown(host)).collect::<Vec<_>>()
            ));
        }
    }
    let lengths = request.values("Content-Length");
    match (&request.values("Transfer-Encoding")[..], &lengths[..]) {
        ([], []) => {}
        ([], [length]) => {
            let Some(length) = decimal(length) else {
                return Err(format!("the Content-Length {:?}", shown(length)));
            };
            if rest.len() < length {
                return Ok(None);
            }
            request.body = rest[..length].to_vec();
            rest = &rest[length..];
        }
        ([b"chunked"], []) if !is_old => match chunks(rest)? {
            Some((body, behind)) => (request.body, rest) = (body, behind),
            None => return Ok(None),
        },
        (codings, lengths) => {
            return Err(format!("{} codings beside {} lengths", codings.len(), lengths.len()));
        }
    }
    Ok(Some((request, bytes.len() - rest.len())))
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':').unwrap_or_default();
    let value = line.get(colon + 1..).unwrap_or_default();
    let is_value = value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !is_token(&line[..colon]) || !is_value {
        return Err(format!("the field {:?}", shown(line)));
    }
    Ok((shown(&line[..colon]), value.trim_ascii().to_vec()))
}

/// A chunked body without extensions or trailers, and the bytes after it.
fn chunks(mut bytes: &[u8]) -> Result<Option<(Vec<u8>, &[u8])>> {
    let mut body = Vec::new();
    loop {
        let Some((size, rest)) = line(bytes)? else { return Ok(None) };
        let is_hex = (1..=8).contains(&size.len()) && size.iter().all(u8::is_ascii_hexdigit);
        let length = usize::from_str_radix(&shown(size), 16).ok().filter(|_| is_hex);
        let length = length.ok_or_else(|| format!("the chunk size {:?}", shown(size)))?;
        let Some(chunk) = rest.get(..length) else { return Ok(None) };
        body.extend_from_slice(chunk);
        match line(&rest[length..])? {
            None => return Ok(None),
            Some((b"", behind)) if length == 0 => return Ok(Some((body, behind))),
            Some((b"", behind)) => bytes = behind,
            Some((more, _)) => return Err(format!("{:?} behind a chunk", shown(more))),
        }
    }
}

fn decimal(digits: &[u8]) -> Option<usize> {
    let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    shown(digits).parse().ok().filter(|_| is_plain)
}

/// `host` or `host:port` (RFC 9110 section 7.2), without characters that confuse readers.
fn is_host(host: &[u8]) -> bool {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    host.iter().all(is_one)
}

fn is_token(name: &[u8]) -> bool {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_one)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn only_a_plain_request_is_whole() {
    let whole =
        |text: &str| matches!(read(text.as_bytes()), Reading::Whole(_, n) if n == text.len());
    let fault = |text: &str| matches!(read(text.as_bytes()), Reading::Fault(_));
    let part = |text: &str| matches!(read(text.as_bytes()), Reading::Part);
    let head = "POST /a HTTP/1.1\r\nHost: a.test:1\r\n";
    assert!(whole(&format!("{head}\r\n")));
    assert!(whole(&format!("{head}Content-Length: 2\r\n\r\nab")));
    assert!(whole(&format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")));
    assert!(part(&format!("{head}\r")));
    assert!(part(&format!("{head}Content-Length: 2\r\n\r\na")));
    assert!(part(&format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n")));
    for fields in [
        "A: b\rc\r\n",
        "A: b\nC: d\r\n",
        "A: b\0\r\n",
        "A: b\x7f\r\n",
        "A : b\r\n",
        " folded\r\n",
        "no colon\r\n",
        ": no name\r\n",
        "Host: b.test\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2, 2\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        assert!(fault(&format!("{head}{fields}\r\nab")), "{fields:?}");
    }
    for body in
        ["2;x\r\nab\r\n0\r\n\r\n", "0x2\r\nab\r\n", "2\nab\r\n", "1\r\nab\r\n", "0\r\nA: b\r\n"]
    {
        assert!(fault(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}")), "{body:?}");
    }
    assert!(whole("GET / HTTP/1.0\r\n\r\n"));
    assert!(fault("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    for first in
        ["GET  / HTTP/1.1", "GET / HTTP/2.0", "GET /", "GET / b HTTP/1.1", "G(T / HTTP/1.1"]
    {
        assert!(fault(&format!("{first}\r\nHost: a\r\n\r\n")), "{first:?}");
    }
    for host in ["a, b", "a@b", "a/b", "a b", "a?", "a#"] {
        assert!(fault(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), "{host:?}");
    }
    assert!(fault("GET / HTTP/1.1\r\n\r\n"));
}
