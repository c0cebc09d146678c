//! The keys that tokens are signed and verified with, or sealed and opened. Pure: [`source`] does the reading.

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

/// The place of a key in the file, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyIndex(pub usize);

/// The signing key and those still accepted. A clone shares them.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Arc<[Key]>,
}

impl KeyRing {
    /// A ring of one signing key and others that only verify.
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

    /// Every key with its place, the signing one first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyIndex, &Key)> {
        self.keys.iter().enumerate().map(|(index, key)| (KeyIndex(index), key))
    }

    /// What metrics and logs call a key: its id, or its number in the file from 1.
    #[must_use]
    pub fn label(&self, index: KeyIndex) -> String {
        let id = self.keys.get(index.0).and_then(|key| key.id().map(str::to_owned));
        id.unwrap_or_else(|| (index.0 + 1).to_string())
    }
}
