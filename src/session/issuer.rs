//! What tokens and tickets are issued by.

use super::policy::Policy;
use crate::keys::KeyRing;
use crate::time::Timestamp;

/// What tokens and tickets are issued by.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// The first of them signs.
    pub keys: &'a KeyRing,
    /// How long, under which name, how large.
    pub policy: &'a Policy,
    /// The moment of issue.
    pub now: Timestamp,
}

impl<'a> Issuer<'a> {
    /// Keys, policy, and the moment of issue.
    #[must_use]
    pub fn new(keys: &'a KeyRing, policy: &'a Policy, now: Timestamp) -> Self {
        Self { keys, policy, now }
    }
}
