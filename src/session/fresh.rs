//! What has to be new each time: randomness is an argument, as time is.

use super::lifetime::SessionId;
use crate::keys::Nonce;

/// Where it comes from.
pub trait Fresh {
    /// The id of a new session.
    fn id(&mut self) -> SessionId;

    /// The nonce of a seal, never the same twice. None where there are no random bytes: then
    /// nothing is sealed.
    fn nonce(&mut self) -> Option<Nonce>;
}

/// Ids alone, which is enough where the key signs.
impl<F: FnMut() -> SessionId> Fresh for F {
    fn id(&mut self) -> SessionId {
        self()
    }

    fn nonce(&mut self) -> Option<Nonce> {
        None
    }
}
