//! `traceparent` (W3C Trace Context): the trace of a request through several services.

use http::{HeaderName, HeaderValue};

use super::fields::Fields;

pub(super) const NAME: &str = "traceparent";
/// Only valid together with the `traceparent` that it was sent with.
pub(super) const STATE: &str = "tracestate";
const FIELD: HeaderName = HeaderName::from_static(NAME);

/// `00-`, 32 digits of the trace, 16 of the caller, 2 of flags.
const LENGTH: usize = 55;
const ID: std::ops::Range<usize> = 3..35;
const PARENT: std::ops::Range<usize> = 36..52;

/// A trace id made by the sidecar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace([u8; LENGTH]);

impl Trace {
    /// Starts a trace. None if no random bytes are available.
    pub(super) fn begin() -> Option<Self> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).ok()?;
        // The flag "sampled" is 1: with 0, the app would not trace this request.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
        for (at, byte) in (ID.step_by(2).chain(PARENT.step_by(2))).zip(random) {
            text[at] = digit(byte >> 4);
            text[at + 1] = digit(byte & 15);
        }
        Some(Self(text))
    }

    pub(super) fn to_value(self) -> HeaderValue {
        // Digits and dashes are a valid value.
        HeaderValue::from_bytes(&self.0).unwrap_or(HeaderValue::from_static("-"))
    }

    pub(super) fn id(&self) -> &str {
        str::from_utf8(&self.0[ID]).unwrap_or("-")
    }
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// The trace id of a request, from a single, well-formed `traceparent`. A later version may have
/// more text after a fourth dash.
pub(crate) fn id_in(head: &impl Fields) -> Option<&str> {
    let mut sent = head.all(&FIELD);
    let (text, None) = (sent.next()?, sent.next()) else { return None };
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_some = |part: &[u8]| part.iter().any(|&byte| byte != b'0');
    let (known, more) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split(|&byte| byte == b'-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [version.len(), id.len(), parent.len(), flags.len()];
    let is_good = lengths == [2, 32, 16, 2]
        && [version, id, parent, flags].into_iter().all(is_hex)
        && version != b"ff"
        && is_some(id)
        && is_some(parent)
        && (more.is_empty() || (version != b"00" && more.starts_with(b"-")));
    if is_good { str::from_utf8(id).ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use http::HeaderMap;

    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn head(sent: &[&str]) -> HeaderMap {
        sent.iter().map(|text| (FIELD, HeaderValue::from_str(text).unwrap())).collect()
    }

    #[test]
    fn the_id_of_a_well_formed_traceparent_is_known() {
        let good = format!("00-{ID}-00f067aa0ba902b7-01");
        let later = format!("cc-{ID}-00f067aa0ba902b7-01-more");
        for sent in [&good, &later] {
            assert_eq!(id_in(&head(&[sent])), Some(ID), "{sent}");
        }
        let zeros = "0".repeat(32);
        for sent in [
            &[][..],
            &[""],
            &["00"],
            &[&good, &good],
            &[&good.to_uppercase()],
            &[&format!("{good}-more")],
            &[&format!("{good}x")],
            &[&good.replacen("00", "ff", 1)],
            &[&good.replace(ID, &zeros)],
            &[&good.replace("00f067aa0ba902b7", "0000000000000000")],
            &[&good.replace('-', "0")],
            &[&good[..54]],
        ] {
            assert_eq!(id_in(&head(sent)), None, "{sent:?}");
        }
    }

    #[test]
    fn one_that_begins_here_is_well_formed() {
        let (one, other) = (Trace::begin().unwrap(), Trace::begin().unwrap());
        assert_ne!(one.id(), other.id());
        let text = one.to_value();
        assert_eq!(id_in(&head(&[text.to_str().unwrap()])), Some(one.id()));
    }
}
