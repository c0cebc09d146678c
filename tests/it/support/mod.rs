//! The tools of the tests: a backend that records every byte, the real binary, and clients that
//! read every byte. Each listens on a free port, and nothing waits longer than [`WAIT`].

use std::time::{Duration, Instant};

pub mod backend;
pub mod builder;
pub mod carrier;
pub mod client;
pub mod cookie;
pub mod direct;
pub mod engine;
pub mod frames;
pub mod h2c;
pub mod home;
pub mod issued;
pub mod jwk;
pub mod keys;
pub mod log;
pub mod message;
pub mod metrics;
pub mod recorder;
pub mod sidecar;
pub mod strict;
pub mod tls;
pub mod token;
pub mod volume;

pub use backend::{Answer, Backend, Gate, say};
pub use builder::Builder;
#[allow(unused_imports, reason = "only tests/it asks")]
pub use carrier::Carrier;
pub use client::{Client, Protocol, Request};
pub use cookie::SetCookie;
pub use direct::Direct;
pub use home::{Home, PATIENT};
pub use issued::Issued;
pub use keys::{keygen, openssl};
pub use message::Message;
pub use recorder::Recorder;
pub use sidecar::Sidecar;
pub use tls::Certificate;
pub use token::{SECRET, mint};
pub use volume::{Volume, Way};

/// The maximum time for anything.
pub const WAIT: Duration = Duration::from_secs(5);

/// Repeats the call until there is a result.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(result) = ask() {
            return result;
        }
        assert!(begun.elapsed() < WAIT, "{what}: not within {WAIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A dict with objects nested `depth` deep: `{"a":{"a":…}}`.
pub fn nested(depth: usize) -> String {
    let mut text = "{\"a\":".repeat(depth - 1);
    text.push_str("{}");
    text.push_str(&"}".repeat(depth - 1));
    text
}

/// Whether `bytes` contains `part`, ignoring case.
pub fn contains(bytes: &[u8], part: &str) -> bool {
    let lower = bytes.to_ascii_lowercase();
    let part = part.to_ascii_lowercase();
    lower.windows(part.len()).any(|window| window == part.as_bytes())
}
