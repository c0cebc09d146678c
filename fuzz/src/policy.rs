//! A policy selected by the bits of a number.

use std::time::Duration;

use cloakroom::session::Policy;
use cloakroom::session::cookie::{CookieAttributes, CookieName, CookieParts};
use cloakroom::session::revocation::Revocations;
use cloakroom::time::Timestamp;

/// Not a whole second, to test rounding.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_300);

pub(crate) const TTL: Duration = Duration::from_secs(600);
pub(crate) const ABSOLUTE_TTL: Duration = Duration::from_secs(1500);

pub(crate) fn policy(bits: u8) -> Policy {
    let bit = |index: u8| bits >> index & 1 != 0;
    let name = |text: &str| CookieName::parse(text).expect("a cookie name");
    let parts = CookieParts::named(name("session"));
    let cookie = CookieAttributes::new(parts).expect("sound attributes");
    let not_before = bit(6).then_some(Timestamp::from_secs(1_799_999_000));
    Policy {
        ttl: bit(0).then_some(TTL),
        refresh_after: bit(0).then_some(Duration::from_secs(60)),
        absolute_ttl: bit(1).then_some(ABSOLUTE_TTL),
        issuer: bit(2).then(|| "https://a.example/\"ä".into()),
        audience: bit(3).then(|| "shop".into()),
        leeway: Duration::from_secs(if bit(4) { 5 } else { 0 }),
        require_exp: bit(5),
        revocations: Revocations::since(not_before),
        accept_names: if bit(7) { vec![name("sid")] } else { Vec::new() },
        ..Policy::of(cookie)
    }
}
