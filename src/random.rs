//! New ids and nonces from the system's random numbers.

use crate::keys::{NONCE_BYTES, Nonce};
use crate::session::fresh::Fresh;
use crate::session::lifetime::SessionId;

/// Asks the operating system each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Fresh for System {
    fn id(&mut self) -> SessionId {
        let mut bytes = [0; 16];
        // The system's generator cannot fail after it has been seeded; and a repeated id would only
        // make refreshes of two sessions wait for each other.
        if let Err(error) = getrandom::fill(&mut bytes) {
            log::error!(error:% = error; "no session id: the system's random number generator failed");
        }
        SessionId::from_bytes(bytes)
    }

    fn nonce(&mut self) -> Option<Nonce> {
        let mut nonce = [0; NONCE_BYTES];
        // A repeated nonce would reveal the key, so make no token.
        getrandom::fill(&mut nonce).ok().map(|()| nonce)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_nonces_are_alike() {
        let nonces: HashSet<_> = (0..1000).map(|_| System.nonce()).collect();
        assert_eq!(nonces.len(), 1000);
        assert!(!nonces.contains(&None));
    }
}
