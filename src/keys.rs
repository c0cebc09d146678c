//! The keys that sign and verify tokens, or seal and open them. Pure, except for [`source`] and
//! [`reload`], which read files.

use std::sync::Arc;

mod algorithm;
pub mod bearer;
pub mod jose;
mod key;
mod pem;
mod private_key;
mod public_key;
pub mod reload;
pub mod signature;
pub mod source;

pub use algorithm::{Algorithm, Family};
pub use key::{Key, Kind, MANY_SEALS, NONCE_BYTES, Nonce};
pub(crate) use key::{Signature, TAG_BYTES};
pub use pem::PemError;

/// The position of a key in the configuration, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyIndex(pub usize);

/// The signing key and the other accepted keys. Clones share them.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Arc<[Key]>,
}

impl KeyRing {
    /// A ring of one signing key and other keys that only verify.
    #[must_use]
    pub fn new(signing: Key, others: Vec<Key>) -> Self {
        let mut keys = others;
        keys.insert(0, signing);
        Self { keys: keys.into() }
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &Key {
        &self.keys[0]
    }

    /// Every key with its index, the signing key first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyIndex, &Key)> {
        self.keys.iter().enumerate().map(|(index, key)| (KeyIndex(index), key))
    }

    /// The name of a key in metrics and logs: its id, or its number in the configuration from 1.
    #[must_use]
    pub fn label(&self, index: KeyIndex) -> String {
        let id = self.keys.get(index.0).and_then(|key| key.id().map(str::to_owned));
        id.unwrap_or_else(|| (index.0 + 1).to_string())
    }
}
