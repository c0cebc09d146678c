//! A ring of six keys. Of the key pairs only the public keys are here, so they may only verify the
//! one token stored next to each.

use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::keys::{Algorithm, Key, KeyRing};
use cloakroom::session::fresh::Fresh;
use cloakroom::session::lifetime::SessionId;

/// Long enough for every hash.
pub(crate) const SIGNING: &[u8] =
    b"the first secret of the fuzzed ring, 64 bytes of it, no more....";
pub(crate) const OLD: &[u8] = b"the secret before, which verifies and does not sign: 64 bytes...";

/// The secret of the key that seals.
pub(crate) const SEALING: [u8; 32] = *b"what seals has 32 bytes exactly!";

/// The position of the key that seals in the ring.
pub(crate) const SEALED_BY: usize = 5;

/// The `kid` and public key of the pairs, each with a token signed by its private key.
pub(crate) const PAIRS: [(Algorithm, Option<&str>, &str, &str); 3] = [
    (
        Algorithm::Es256,
        Some("ec"),
        include_str!("../keys/ec.pub"),
        include_str!("../keys/ec.token").trim_ascii_end(),
    ),
    (
        Algorithm::EdDsa,
        None,
        include_str!("../keys/ed.pub"),
        include_str!("../keys/ed.token").trim_ascii_end(),
    ),
    (
        Algorithm::Rs256,
        Some("rsa"),
        include_str!("../keys/rsa.pub"),
        include_str!("../keys/rsa.token").trim_ascii_end(),
    ),
];

/// HS256 without an id signs; HS512 with the id `old` and the pairs verify; the key with the id
/// `seals` opens.
pub(crate) static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let mut others = vec![Key::hmac(Some("old".into()), Algorithm::Hs512, OLD)];
    for (algorithm, id, pem, _) in PAIRS {
        let key = Key::public(id.map(str::to_owned), algorithm, pem.as_bytes());
        others.push(key.expect("a public key"));
    }
    others.push(sealing());
    KeyRing::new(Key::hmac(None, Algorithm::Hs256, SIGNING), others)
});

/// The reverse: the old key signs.
pub(crate) static ROTATED: LazyLock<KeyRing> = LazyLock::new(|| {
    let first = Key::hmac(Some("old".into()), Algorithm::Hs512, OLD);
    KeyRing::new(first, vec![sealing(), Key::hmac(None, Algorithm::Hs256, SIGNING)])
});

/// The same with the key that seals first.
pub(crate) static SEALED: LazyLock<KeyRing> = LazyLock::new(|| {
    let old = Key::hmac(Some("old".into()), Algorithm::Hs512, OLD);
    KeyRing::new(sealing(), vec![Key::hmac(None, Algorithm::Hs256, SIGNING), old])
});

fn sealing() -> Key {
    Key::sealing(Some("seals".into()), &SEALING).expect("32 bytes")
}

/// A number in place of random bytes, since nothing here is secret.
pub(crate) struct Number(pub(crate) u8);

impl Fresh for Number {
    fn id(&mut self) -> SessionId {
        SessionId::from_bytes([self.0; 16])
    }

    fn nonce(&mut self) -> Option<[u8; 12]> {
        Some([self.0; 12])
    }
}

/// A sealed token, made without the sidecar.
pub(crate) fn seal(header: &str, nonce: [u8; 12], payload: &[u8], secret: &[u8; 32]) -> String {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("32 bytes"));
    let mut text = payload.to_vec();
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header),
            &mut text,
        )
        .expect("AES cannot fail");
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{header}..{}.{}.{}", encode(&nonce), encode(&text), encode(tag.as_ref()))
}

/// The signature of a message, made without the sidecar.
pub(crate) fn sign(message: &str, secret: &[u8], algorithm: Algorithm) -> String {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        other => panic!("{other:?} takes no secret"),
    };
    let key = hmac::Key::new(hash, secret);
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()))
}
