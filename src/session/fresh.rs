//! The source of new ids and nonces: randomness is an argument, like time.

use super::lifetime::SessionId;
use crate::keys::Nonce;

/// A source of new ids and nonces.
pub trait Fresh {
    /// The id of a new session.
    fn id(&mut self) -> SessionId;

    /// The nonce of a seal, never the same twice. None if no random bytes are available; then
    /// nothing is sealed.
    fn nonce(&mut self) -> Option<Nonce>;
}

/// Only ids, which is enough if the key signs.
impl<F: FnMut() -> SessionId> Fresh for F {
    fn id(&mut self) -> SessionId {
        self()
    }

    fn nonce(&mut self) -> Option<Nonce> {
        None
    }
}
