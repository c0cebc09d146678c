//! The head of a request: as it was sent, and as the app gets it.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};

use super::body::{Body, Framing};
use super::chunks::Chunks;
use super::head::{Head, Lines, RequestLine};
use super::response::number;
use crate::visit::{Fields, HeadFull};

pub(super) type Request<'a> = Head<'a, RequestLine<'a>>;

/// What speaks of one connection only (RFC 9110 section 7.6.1), and goes no further.
const HOP_BY_HOP: [&[u8]; 10] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
];

/// A head that has been looked at.
pub(super) fn parse<'a>(bytes: &'a [u8], lines: &Lines) -> Option<Request<'a>> {
    let first = RequestLine::parse(bytes.get(lines.first.clone())?)?;
    Some(Head::new(first, bytes, &lines.fields))
}

/// Whether the client wishes to keep the connection (RFC 9112 section 9.3).
pub(super) fn wishes_to_go_on(request: &Request<'_>) -> bool {
    !options(request).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// What `Connection` names.
fn options<'a>(request: &'a Request<'_>) -> impl Iterator<Item = &'a [u8]> {
    let options = request.all(&CONNECTION).flat_map(|value| value.split(|&byte| byte == b','));
    options.map(<[u8]>::trim_ascii)
}

/// Where the body ends: a request without a length has none (RFC 9112 section 6.3). The form of
/// these fields has been looked at as the head arrived.
pub(super) fn body(request: &Request<'_>) -> Body {
    if request.has(&TRANSFER_ENCODING) {
        return Body::Chunks(Chunks::new());
    }
    let length = request.first(&CONTENT_LENGTH).and_then(number);
    length.map_or(Body::NONE, Body::Length)
}

/// The head for the app, without what was meant for this connection, and how the body is framed
/// behind it.
pub(super) fn for_app<'a>(request: &Request<'a>, has_body: bool) -> (Request<'a>, Framing) {
    let mut upstream = request.copy();
    // `keep-alive` is removed anyway: most requests need no list.
    let others = options(request).filter(|option| !option.eq_ignore_ascii_case(b"keep-alive"));
    let named: Vec<Vec<u8>> = others.map(<[u8]>::to_ascii_lowercase).collect();
    upstream
        .remove_where(|name| HOP_BY_HOP.contains(&name) || named.iter().any(|named| named == name));
    let framing = match has_body && !upstream.has(&CONTENT_LENGTH) {
        true => Framing::Chunked,
        false => Framing::Plain,
    };
    (upstream, framing)
}

/// Writes a head for the app.
pub(super) fn write(
    mut upstream: Request<'_>,
    framing: Framing,
    out: &mut Vec<u8>,
) -> Result<(), HeadFull> {
    if framing == Framing::Chunked {
        let name = Bytes::from_static(b"Transfer-Encoding");
        upstream.append(name, HeaderValue::from_static("chunked"))?;
    }
    out.extend_from_slice(upstream.first.line);
    out.extend_from_slice(b"\r\n");
    upstream.write_fields(out);
    Ok(())
}
