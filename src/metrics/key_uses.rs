//! Counts the uses of a ring's keys, and warns when one needs replacement.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::IntCounter;

use crate::keys::{KeyIndex, KeyRing, MANY_SEALS};

/// The counters of one ring's keys.
pub struct KeyUses {
    sign: Vec<IntCounter>,
    verify: Vec<IntCounter>,
    /// For a first key that seals.
    wear: Option<Wear>,
}

impl KeyUses {
    /// The keys with their counters for `sign` and `verify`.
    pub(super) fn new(
        keys: &KeyRing,
        counter: impl Fn(KeyIndex, &'static str) -> IntCounter,
    ) -> Self {
        Self {
            sign: keys.iter().map(|(index, _)| counter(index, "sign")).collect(),
            verify: keys.iter().map(|(index, _)| counter(index, "verify")).collect(),
            wear: keys.signing().algorithm().seals().then(|| Wear::of(keys.label(KeyIndex(0)))),
        }
    }

    /// Counts a token that the first key signed or sealed.
    pub fn signed(&self) {
        if let Some(counter) = self.sign.first() {
            counter.inc();
            if let Some(wear) = &self.wear {
                wear.look(counter.get());
            }
        }
    }

    /// Counts a token that a key verified.
    pub fn verified(&self, key: KeyIndex) {
        if let Some(counter) = self.verify.get(key.0) {
            counter.inc();
        }
    }
}

/// Warns once when a key has sealed so often that it should be replaced; again after a reload.
struct Wear {
    key: String,
    is_said: AtomicBool,
}

impl Wear {
    fn of(key: String) -> Self {
        Self { key, is_said: AtomicBool::new(false) }
    }

    fn look(&self, seals: u64) {
        if seals >= MANY_SEALS && !self.is_said.swap(true, Ordering::Relaxed) {
            log::warn!(
                key = self.key.as_str(), seals;
                "the key has sealed too many sessions: replace it with cloakroom key rotate"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::keys::{Algorithm, Key};
    use crate::metrics::Metrics;

    #[test]
    fn a_key_that_seals_wears_out_and_one_that_signs_does_not() {
        let metrics = Metrics::new().unwrap();
        let sealing = || Key::sealing(Some("seals".into()), &[1; 32]).unwrap();
        let signing = || Key::hmac(Some("signs".into()), Algorithm::Hs256, &[1; 32]);
        for (ring, wears_out) in [
            (KeyRing::new(sealing(), vec![signing()]), true),
            (KeyRing::new(signing(), vec![sealing()]), false),
        ] {
            let uses = metrics.key_uses(&ring);
            uses.sign[0].inc_by(MANY_SEALS - 2);
            let is_said =
                || uses.wear.as_ref().is_some_and(|wear| wear.is_said.load(Ordering::Relaxed));
            uses.signed();
            assert!(!is_said());
            uses.signed();
            assert_eq!(is_said(), wears_out);
        }
    }
}
