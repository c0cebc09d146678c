//! `X-Request-Id`: the id of a request in the logs of the sidecar and the app, and in error
//! answers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

use super::fields::Fields;

use crate::session::header::folds_to;

pub(crate) const NAME: &str = "X-Request-Id";
const LOWER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, always ASCII.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    /// Sent by the client.
    Taken(HeaderValue),
    /// Made by the sidecar: hexadecimal digits.
    Fresh([u8; 32]),
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        let id = match self {
            Self::Taken(id) => id.as_bytes(),
            Self::Fresh(id) => id,
        };
        str::from_utf8(id).unwrap_or("-")
    }

    /// The id as a field value.
    pub(super) fn to_value(&self) -> HeaderValue {
        match self {
            Self::Taken(id) => id.clone(),
            // Digits are a valid value.
            Self::Fresh(id) => HeaderValue::from_bytes(id).unwrap_or(HeaderValue::from_static("-")),
        }
    }
}

/// Whether a server may treat `name` as `X-Request-Id`.
pub(super) fn is_alias(name: &[u8]) -> bool {
    folds_to(name, "x-request-id")
}

/// The maximum length of a client's id.
const LONGEST: usize = 128;

/// The client's id if it is one word that is safe in a log, otherwise a new one.
pub(super) fn take_or_make(head: &impl Fields) -> RequestId {
    let mut sent = head.all(&LOWER);
    match (sent.next(), sent.next()) {
        (Some(id), None) if str::from_utf8(id).is_ok_and(is_one) => {
            HeaderValue::from_bytes(id).map_or_else(|_| fresh(), RequestId::Taken)
        }
        _ => fresh(),
    }
}

fn is_one(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(fits)
}

/// A new id, unique across sidecars. The random part is drawn once, because a request must not wait
/// for it.
pub(crate) fn fresh() -> RequestId {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(|| {
        let mut bytes = [0; 8];
        // Cannot fail after the system's generator has been seeded.
        let _ = getrandom::fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    });
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 32];
    write_hex(&mut id[..16], *process);
    write_hex(&mut id[16..], count);
    RequestId::Fresh(id)
}

/// Written by hand: each request needs it, and `format!` takes five times as long.
fn write_hex(digits: &mut [u8], number: u64) {
    for (nibble, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * nibble) & 0xF) as usize];
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_word_is_taken_and_all_else_replaced() {
        let longest = "x".repeat(LONGEST);
        let too_long = "x".repeat(LONGEST + 1);
        for (sent, taken) in [
            (&["abc-1.2_3~+/=:@"][..], true),
            (&[&longest], true),
            (&[&too_long], false),
            (&[""], false),
            (&["a b"], false),
            (&["a\"b"], false),
            (&["a,b"], false),
            (&["a\u{e4}"], false),
            (&["a", "b"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for id in sent {
                if let Ok(value) = http::HeaderValue::from_bytes(id.as_bytes()) {
                    headers.append(NAME, value);
                }
            }
            let id = take_or_make(&headers);
            assert_eq!(sent.first() == Some(&id.as_str()), taken, "{sent:?}");
            assert!(is_one(id.as_str()), "{id:?}");
        }
    }

    #[test]
    fn no_two_are_alike() {
        let ids: std::collections::BTreeSet<String> =
            (0..1000).map(|_| fresh().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
