//! HTTP/2 frames written by hand, for what no library would send.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::WAIT;

/// Names and values as sent.
pub type Fields<'a> = &'a [(&'a [u8], &'a [u8])];

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The start of a connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Sends a request and waits until it is answered or refused. Returns whether there was a response
/// head.
pub fn exchange(
    address: SocketAddr,
    fields: Fields<'_>,
    body: &[u8],
    trailers: Fields<'_>,
) -> bool {
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    let has_body = !body.is_empty() || !trailers.is_empty();
    let end = |last: bool| if last { END_STREAM } else { 0 };
    frame(&mut bytes, HEADERS, END_HEADERS | end(!has_body), 1, &block(fields));
    if has_body {
        frame(&mut bytes, DATA, end(trailers.is_empty()), 1, body);
    }
    if !trailers.is_empty() {
        frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers));
    }
    speak(address, &bytes)
}

/// Sends these bytes, which contain one request, and waits until it is answered or refused. Returns
/// whether there was a response head.
pub fn speak(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect_timeout(&address, WAIT).expect("the sidecar listens");
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.write_all(bytes).unwrap();
    is_answered(&mut stream)
}

/// Waits until the only open request is answered or refused.
pub fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answered = false;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return answered;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).expect("a whole frame");
        let (kind, flags) = (head[3], head[4]);
        answered |= kind == HEADERS;
        let ended = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if ended || kind == RST_STREAM || kind == GOAWAY {
            return answered;
        }
    }
}

/// Adds a frame.
pub fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// Literal fields without indexing (RFC 7541 section 6.2.2), without Huffman coding.
pub fn block(fields: Fields<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
            block.push(length.expect("a short text"));
            block.extend_from_slice(text);
        }
    }
    block
}
