//! The lifetime of a new token, and the claims that contain it.

use std::time::Duration;

use super::lifetime::{LONGEST, Managed, SessionId};
use super::policy::Policy;
use crate::time::Timestamp;

/// The lifetime of a new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The claim `cr`.
    pub managed: Managed,
    /// The claim `exp`.
    pub expires: Timestamp,
    /// The cookie's `Max-Age` in seconds; None: until the browser is closed.
    pub max_age: Option<u64>,
}

impl Stamp {
    /// The stamp of a token issued now; None if no lifetime is configured or requested.
    ///
    /// `previous` is the session of the request, `own_max_age` what the app asked for in this
    /// answer, `fresh_id` the id for a new session.
    #[must_use]
    pub fn new(
        policy: &Policy,
        previous: Option<&Managed>,
        own_max_age: Option<u64>,
        now: Timestamp,
        fresh_id: impl FnOnce() -> SessionId,
    ) -> Option<Self> {
        let own_max_age = own_max_age.or_else(|| previous.and_then(|managed| managed.own_max_age));
        let lifetime = match own_max_age {
            Some(seconds @ 1..) => Duration::from_secs(seconds),
            // The cookie lasts until the browser is closed, the token for the ttl or the longest
            // lifetime.
            Some(0) => policy.lifetime().unwrap_or(LONGEST),
            None => policy.lifetime()?,
        };
        let (id, start) = match previous {
            Some(managed) => (managed.id.clone(), managed.start),
            None => (fresh_id(), now),
        };
        let mut expires = Timestamp::from_secs(now.plus(lifetime.min(LONGEST)).as_secs());
        if let Some(absolute) = policy.absolute_ttl {
            expires = expires.min(start.plus(absolute));
        }
        let max_age = expires.as_secs().saturating_sub(now.as_secs());
        let lasts = match own_max_age {
            Some(own) => own > 0,
            None => policy.ttl.is_some() || policy.absolute_ttl.is_some(),
        };
        Some(Self {
            managed: Managed { id, start, issued: now, own_max_age },
            expires,
            max_age: lasts.then_some(max_age),
        })
    }

    /// The members to add to the payload: keys as written, with their quotes.
    #[must_use]
    pub fn claims(&self) -> [(&'static str, String); 3] {
        [
            (r#""iat""#, self.managed.issued.as_secs().to_string()),
            (r#""exp""#, self.expires.as_secs().to_string()),
            (r#""cr""#, self.managed.write()),
        ]
    }
}
