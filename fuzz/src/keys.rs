//! A ring of five keys. Of the pairs only the public halves are here: nobody can sign with them,
//! so what they verify must be the one token that lies beside each.

use std::sync::LazyLock;

use cloakroom::keys::{Algorithm, Key, KeyRing};
use jsonwebtoken::EncodingKey;

/// Long enough for each hash.
pub(crate) const SIGNING: &[u8] =
    b"the first secret of the fuzzed ring, 64 bytes of it, no more....";
pub(crate) const OLD: &[u8] = b"the secret before, which verifies and does not sign: 64 bytes...";

/// `kid` and public key of the pairs, each with a token that its private half has signed.
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

/// HS256 without an id signs; HS512 with the id `old` and the pairs verify.
pub(crate) static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let mut others = vec![Key::hmac(Some("old".into()), Algorithm::Hs512, OLD)];
    for (algorithm, id, pem, _) in PAIRS {
        let key = Key::public(id.map(str::to_owned), algorithm, pem.as_bytes());
        others.push(key.expect("a public key"));
    }
    KeyRing::new(Key::hmac(None, Algorithm::Hs256, SIGNING), others)
});

/// The same the other way round: what was old signs.
pub(crate) static ROTATED: LazyLock<KeyRing> = LazyLock::new(|| {
    let first = Key::hmac(Some("old".into()), Algorithm::Hs512, OLD);
    KeyRing::new(first, vec![Key::hmac(None, Algorithm::Hs256, SIGNING)])
});

/// The signature of a message, made without the sidecar.
pub(crate) fn sign(message: &str, secret: &[u8], algorithm: jsonwebtoken::Algorithm) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).expect("HMAC cannot fail")
}
