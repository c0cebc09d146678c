//! What is needed to issue tokens and tickets.

use super::policy::Policy;
use crate::keys::KeyRing;
use crate::time::Timestamp;

/// What is needed to issue tokens and tickets.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// The first key signs or seals.
    pub keys: &'a KeyRing,
    /// Lifetime, names and size limits.
    pub policy: &'a Policy,
    /// The time of issue.
    pub now: Timestamp,
}

impl<'a> Issuer<'a> {
    /// Combines the keys, the policy and the time of issue.
    #[must_use]
    pub fn new(keys: &'a KeyRing, policy: &'a Policy, now: Timestamp) -> Self {
        Self { keys, policy, now }
    }
}
