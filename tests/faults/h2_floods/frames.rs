//! The frames of the floods.

use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, block, frame,
};

const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// How many frames are sent at once.
const BATCH: u32 = 100;

/// The maximum frame size without negotiation (RFC 9113 section 6.5.2).
const LARGEST: usize = 16_384;

/// Endless frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    /// Requests that are reset at once (CVE-2023-44487).
    RapidReset,
    /// Requests that make the server reset the stream (CVE-2025-8671).
    MadeYouReset,
    /// A head that never ends (CVE-2024-27316).
    Continuation,
    /// The same with empty frames (CVE-2019-9518).
    EmptyContinuation,
    /// A body of empty frames.
    EmptyData,
    /// Each needs an acknowledgement, which the client does not read (CVE-2019-9515).
    Settings,
    /// The same with PING (CVE-2019-9512).
    Ping,
    /// A hundred answers of a megabyte without a window to send them (CVE-2019-9517).
    NoWindow,
    /// A megabyte of fields in each head.
    LargeHeads,
    /// 48 MB of fields compressed to 16 kB, each a reference to the previous one (CVE-2016-6581).
    Bomb,
}

impl Flood {
    /// Whether the client reads answers.
    pub(super) fn listens(self) -> bool {
        !matches!(self, Self::Settings | Self::Ping)
    }

    /// The frames of each round; empty after the last one.
    pub(super) fn round(self, round: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        if round == 0 {
            bytes.extend_from_slice(PREFACE);
            let no_window: &[u8] = &[0, 4, 0, 0, 0, 0];
            let settings = if self == Self::NoWindow { no_window } else { &[] };
            frame(&mut bytes, SETTINGS, 0, 0, settings);
        }
        let streams = (0..BATCH).map(|number| 2 * (round * BATCH + number) + 1);
        match self {
            Self::RapidReset => {
                for stream in streams {
                    frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, stream, &get("/"));
                    frame(&mut bytes, RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                }
            }
            Self::MadeYouReset => {
                for stream in streams {
                    frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, stream, &get("/"));
                    frame(&mut bytes, WINDOW_UPDATE, 0, stream, &[0; 4]);
                }
            }
            Self::Continuation | Self::EmptyContinuation => {
                if round == 0 {
                    frame(&mut bytes, HEADERS, END_STREAM, 1, &get("/"));
                }
                let fields = fields(LARGEST);
                let payload = if self == Self::Continuation { &fields[..] } else { &[] };
                (0..BATCH).for_each(|_| frame(&mut bytes, CONTINUATION, 0, 1, payload));
            }
            Self::EmptyData => {
                if round == 0 {
                    frame(&mut bytes, HEADERS, END_HEADERS, 1, &request(b"POST", b"/"));
                }
                (0..BATCH).for_each(|_| frame(&mut bytes, DATA, 0, 1, &[]));
            }
            Self::Settings => (0..BATCH).for_each(|_| frame(&mut bytes, SETTINGS, 0, 0, &[])),
            Self::Ping => (0..BATCH).for_each(|_| frame(&mut bytes, PING, 0, 0, &[0; 8])),
            Self::NoWindow if round == 0 => {
                for stream in streams {
                    let get = get("/bytes/1000000");
                    frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, stream, &get);
                }
            }
            Self::NoWindow => {}
            Self::LargeHeads => {
                let stream = 2 * round + 1;
                frame(&mut bytes, HEADERS, END_STREAM, stream, &get("/"));
                for _ in 0..64 {
                    frame(&mut bytes, CONTINUATION, 0, stream, &fields(LARGEST));
                }
                frame(&mut bytes, CONTINUATION, END_HEADERS, stream, &[]);
            }
            Self::Bomb => {
                // A new entry of the table (RFC 7541 section 6.2.1), then references to it.
                let mut block = get("/");
                block.extend_from_slice(&[0x40, 1, b'a', 0x7f, 0x81, 0x1e]);
                block.extend_from_slice(&[b'x'; 4000]);
                block.resize(LARGEST, 0x80 | 62);
                frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 2 * round + 1, &block);
            }
        }
        bytes
    }
}

/// What is sent before the silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    HalfPreface,
    Preface,
    Settings,
    HalfFrameHead,
    HalfHeaders,
    HeadersWithoutEnd,
    /// A request without its body.
    NoBody,
    /// A request whose answer has no window.
    NoWindow,
}

impl Silence {
    pub(super) const ALL: [Self; 8] = [
        Self::HalfPreface,
        Self::Preface,
        Self::Settings,
        Self::HalfFrameHead,
        Self::HalfHeaders,
        Self::HeadersWithoutEnd,
        Self::NoBody,
        Self::NoWindow,
    ];

    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = PREFACE.to_vec();
        let begun = bytes.len();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        let settings = bytes.len();
        match self {
            Self::HalfPreface => bytes.truncate(begun / 2),
            Self::Preface => bytes.truncate(begun),
            Self::Settings => {}
            Self::HalfFrameHead | Self::HalfHeaders => {
                frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 1, &get("/"));
                bytes.truncate(settings + if self == Self::HalfHeaders { 20 } else { 5 });
            }
            Self::HeadersWithoutEnd => frame(&mut bytes, HEADERS, END_STREAM, 1, &get("/")),
            Self::NoBody => {
                frame(&mut bytes, HEADERS, END_HEADERS, 1, &request(b"POST", b"/"));
            }
            Self::NoWindow => return Flood::NoWindow.round(0),
        }
        bytes
    }
}

fn get(path: &str) -> Vec<u8> {
    request(b"GET", path.as_bytes())
}

fn request(method: &[u8], path: &[u8]) -> Vec<u8> {
    block(&[
        (b":method", method),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", path),
    ])
}

/// Fields with about this number of bytes.
fn fields(bytes: usize) -> Vec<u8> {
    let field = block(&[(b"x-field", &[b'x'; 100])]);
    field.repeat(bytes / field.len())
}
